"""Splits of a catalog into train, valid and test that can be repeated anywhere.

The hash of the seed and of its id or artist decides where a song goes: the same seed gives the
same split on every machine, in every version of Python and NumPy, and in any order of the songs.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from earmark.data.catalog.catalog import SPLITS, Catalog
from earmark.errors import BadValue

if TYPE_CHECKING:
    import numpy.typing as npt

By = Literal["artist", "song"]

FRACTIONS = (0.8, 0.1, 0.1)  # of train, valid, test
REPORT_VALIDATION = 0.06  # the CS2470 report: 170,000 clips, 94:6 train:validation

# Unit of the integer costs below, which fit in 63 bits also for an artist of 1.5 million songs.
_COST = 1 << 20
# The number of songs counts as much as this many tags. On the 900 songs of 4Q with 50 tags, 1
# leaves sizes 1.3 % of all songs off, 50 leaves tags 10 % off; 5 does well by both.
_SIZE_WEIGHT = 5


def split_songs(
    catalog: Catalog,
    *,
    by: By = "artist",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Catalog:
    """The catalog with every song in train, valid or test, wherever it was before.

    by : "artist" puts all songs of an artist in one split, with sizes and tag counts as near to
        the fractions as whole artists allow; a song without an artist counts as an artist of its
        own. "song" draws songs at random: exact sizes, and artists in several splits.
    fractions : of train, valid and test; they add up to 1

    Raises BadValue for fractions that do not, and for by="artist" where no song has an artist.
    """
    well = len(fractions) == len(SPLITS) and min(fractions) >= 0
    if not (well and abs(sum(fractions) - 1) < 1e-6):  # "not <": true of NaN too
        raise BadValue(
            f"the fractions {', '.join(map(str, fractions))} should be three, of train, valid "
            "and test, that add up to 1"
        )
    everything = np.arange(len(catalog))
    return _with_splits(catalog, everything, SPLITS, fractions, by=by, seed=seed)


def split_validation(
    catalog: Catalog, *, by: By = "song", fraction: float = REPORT_VALIDATION, seed: int = 0
) -> Catalog:
    """The catalog with its test songs as they are, and the others split anew in train and valid.

    It is the split of the CS2470 report, but drawn once: the report drew validation songs anew each
    time it read a file, so that they leaked into training.
    fraction : of the songs outside of test that become valid, between 0 and 1

    Raises BadValue for another fraction, for a catalog of folds, and for one of test songs only.
    """
    if not 0 < fraction < 1:
        raise BadValue(f"a validation fraction of {fraction} is not between 0 and 1")
    splits = catalog.splits
    folds = sorted({split for split in splits if split.isdigit()})
    if folds:
        raise BadValue(
            f"the catalog has the folds {', '.join(folds)}, where each is tested in turn: it "
            "has no single training set to take validation songs from. Split it by artist or song"
        )
    outside = np.array([row for row, split in enumerate(splits) if split != "test"], dtype=np.int64)
    if not outside.size:
        raise BadValue(
            "all songs are in test, so none is left for validation. Split them by artist or song"
        )
    fractions = (1 - fraction, fraction)
    return _with_splits(catalog, outside, ("train", "valid"), fractions, by=by, seed=seed)


def artist_key(artist: str) -> str:
    """One key for the spellings of an artist, such as "The  Beatles" and "the beatles"."""
    return " ".join(unicodedata.normalize("NFKC", artist).casefold().split())


def _with_splits(
    catalog: Catalog,
    rows: npt.NDArray[np.int64],
    names: Sequence[str],
    fractions: Sequence[float],
    *,
    by: By,
    seed: int,
) -> Catalog:
    if by == "artist":
        places = _by_artist(catalog, rows, fractions, seed)
    elif by == "song":
        places = _by_song(catalog, rows, fractions, seed)
    else:
        raise BadValue(f"cannot split by {by!r}; use artist or song")
    splits = catalog.splits
    for row, place in zip(rows.tolist(), places, strict=True):
        splits[row] = names[place]
    return catalog.replace("split", splits)


def _by_song(
    catalog: Catalog, rows: npt.NDArray[np.int64], fractions: Sequence[float], seed: int
) -> list[int]:
    """The place of each row: songs in the order of their hash, cut at the fractions."""
    ids = catalog.ids
    order = sorted(range(len(rows)), key=lambda n: _rank(seed, ids[rows[n]]))
    ends = [round(sum(fractions[: place + 1]) * len(rows)) for place in range(len(fractions))]
    ends[-1] = len(rows)
    places = [0] * len(rows)
    for number, n in enumerate(order):
        places[n] = next(place for place, end in enumerate(ends) if number < end)
    return places


def _by_artist(
    catalog: Catalog, rows: npt.NDArray[np.int64], fractions: Sequence[float], seed: int
) -> list[int]:
    """The place of each row: whole artists, the larger first, each where it fits best.

    An artist goes where the chi-square distance between the songs and tags that a split has and
    those it should have grows least. In integers, so that every machine finds the same minimum.
    """
    artists = list(_songs_of_artists(catalog, rows).items())
    artist_of_row = np.full(len(catalog), -1)
    for number, (_, members) in enumerate(artists):
        artist_of_row[rows[members]] = number
    tags, counts, starts = _tags_of_groups(catalog, artist_of_row, len(artists))
    n_of_tag = np.zeros(len(catalog.tags), dtype=np.int64)
    np.add.at(n_of_tag, tags, counts)

    # large artists first, while small ones can still balance them; by hash among equal sizes
    order = sorted(
        range(len(artists)),
        key=lambda number: (-len(artists[number][1]).bit_length(), _rank(seed, artists[number][0])),
    )
    n_songs = [0] * len(fractions)
    n_tagged = np.zeros((len(fractions), len(catalog.tags)), dtype=np.int64)
    places = [0] * len(rows)
    for number in order:
        members = artists[number][1]
        mine = slice(starts[number], starts[number + 1])
        tag, count = tags[mine], counts[mine]
        tag_costs = (count * (count + 2 * n_tagged[:, tag]) * _COST // n_of_tag[tag]).sum(axis=1)
        costs = {}
        for place, fraction in enumerate(fractions):
            if fraction > 0:
                size = len(members) * (len(members) + 2 * n_songs[place]) * _COST // len(rows)
                costs[place] = (int(tag_costs[place]) + _SIZE_WEIGHT * size) / fraction
        best = min(costs, key=costs.__getitem__)
        n_songs[best] += len(members)
        n_tagged[best, tag] += count
        for n in members:
            places[n] = best
    return places


def _songs_of_artists(catalog: Catalog, rows: npt.NDArray[np.int64]) -> dict[str, list[int]]:
    """{artist: the places in `rows` of its songs}; a song without an artist is alone."""
    ids, artists = catalog.ids, catalog.column("artist")
    groups: dict[str, list[int]] = {}
    for n, row in enumerate(rows.tolist()):
        # the key of an artist never begins with a blank
        groups.setdefault(artist_key(artists[row]) or f" {ids[row]}", []).append(n)
    if all(key.startswith(" ") for key in groups):
        raise BadValue("no song has an artist: cannot split by artist. Split by song")
    return groups


def _tags_of_groups(
    catalog: Catalog, group_of_row: npt.NDArray[np.int64], n_groups: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tags and counts of every group, one after the other, and where each group starts."""
    rows, columns = catalog.marks()
    groups = group_of_row[rows]
    n_tags = max(len(catalog.tags), 1)
    pairs, counts = np.unique(
        groups[groups >= 0] * n_tags + columns[groups >= 0], return_counts=True
    )
    starts = np.searchsorted(pairs, np.arange(n_groups + 1) * n_tags)
    return pairs % n_tags, counts, starts


def _rank(seed: int, name: str) -> bytes:
    """Where the seed puts a name in the random order; the same on every machine."""
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
