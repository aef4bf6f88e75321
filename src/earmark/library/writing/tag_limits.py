"""Opening a file's tags with mutagen, within limits: a small file can hold tags that fill a memory.

mutagen unfolds compressed frames of ID3 to any size, and takes time that grows with the square of
their number. What is beyond a limit is refused before it is read.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from earmark.audio.trailers import synchsafe, trailers

MOST_BYTES = 1 << 26  # of one tag, compressed or unfolded: three pictures of the largest kind
MOST_ITEMS = 4_000  # frames, comments or items of one tag; real ones have some hundred
MOST_ATOMS = 200_000  # of an MP4; a recording of hours in fragments has some ten thousand
_OGG_HEAD = 1 << 16  # bytes, in which the comments of an Ogg file begin
_MP4_CONTAINERS = {
    b"moov", b"udta", b"trak", b"mdia", b"meta", b"ilst", b"stbl", b"minf", b"moof", b"traf"
}  # fmt: skip


class TooLargeTags(Exception):
    """Tags beyond a limit; the message goes into the error of the file."""


def open_tags(path: Path, **options: Any) -> Any:
    """The mutagen file of a path; None for a format that mutagen does not know.

    options : of mutagen's ID3, for the formats that have it

    Raises TooLargeTags, and whatever mutagen raises for damaged tags.
    """
    import mutagen

    with path.open("rb") as file:
        check(file)
    kinds = [_Kind(kind, options if takes_options else {}) for kind, takes_options in _kinds()]
    return mutagen.File(path, options=kinds)


def id3_options(**options: Any) -> dict[str, Any]:
    """Options of mutagen's ID3 with which compressed frames unfold within the limit."""
    return {"known_frames": _Frames(_bounded_frames())} | options


def check(file: BinaryIO) -> None:
    """Raise TooLargeTags where the structure of a file's tags is beyond a limit."""
    begin = 0  # of what follows them
    for start, begin in id3_at_start(file):
        check_id3(_bytes(file, start, begin))
    for kind, start, end in trailers(file):
        content = _bytes(file, start, end)
        if kind == "id3v2":
            check_id3(content)
        elif kind == "ape":
            _check_count(struct.unpack("<I", content[-16:-12])[0])
    head = _bytes(file, begin, begin + _OGG_HEAD)
    if head.startswith(b"fLaC"):
        for start in _flac_comments(file, begin):
            _check_comments(_bytes(file, start, start + _OGG_HEAD))
    elif head.startswith(b"OggS"):
        for mark in (b"\x03vorbis", b"OpusTags"):
            if mark in head:
                _check_comments(head[head.index(mark) + len(mark) :])
    elif head[4:8] == b"ftyp":
        _check_atoms(file)


def id3_at_start(file: BinaryIO) -> list[tuple[int, int]]:
    """(first byte, end) of each ID3v2 tag at the beginning of a file."""
    size = file.seek(0, os.SEEK_END)
    found: list[tuple[int, int]] = []
    at = 0
    while at < size and len(found) < MOST_ITEMS:
        file.seek(at)
        header = file.read(10)
        if len(header) < 10 or not header.startswith(b"ID3") or max(header[6:]) > 0x7F:
            break
        end = at + 10 + synchsafe(header[6:]) + (10 if header[5] & 0x10 else 0)
        found.append((at, min(end, size)))
        at = end
    return found


def check_id3(tag: bytes) -> None:
    """Raise TooLargeTags for an ID3v2 tag with too many frames."""
    body = tag[10:]
    if tag[5:6] and tag[5] & 0x80 and tag[3] < 4:  # the whole tag is unsynchronised
        body = body.replace(b"\xff\x00", b"\xff")
    head = struct.Struct(">4s4s2x") if tag[3] >= 3 else struct.Struct(">3s3s")
    for size_of in (synchsafe, int.from_bytes) if tag[3] >= 4 else (int.from_bytes,):
        at = n_frames = 0
        while at + head.size <= len(body):
            name, size = head.unpack_from(body, at)
            if not name.strip(b"\0"):
                break
            at += head.size + size_of(size)
            n_frames += 1
            _check_count(n_frames)


class _Frames(dict[str, Any]):
    """Frames by their names; and how many bytes those of one tag may still unfold to."""

    left = MOST_BYTES


@functools.cache
def _bounded_frames() -> dict[str, Any]:
    """The frames that mutagen knows, by their names; compressed ones bounded."""
    from mutagen import id3

    def bounded(frame: Any) -> Any:
        def from_data(cls: Any, header: Any, flags: int, data: bytes) -> Any:
            header.known_frames.left -= _unfolded_bytes(data, most=header.known_frames.left)
            return super(made, cls)._fromData(header, flags, data)

        made: Any = type(frame.__name__, (frame,), {"_fromData": classmethod(from_data)})
        return made

    module: Any = id3
    frames: dict[str, Any] = {name: bounded(one) for name, one in module.Frames.items()}
    return frames | dict(module.Frames_2_2)


def _unfolded_bytes(data: bytes, *, most: int) -> int:
    """To how many bytes the content of a frame unfolds. Raises TooLargeTags beyond `most`."""
    longest = 0
    for start in (0, 4):  # the length may stand before it
        for content in (data[start:], data[start:].replace(b"\xff\x00", b"\xff")):
            if not content or content[0] & 0x8F != 0x08:  # RFC 1950: so a zlib stream begins
                continue
            try:
                unfolded = len(zlib.decompressobj().decompress(content, most + 1))
            except zlib.error:
                continue
            if unfolded > most:
                raise TooLargeTags(_words(f"unfold to more than {MOST_BYTES >> 20} MB"))
            longest = max(longest, unfolded)
    return longest


def _check_count(number: int) -> None:
    if number > MOST_ITEMS:
        raise TooLargeTags(_words(f"hold more than {MOST_ITEMS:,} entries"))


def _check_comments(block: bytes) -> None:
    """Check the number of Vorbis comments in a block that begins with the vendor's length."""
    if len(block) >= 8:
        at = 4 + int.from_bytes(block[:4], "little")
        if at + 4 <= len(block):
            _check_count(int.from_bytes(block[at : at + 4], "little"))


def _flac_comments(file: BinaryIO, begin: int) -> Iterator[int]:
    """Where the blocks of comments begin in a FLAC file that begins at a byte."""
    at, is_last = begin + 4, False
    for _ in range(MOST_ITEMS):
        file.seek(at)
        header = file.read(4)
        if is_last or len(header) < 4:
            return
        is_last = bool(header[0] & 0x80)
        if header[0] & 0x7F == 4:
            yield at + 4
        at += 4 + int.from_bytes(header[1:], "big")


def _check_atoms(file: BinaryIO) -> None:
    """Check the number of atoms in an MP4; mutagen's depth ends with Python's own."""
    rest = [(0, file.seek(0, os.SEEK_END))]
    n_atoms = 0
    while rest:
        at, end = rest.pop()
        while at + 8 <= end:
            file.seek(at)
            size, name = struct.unpack(">I4s", file.read(8))
            inside = at + 8
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
                inside += 8
            size = end - at if size == 0 else size
            if size < 8:
                break
            n_atoms += 1
            if n_atoms > MOST_ATOMS:
                raise TooLargeTags(_words(f"hold more than {MOST_ATOMS:,} atoms"))
            if name in _MP4_CONTAINERS:
                rest.append((inside + (4 if name == b"meta" else 0), min(at + size, end)))
            at += size


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    if end - start > MOST_BYTES:
        raise TooLargeTags(_words(f"are larger than {MOST_BYTES >> 20} MB"))
    file.seek(start)
    return file.read(end - start)


def _words(what: str) -> str:
    return f"its tags {what}, which no real song has. Remove them with another program"


class _Kind:
    """One of mutagen's kinds of files, with options for its ID3 tags."""

    def __init__(self, kind: Any, options: dict[str, Any]) -> None:
        self.__name__ = kind.__name__
        self.score = kind.score
        self._kind, self._options = kind, options

    def __call__(self, fileobj: Any, *, filename: Any) -> Any:
        return self._kind(fileobj, filename=filename, **self._options)


@functools.cache
def _kinds() -> list[tuple[Any, bool]]:
    """The kinds of files, and whether each has tags of mutagen's ID3."""
    from mutagen.aac import AAC
    from mutagen.ac3 import AC3
    from mutagen.aiff import AIFF
    from mutagen.apev2 import APEv2File
    from mutagen.asf import ASF
    from mutagen.dsdiff import DSDIFF
    from mutagen.dsf import DSF
    from mutagen.flac import FLAC
    from mutagen.id3 import ID3FileType
    from mutagen.monkeysaudio import MonkeysAudio
    from mutagen.mp3 import MP3
    from mutagen.mp4 import MP4
    from mutagen.musepack import Musepack
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggspeex import OggSpeex
    from mutagen.oggtheora import OggTheora
    from mutagen.oggvorbis import OggVorbis
    from mutagen.optimfrog import OptimFROG
    from mutagen.tak import TAK
    from mutagen.trueaudio import TrueAudio
    from mutagen.wave import WAVE
    from mutagen.wavpack import WavPack

    with_id3 = (MP3, TrueAudio, ID3FileType, AIFF, DSF, DSDIFF, WAVE)
    without = (
        OggTheora, OggSpeex, OggVorbis, OggFLAC, FLAC, APEv2File, MP4, WavPack, Musepack,
        MonkeysAudio, OptimFROG, ASF, OggOpus, AAC, AC3, TAK,
    )  # fmt: skip
    return [(kind, True) for kind in with_id3] + [(kind, False) for kind in without]
