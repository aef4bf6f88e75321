"""The scores of an evaluation, song by song, as Parquet or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earmark import files
from earmark.errors import BadValue
from earmark.evaluation.scores import ScoredSongs
from earmark.parquet_file import load_pyarrow, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".csv")


def check_name(path: str | Path) -> None:
    """Raise BadValue for a name that says neither Parquet nor CSV."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise BadValue(f"{path} must end in {' or '.join(SUFFIXES)}, which chooses the format")


def write_scores(path: str | Path, scored: Sequence[ScoredSongs]) -> None:
    """Write a row for each model and song, in the order of the evaluation.

    The columns are model, id, path (null for a store), error (null for a song that was heard), and
    of each tag that model and data share `score.TAG`, float32, and `label.TAG`, bool. A song that
    could not be heard has its row at the end of its model's, with null scores and labels.

    Raises BadValue for a name that says neither Parquet nor CSV.
    """
    check_name(path)
    pa = load_pyarrow()
    table = pa.concat_tables([_table(one) for one in scored])
    with files.atomic_path(path) as temporary:
        if Path(path).suffix.lower() == ".csv":
            from pyarrow import csv

            with temporary.open("wb") as file:
                csv.write_csv(table, file)
        else:
            write_parquet(table, temporary)


def _table(scored: ScoredSongs) -> pa.Table:
    pa = load_pyarrow()
    failed, n = scored.failures, len(scored.ids)
    paths: list[str | None] = [str(path) for path in scored.paths]
    unheard = np.arange(n + len(failed)) >= n
    columns = {
        "model": pa.array([scored.card.name] * len(unheard)),
        "id": pa.array([*scored.ids, *(one.id for one in failed)]),
        "path": pa.array([*(paths or [None] * n), *(one.path for one in failed)], pa.string()),
        "error": pa.array([*[None] * n, *(str(one.error) for one in failed)], pa.string()),
    }
    for column, tag in enumerate(scored.tags):
        for name, values in (("score", scored.scores), ("label", scored.labels)):
            padded = np.concatenate([values[:, column], np.zeros(len(failed), dtype=values.dtype)])
            columns[f"{name}.{tag}"] = pa.array(padded, mask=unheard)
    return pa.table(columns)
