"""What a network shall say of each song, where that is more than a label: a teacher's scores.

A file of targets is a NumPy archive (.npz, no pickles): `ids` and `tags`, text, and `values`,
float (n_ids, n_tags) in [0, 1].
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.errors import BadRecipe
from earmark.files import atomic_path


@dataclass(frozen=True, eq=False)
class Targets:
    """One row a song: values float32 (n_ids, n_tags), in [0, 1]."""

    ids: tuple[str, ...]
    tags: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def of(self, ids: Sequence[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """Which songs have targets, bool (n,), and which; float32 (n, n_tags), 0 where none."""
        rows = {song: row for row, song in enumerate(self.ids)}
        places = np.array([rows.get(song, -1) for song in ids], dtype=np.int64)
        there = places >= 0
        values = np.where(there[:, None], self.values[places], np.float32(0))
        return there, values


def write_targets(path: str | Path, targets: Targets) -> None:
    """Write a file of targets, whole or not at all."""
    ids, tags = np.array(targets.ids), np.array(targets.tags)
    with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, ids=ids, tags=tags, values=targets.values.astype(np.float32))


def read_targets(path: str | Path) -> Targets:
    """Read a file of targets. Raises BadRecipe, since it is a recipe that names one."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, tags = (tuple(arrays[key].tolist()) for key in ("ids", "tags"))
            values = arrays["values"].astype(np.float32)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BadRecipe(
            f"data.targets: {path} is no file of targets ({error}). It is an .npz with ids, tags "
            "and values"
        ) from error
    if values.shape != (len(ids), len(tags)) or len(set(tags)) != len(tags) or not tags:
        raise BadRecipe(
            f"data.targets: {path} holds values of shape {values.shape} for {len(ids)} ids and "
            f"{len(set(tags))} tags"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise BadRecipe(f"data.targets: {path} holds values that are not between 0 and 1")
    return Targets(ids, tags, values)
