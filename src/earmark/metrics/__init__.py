"""How good scores are: ROC-AUC, average precision, precision at k, calibration, and intervals.

In every function labels are bool and scores float, both (n_tracks, n_tags), or (n_tracks,) for one
tag. The three averages differ much, so every number is given with the name of its average:

macro    mean over tags: how well the tracks are ranked, tag by tag. Papers report this one.
micro    all pairs of a track and a tag in one list
samples  mean over tracks: how well the tags of one track are ranked. The priors alone reach .72 on
         the Million Song test split, and .50 by macro.

A tag (macro) or track (samples) whose labels are all equal has the value NaN and is left out of the
mean.
"""

from __future__ import annotations

from typing import overload

import numpy as np

from earmark.arrays import BoolArray, Float64Array
from earmark.errors import BadValue
from earmark.metrics.calibration import CalibrationCurve, calibration, expected_calibration_error
from earmark.metrics.intervals import (
    FEW,
    REPLICATES,
    Difference,
    Interval,
    Replicates,
    bootstrap,
    paired_bootstrap,
    replicates,
)
from earmark.metrics.sorted_lists import (
    AVERAGES,
    STATISTICS,
    Average,
    Scores,
    Statistic,
    checked,
    mean,
    resampler,
)

__all__ = [
    "AVERAGES",
    "FEW",
    "REPLICATES",
    "STATISTICS",
    "Average",
    "BoolArray",
    "CalibrationCurve",
    "Difference",
    "Float64Array",
    "Interval",
    "Replicates",
    "Scores",
    "Statistic",
    "average_precision",
    "bootstrap",
    "calibration",
    "expected_calibration_error",
    "one_class",
    "paired_bootstrap",
    "precision_at_k",
    "precision_recall_curve",
    "replicates",
    "roc_auc",
    "roc_curve",
]  # fmt: skip


@overload
def roc_auc(labels: BoolArray, scores: Scores, *, average: Average = ...) -> float: ...
@overload
def roc_auc(labels: BoolArray, scores: Scores, *, average: None) -> Float64Array: ...
def roc_auc(
    labels: BoolArray, scores: Scores, *, average: Average | None = "macro"
) -> float | Float64Array:
    """Area under the ROC curve: how often a true one has the higher score; ties count half.

    returns : the mean, NaN where it is over nothing; float64 (n_tags,) for average None
    """
    values = resampler(labels, scores, average).values.roc_auc
    return values if average is None else mean(values)


@overload
def average_precision(labels: BoolArray, scores: Scores, *, average: Average = ...) -> float: ...
@overload
def average_precision(labels: BoolArray, scores: Scores, *, average: None) -> Float64Array: ...
def average_precision(
    labels: BoolArray, scores: Scores, *, average: Average | None = "macro"
) -> float | Float64Array:
    """Mean precision at each true one, best first; random scores reach the share of true ones.

    The step sum, not the trapezoid area under the precision-recall curve, which is too high.
    returns : the mean, NaN where it is over nothing; float64 (n_tags,) for average None
    """
    values = resampler(labels, scores, average).values.average_precision
    return values if average is None else mean(values)


def one_class(labels: BoolArray) -> BoolArray:
    """Bool (n_tags,): which tags all tracks carry, or none does: they have no ROC-AUC."""
    n_positive = labels.sum(axis=0)
    result: BoolArray = (n_positive == 0) | (n_positive == len(labels))
    return result


def precision_at_k(labels: BoolArray, ranked: Scores, *, k: int) -> float:
    """The share of true tags among the first k of each track, mean over all tracks.

    ranked : what the tags are sorted by, larger first (earmark.ranking); ties in column order
    """
    labels, ranked = checked(labels, ranked)
    if not 1 <= k <= labels.shape[1]:
        raise BadValue(
            f"precision at {k} of {labels.shape[1]} tags; choose k from 1 to {labels.shape[1]}"
        )
    first = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(labels, first, axis=1).mean())


def roc_curve(labels: BoolArray, scores: Scores) -> tuple[Float64Array, Float64Array]:
    """False and true positive rates of one tag, each rising from 0 to 1, a point a threshold."""
    n_above, n_true = _thresholds(labels, scores)
    return (n_above - n_true) / (~labels).sum(), n_true / labels.sum()


def precision_recall_curve(labels: BoolArray, scores: Scores) -> tuple[Float64Array, Float64Array]:
    """Recall and precision of one tag, recall rising to 1, a point a threshold."""
    n_above, n_true = (counts[1:] for counts in _thresholds(labels, scores))
    return n_true / labels.sum(), n_true / n_above


def _thresholds(labels: BoolArray, scores: Scores) -> tuple[Float64Array, Float64Array]:
    """How many pairs, and how many true ones, have at least each score, from none to all."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    return np.append(0.0, ends + 1.0), np.append(0.0, np.cumsum(labels[order])[ends])
