"""Chained Ogg: several Ogg files end to end in one, as recorders of web radio write them.

FFmpeg stops where rate or channels change from one to the next, and seeks by times that start at 0
in each; so each is decoded as a file of its own. The page format is RFC 3533's, section 6.
"""

from __future__ import annotations

import mmap
from io import FileIO

_PAGE = b"OggS\0"  # every page begins so
_FIRST_PAGE = b"OggS\0\x02"  # and the first of every stream so
_SERIAL = slice(14, 18)  # which stream a page belongs to
_LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes


def links(file: FileIO) -> list[tuple[int, int]]:
    """(first byte, end) of each file in a chain; one pair for a file that is not a chain."""
    file.seek(0)
    head = file.read(_SERIAL.stop)
    size = file.seek(0, 2)
    whole = [(0, size)]
    if not head.startswith(_FIRST_PAGE):
        return whole
    file.seek(max(0, size - 2 * _LONGEST_PAGE))
    tail = file.read()
    last = tail[tail.rfind(_PAGE) :][_SERIAL]
    if last == head[_SERIAL]:
        return whole
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = []
        neighbour = -1  # where the page after the last first page begins
        at = 0
        while at >= 0:
            if at != neighbour:  # else it is a second stream beside the first
                starts.append(at)
            n_segments = data[at + 26] if at + 26 < size else 0
            neighbour = at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
            at = data.find(_FIRST_PAGE, at + 1)
    return list(zip(starts, [*starts[1:], size], strict=True))
