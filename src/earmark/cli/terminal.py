"""The terminal: exit codes, messages on stderr, answers on stdout, progress, signals.

It alone prints (ruff holds it). What stands in names, tags and cards may come from anyone: control
characters in it would move the cursor or start a new line, so a terminal gets them escaped.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from earmark.errors import BadValue
from earmark.files import json_line
from earmark.held_signals import held_signals

if TYPE_CHECKING:
    from rich.live import Live
    from rich.progress import Progress
    from rich.table import Table

_SECONDS_BETWEEN_LINES = 10.0  # of progress, where stderr is not a terminal


class Exit(IntEnum):
    """Exit codes of every command."""

    WELL = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130  # by Ctrl-C
    TERMINATED = 143  # by `kill`


EXIT_MEANINGS = {
    Exit.WELL: "All went well.",
    Exit.ERROR: "An error, which stands on stderr: what was given, what is wrong, what to do next.",
    Exit.USAGE: "The command line is wrong: an unknown command or option, or an impossible value.",
    Exit.SOME_FAILED: "Some files failed, and the others went well. Each has its line.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C (SIGINT).",
    Exit.TERMINATED: "Ended by `kill` (SIGTERM).",
}


class Terminated(SystemExit):
    """SIGTERM has ended the command; open files and workers are closed on the way out."""


def open_streams() -> None:
    """Have stdin, stdout and stderr, whatever the shell or cron has closed (`>&-`), in UTF-8.

    Python leaves a closed one None, and the next file that is opened takes its number. A closed
    stdin is empty, a closed stderr forgets, and writing to a closed stdout fails, as it should.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - as Python's own
    for stream in (sys.stdout, sys.stderr):
        # names of files and tags are UTF-8, whatever the terminal's locale
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def close_stdout() -> None:
    """Write what stdout still holds, or exit with an error; without words if its reader has gone.

    Left to Python, a failure here would be a message about an ignored exception.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what it still holds when Python ends
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            say(f"error: cannot write the answer to stdout: {error.strerror}")
        sys.exit(Exit.ERROR)


@contextmanager
def ended_by_kill() -> Iterator[None]:
    """SIGTERM raises Terminated here; a second one ends the process at once.

    By default SIGTERM would leave a hidden cursor and temporary files. It is not turned into
    SIGINT, which is ignored in commands that a shell starts in the background.
    """

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated(Exit.TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# controls (C0, C1, DEL), line and paragraph separators, and marks that turn the writing around
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: object) -> str:
    r"""A text from outside with its control characters escaped: a newline as \n, ESC as \x1b."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def say(*lines: str) -> None:
    """Print a message on stderr, of one line or several."""
    with above_the_bar():
        # in one piece: unbuffered, print would write the last newline by itself
        sys.stderr.write("".join(f"{visible(line)}\n" for line in lines))
        sys.stderr.flush()


def as_shown(text: object) -> str:
    """A text of an answer: escaped on a terminal, exact in a pipe or a file."""
    return visible(text) if sys.stdout.isatty() else str(text)


def show(*lines: object) -> None:
    """Print lines of an answer on stdout: escaped on a terminal, exact in a pipe or a file."""
    with above_the_bar():
        for line in lines:
            print(as_shown(line))


def show_bytes(data: bytes) -> None:
    """Print the lines of a file on stdout: escaped on a terminal, exact in a pipe or a file."""
    if sys.stdout.isatty():
        show(*os.fsdecode(data.removesuffix(b"\n")).split("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def show_table(table: Table) -> None:
    """Print a table on stdout. Its titles and cells are `as_shown`, and none of them is markup."""
    from rich.console import Console

    with above_the_bar():
        Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print(table)


def print_json(value: Any) -> None:
    """One JSON document on one line of stdout, at once, so that a pipe can follow along.

    Control characters in it are escaped as JSON escapes them: its value is the same.
    """
    line = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", json_line(value))
    with above_the_bar():
        print(line, flush=True)


def read_list(paths: list[str]) -> list[str]:
    """The paths, with `-` replaced by the lines of stdin (or its parts between NUL bytes)."""
    result = []
    for path in paths:
        if not path:
            raise BadValue("one of the paths is empty; is a shell variable not set?")
        if path != "-":
            result.append(path)
            continue
        result += read_paths("-")
    return result


def read_paths(file: str) -> list[str]:
    """The lines of a file, or of stdin for `-`; its parts between NUL bytes where it has some.

    Raises BadValue for a file that cannot be read, and for an empty list.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadValue(f"cannot read the list {file}: {error.strerror}. Check its name") from error
    separator = b"\0" if b"\0" in data else b"\n"
    names = (part.removesuffix(b"\r") for part in data.split(separator))
    listed = [os.fsdecode(name) for name in names if name.strip()]  # as arguments are
    if not listed:
        raise BadValue(f"the list {'on stdin' if file == '-' else file} is empty")
    return listed


class LineTimer:
    """Times the lines of progress that replace a bar: one every ten seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _SECONDS_BETWEEN_LINES

    def is_due(self) -> bool:
        """Whether it is time for a line; the next one is then due ten seconds later."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _SECONDS_BETWEEN_LINES
        return True


class _Region:
    """The last lines of the terminal, where a bar is drawn and redrawn."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self._live: Live | None = None

    def show(self) -> None:
        """Draw the bar at the cursor, and keep it up to date."""
        from rich.live import Live

        # a new one each time: one that was stopped would erase the lines where it was before
        with held_signals():
            self._live = Live(
                self.bar, console=self.bar.console, transient=True, redirect_stdout=False
            )
            self._live.start()

    def clear(self) -> None:
        """Erase the bar, and leave the cursor where the bar began."""
        assert self._live is not None  # it was shown
        with held_signals():
            self._live.stop()


_region: _Region | None = None  # the one of this process


@contextmanager
def live_bar() -> Iterator[Progress | None]:
    """A bar at the bottom of the terminal, erased at the end.

    None where stderr is not a terminal, or one that cannot move its cursor. Its tasks have the
    fields `rate` and `note`, shown as they are. Meanwhile all output must be `above_the_bar`.
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
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Words(TextColumn):
        """Words that may come from outside: escaped, and no markup."""

        def render(self, task: Task) -> Text:
            return Text(visible(self.text_format.format(task=task)))

    console = Console(stderr=True)
    if not console.is_interactive:
        yield None
        return
    columns = (
        Words("{task.description}"), BarColumn(), MofNCompleteColumn(),
        Words("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        Words("{task.fields[note]}"),
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
    """A block that may write whole lines to stdout and stderr; the bar is erased meanwhile."""
    if _region is None:
        yield
        return
    _region.clear()
    yield
    # not after an error: the output may end within a line, where a bar cannot be drawn
    sys.stdout.flush()
    _region.show()


@contextmanager
def progress(words: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function to call with how many more are done; a bar on a terminal, else a line at times.

    total : None if it is not known
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
    """A function to call with how many more are done, which prints a line every ten seconds."""
    done, started, timer = 0, time.monotonic(), LineTimer()

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if timer.is_due():
            rate = done / (time.monotonic() - started)
            of = "" if total is None else f" of {total}"
            left = "" if total is None or not rate else f", {_time((total - done) / rate)} left"
            say(f"{words}: {done}{of}, {rate:.1f} a second{left}")

    return advance


def _time(seconds: float) -> str:
    """A duration, rounded, with its unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
