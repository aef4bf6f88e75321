"""Finds the audio files that paths on the command line mean: files, and files below folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path


def audio_files(paths: Iterable[str | Path], *, suffixes: Collection[str]) -> Iterator[Path]:
    """Each named file, and each file below a named folder whose suffix says audio, in order.

    suffixes : lower case, with the dot

    A file that is given by its name is yielded whatever its suffix, even if it does not exist: the
    error comes from opening it. For the same reason folders that cannot be listed and broken links
    below a folder are yielded. Folders are searched in alphabetical order; hidden entries are left
    out, and a folder that links lead back to is entered once. A path that is given twice is yielded
    once.
    """
    given: set[str] = set()
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)  # noqa: PTH112 - is_dir() raises for what it cannot look at
        for file in _below(path, suffixes) if is_folder else [path]:
            place = os.path.abspath(file)  # noqa: PTH100 - absolute() keeps the ".." in it
            if place not in given:
                given.add(place)
                yield file


def _below(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()  # folders
    rest = [(folder, True)]  # paths still to visit, the next one last; whether each is a folder
    while rest:
        path, is_folder = rest.pop()
        if not is_folder:
            yield path
            continue
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            rest += reversed(list(_entries(path, suffixes)))
        except OSError:
            yield path  # opening it raises an error that says why


def _entries(folder: Path, suffixes: Collection[str]) -> Iterator[tuple[Path, bool]]:
    """The folders, audio files and broken links in a folder, sorted; whether each is a folder."""
    with os.scandir(folder) as entries:
        visible = sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
    for entry in visible:
        path = folder / entry.name
        try:
            if entry.is_dir():
                yield path, True
            elif path.suffix.lower() in suffixes or (entry.is_symlink() and not path.exists()):
                yield path, False
        except OSError:
            yield path, False
