"""A process on a terminal of a given size, and what a person reads there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyte

ROWS = 24
_LAST = b"\0"  # a byte that no terminal shows
_BAR = re.compile(r"[━╸╺]|\d/\d")


@dataclass
class Seen:
    """What was on the terminal.

    lines : at the end, those that have scrolled away first
    bars : every line that showed a bar at any moment
    crowds : every moment at which there were two of them
    cursor : whether there is one at the end
    written : every byte that came to the terminal
    """

    code: int = 0
    lines: list[str] = field(default_factory=list)
    bars: set[str] = field(default_factory=set)
    crowds: list[list[str]] = field(default_factory=list)
    cursor: bool = True
    written: bytes = b""


def see(
    command: Sequence[object],
    *,
    columns: int = 80,
    stdout: IO[Any] | None = None,
    stderr: IO[Any] | None = None,
    kill_at: str | None = None,
    **how: Any,
) -> Seen:
    """Run a command on a terminal; stdout or stderr may lead elsewhere.

    kill_at : send SIGTERM when these words stand on the screen
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    screen = pyte.HistoryScreen(columns, ROWS, history=10_000)
    stream = pyte.ByteStream(screen)
    seen = Seen()
    data = b""
    with subprocess.Popen(
        list(map(str, command)),
        stdin=theirs,
        stdout=stdout or theirs,
        stderr=stderr or theirs,
        **how,
    ) as process:
        # our end of theirs stays open: what is still on its way when the last one closes it is lost
        ended = False
        while not (ended and _LAST in data):
            if not ended and process.poll() is not None:
                # the kernel may hold back what came before until something more comes
                os.write(theirs, _LAST)
                ended = True
            if not select.select([ours], [], [], 10.0 if ended else 0.1)[0]:
                assert not ended, "the terminal does not pass on what was written to it"
                continue
            data = os.read(ours, 1 << 16)
            seen.written += data
            for line in data.splitlines(keepends=True):
                stream.feed(line)
                rows = [row.rstrip() for row in screen.display]
                bars = [row for row in rows if _BAR.search(row)]
                seen.bars.update(bars)
                if len(bars) > 1:
                    seen.crowds.append(bars)
                # asked of the screen: a reading may end within a word
                if kill_at and any(kill_at in row for row in rows):
                    process.terminate()
                    kill_at = None
        seen.code = process.wait()
    os.close(ours)
    os.close(theirs)
    above = ["".join(row[x].data for x in range(columns)) for row in screen.history.top]
    seen.lines = [line.rstrip() for line in (*above, *screen.display)]
    seen.cursor = not screen.cursor.hidden
    return seen
