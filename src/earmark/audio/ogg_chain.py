"""Chained Ogg: several Ogg files end to end in one, as recorders of web radio write them.

FFmpeg stops where rate or channels change from one to the next, and seeks by times that start at 0
in each; so each is decoded as a file of its own. The page format is RFC 3533's, section 6.
"""

from __future__ import annotations

import mmap
from io import FileIO
from typing import NamedTuple

LARGEST = 1 << 32  # bytes; four days of radio

_PAGE = b"OggS\0"  # every page begins so
_FIRST_PAGE = b"OggS\0\x02"  # and the first of every stream so
_SERIAL = slice(14, 18)  # which stream a page belongs to
_LAST_PAGE = 4  # the bit of a page's flags that says so
_FLAGS = 5  # where these stand in a page
_SEGMENTS = 27  # where the lengths of its segments stand, after their number
_LONGEST_PAGE = _SEGMENTS + 255 + 255 * 255  # bytes


class OggEnds(NamedTuple):
    """Where the files of a chain lie, and whether the last of them is whole.

    links : (first byte, end) of each; one pair for a file that is not a chain, or no Ogg at all
    has_last_page : False for an Ogg that ends without the page that says so
    """

    links: list[tuple[int, int]]
    has_last_page: bool


def ends(file: FileIO, *, limits: bool) -> OggEnds:
    """The ends of the files in a chain.

    limits : do not search more than LARGEST bytes for another link
    """
    file.seek(0)
    head = file.read(_SERIAL.stop)
    size = file.seek(0, 2)
    whole = [(0, size)]
    if not head.startswith(_FIRST_PAGE):
        return OggEnds(whole, has_last_page=True)
    file.seek(max(0, size - 2 * _LONGEST_PAGE))
    tail = file.read()
    last = tail[max(0, tail.rfind(_PAGE)) :]
    has_last_page = _is_whole_page(last) and bool(last[_FLAGS] & _LAST_PAGE)
    if last[_SERIAL] == head[_SERIAL] or (limits and size > LARGEST):
        return OggEnds(whole, has_last_page)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = []
        neighbour = -1  # where the page after the last first page begins
        at = 0
        while at >= 0:
            if at != neighbour:  # else it is a second stream beside the first
                starts.append(at)
            n_segments = data[at + _SEGMENTS - 1] if at + _SEGMENTS <= size else 0
            segments = at + _SEGMENTS
            neighbour = segments + n_segments + sum(data[segments : segments + n_segments])
            at = data.find(_FIRST_PAGE, at + 1)
    return OggEnds(list(zip(starts, [*starts[1:], size], strict=True)), has_last_page)


def _is_whole_page(page: bytes) -> bool:
    """Whether these bytes begin with a page, all of it."""
    if not page.startswith(_PAGE) or len(page) < _SEGMENTS:
        return False
    n_segments = page[_SEGMENTS - 1]
    lengths = page[_SEGMENTS : _SEGMENTS + n_segments]
    return len(lengths) == n_segments and len(page) >= _SEGMENTS + n_segments + sum(lengths)
