"""Playlists as M3U8 files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earmark.files import write_bytes
from earmark.library.identity import real
from earmark.library.song import ScannedFile


@dataclass(frozen=True)
class Places:
    """How a playlist names files.

    relative_to : the folder that it lies in; None for whole paths
    prefix : (here, there): whole paths, in which the folder `here` is called `there`, as another
        machine calls it; where `there` has backslashes and no slash, they part its folders
    """

    relative_to: Path | None = None
    prefix: tuple[str, str] | None = None

    def line(self, path: Path) -> str:
        """The line of a file."""
        if self.prefix is not None:
            return _elsewhere(str(path), *self.prefix)
        return str(path) if self.relative_to is None else _relative(path, self.relative_to)


def m3u8(
    songs: Iterable[ScannedFile], *, places: Places = Places()
) -> tuple[bytes, list[ScannedFile]]:
    """The bytes of a playlist, and the songs left out because their path has a line break.

    The file is UTF-8; paths that are not UTF-8 keep the bytes of the file system.
    """
    lines = [b"#EXTM3U"]
    left_out = []
    for song in songs:
        path = places.line(song.path)
        if "\n" in path or "\r" in path:
            left_out.append(song)
            continue
        title = " - ".join(filter(None, (song.artist, song.title))) or song.path.stem
        lines.append(f"#EXTINF:{round(song.seconds)},{' '.join(title.split())}".encode(*_AS_NAMED))
        lines.append(path.encode(*_AS_NAMED))
    return b"\n".join(lines) + b"\n", left_out


def write_m3u8(file: Path, data: bytes) -> bool:
    """Write a playlist, unless the file is already so: then players need not read it again."""
    if file.is_file() and file.read_bytes() == data:
        return False
    write_bytes(file, data)
    return True


_AS_NAMED = ("utf-8", "surrogateescape")


def _relative(path: Path, folder: Path) -> str:
    """The path from a folder, which holds also where links lead to the folder or to the file."""
    try:
        found = os.path.relpath(real(path), os.path.realpath(folder))
    except ValueError:  # on Windows, another drive
        return str(path)
    first = found.partition(os.sep)[0]
    # players take # for a comment, xy: for an address, - for an option, and cut blanks off
    is_plain = first == ".." or (first[0].isalnum() and ":" not in first)
    return found if is_plain else f".{os.sep}{found}"


def _elsewhere(path: str, here: str, there: str) -> str:
    """A path below `here` as another machine names it; another path as it is."""
    here = here.rstrip(os.sep)
    if not path.startswith(here + os.sep):
        return path
    separator = "\\" if "\\" in there and "/" not in there else "/"
    inside = path.removeprefix(here + os.sep).replace(os.sep, separator)
    return there.rstrip(separator) + separator + inside
