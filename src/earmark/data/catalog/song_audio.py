"""The audio file of a song: `<id>.<suffix>` in a folder, or else the path that the catalog gives.

The one rule for previews, for a folder of the user's own music, and for the audio of a store.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from earmark.files import within


class SongAudio:
    """The audio files of many songs.

    files : those that may be called by a song's id
    root : the folder that paths of the catalog are relative to; None for the working folder.
        A relative path that leads out of it is not followed; an absolute one is
    """

    def __init__(self, files: Iterable[Path], *, root: Path | None = None) -> None:
        # of ten million songs the folders and suffixes are few: each pair is kept once
        self._by_id: dict[str, tuple[str, str]] = {}
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        for song_id, file in _called(files):
            folder, name = os.path.split(file)
            pair = folder, name[len(song_id) :]
            self._by_id.setdefault(song_id, pairs.setdefault(pair, pair))
        self._root = root or Path()
        self._anywhere = root is None

    def of(self, song_id: str, path: str) -> Path | None:
        """The file of a song that the catalog places at `path` ("" for nowhere); None for none."""
        if song_id in self._by_id:
            folder, suffix = self._by_id[song_id]
            return Path(folder, song_id + suffix)
        if not path:
            return None
        if not (self._anywhere or os.path.isabs(path) or within(self._root, path)):  # noqa: PTH117
            return None
        file = self._root / path
        return file if os.path.isfile(file) else None  # noqa: PTH113 - False if we may not look


def files_by_id(files: Iterable[Path]) -> dict[str, Path]:
    """{song id: file} of the files called `<id>.<suffix>`; the first one for an id counts."""
    found: dict[str, Path] = {}
    for song_id, file in _called(files):
        found.setdefault(song_id, file)
    return found


def _called(files: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The id that each file is called by; files without one are left out."""
    for file in files:
        song_id, dot, _ = file.name.rpartition(".")
        if dot and not file.name.startswith("."):
            yield song_id, file


def files_in(folder: Path, *, suffixes: Collection[str] | None = None) -> Iterator[Path]:
    """The files of a folder in alphabetical order, without its subfolders; none for no folder.

    suffixes : in lower case with their dot; None for all files
    """
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - there may be a quarter million names
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if suffixes is None or os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122
            yield folder / name
