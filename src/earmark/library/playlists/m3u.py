"""Playlists as M3U8 files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from earmark.library.song import ScannedFile


def m3u8(
    songs: Iterable[ScannedFile], *, relative_to: Path | None = None
) -> tuple[bytes, list[ScannedFile]]:
    """The bytes of a playlist, and the songs left out because their path has a line break.

    relative_to : the folder of the playlist; without it paths are absolute

    The file is UTF-8; paths that are not UTF-8 keep the bytes of the file system.
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
    return (
        f"./{found}" if found.startswith("#") else found
    )  # a line that begins with # is a comment
