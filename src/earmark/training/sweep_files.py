"""The table and the plot of a sweep."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.files import atomic_path, write_text
from earmark.folder_lock import disk_errors
from earmark.pictures import new_figure

TABLE, PLOT = "sweep.csv", "sweep.png"


def write_table(folder: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write FOLDER/sweep.csv; the runs as `SweptRun.as_json` has them, in order."""
    rows = [
        {"name": run["name"], **run["settings"]}
        | {key: value for key, value in run.items() if key not in ("name", "settings")}
        for run in runs
    ]
    columns = dict.fromkeys(key for row in rows for key in row)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with disk_errors(folder):
        write_text(folder / TABLE, table.getvalue())


def draw_sweep(folder: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write FOLDER/sweep.png: a dot for each run that has scores, the best at the top."""
    runs = [run for run in runs if run["roc_auc"] is not None]
    figure = new_figure(8, 1 + 0.25 * len(runs))
    axes = figure.subplots(1, 2, sharey=True)
    names = [run["name"] for run in reversed(runs)]
    for one, key, title in zip(
        axes,
        ("roc_auc", "average_precision"),
        ("macro ROC-AUC, validation", "macro AP, validation"),
        strict=True,
    ):
        one.plot([run[key] for run in reversed(runs)], range(len(runs)), "o", color="#2456a6")
        one.set_yticks(range(len(runs)), names, fontsize=7)
        one.set_title(title)
        one.grid(alpha=0.3)
    with disk_errors(folder), atomic_path(folder / PLOT) as temporary:
        figure.savefig(temporary, format="png")
