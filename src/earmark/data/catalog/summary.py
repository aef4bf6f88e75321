"""The summary of a catalog: its splits, its tags with counts and priors, artists in two splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.data.catalog.catalog import SPLITS, Catalog, Song
from earmark.data.catalog.splits import artist_key
from earmark.data.catalog.vocabulary import count_tags

N_SHARED = 10  # artists in several splits that are named; the rest are counted


@dataclass(frozen=True)
class SplitCount:
    """Songs of one split, and how many of them have known labels."""

    split: str
    songs: int
    labelled: int


@dataclass(frozen=True)
class TagCount:
    """One tag of the vocabulary.

    songs : labelled songs that carry it
    prior : their share of all labelled songs, in [0, 1]; None where no song is labelled
    by_split : {split: songs that carry it}
    """

    tag: str
    songs: int
    prior: float | None
    by_split: dict[str, int]


@dataclass(frozen=True)
class SharedArtist:
    """An artist whose songs are in more than one split: {split: songs}."""

    artist: str
    by_split: dict[str, int]


@dataclass(frozen=True)
class CatalogSummary:
    """A catalog in numbers.

    splits : in the order train, valid, test, folds, ""; only those that have songs
    tags : in the order of the vocabulary
    artists : different ones; upper and lower case count as one
    shared_artists : artists in more than one split, the most songs first, N_SHARED at most
    n_shared_artists, n_shared_songs : all such artists, and their songs
    """

    source: str
    songs: int
    labelled: int
    without_artist: int
    without_title: int
    without_path: int
    splits: tuple[SplitCount, ...]
    tags: tuple[TagCount, ...]
    artists: int
    n_shared_artists: int
    n_shared_songs: int
    shared_artists: tuple[SharedArtist, ...]


def summarise(catalog: Catalog) -> CatalogSummary:
    """The numbers of a catalog."""
    splits = np.array(catalog.splits, dtype=np.str_)
    labelled = catalog.labelled
    names = sorted(set(splits.tolist()), key=_split_order)
    artists = catalog.column("artist")
    keys, shared = _shared_artists(artists, splits.tolist())
    return CatalogSummary(
        source=catalog.source,
        songs=len(catalog),
        labelled=int(labelled.sum()),
        without_artist=artists.count(""),
        without_title=catalog.column("title").count(""),
        without_path=catalog.column("path").count(""),
        splits=tuple(
            SplitCount(name, int((splits == name).sum()), int(labelled[splits == name].sum()))
            for name in names
        ),
        tags=_tags(catalog, splits, names),
        artists=keys,
        n_shared_artists=len(shared),
        n_shared_songs=sum(sum(artist.by_split.values()) for artist in shared),
        shared_artists=tuple(shared[:N_SHARED]),
    )


def song_tags(catalog: Catalog, song: Song) -> list[TagCount] | None:
    """The tags of one song with their counts in the catalog; None where they are not known."""
    if song.tags is None:
        return None
    splits = np.array(catalog.splits, dtype=np.str_)
    counts = _tags(catalog, splits, sorted(set(splits.tolist()), key=_split_order))
    return [count for count in counts if count.tag in song.tags]


def _tags(catalog: Catalog, splits: Any, names: list[str]) -> tuple[TagCount, ...]:
    rows, columns = catalog.marks()
    counts = count_tags(catalog)
    labelled = int(catalog.labelled.sum())
    by_split = {
        name: np.bincount(columns[splits[rows] == name], minlength=len(catalog.tags))
        for name in names
    }
    return tuple(
        TagCount(
            tag,
            int(counts[place]),
            int(counts[place]) / labelled if labelled else None,
            {name: int(by_split[name][place]) for name in names},
        )
        for place, tag in enumerate(catalog.tags)
    )


def _shared_artists(artists: list[str], splits: list[str]) -> tuple[int, list[SharedArtist]]:
    """How many artists there are, and those in several splits, the most songs first."""
    key_of = {artist: artist_key(artist) for artist in set(artists)}
    songs: dict[str, Counter[str]] = {}
    spelling: dict[str, str] = {}
    for artist, split in zip(artists, splits, strict=True):
        key = key_of[artist]
        if key:
            songs.setdefault(key, Counter())[split] += 1
            spelling.setdefault(key, artist)
    shared = [
        SharedArtist(spelling[key], {s: count[s] for s in sorted(count, key=_split_order)})
        for key, count in songs.items()
        if len(count) > 1
    ]
    shared.sort(key=lambda artist: (-sum(artist.by_split.values()), artist.artist))
    return len(songs), shared


def _split_order(split: str) -> tuple[int, int]:
    """Train, valid, test, then folds by number, then the songs without a split."""
    if split in SPLITS:
        return SPLITS.index(split), 0
    return (len(SPLITS), int(split)) if split else (len(SPLITS) + 1, 0)
