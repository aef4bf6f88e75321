"""The music that the shipped model learns from: 4Q's clips, and excerpts without labels."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.catalog.catalog import Catalog, Song
from earmark.tags import MSD_50
from studies.q4 import N_FOLDS, SHARED
from studies.q4 import read_catalog as read_q4

# 4Q's words for what MSD-50 has a tag for. Its labels teach these tags.
SAME = {
    "Jazz": "jazz", "Electronic": "electronic", "R&B": "rnb", "Country": "country",
    "Blues": "blues", "Rap": "Hip-Hop", "Folk": "folk", "Easy Listening": "easy listening",
    "Happy": "happy", "Sad": "sad", "Sexy": "sexy",
}  # fmt: skip
# Words that are near a tag's meaning, not the same: the labels teach half, the teachers half.
NEAR = {"Fun": "party", "Calm": "Mellow", "Peaceful": "ambient", "Relaxed": "chillout"}
# A word that is wider than the tag: who does not carry it denies the tag, who does affirms nothing.
WIDER = {"Pop/Rock": "rock"}
MAPPED = {**SAME, **NEAR, **WIDER}


@dataclass(frozen=True, eq=False)
class Music:
    """All clips, in the order of their catalog.

    own : the words of 4Q's fifty that MSD-50 has no tag of the same meaning for
    fifty : 4Q's fifty most frequent words
    labelled : bool (n,); words : of each clip, empty where unknown; folds : int (n,)
    """

    catalog: Catalog
    fifty: tuple[str, ...]
    own: tuple[str, ...]
    labelled: npt.NDArray[np.bool_]
    words: tuple[frozenset[str], ...]
    folds: npt.NDArray[np.int64]

    @property
    def tags(self) -> tuple[str, ...]:
        """What the shipped model answers: MSD-50 in column order, then 4Q's own words."""
        return MSD_50 + self.own

    def has(self, word: str) -> npt.NDArray[np.bool_]:
        """Which clips carry a word; bool (n,)."""
        return np.array([word in words for words in self.words])


def read_music(shared: Path = SHARED) -> Music:
    """4Q and the excerpts; an excerpt's fold is drawn by its song, so that no song is in two."""
    q4 = read_q4(shared / "q4")
    with (shared / "q4" / "tracks.csv").open(encoding="utf-8") as file:
        said = {
            row["id"]: frozenset(f"{row['genres']}|{row['moods']}".split("|")) - {""}
            for row in csv.DictReader(file)
        }
    songs = [
        Song(s.id, artist=s.artist, title=s.title, split=s.split, path=f"q4/{s.path}", tags=s.tags)
        for s in q4
    ]
    with (shared / "unlabelled" / "clips.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            song = row["id"].split("-")[0]
            fold = int(hashlib.sha256(song.encode()).hexdigest(), 16) % N_FOLDS
            path = f"unlabelled/{row['path']}"
            songs.append(Song(row["id"], split=str(fold), path=path, tags=None))
    catalog = Catalog.from_songs(songs, tags=q4.tags, source="csv")
    ids = [song.id for song in catalog]
    return Music(
        catalog,
        fifty=tuple(q4.tags),
        own=tuple(word for word in q4.tags if word not in SAME),
        labelled=np.array([song in said for song in ids]),
        words=tuple(said.get(song, frozenset()) for song in ids),
        folds=np.array([int(song.split) for song in catalog]),
    )
