"""The plots of a report, as PNG in data: URLs.

Names of tags and songs are not in them but in the page, whose fonts have letters for every script.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from earmark import metrics
from earmark.arrays import Float32Array
from earmark.evaluation.scores import ScoredSongs
from earmark.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 200  # of a curve: about one for every two columns of pixels
_GREY, _BLUE, _RED = "#b8bec8", "#2456a6", "#b3261e"


def curves(scored: ScoredSongs) -> str:
    """ROC and precision-recall curves: every tag thin, their mean thick."""
    figure = new_figure(10, 4.6)
    left, right = figure.subplots(1, 2)
    known = np.flatnonzero(~metrics.one_class(scored.labels))
    grid = np.linspace(0, 1, _POINTS + 1)
    for axes, of, x_name, y_name in (
        (left, metrics.roc_curve, "false positive rate", "true positive rate"),
        (right, _precision_at_recall, "recall", "precision"),
    ):
        every = []
        for column in known:
            x, y = of(scored.labels[:, column], scored.scores[:, column])
            every.append(np.interp(grid, x, y))
            axes.plot(grid, every[-1], color=_GREY, linewidth=0.6)
        if every:
            axes.plot(grid, np.mean(every, axis=0), color=_BLUE, linewidth=2.2)
        _square(axes, x_name, y_name)
    left.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle="--")
    return _address(figure)


def calibration(scored: ScoredSongs) -> str:
    """The calibration curve, before and after the model's calibration."""
    figure = new_figure(5, 4.6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle="--")
    for scores, colour, name in (
        (scored.raw, _RED, "before calibration"),
        (scored.scores, _BLUE, "as shipped"),
    ):
        curve = metrics.calibration(scored.labels, scores)
        used = curve.count > 0
        axes.plot(curve.score[used], curve.share[used], marker=".", color=colour, label=name)
    _square(axes, "score", "share of pairs that are true")
    axes.legend(frameon=False)
    return _address(figure)


def spectrogram(log_mel: Float32Array) -> str:
    """One clip, float32 (n_mels, n_frames) dB, low frequencies at the bottom."""
    figure = new_figure(6, 1.3)
    axes = figure.subplots()
    axes.imshow(log_mel, origin="lower", aspect="auto", cmap="magma")
    axes.set_axis_off()
    return _address(figure)


def _precision_at_recall(
    labels: metrics.BoolArray, scores: metrics.Scores
) -> tuple[metrics.Float64Array, metrics.Float64Array]:
    """Recall, and the best precision at that recall or above: the curve without its saw teeth."""
    recall, precision = metrics.precision_recall_curve(labels, scores)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(0.0, recall), np.append(best[0], best)


def _square(axes: Axes, x_name: str, y_name: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_name, ylabel=y_name)
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)


def _address(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
