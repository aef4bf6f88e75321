"""The history of a run: a line for each epoch, curves, and TensorBoard on request."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from earmark.errors import MissingExtra
from earmark.files import atomic_path, json_line, write_text
from earmark.pictures import new_figure

Line = Mapping[str, Any]

LINES, TABLE, CURVE = "history.jsonl", "history.csv", "history.png"
BOARD = "tensorboard"


def write_history(run: Path, lines: Sequence[Line]) -> None:
    """Write RUN/history.jsonl and history.csv anew, with one line an epoch.

    Nothing is appended: after a kill, the epochs since the last checkpoint are repeated.
    """
    write_text(run / LINES, "".join(json_line(line) + "\n" for line in lines))
    table = io.StringIO()
    writer = csv.DictWriter(table, lines[0] if lines else (), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(run / TABLE, table.getvalue())


def in_words(line: Line, *, epochs: int) -> str:
    """One epoch as a line for a person; the same time for each of those to come."""
    words = [f"epoch {line['epoch']} of {epochs}: loss {line['loss']:.4f}"]
    if line.get("valid_loss") is not None:
        words.append(f"validation loss {line['valid_loss']:.4f}")
    for key, name in (("roc_auc", "macro ROC-AUC"), ("average_precision", "macro AP")):
        if line.get(key) is not None:
            words.append(f"{name} {line[key]:.4f}")
    words.append(f"{line['clips_a_second']:.1f} clips a second")
    words.append(f"{100 * line['waiting']:.1f} % of it spent reading")
    left = line["seconds"] / line["epoch"] * (epochs - line["epoch"])
    if left > 0:
        words.append(f"{timedelta(seconds=round(left))} left")
    return ", ".join(words)


class Board:
    """TensorBoard's files, written if the recipe asks for them.

    Raises MissingExtra where they are asked for and TensorBoard is not installed.
    """

    def __init__(self, run: Path, *, wanted: bool) -> None:
        self._run = run
        self._open: Any = None
        self._writer: Any = None
        if wanted:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise MissingExtra("tensorboard", "tensorboard") from error
            self._open = SummaryWriter

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, line: Line) -> None:
        """Add the numbers of an epoch."""
        values = {key: value for key, value in line.items() if key not in ("epoch", "step")}
        self._add(line["step"], values)

    def add_step(self, step: int, loss: Tensor, *, rate: float) -> None:
        """Add the loss of a step, and the learning rate of the next one."""
        if self._open is not None:  # or a GPU would wait for the number of the loss
            self._add(step, {"steps/loss": loss.item(), "steps/rate": rate})

    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        if self._open is None:
            return
        if self._writer is None:
            # a run that was killed takes some steps again: those from before are not shown
            self._writer = self._open(str(self._run / BOARD), purge_step=step)
        for key, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(key, value, step)
        self._writer.flush()


def draw_history(run: Path, lines: Sequence[Line]) -> None:
    """Write RUN/history.png: losses and validation scores over the epochs."""
    figure = new_figure(8, 3.2)
    losses, scores = figure.subplots(1, 2)
    for axes, keys, title in (
        (losses, {"loss": "training", "valid_loss": "validation"}, "loss"),
        (scores, {"roc_auc": "macro ROC-AUC", "average_precision": "macro AP"}, "validation"),
    ):
        for key, name in keys.items():
            points = [(line["epoch"], line[key]) for line in lines if line.get(key) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=name)
        if axes.lines:
            axes.legend()
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    with atomic_path(run / CURVE) as temporary:
        figure.savefig(temporary, format="png")
