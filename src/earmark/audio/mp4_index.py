"""The size of an MP4's index: how many entries FFmpeg makes of it, counted without making them.

A list of edits repeats the samples of its track, and a fragment declares any number of samples in
eight bytes; so a file of 100 kB can make an index of gigabytes. The boxes are those of ISO/IEC
14496-12.
"""

from __future__ import annotations

from io import FileIO
from struct import Struct

_HEADER = Struct(">I4s")  # bytes of the box, these among them, and its kind
_LARGE = Struct(">Q")  # the same bytes where 32 bits are too few
_COUNT = Struct(">I")
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"free", b"skip", b"wide", b"pnot"}
_FOLDERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
# where the number of entries stands, in bytes from the end of the header
_COUNTS = {b"stsz": 8, b"stz2": 8, b"elst": 4, b"trun": 4}
_MOST_BOXES = 1_000_000


def entries(file: FileIO, *, most: int) -> int:
    """How many entries the index of an MP4 has; 0 for another file. Stops counting above `most`."""
    file.seek(0)
    first = file.read(_HEADER.size)
    if len(first) < _HEADER.size or _HEADER.unpack(first)[1] not in _FIRST_BOXES:
        return 0
    size = file.seek(0, 2)
    total = samples = 0
    edits = 1
    rest = [(0, size)]  # stretches of boxes still to read, the next one last
    for _ in range(_MOST_BOXES):
        if total + samples * edits > most:
            break
        at, end = rest.pop()
        file.seek(at)
        header = file.read(_HEADER.size)
        if len(header) == _HEADER.size and at < end:
            n_bytes, kind = _HEADER.unpack(header)
            inside = at + _HEADER.size
            if n_bytes == 1:
                n_bytes = (_LARGE.unpack(file.read(_LARGE.size).rjust(_LARGE.size, b"\0")))[0]
                inside += _LARGE.size
            after = at + n_bytes if n_bytes >= inside - at else end
            rest.append((min(after, end), end))
            if kind in _FOLDERS:
                rest.append((inside, min(after, end)))
            if kind == b"trak":
                total, samples, edits = total + samples * edits, 0, 1
            elif kind in _COUNTS:
                file.seek(inside)
                head = file.read(12)
                number = _count(head, _COUNTS[kind])
                if kind == b"trun":
                    total += number
                elif kind == b"elst":
                    edits = max(1, min(number, (after - inside) // 12))
                elif kind == b"stz2" or _count(head, 4) == 0:  # not all of one size
                    samples = number
        if not rest:
            break
    else:
        return most + 1
    return total + samples * edits


def _count(head: bytes, at: int) -> int:
    number: int = _COUNT.unpack(head[at : at + _COUNT.size].rjust(_COUNT.size, b"\0"))[0]
    return number
