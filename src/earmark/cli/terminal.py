"""What the commands share: exit codes, words on stderr, JSON lines on stdout, progress."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from earmark.errors import BadValue
from earmark.files import json_line

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0  # of progress, where stderr is no terminal


class Exit(IntEnum):
    """Exit codes of every command."""

    WELL = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130  # by Ctrl-C
    TERMINATED = 143  # by `kill`


class Terminated(SystemExit):
    """`kill` has ended the command; whatever is open is closed on the way out."""


@contextmanager
def ended_by_kill() -> Iterator[None]:
    """SIGTERM raises Terminated here; a second one ends the process as it stands.

    Left to itself SIGTERM would leave a hidden cursor and half-written files. It does not become a
    SIGINT, which a shell that starts a command in the background tells it to ignore.
    """

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated(Exit.TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(words: str) -> None:
    """Words for a person, on stderr."""
    with above_the_bar():
        print(words, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on one line of stdout, at once, so that a pipe can follow along."""
    with above_the_bar():
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


class _Region:
    """The lines of stderr that are drawn again and again below all else: a bar."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar

    def show(self) -> None:
        """Draw the bar from the line of the cursor on, and go on drawing it."""
        from rich.live import Live

        # a new one each time: one that was stopped would erase the lines where it last stood
        with _undisturbed():
            self._live = Live(
                self.bar, console=self.bar.console, transient=True, redirect_stdout=False
            )
            self._live.start()

    def clear(self) -> None:
        """Take the bar away, and leave the cursor where it began."""
        with _undisturbed():
            self._live.stop()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM for a moment: a bar half cleared would stay for good."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


_region: _Region | None = None  # the one of this process


@contextmanager
def live_bar() -> Iterator[Progress | None]:
    """A bar at the bottom of the terminal, of which nothing is left at the end.

    None where stderr is no terminal, or one that cannot move its cursor. Its tasks have the fields
    `rate` and `note`, shown as they are. Who writes to the terminal meanwhile does so
    `above_the_bar`.
    """
    global _region
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_interactive:
        yield None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    _region = _Region(Progress(*columns, console=console))
    _region.show()
    try:
        yield _region.bar
    finally:
        _region.clear()
        _region = None


@contextmanager
def above_the_bar() -> Iterator[None]:
    """Whole lines may be written here, to stdout and to stderr: the bar makes room for them."""
    if _region is None:
        yield
        return
    _region.clear()
    yield
    # not after an error: what was written may end within a line, where no bar can be drawn
    sys.stdout.flush()
    _region.show()


@contextmanager
def progress(words: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function to call with how many more are done; a bar on a terminal, else a line at times.

    total : None where nobody knows
    """
    with live_bar() as bar:
        if bar is None:
            yield _line_at_times(words, total=total)
            return
        task = bar.add_task(words, total=total, rate="", note="")

        def show(more: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=more, rate=f"{speed:.1f} a second" if speed else "")

        yield show


def _line_at_times(words: str, *, total: int | None) -> Callable[[int], None]:
    """A function to call with how many more are done, which now and then says so in a line."""
    done, started = 0, time.monotonic()
    next_line = started + _SECONDS_BETWEEN_LINES

    def advance(more: int) -> None:
        nonlocal done, next_line
        done += more
        now = time.monotonic()
        if now >= next_line:
            next_line = now + _SECONDS_BETWEEN_LINES
            rate = done / (now - started)
            of = "" if total is None else f" of {total}"
            left = "" if total is None or not rate else f", {_time((total - done) / rate)} left"
            say(f"{words}: {done}{of}, {rate:.1f} a second{left}")

    return advance


def _time(seconds: float) -> str:
    """About how long, for a person."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
