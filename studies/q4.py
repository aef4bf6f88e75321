"""4Q audio emotion: 900 labelled clips in five folds that share no artist.

The clips are not in this repository: they lie in ../shared/q4 beside a developer's checkout.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from earmark.arrays import BoolArray
from earmark.data.catalog.catalog import Catalog, Song
from earmark.tags import MSD_50, index

SHARED = Path(__file__).resolve().parents[2] / "shared"
N_TAGS, N_FOLDS = 50, 5

# 4Q's word: the network's
TAGS = {
    "Pop/Rock": "rock", "Jazz": "jazz", "Electronic": "electronic", "R&B": "rnb",
    "Country": "country", "Blues": "blues", "Rap": "Hip-Hop", "Folk": "folk",
    "Easy Listening": "easy listening", "Happy": "happy", "Sad": "sad", "Sexy": "sexy",
    "Fun": "party", "Calm": "Mellow", "Peaceful": "ambient", "Relaxed": "chillout",
}  # fmt: skip
COLUMNS = [index(MSD_50, tag) for tag in TAGS.values()]


def read_rows(q4: Path) -> list[dict[str, str]]:
    """The table of the clips: id, path, artist, title, genres, moods, fold ..."""
    with (q4 / "tracks.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_labels(q4: Path) -> tuple[list[Path], BoolArray]:
    """Paths, and bool (n_clips, 16)."""
    rows = read_rows(q4)
    words = [{*row["genres"].split("|"), *row["moods"].split("|")} for row in rows]
    labels = np.array([[tag in of_clip for tag in TAGS] for of_clip in words])
    return [q4 / row["path"] for row in rows], labels


def read_catalog(q4: Path) -> Catalog:
    """All clips, with the 50 most frequent tags, folds as splits."""
    rows = read_rows(q4)
    words = [
        [word for column in ("genres", "moods") for word in row[column].split("|") if word]
        for row in rows
    ]
    counts = Counter(word for of_clip in words for word in set(of_clip))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:N_TAGS]
    songs = (
        Song(
            id=row["id"],
            artist=row["artist"],
            title=row["title"],
            split=row["fold"],
            path=row["path"],
            tags=tuple(tag for tag in frequent if tag in of_clip),
        )
        for row, of_clip in zip(rows, words, strict=True)
    )
    return Catalog.from_songs(songs, tags=frequent, source="csv")
