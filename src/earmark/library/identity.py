"""Which names mean the same file: through links, by hard links, over second mounts, in other case.

A file is what its device and inode say. They are compared when a question comes up and not kept: a
disk that is plugged in again may have another device number, and some network disks number their
files anew.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from earmark.audio import AUDIO_SUFFIXES
from earmark.audio.find import audio_names
from earmark.sqlite_file import Database

# ruff: noqa: S608  # only constants of these files are put into SQL; values are always bound

FileId = tuple[int, int]  # device and inode


def absolute(path: str | Path) -> Path:
    """The absolute path; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow them


def real(path: str | Path) -> Path:
    """The path without links in the folders on the way to it: by it rows are kept.

    A link to a file keeps its own name: what it leads to may have none that says anything.
    """
    if os.path.isdir(path):  # noqa: PTH112 - is_dir() raises for what it cannot look at
        return Path(os.path.realpath(path))
    folder, name = os.path.split(path)
    return Path(os.path.realpath(folder), name)


def spelled(path: Path) -> Path:
    """The path as its folders list it, where the file system takes names in upper or lower case."""
    found = Path(path.anchor)
    for part in path.parts[1:]:
        try:
            listed = os.listdir(found)  # noqa: PTH208 - a Path for each name takes longer
        except OSError:
            listed = [part]
        if part not in listed:
            same = [name for name in listed if _folded(name) == _folded(part)]
            part = same[0] if len(same) == 1 else part
        found /= part
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def is_real(name: bytes) -> bool:
    """Whether no part of a path is a link."""
    return os.path.realpath(name) == name


def file_id(status: os.stat_result) -> FileId | None:
    """Which file a status is of; None on file systems that do not number their files."""
    return (status.st_dev, status.st_ino) if status.st_ino else None


def file_id_of(path: str | bytes | Path) -> FileId | None:
    """Which file a path leads to; None if to none, or if that cannot be known."""
    try:
        return file_id(os.stat(path))  # noqa: PTH116 - the paths of rows are bytes
    except (OSError, ValueError):
        return None


# a condition on songs, whose values `inside` gives: those below a folder, or one file
BELOW = "path >= ? AND path < ? AND (path = ? OR path > ?)"


def inside(place: Path) -> tuple[bytes, bytes, bytes, bytes]:
    """The values of BELOW; a range of paths, which the index finds."""
    name, separator = os.fsencode(place), os.sep.encode()
    folder = name.rstrip(separator)
    return name, folder + bytes([separator[0] + 1]), name, folder + separator


def known_path(database: Database, model: int, path: str | Path) -> Path | None:
    """The path by which a file is in the library, asked by any of its names; None if it is not."""
    query = "SELECT 1 FROM songs WHERE model = ? AND path = ?"
    for name in _names_of(path):
        if database.rows(query, (model, os.fsencode(name))):
            return name
    return next(_known_files(database, model, [Path(path)]), None)


def known_places(database: Database, model: int, path: Path) -> list[Path]:
    """The paths by which a folder, a file, or each file of a folder is in the library."""
    query = f"SELECT 1 FROM songs WHERE model = ? AND {BELOW} LIMIT 1"
    for name in _names_of(path):
        if database.rows(query, (model, *inside(name))):
            return [name]
    files = map(Path, audio_names([path], suffixes=AUDIO_SUFFIXES))
    return sorted(set(_known_files(database, model, files)))


def _names_of(path: str | Path) -> list[Path]:
    """The paths by which a file or folder may be in the library, as far as links and case tell."""
    names = (absolute(path), real(path), Path(os.path.realpath(path)), spelled(real(path)))
    return list(dict.fromkeys(names))


def _known_files(database: Database, model: int, files: Iterable[Path]) -> Iterator[Path]:
    """The paths by which files are in the library under other names; only those that are."""
    known: dict[tuple[int, int], list[bytes]] = {}
    for name, *state in database.rows(
        "SELECT path, size, mtime_ns FROM songs WHERE model = ?", (model,)
    ):
        known.setdefault((state[0], state[1]), []).append(name)
    for file in files:
        try:
            status = file.stat()
        except (OSError, ValueError):
            continue
        this = file_id(status)
        for name in known.get((status.st_size, status.st_mtime_ns), ()):
            if this is not None and file_id_of(name) == this:
                yield Path(os.fsdecode(name))
                break
