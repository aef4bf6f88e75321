"""The server under load, beside `earmark tag` on the same clips in the same run.

    python -m benchmarks.serving FOLDER [--model earmark] [--clients 32] [--seconds 120]

Clients on this machine send one clip after the other, each on a connection of its own. What they
send is made beforehand and goes into the socket as it is, so that they take next to nothing of the
cores (their CPU seconds are told). The command runs before and after, so that a machine that grows
busier is seen. CPU seconds are those of all processes of a side, start-up included: they say more
than the clock on a machine that others use. Memory is that of all the server's processes together.
Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import itertools
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.family import megabytes
from benchmarks.suite.watching import watched

PATIENCE = 300  # seconds for one answer


class Load:
    """What the clients met."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.port = port
        self.requests = itertools.cycle(requests)
        self.taking = threading.Lock()
        self.statuses: collections.Counter[int | str] = collections.Counter()
        self.seconds: list[float] = []  # of each clip that was tagged
        self.ended: list[float] = []

    def client(self, until: float) -> None:
        """Send one clip after the other, on one connection for as long as it holds."""
        while time.perf_counter() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                    while time.perf_counter() < until and self.ask(connection):
                        pass
            except (OSError, http.client.HTTPException) as error:
                self.statuses[type(error).__name__] += 1

    def ask(self, connection: socket.socket) -> bool:
        """Send one clip; whether the connection may be used again."""
        with self.taking:
            request = next(self.requests)
        started = time.perf_counter()
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        answer.read()
        self.statuses[answer.status] += 1
        if answer.status == 200:
            self.ended.append(time.perf_counter())
            self.seconds.append(self.ended[-1] - started)
        elif answer.status == 503:
            time.sleep(float(answer.headers["Retry-After"]))
        return not answer.will_close


def request_of(path: Path) -> bytes:
    """The bytes in which a clip is sent."""
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + b"\r\n--edge--\r\n"
    lines = (
        "POST /api/tag HTTP/1.1",
        "Host: localhost",
        "Content-Type: multipart/form-data; boundary=edge",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def start(model: str, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A server on a free port, warm, and its address."""
    command = [sys.executable, "-m", "earmark", "serve", "--port", "0", "--model", model, *words]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    url = server.stderr.readline().split("listens at ")[1].split()[0]
    threading.Thread(target=server.stderr.read, daemon=True).start()
    return server, url


def cpu_seconds(of: int = resource.RUSAGE_CHILDREN) -> float:
    """Of all processes that were started and have ended so far, or of this one."""
    used = resource.getrusage(of)
    return used.ru_utime + used.ru_stime


def load(model: str, clips: list[Path], *, clients: int, seconds: float) -> dict[str, Any]:
    cpu_before = cpu_seconds()
    server, url = start(model)
    try:
        met = Load(int(url.rsplit(":", 1)[1]), [request_of(path) for path in clips])
        with socket.create_connection(("127.0.0.1", met.port), PATIENCE) as connection:
            for _ in range(2):
                met.ask(connection)
        warm = len(met.seconds)
        own_before, begun = cpu_seconds(resource.RUSAGE_SELF), time.perf_counter()
        threads = [
            threading.Thread(target=met.client, args=(begun + seconds,)) for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            memory.append(megabytes(server.pid))
            time.sleep(min(1.0, seconds / 20))
        own = cpu_seconds(resource.RUSAGE_SELF) - own_before
        whole = [end for end in met.ended[warm:] if end <= begun + seconds]
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
    finally:
        server.kill()
        server.wait()
    centiles = statistics.quantiles(met.seconds[warm:], n=100, method="inclusive")
    quarter = max(1, len(memory) // 4)
    return {
        "clips_per_second": len(whole) / seconds,
        "cpu_seconds_per_clip": round((cpu_seconds() - cpu_before) / len(met.seconds), 3),
        "clients_cpu_seconds_per_clip": round(own / len(met.seconds), 4),
        "seconds_p50_p95_p99": [round(centiles[n - 1], 3) for n in (50, 95, 99)],
        "answers": {str(status): n for status, n in met.statuses.items()},
        "memory_mb_first_quarter": round(max(memory[:quarter])),
        "memory_mb_last_quarter": round(max(memory[-quarter:])),
        "exit_code": code,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="earmark")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    clips = [path for path in paths if path.suffix != ".csv"][: arguments.clips]
    command = [sys.executable, "-m", "earmark", "tag", "-", "--json", "--model", arguments.model]

    def tag() -> tuple[float, float]:
        run = watched(command, stdin="\n".join(map(str, clips)), answers=len(clips))
        rate, used = len(clips) / run.seconds, run.cpu_seconds / len(clips)
        print(f"earmark tag: {rate:.2f} clips/s, {used:.3f} CPU s a clip", flush=True)
        return rate, used

    before = tag()
    served = load(arguments.model, clips, clients=arguments.clients, seconds=arguments.seconds)
    print(f"earmark serve: {served['clips_per_second']:.2f} clips/s, {served}", flush=True)
    after = tag()
    rates, used = zip(before, after, strict=True)
    print(
        json.dumps(
            {
                "cores": os.cpu_count(),
                "clients": arguments.clients,
                "seconds": arguments.seconds,
                "tag_clips_per_second": [round(rate, 3) for rate in rates],
                "tag_cpu_seconds_per_clip": [round(one, 3) for one in used],
                "ratio": round(served["clips_per_second"] / statistics.mean(rates), 3),
            }
            | served
        )
    )


if __name__ == "__main__":
    main()
