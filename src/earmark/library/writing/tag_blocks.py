"""The tags of one file: the block that its format has, and others that programs have left in it.

An MP3 may have two ID3v2 tags, one at its end, and APEv2; a FLAC may have ID3; a WAV has INFO. What
stands in any of them counts as written, and what is written goes into the format's own block, and
into every other that has the field already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from earmark.audio.trailers import trailers
from earmark.library.writing import riff_info
from earmark.library.writing.fields import GENRE, Values
from earmark.library.writing.tag_limits import id3_at_start, id3_options
from earmark.library.writing.tag_values import (
    APE,
    ID3,
    genre_number,
    kind_of,
    read_value,
    write_value,
)

_NO_MORE_PADDING = 0


class TagBlock(Protocol):
    """One place in a file that holds tags."""

    def read(self, field: str) -> Values:
        """The values of a field."""

    def write(self, values: Mapping[str, Values]) -> None:
        """Write fields into the file."""


class FormatBlock:
    """The tags that a file's format has, as mutagen reads and writes them.

    file : mutagen's, with tags
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        self.kind = kind_of(file.tags)

    def read(self, field: str) -> Values:
        """The values of a field."""
        return read_value(self._file.tags, field)

    def write(self, values: Mapping[str, Values]) -> None:
        """Write fields into the file; all other tags stay, and their version too.

        Only ID3v2.2, which is obsolete, becomes ID3v2.3.
        """
        tags = self._file.tags
        options: dict[str, Any] = {}
        if self.kind == ID3:
            options = {"v2_version": _updated(tags), "v23_sep": None}
        for field, wanted in values.items():
            write_value(tags, field, wanted, version=options.get("v2_version", 0))
        self._file.save(self._path, **options)


class ByteBlock:
    """An ID3v2 or APEv2 tag that lies between two bytes of a file; or will, where they are one."""

    def __init__(self, path: Path, *, is_ape: bool, start: int, end: int) -> None:
        self._path, self._start, self._end = path, start, end
        with path.open("rb") as file:
            file.seek(start)
            self._content = file.read(end - start)
        self.tags = _parsed(self._content, is_ape=is_ape)
        self.kind = APE if is_ape else ID3

    def read(self, field: str) -> Values:
        """The values of a field."""
        return read_value(self.tags, field)

    def write(self, values: Mapping[str, Values]) -> None:
        """Write fields into the file."""
        version = 0
        out = BytesIO()
        if self.kind == ID3:
            version = _updated(self.tags)
        for field, wanted in values.items():
            write_value(self.tags, field, wanted, version=version)
        if self.kind == ID3:
            self.tags.save(
                out, v1=0, v2_version=version, v23_sep=None, padding=lambda _: _NO_MORE_PADDING
            )
        else:
            self.tags.save(out)
        new = bytearray(out.getvalue())
        if self._content[-10:-7] == b"3DI":  # ID3v2.4, section 3.4: the header again, as a footer
            new[5] |= 0x10
            new += b"3DI" + new[3:10]
        content = self._path.read_bytes()
        self._path.write_bytes(content[: self._start] + new + content[self._end :])


class Id3v1Block:
    """An ID3v1 tag behind audio whose format has other tags; only its genre is written."""

    def __init__(self, path: Path, *, end: int) -> None:
        from mutagen import id3

        self._path, self._end = path, end
        with path.open("rb") as file:
            file.seek(end - 128)
            frames = id3.ParseID3v1(file.read(128)) or {}
        self._tags: Any = id3.ID3()
        for frame in frames.values():
            self._tags.add(frame)

    def read(self, field: str) -> Values:
        """The values of a field."""
        return read_value(self._tags, field)

    def write(self, values: Mapping[str, Values]) -> None:
        """Write the genre; of several the first that ID3v1 has a number for."""
        numbers = [genre_number(name) for name in values.get(GENRE, ())]
        with self._path.open("rb+") as file:
            file.seek(self._end - 1)
            file.write(bytes([min(numbers, key=lambda number: number == 255, default=255)]))


class InfoBlock:
    """The LIST INFO chunk of a WAV file; only its genre is written."""

    def __init__(self, path: Path, fields: Mapping[str, Values]) -> None:
        self._path, self._fields = path, fields

    def read(self, field: str) -> Values:
        """The values of a field."""
        return self._fields.get(field, ())

    def write(self, values: Mapping[str, Values]) -> None:
        """Write the genre."""
        if GENRE in values:
            riff_info.write_genre(self._path, values[GENRE])


def own_block(path: Path, file: Any) -> FormatBlock | ByteBlock:
    """The block of tags that a file's format has.

    file : mutagen's, with tags
    """
    own = FormatBlock(path, file)
    if own.kind != APE:
        return own
    # mutagen deletes what follows APEv2, and does not look behind every tag that may follow it
    with path.open("rb") as opened:
        behind = trailers(opened)
        size = opened.seek(0, os.SEEK_END)
    for kind, start, end in behind:
        if kind == "ape":
            return ByteBlock(path, is_ape=True, start=start, end=end)
    if file.tags:  # they stand at the beginning of the file
        return own
    place = behind[0].start if behind and behind[0].kind == "id3v1" else size
    return ByteBlock(path, is_ape=True, start=place, end=place)


def other_blocks(path: Path, own: FormatBlock | ByteBlock) -> Iterator[TagBlock]:
    """The blocks beside the format's own; the last in the file first, so that places stay true."""
    with path.open("rb") as file:
        behind = trailers(file)
        before = id3_at_start(file)
        is_riff = _starts(file, b"RIFF")
    if own.kind == ID3:
        before = before[1:]  # the first is the format's own
    is_own_ape = isinstance(own, ByteBlock)
    for kind, start, end in behind:
        if kind == "id3v1" and own.kind != ID3:  # mutagen's ID3 reads and writes it
            yield Id3v1Block(path, end=end)
        elif kind == "id3v2":
            yield ByteBlock(path, is_ape=False, start=start, end=end)
        elif kind == "ape" and not is_own_ape:
            yield ByteBlock(path, is_ape=True, start=start, end=end)
        elif kind == "ape":
            is_own_ape = False  # that was the format's own
    for start, end in reversed(before):
        yield ByteBlock(path, is_ape=False, start=start, end=end)
    if is_riff and (info := riff_info.read_info(path)):
        yield InfoBlock(path, info)


def _parsed(content: bytes, *, is_ape: bool) -> Any:
    from mutagen import id3
    from mutagen.apev2 import APEv2

    if is_ape:
        return APEv2(BytesIO(content)) if content else APEv2()
    tags: Any = id3.ID3
    return tags(BytesIO(content), load_v1=False, **id3_options(translate=False))


def _updated(tags: Any) -> int:
    """The version in which ID3 tags are written, 3 or 4; tags of older ones are brought to it."""
    if tags.version >= (2, 3, 0):
        return int(tags.version[1])
    genres = read_value(tags, GENRE)  # mutagen makes "Unknown" of numbers that it does not know
    version = 3 if tags.version == (2, 2, 0) else 4  # ID3v1 alone gets a tag of today's version
    tags.update_to_v23() if version == 3 else tags.update_to_v24()
    write_value(tags, GENRE, genres, version=version)
    return version


def _starts(file: Any, mark: bytes) -> bool:
    file.seek(0)
    return bool(file.read(len(mark)) == mark)
