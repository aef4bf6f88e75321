"""The web application on a loopback port, in a thread of the test or as a process of its own.

with serving(model) as server:
    requests.post(server.url + "/api/tag", ...)
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import uvicorn
from benchmarks.family import descendants

from earmark.web.access import Access
from earmark.web.app import create_app
from earmark.web.connections import ConnectionLimits
from earmark.web.limits import Limits
from earmark.web.server import settings
from earmark.web.service import Service, Similar
from earmark.web.shelf import Shelf

FEW = Limits(decoders=1)
_PATIENCE = 60.0  # seconds


@dataclass
class Serving:
    url: str
    service: Service

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@contextmanager
def serving(
    model: Path,
    *,
    limits: Limits = FEW,
    access: Access = Access(),
    similar: Similar | None = None,
    root_path: str = "",
    connections: ConnectionLimits = ConnectionLimits(),
    shelf: Shelf | None = None,
) -> Iterator[Serving]:
    with Service(model, limits=limits, similar=similar) as service:
        app = create_app(service, access=access, root_path=root_path, shelf=shelf)
        server = uvicorn.Server(settings(app, limits=connections))
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Serving(f"http://127.0.0.1:{port}", service)
        finally:
            server.should_exit = True
            thread.join()


class Process:
    """`earmark serve` as a person starts it; what it logs is in `lines`."""

    def __init__(self, model: Path, *words: str, handles: int | None = None) -> None:
        """handles : how many files it may have open; None is as many as this process"""
        command = [sys.executable, "-m", "earmark", "serve", "--port", "0", "--decoders", "1"]
        if handles is not None:
            command = ["sh", "-c", f'ulimit -n {handles}; exec "$@"', "sh", *command]
        self._process = subprocess.Popen(
            [*command, "--model", str(model), *words], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        wait_until(lambda: any("listens at" in line for line in self.lines))
        first = next(line for line in self.lines if "listens at" in line)
        self.url = first.split("listens at ")[1].split()[0]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def decoder(self) -> psutil.Process:
        """The process that decodes."""
        below = descendants(self._process.pid)
        return next(one for one, line in below.items() if "spawn_main" in line)

    def children(self) -> list[psutil.Process]:
        return list(descendants(self._process.pid))

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        code = self._process.wait(_PATIENCE)
        self._reader.join()
        return code

    def log(self) -> list[dict[str, Any]]:
        """What it logged, but for its greeting."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def _read(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # closed meanwhile
            for line in self._process.stderr:
                self.lines.append(line)


def send(server: Serving | Process, content: bytes, *, name: str = "song.mp3") -> requests.Response:
    """A song to be tagged."""
    files = {"file": (name, content)}
    return requests.post(server.url + "/api/tag", files=files, timeout=_PATIENCE)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
