"""Albums: songs of one folder and one album tag, which may share a genre: that of their mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from earmark.arrays import Float32Array
from earmark.library.song import ScannedFile

Album = tuple[Path, str]

_ONE_DISC = re.compile(r"(cd|disc|disk)\W*\d+", re.IGNORECASE)  # a folder inside that of the album


def album_of(song: ScannedFile) -> Album | None:
    """The folder and the folded name of a song's album; None for a song without an album."""
    if not song.album.strip():
        return None
    folder = song.path.parent
    return (
        folder.parent if _ONE_DISC.fullmatch(folder.name) else folder,
        song.album.strip().casefold(),
    )


def album_scores(songs: Iterable[ScannedFile]) -> dict[Album, Float32Array]:
    """The mean scores of each album, float32 (n_tags,); each song counts the same.

    songs : that were heard
    """
    sums: dict[Album, Float32Array] = {}
    numbers: dict[Album, int] = {}
    for song in songs:
        album = album_of(song)
        if album is not None and song.scores is not None:
            sums[album] = sums.get(album, np.zeros_like(song.scores)) + song.scores
            numbers[album] = numbers.get(album, 0) + 1
    return {album: total / np.float32(numbers[album]) for album, total in sums.items()}
