"""Which songs of a store a run learns from, and which it validates on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from earmark.data.catalog.catalog import read_catalog
from earmark.data.catalog.from_csv import read_csv
from earmark.data.catalog.splits import artist_key
from earmark.data.store.reader import Store, open_store
from earmark.errors import BadRecipe
from earmark.training.recipe import Data, Recipe
from earmark.training.seeds import generator
from earmark.training.targets import read_targets


@dataclass(frozen=True, eq=False)
class TrainingSongs:
    """The songs of a run, as places in the store, ascending.

    tags : what is learned, in order
    train, valid : valid may be empty
    train_labels : bool (n, n_tags), or float32 in [0, 1] where targets are learned
    valid_labels : bool (n, n_tags)
    notes : what a person should know about the choice, warnings included
    """

    tags: tuple[str, ...]
    train: Int64Array
    valid: Int64Array
    train_labels: BoolArray | Float32Array
    valid_labels: BoolArray
    notes: tuple[str, ...]


def choose(store: Store, data: Data, *, seed: int) -> TrainingSongs:
    """The songs to learn from and to validate on.

    Raises BadRecipe for a split or fold without songs. Songs whose labels are unknown are left out,
    and counted in the notes.
    """
    splits = np.asarray(store.splits, dtype=str)
    in_train, in_valid = _masks(splits, data)
    tags, labelled, labels = tuple(store.tags), store.labelled, store.labels
    if data.targets is not None:
        if in_valid.any():
            raise BadRecipe(
                "data.targets are learned, but the songs of data.valid or data.valid_fold have "
                'only the labels of the store to validate on. Set data.valid = "" and leave out '
                "data.valid_fold"
            )
        targets = read_targets(data.targets)
        tags, (labelled, labels) = targets.tags, targets.of(store.ids)
    notes = []
    missing = "known labels" if data.targets is None else "targets"
    for name, mask in (("training", in_train), ("validation", in_valid)):
        n_left_out = int((mask & ~labelled).sum())
        if n_left_out:
            notes.append(f"{name} songs left out, as they have no {missing}: {n_left_out}")
    train = np.flatnonzero(in_train & labelled)
    valid = np.flatnonzero(in_valid & labelled)
    if not len(train):
        raise BadRecipe(
            f"no song to learn from has known labels. Choose others with data.train. "
            f"{_songs_by_split(splits, labelled)}"
        )
    if in_valid.any() and not len(valid):
        raise BadRecipe(
            f"no song to validate on has known labels. Choose others with data.valid. "
            f"{_songs_by_split(splits, labelled)}"
        )
    if data.songs > len(train):
        raise BadRecipe(
            f"data.songs is {data.songs}, and only {len(train)} songs can be learned from. Ask for "
            "fewer, or set data.songs to 0 for all of them"
        )
    if data.songs:
        train = np.sort(_in_order_of_drawing(train, store, data, seed=seed)[: data.songs])
    songs = TrainingSongs(tags, train, valid, labels[train], store.labels[valid], tuple(notes))
    notes += _missing_tags(songs.train_labels, tags, "learn")
    notes += _missing_tags(songs.valid_labels, tags, "validate") if len(valid) else []
    return replace(songs, notes=tuple(notes))


def n_songs(store: str | Path, recipe: Recipe) -> int:
    """How many songs of a store a recipe learns from. Raises BadRecipe and BadStore."""
    with open_store(store, resident=False) as opened:
        return len(choose(opened, recipe.data, seed=recipe.seed).train)


def priors(labels: BoolArray | Float32Array) -> Float64Array:
    """The share of songs with each tag, float64 (n_tags,), in (0, 1).

    Half a song with the tag and half a song without are added, so that no share is 0 or 1.
    """
    shares: Float64Array = (labels.sum(0) + 0.5) / (len(labels) + 1)
    return shares


def digest(store: Store, songs: TrainingSongs) -> dict[str, int | str]:
    """How many songs, and the SHA-256 of the store, of the songs used and of their labels."""
    used = np.concatenate([songs.train, songs.valid])
    labels: npt.NDArray[np.generic] = songs.train_labels
    if labels.dtype == np.bool_:
        labels = np.packbits(np.concatenate([labels, songs.valid_labels]), axis=1)
    ids = "\n".join(f"{store.ids[place]}\t{store.splits[place]}" for place in used.tolist())
    return {
        "n_train": len(songs.train),
        "n_valid": len(songs.valid),
        "store_sha256": store.sha256,
        "songs_sha256": hashlib.sha256(ids.encode()).hexdigest(),
        "labels_sha256": hashlib.sha256(
            "\n".join(songs.tags).encode() + labels.tobytes()
        ).hexdigest(),
    }


def _in_order_of_drawing(train: Int64Array, store: Store, data: Data, *, seed: int) -> Int64Array:
    """The songs shuffled, and with data.artists those of each artist behind each other."""
    order = generator(seed, "songs").permutation(train)
    if data.artists is None:
        return order
    path = Path(data.artists)
    catalog = read_csv(path).catalog if path.suffix.lower() == ".csv" else read_catalog(path)
    names = dict(zip(catalog.ids, catalog.column("artist"), strict=True))
    # a song without an artist is alone; the key of an artist never begins with a blank
    ids = [store.ids[place] for place in order.tolist()]
    artists = [artist_key(names.get(song, "")) or f" {song}" for song in ids]
    if all(artist.startswith(" ") for artist in artists):
        raise BadRecipe(
            f"data.artists: {path} knows the artist of none of the {len(ids)} songs. Give the "
            "catalog that the store was made from, with a column artist"
        )
    first: dict[str, int] = {}
    for artist in artists:
        first.setdefault(artist, len(first))
    return order[np.argsort([first[artist] for artist in artists], kind="stable")]


def _masks(splits: npt.NDArray[np.str_], data: Data) -> tuple[BoolArray, BoolArray]:
    if data.test_fold is None and data.valid_fold is None:
        if data.train == "all" and data.valid and (splits == data.valid).any():
            raise BadRecipe(
                'data.train = "all" learns from every song, so none is left to validate on. Set '
                'data.valid = "" as well'
            )
        everything = np.full(len(splits), data.train == "all")
        masks = everything | (splits == data.train), (splits == data.valid) & (data.valid != "")
        wanted: list[tuple[str, object, BoolArray]] = [
            ("train", data.train, masks[0]),
            ("valid", data.valid, masks[1]),
        ]
    else:
        if data.train == "all":
            raise BadRecipe(
                'data.train = "all" learns from every fold, which data.test_fold and '
                "data.valid_fold contradict. Set data.train or the folds, not both"
            )
        held_out = {str(fold) for fold in (data.test_fold, data.valid_fold) if fold is not None}
        folds = np.char.isdigit(splits)
        valid = splits == str(data.valid_fold)
        masks = folds & ~np.isin(splits, sorted(held_out)), valid
        test = splits == str(data.test_fold)
        wanted = [
            ("test_fold", data.test_fold, test),
            ("valid_fold", data.valid_fold, valid),
            ("train", "other folds", masks[0]),
        ]
    for key, value, mask in wanted:
        if value not in (None, "") and not mask.any():
            raise BadRecipe(
                f"the store has no song for data.{key} = {value!r}. Choose another. "
                f"{_songs_by_split(splits, np.ones(len(splits)))}"
            )
    return masks


def _songs_by_split(splits: npt.NDArray[np.str_], mask: npt.NDArray[np.generic]) -> str:
    names, counts = np.unique(splits[mask.astype(bool)], return_counts=True)
    found = ", ".join(
        f"{name or 'no split'} ({count})" for name, count in zip(names, counts, strict=True)
    )
    return f"Songs by split: {found or 'none'}"


def _missing_tags(labels: npt.NDArray[np.generic], tags: Sequence[str], verb: str) -> list[str]:
    missing = [tag for tag, n in zip(tags, labels.sum(0).tolist(), strict=True) if n == 0]
    if len(missing) == len(tags):
        raise BadRecipe(
            f"none of the songs to {verb} on has any of the {len(tags)} tags. Check the tags "
            "of the catalog that the store was made from"
        )
    if not missing:
        return []
    shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if missing[20:] else "")
    return [f"warning: no song to {verb} on has the tags: {shown}"]
