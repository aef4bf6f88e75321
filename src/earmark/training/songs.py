"""Which songs of a store are learned from, which validate, and what to say about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from earmark.arrays import BoolArray, Int64Array
from earmark.data.store.index import INDEX
from earmark.data.store.reader import Store
from earmark.errors import BadRecipe
from earmark.files import sha256
from earmark.training.recipe import Data
from earmark.training.seeds import generator
from earmark.training.targets import read_targets


@dataclass(frozen=True, eq=False)
class TrainingSongs:
    """Places in the store, ascending.

    tags : what is learned, in order
    train, valid : int64; valid may be empty
    train_labels : bool (n, n_tags), or float32 in [0, 1] where targets are learned
    valid_labels : bool (n, n_tags)
    words : what a person should know of the choice, warnings included
    """

    tags: tuple[str, ...]
    train: Int64Array
    valid: Int64Array
    train_labels: BoolArray | npt.NDArray[np.float32]
    valid_labels: BoolArray
    words: tuple[str, ...]


def choose(store: Store, data: Data, *, seed: int) -> TrainingSongs:
    """The songs to learn from and to validate on.

    Raises BadRecipe for a split or fold that no song is in. Songs whose labels are unknown are left
    out, and counted in the words.
    """
    splits = np.asarray(store.splits, dtype=str)
    in_train, in_valid = _masks(splits, data)
    tags, labelled, labels = tuple(store.tags), store.labelled, store.labels
    if data.targets is not None:
        if in_valid.any():
            raise BadRecipe('data.targets is not what the store labels: set data.valid = ""')
        targets = read_targets(data.targets)
        tags, (labelled, labels) = targets.tags, targets.of(store.ids)
    words = []
    for name, mask in (("train", in_train), ("validate", in_valid)):
        unknown = int((mask & ~labelled).sum())
        if unknown:
            words.append(f"{unknown} songs to {name} on have no known labels: left out")
    train = np.flatnonzero(in_train & labelled)
    valid = np.flatnonzero(in_valid & labelled)
    if not len(train):
        raise BadRecipe(f"no labelled song to learn from. {_there_is(splits, labelled)}")
    if in_valid.any() and not len(valid):
        raise BadRecipe(f"no labelled song to validate on. {_there_is(splits, labelled)}")
    if data.songs and data.songs < len(train):
        chosen = generator(seed, "songs").permutation(train)[: data.songs]
        train = np.sort(chosen)
    songs = TrainingSongs(tags, train, valid, labels[train], store.labels[valid], tuple(words))
    words += _missing_tags(songs.train_labels, tags, "learn")
    words += _missing_tags(songs.valid_labels, tags, "validate") if len(valid) else []
    return replace(songs, words=tuple(words))


def priors(labels: BoolArray | npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """float64 (n_tags,), in (0, 1): the share of songs with each tag, half a song of both added."""
    shares: npt.NDArray[np.float64] = (labels.sum(0) + 0.5) / (len(labels) + 1)
    return shares


def digest(store: Store, songs: TrainingSongs) -> dict[str, int | str]:
    """How many songs, and SHA-256 of the store, of which were used and how they were labelled."""
    used = np.concatenate([songs.train, songs.valid])
    learned: npt.NDArray[np.generic] = songs.train_labels
    if learned.dtype == np.bool_:
        learned = np.packbits(np.concatenate([learned, songs.valid_labels]), axis=1)
    ids = "\n".join(f"{store.ids[place]}\t{store.splits[place]}" for place in used.tolist())
    return {
        "n_train": len(songs.train),
        "n_valid": len(songs.valid),
        "store_sha256": sha256(store.folder / INDEX),
        "songs_sha256": hashlib.sha256(ids.encode()).hexdigest(),
        "labels_sha256": hashlib.sha256(
            "\n".join(songs.tags).encode() + learned.tobytes()
        ).hexdigest(),
    }


def _masks(
    splits: npt.NDArray[np.str_], data: Data
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    if data.test_fold is None and data.valid_fold is None:
        if data.train == "all" and data.valid and (splits == data.valid).any():
            raise BadRecipe(
                'data.train = "all" leaves nothing to validate on: set data.valid = "" as well'
            )
        everything = np.full(len(splits), data.train == "all")
        masks = everything | (splits == data.train), (splits == data.valid) & (data.valid != "")
        asked: list[tuple[str, object, npt.NDArray[np.bool_]]] = [
            ("train", data.train, masks[0]),
            ("valid", data.valid, masks[1]),
        ]
    else:
        if data.train == "all":
            raise BadRecipe('data.train = "all" leaves no fold alone: name the one or the other')
        held_out = {str(fold) for fold in (data.test_fold, data.valid_fold) if fold is not None}
        folds = np.char.isdigit(splits)
        valid = splits == str(data.valid_fold)
        masks = folds & ~np.isin(splits, sorted(held_out)), valid
        test = splits == str(data.test_fold)
        asked = [
            ("test_fold", data.test_fold, test),
            ("valid_fold", data.valid_fold, valid),
            ("train", "other folds", masks[0]),
        ]
    for key, value, mask in asked:
        if value not in (None, "") and not mask.any():
            raise BadRecipe(
                f"no song is in data.{key} = {value!r}. {_there_is(splits, np.ones(len(splits)))}"
            )
    return masks


def _there_is(splits: npt.NDArray[np.str_], mask: npt.NDArray[np.generic]) -> str:
    names, counts = np.unique(splits[mask.astype(bool)], return_counts=True)
    found = ", ".join(
        f"{name or 'no split'} ({count})" for name, count in zip(names, counts, strict=True)
    )
    return f"The store has songs of: {found or 'nothing'}"


def _missing_tags(labels: npt.NDArray[np.generic], tags: Sequence[str], verb: str) -> list[str]:
    missing = [tag for tag, n in zip(tags, labels.sum(0).tolist(), strict=True) if n == 0]
    if len(missing) == len(tags):
        raise BadRecipe(f"not one song to {verb} on carries any of the {len(tags)} tags")
    if not missing:
        return []
    shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if missing[20:] else "")
    return [f"warning: no song to {verb} on carries: {shown}"]
