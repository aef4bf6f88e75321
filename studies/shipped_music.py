"""The music that the shipped model learns from: 4Q's clips, songs people know, dance music."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.catalog.catalog import Catalog, Song
from studies.q4 import N_FOLDS, SHARED

SOURCES = {"q4": "tracks.csv", "songs": "songs.csv", "unlabelled": "clips.csv"}
N_FREQUENT = 50  # words of 4Q that the folds are judged by
# Sources of `songs` that are not judged by: labelled by series, not by song
UNJUDGED = ("kevinmacleod", "lofi")


@dataclass(frozen=True, eq=False)
class Clip:
    """An excerpt and all that its table says of it.

    source : the folder of its table; fold : of its artist, or of its song where nobody is named
    """

    source: str
    fold: int
    said: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.said["id"]

    @property
    def known(self) -> bool:
        """Whether somebody who knows this very recording labelled it."""
        judged = self.source == "songs" and self.said["source"] not in UNJUDGED
        return judged and self.said["known"] == "1"

    def words(self, *columns: str) -> frozenset[str]:
        """What stands in these columns, whose words are joined by |; empty where there are none."""
        return frozenset("|".join(self.said.get(name, "") for name in columns).split("|")) - {""}


def read_clips(shared: Path = SHARED) -> list[Clip]:
    """All clips; an excerpt of dance music has the fold that its song draws."""
    clips: list[Clip] = []
    for source, table in SOURCES.items():
        with (shared / source / table).open(encoding="utf-8") as file:
            clips += [Clip(source, _fold(row), row) for row in csv.DictReader(file)]
    return clips


def _fold(row: Mapping[str, str]) -> int:
    if row.get("fold"):
        return int(row["fold"])
    song = row["id"].split("-")[0]
    return int(hashlib.sha1(song.encode(), usedforsecurity=False).hexdigest(), 16) % N_FOLDS


def catalog_of(clips: Sequence[Clip]) -> Catalog:
    """The clips as a catalog without tags, so that shards can be made of them."""
    songs = (
        Song(clip.id, split=str(clip.fold), path=f"{clip.source}/{clip.said['path']}", tags=None)
        for clip in clips
    )
    return Catalog.from_songs(songs, tags=("music",), source="csv")


def folds_of(clips: Iterable[Clip]) -> npt.NDArray[np.int64]:
    return np.array([clip.fold for clip in clips])


def frequent_words(clips: Iterable[Clip]) -> tuple[str, ...]:
    """The fifty words that most clips of 4Q carry, genres and moods together."""
    counts = Counter(word for clip in q4_only(clips) for word in clip.words("genres", "moods"))
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:N_FREQUENT])


def q4_only(clips: Iterable[Clip]) -> list[Clip]:
    return [clip for clip in clips if clip.source == "q4"]
