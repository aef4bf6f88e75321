"""The learning curve: ROC-AUC and AP against the number of training songs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark import metrics
from earmark.data.store.reader import open_store
from earmark.evaluation.measures import ends, number
from earmark.evaluation.scores import ScoredSongs, score_store, songs_of
from earmark.files import Json, atomic_path, json_line, write_text
from earmark.folder_lock import disk_errors
from earmark.pictures import new_figure
from earmark.runtime import Model

LINES, TABLE, PLOT = "curve.jsonl", "curve.csv", "curve.png"
_AVERAGES: dict[metrics.Average, str] = {"macro": "", "samples": "samples_"}  # and their prefixes


def learning_curve(
    sizes: Iterable[int],
    *,
    train: Callable[[int], Path],
    score: Callable[[Path], ScoredSongs],
    seed: int = 0,
    n: int = metrics.REPLICATES,
) -> Iterator[Json]:
    """ROC-AUC and AP of models that learned from so many songs, one row a size.

    train : makes a model file from that many songs
    score : gives its scores of other songs, the same ones for every size
    n : draws of tracks for the intervals, the same ones for every size

    roc_auc, ci, average_precision and average_precision_ci are macro means; those by samples have
    `samples_` before their names.
    """
    for size in sizes:
        scored = score(train(size))
        drawn = metrics.replicates(
            scored.labels, scored.scores, generator=np.random.default_rng(seed), n=n
        )
        row: Json = {"songs": size, "n_tracks": len(scored.ids)}
        for average, before in _AVERAGES.items():
            auc = metrics.roc_auc(scored.labels, scored.scores, average=average)
            precision = metrics.average_precision(scored.labels, scored.scores, average=average)
            row |= {
                f"{before}roc_auc": number(auc),
                f"{before}ci": ends(auc, drawn.means["roc_auc"][average]),
                f"{before}average_precision": number(precision),
                f"{before}average_precision_ci": ends(
                    precision, drawn.means["average_precision"][average]
                ),
            }
        yield row


def check_split(store: str | Path, split: str) -> None:
    """Raise BadValue where no song of a store's split can be measured."""
    with open_store(store, resident=False) as opened:
        songs_of(opened, split=split)


def score_model(model: Path, *, store: str | Path, split: str) -> ScoredSongs:
    """A model's scores of one split of a store."""
    with open_store(store, resident=False) as opened:
        return score_store(Model(model), opened, split=split)


def write_curve(folder: Path, rows: Sequence[Json]) -> None:
    """Write FOLDER/curve.jsonl, curve.csv and curve.png."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with disk_errors(folder):
        write_text(folder / LINES, "".join(json_line(row) + "\n" for row in rows))
        write_text(folder / TABLE, table.getvalue())
        _draw(folder / PLOT, rows)


def _draw(path: Path, rows: Sequence[Json]) -> None:
    figure = new_figure(9, 3.8)
    axes = figure.subplots(1, 2)
    songs = [row["songs"] for row in rows]
    for one, key, ci, title in (
        (axes[0], "roc_auc", "ci", "ROC-AUC"),
        (axes[1], "average_precision", "average_precision_ci", "AP"),
    ):
        for before, name in (("", "macro"), ("samples_", "by samples")):
            values = [_known(row[f"{before}{key}"]) for row in rows]
            low, high = np.array([[_known(end) for end in row[f"{before}{ci}"]] for row in rows]).T
            one.plot(songs, values, marker="o", label=name)
            one.fill_between(songs, low, high, alpha=0.2)
        one.set(title=f"{title}, 95 % intervals", xlabel="training songs", xscale="log")
        one.set_xticks(songs, [f"{size:,}" for size in songs])
        one.minorticks_off()
        one.grid(alpha=0.3)
        one.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _known(value: Any) -> float:
    return np.nan if value is None else float(value)
