"""What the commands share: exit codes, words on stderr, JSON lines on stdout, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from earmark.errors import BadValue
from earmark.files import json_line

_SECONDS_BETWEEN_LINES = 10.0  # of progress, where stderr is no terminal


class Exit(IntEnum):
    """Exit codes of every command."""

    WELL = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


def say(words: str) -> None:
    """Words for a person, on stderr."""
    print(words, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on one line of stdout, at once, so that a pipe can follow along."""
    print(json_line(value), flush=True)


def read_list(paths: list[str]) -> list[str]:
    """The paths, with `-` replaced by the lines of stdin (or its parts between NUL bytes)."""
    result = []
    for path in paths:
        if not path:
            raise BadValue("one of the names is empty; an unset variable may stand in its place")
        if path != "-":
            result.append(path)
            continue
        data = sys.stdin.buffer.read()
        separator = b"\0" if b"\0" in data else b"\n"
        names = (part.removesuffix(b"\r") for part in data.split(separator))
        listed = [name.decode(errors="surrogateescape") for name in names if name.strip()]
        if not listed:
            raise BadValue("the list on stdin is empty")
        result += listed
    return result


class LineTimer:
    """When progress may print its next line, where stderr is not a terminal."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _SECONDS_BETWEEN_LINES

    def is_due(self) -> bool:
        """Whether ten seconds have passed since the last line; then the next ten begin."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _SECONDS_BETWEEN_LINES
        return True


@contextmanager
def progress(words: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function to call with how many more are done; a bar on a terminal, else a line at times.

    total : None where nobody knows
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(words, total=total, rate="")

            def show(more: int) -> None:
                speed = bar.tasks[task].speed
                bar.update(task, advance=more, rate=f"{speed:.1f} a second" if speed else "")

            yield show
        return

    done, started, timer = 0, time.monotonic(), LineTimer()

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if timer.is_due():
            rate = done / (time.monotonic() - started)
            of = "" if total is None else f" of {total}"
            left = "" if total is None or not rate else f", {_time((total - done) / rate)} left"
            say(f"{words}: {done}{of}, {rate:.1f} a second{left}")

    yield advance


def _time(seconds: float) -> str:
    """About how long, for a person."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
