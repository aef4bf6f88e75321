"""From what a person names on the command line to audio files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path


def audio_files(paths: Iterable[str | Path], *, suffixes: Collection[str]) -> Iterator[Path]:
    """Each named file, and each file below a named folder whose suffix says audio, in order.

    suffixes : lower case, with the dot

    A file that is named is yielded whatever its suffix, also when it is not there: whoever opens it
    says what is wrong. Folders are walked in alphabetical order; hidden entries are passed over,
    and a folder that links lead back to is entered once. What is named twice comes once.
    """
    given: set[str] = set()
    for path in map(Path, paths):
        for file in _below(path, suffixes, set()) if path.is_dir() else [path]:
            place = os.path.abspath(file)  # noqa: PTH100 - absolute() keeps the ".." in it
            if place not in given:
                given.add(place)
                yield file


def _below(folder: Path, suffixes: Collection[str], seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            visible = sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError:
        yield folder  # whoever opens it says why it cannot be read
        return
    for entry in visible:
        path = folder / entry.name
        if entry.is_dir():
            yield from _below(path, suffixes, seen)
        elif path.suffix.lower() in suffixes:
            yield path
