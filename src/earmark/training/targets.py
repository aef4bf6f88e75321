"""Targets: the scores that a network learns instead of labels, such as those of a teacher.

A file of targets is a NumPy archive (.npz, no pickles): `ids` and `tags`, text, and `values`,
float (n_ids, n_tags) in [0, 1].
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.arrays import BoolArray, Float32Array
from earmark.errors import BadRecipe
from earmark.files import atomic_path


@dataclass(frozen=True, eq=False)
class Targets:
    """One row a song: values float32 (n_ids, n_tags), in [0, 1]."""

    ids: tuple[str, ...]
    tags: tuple[str, ...]
    values: Float32Array

    def of(self, ids: Sequence[str]) -> tuple[BoolArray, Float32Array]:
        """Whether each song has targets, bool (n,), and these, float32 (n, n_tags), else 0."""
        rows = {song: row for row, song in enumerate(self.ids)}
        places = np.array([rows.get(song, -1) for song in ids], dtype=np.int64)
        known = places >= 0
        values = np.where(known[:, None], self.values[places], np.float32(0))
        return known, values


def write_targets(path: str | Path, targets: Targets) -> None:
    """Write a file of targets atomically."""
    ids, tags = np.array(targets.ids), np.array(targets.tags)
    with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, ids=ids, tags=tags, values=targets.values.astype(np.float32))


def read_targets(path: str | Path) -> Targets:
    """Read a file of targets. Raises BadRecipe, since a recipe names it."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, tags = (tuple(arrays[key].tolist()) for key in ("ids", "tags"))
            values = arrays["values"].astype(np.float32)
    except (
        OSError, EOFError, KeyError, MemoryError, TypeError, ValueError, zipfile.BadZipFile
    ) as error:  # fmt: skip
        raise BadRecipe(
            f"data.targets: cannot read {path} as a file of targets ({error}). It must be an .npz "
            "file with ids, tags and values"
        ) from error
    if values.shape != (len(ids), len(tags)) or len(set(tags)) != len(tags) or not tags:
        raise BadRecipe(
            f"data.targets: {path} holds values of shape {values.shape} for {len(ids)} ids and "
            f"{len(set(tags))} tags. It must hold one row an id and one column a tag, with at "
            "least one tag and none twice"
        )
    if len(set(ids)) != len(ids) or not ids:
        raise BadRecipe(
            f"data.targets: {path} must hold at least one id, and none twice; it holds {len(ids)}, "
            f"{len(set(ids))} of them different"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise BadRecipe(
            f"data.targets: {path} holds values that are not between 0 and 1. Write scores, not "
            "logits"
        )
    return Targets(ids, tags, values)
