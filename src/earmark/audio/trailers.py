"""Tags behind the audio of a file: where they lie, so that none is taken for audio.

ID3v1 (id3.org/ID3v1), Lyrics3 versions 1 and 2 (id3.org/Lyrics3v2), APEv2
(wiki.hydrogenaud.io/index.php?title=APEv2_specification), and an ID3v2.4 tag with a footer
(id3.org/id3v2.4.0-structure, section 3.4).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

TrailerKind = Literal["id3v1", "lyrics3", "ape", "id3v2"]

_ID3V1, _ID3V1_EXTENDED = 128, 227  # bytes
_APE_FOOTER = struct.Struct("<8sIIII8s")  # APETAGEX, version, bytes, items, flags, reserved
_APE_HAS_HEADER = 1 << 31
_LONGEST_LYRICS = 5100 + 20  # bytes, of version 1 with its two marks
_MOST = 20  # trailers; more than a file has by accident


class Trailer(NamedTuple):
    """A tag behind the audio: its first byte and its end."""

    kind: TrailerKind
    start: int
    end: int


def trailers(file: BinaryIO) -> list[Trailer]:
    """The tags behind the audio, the last one first."""
    end = file.seek(0, os.SEEK_END)
    found: list[Trailer] = []
    while len(found) < _MOST:
        trailer = next((one for one in _ending_at(file, end) if 0 <= one.start < one.end), None)
        if trailer is None:
            break
        found.append(trailer)
        end = trailer.start
    return found


def audio_end(file: BinaryIO) -> int:
    """Where the tags behind the audio begin; the size of a file without any."""
    found = trailers(file)
    return found[-1].start if found else file.seek(0, os.SEEK_END)


def _ending_at(file: BinaryIO, end: int) -> Iterator[Trailer]:
    tail = _read(file, end - _ID3V1 - 3, end)
    if tail[3:6] == b"TAG" and tail[:8] != b"APETAGEX":
        extended = _read(file, end - _ID3V1 - _ID3V1_EXTENDED, end).startswith(b"TAG+")
        yield Trailer("id3v1", end - _ID3V1 - (_ID3V1_EXTENDED if extended else 0), end)
    if tail[-32:].startswith(b"APETAGEX"):
        _, _, n_bytes, _, flags, _ = _APE_FOOTER.unpack(tail[-32:])
        if n_bytes >= _APE_FOOTER.size:
            header = _APE_FOOTER.size if flags & _APE_HAS_HEADER else 0
            yield Trailer("ape", end - n_bytes - header, end)
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        start = end - 15 - int(tail[-15:-9])
        if _read(file, start, start + 11) == b"LYRICSBEGIN":
            yield Trailer("lyrics3", start, end)
    if tail.endswith(b"LYRICSEND"):
        at = _read(file, max(0, end - _LONGEST_LYRICS), end).rfind(b"LYRICSBEGIN")
        if at >= 0:
            yield Trailer("lyrics3", max(0, end - _LONGEST_LYRICS) + at, end)
    if tail[-10:].startswith(b"3DI"):
        start = end - 20 - synchsafe(tail[-4:])
        if _read(file, start, start + 3) == b"ID3":
            yield Trailer("id3v2", start, end)


def synchsafe(four: bytes) -> int:
    """The number in four bytes of seven bits each, as ID3v2 writes sizes."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    """These bytes; none where they would begin before the file."""
    if start < 0:
        return b""
    file.seek(start)
    return file.read(end - start)
