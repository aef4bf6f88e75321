"""ROC-AUC and average precision of lists that are sorted once and then drawn from many times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from earmark.arrays import BoolArray, Float64Array, Int64Array
from earmark.errors import BadValue

Scores = npt.NDArray[np.floating]
Average = Literal["macro", "micro", "samples"]
Statistic = Literal["roc_auc", "average_precision"]
AVERAGES: tuple[Average, ...] = ("macro", "micro", "samples")
STATISTICS: tuple[Statistic, ...] = ("roc_auc", "average_precision")

_PAIRS_AT_ONCE = 1 << 22  # of a true tag and another tag of its track, to bound memory


class Values:
    """Both statistics, one value a tag, a track, or for all; and again for draws of tracks."""

    roc_auc: Float64Array
    average_precision: Float64Array

    def of(self, counts: Int64Array) -> Values:
        """The same where track i is there counts[i] times."""
        raise NotImplementedError


class Measured(Values):
    def __init__(self, roc_auc: Float64Array, average_precision: Float64Array) -> None:
        self.roc_auc, self.average_precision = roc_auc, average_precision


class Lists(Values):
    """Lists of scores, each sorted once: a draw then costs one pass, however it came out."""

    def __init__(self, lists: Iterator[tuple[BoolArray, Scores]], *, pairs: int = 1) -> None:
        self._lists = [_List(labels, scores, pairs) for labels, scores in lists]
        everyone = np.ones(self._lists[0].n_tracks, dtype=np.int64)
        known = self.of(everyone)
        self.roc_auc, self.average_precision = known.roc_auc, known.average_precision

    def of(self, counts: Int64Array) -> Values:
        measured = np.array([one.measure(counts) for one in self._lists])
        return Measured(measured[:, 0], measured[:, 1])


class _List:
    """One list, with what its true ones need to know of their places, best score first."""

    def __init__(self, labels: BoolArray, scores: Scores, pairs: int) -> None:
        self.n_tracks, self._pairs = len(labels) // pairs, pairs
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        places = np.flatnonzero(labels[order])
        new = np.append(True, ordered[1:] != ordered[:-1])  # a place whose score is not tied
        first = np.flatnonzero(new)
        tie = (np.cumsum(new) - 1)[places]
        before = first[tie]  # places before those of the same score
        through = np.append(first[1:], len(order))[tie]  # and through the last of them
        self._true = order[places] // pairs
        self._true_before = np.searchsorted(places, before)
        self._true_through = np.searchsorted(places, through)
        # only sums up to these places matter: the rest of the list is counted in bins between them
        edges, index = np.unique(np.concatenate([before, through]), return_inverse=True)
        self._before, self._through = np.split(index, 2)
        self._bin = np.empty(len(order), dtype=np.int64)
        self._bin[order] = np.searchsorted(edges, np.arange(len(order)), side="right")

    def measure(self, counts: Int64Array) -> tuple[float, float]:
        """ROC-AUC and average precision, NaN where all labels are equal."""
        weight = counts[self._true].astype(np.float64)
        true = np.append(0.0, np.cumsum(weight))
        n_true, n_false = true[-1], counts.sum() * self._pairs - true[-1]
        if n_true == 0 or n_false == 0:
            return np.nan, np.nan
        every = np.cumsum(np.bincount(self._bin, weights=np.repeat(counts, self._pairs)))
        true_through, all_through = true[self._true_through], every[self._through]
        false_before = every[self._before] - true[self._true_before]
        beaten = n_false - 0.5 * (false_before + all_through - true_through)
        # where nobody of a tie was drawn, 0 / 1 stands for 0 / 0: its weight is 0 as well
        precision = true_through / np.maximum(all_through, 1)
        return float(weight @ beaten / n_true / n_false), float(weight @ precision / n_true)


class Tracks(Values):
    """Both statistics of each track; a draw repeats and leaves out, but changes none of them."""

    def __init__(self, labels: BoolArray, scores: Scores) -> None:
        n_tracks, n_tags = labels.shape
        sums = np.zeros((2, n_tracks))
        at_once = max(1, _PAIRS_AT_ONCE // n_tags)
        tracks, columns = np.nonzero(labels)
        for first in range(0, len(tracks), at_once):
            some = slice(first, first + at_once)
            track, own = tracks[some], scores[tracks[some], columns[some]][:, None]
            others, true = scores[track], labels[track]
            above, through = others > own, others >= own
            lost = 0.5 * ((above & ~true).sum(axis=1) + (through & ~true).sum(axis=1))
            precision = (through & true).sum(axis=1) / through.sum(axis=1)
            for total, values in zip(sums, (lost, precision), strict=True):
                total += np.bincount(track, weights=values, minlength=n_tracks)
        n_true = labels.sum(axis=1)
        mixed = (n_true > 0) & (n_true < n_tags)
        n_pairs = np.where(mixed, n_true * (n_tags - n_true), 1)
        self.roc_auc = np.where(mixed, 1 - sums[0] / n_pairs, np.nan)
        self.average_precision = np.where(mixed, sums[1] / np.maximum(n_true, 1), np.nan)

    def of(self, counts: Int64Array) -> Values:
        return Measured(np.repeat(self.roc_auc, counts), np.repeat(self.average_precision, counts))


def values_of(
    labels: BoolArray, scores: Scores, average: Average | None
) -> tuple[Values, Callable[[Float64Array], float]]:
    labels, scores = checked(labels, scores)
    if average in ("macro", None):
        return Lists(zip(labels.T, scores.T, strict=True)), mean
    if average == "micro":
        return Lists(iter([(labels.ravel(), scores.ravel())]), pairs=labels.shape[1]), mean
    if average == "samples":
        return Tracks(labels, scores), mean
    raise BadValue(f"no average {average!r}; choose one of {', '.join(AVERAGES)}")


def mean(values: Float64Array) -> float:
    """The mean of what is no NaN; NaN where there is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def checked(labels: BoolArray, scores: Scores) -> tuple[BoolArray, Scores]:
    """Both as (n_tracks, n_tags), or BadValue."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim not in (1, 2) or labels.size == 0:
        raise BadValue(
            f"labels {labels.shape} and scores {scores.shape} must both be (n_tracks, n_tags), "
            "with one or more of each"
        )
    if not np.isin(labels, (0, 1)).all():
        raise BadValue("labels are true or false, 1 or 0, and nothing else")
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise BadValue("some scores are not finite (NaN or infinity)")
    labels = labels.astype(bool)
    return (labels[:, None], scores[:, None]) if labels.ndim == 1 else (labels, scores)
