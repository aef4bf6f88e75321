"""A command, watched: when each line of its answer came, its CPU time, its memory at the peak."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.family import megabytes, megabytes_at_most

_BETWEEN_LOOKS = 0.2  # seconds between two looks at the memory
_GROWN = 1.05  # since the last close look


class CommandFailed(Exception):
    """A command that was to be measured ended badly, or gave fewer answers than it should."""


@dataclass(frozen=True)
class Watched:
    """What a command did.

    seconds : from its start to its end
    lines : of its stdout; came : seconds from the start to each of them
    cpu_seconds : of the command and its children, 0 where the system does not tell
    peak_mb : memory of the command and its children together, None if it ended too soon to look
    """

    seconds: float
    lines: tuple[str, ...]
    came: tuple[float, ...]
    cpu_seconds: float
    peak_mb: float | None

    def rate(self, warm: int) -> float:
        """Lines a second after the first `warm` ones; from the start for 0."""
        began = self.came[warm - 1] if warm else 0.0
        return (len(self.came) - warm) / (self.came[-1] - began)


def watched(
    command: Sequence[str],
    *,
    stdin: str = "",
    answers: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Watched:
    """Run a command to its end.

    answers : lines that it must print; None for any number
    environment : variables beyond those of this process

    Raises CommandFailed with the end of what it said.
    """
    lines: list[str] = []
    came: list[float] = []
    peaks: list[float] = []
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(stdin)
        given.seek(0)
        before, started = os.times(), time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        done = threading.Event()
        watcher = threading.Thread(target=_look, args=(process.pid, done, peaks))
        watcher.start()
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    came.append(time.perf_counter() - started)
                    lines.append(line)
            code = process.wait()
        finally:
            process.kill()  # nothing to a process that ended; on Ctrl-C it is to end with us
            process.wait()
            done.set()
            watcher.join()
        seconds, after = time.perf_counter() - started, os.times()
        said.seek(0)
        words = said.read()[-2000:]
    if code or (answers is not None and len(lines) != answers):
        raise CommandFailed(
            f"{' '.join(command)} ended with {code} and {len(lines)} lines, not "
            f"{'any' if answers is None else answers}:\n{words}"
        )
    cpu = sum(after[2:4]) - sum(before[2:4])  # the children's user and system time
    peak = max(peaks, default=None)
    return Watched(seconds, tuple(lines), tuple(came), cpu, peak)


def _look(pid: int, done: threading.Event, peaks: list[float]) -> None:
    """Look closely where memory has grown: each close look holds up what is measured."""
    most = 0.0
    while not done.wait(_BETWEEN_LOOKS):
        with suppress(psutil.NoSuchProcess):
            if (now := megabytes_at_most(pid)) > _GROWN * most:
                most = now
                peaks.append(megabytes(pid))
