"""A playlist as an M3U8 file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from earmark.library.song import ScannedFile


def m3u8(
    songs: Iterable[ScannedFile], *, relative_to: Path | None = None
) -> tuple[bytes, list[ScannedFile]]:
    """The bytes of a playlist, and the songs that no line can name: a line break is in their path.

    relative_to : the folder that the playlist will lie in; absolute paths without it

    The file is UTF-8, but for names that are no UTF-8 themselves: those keep the bytes that the
    system knows them by.
    """
    lines = [b"#EXTM3U"]
    left_out = []
    for song in songs:
        path = str(song.path) if relative_to is None else _relative(song.path, relative_to)
        if "\n" in path or "\r" in path:
            left_out.append(song)
            continue
        title = " - ".join(filter(None, (song.artist, song.title))) or song.path.stem
        lines.append(f"#EXTINF:{round(song.seconds)},{' '.join(title.split())}".encode(*_AS_NAMED))
        lines.append(path.encode(*_AS_NAMED))
    return b"\n".join(lines) + b"\n", left_out


_AS_NAMED = ("utf-8", "surrogateescape")


def _relative(path: Path, folder: Path) -> str:
    try:
        found = os.path.relpath(path, folder)
    except ValueError:  # on Windows, another drive
        return str(path)
    return f"./{found}" if found.startswith("#") else found  # a comment begins so
