"""ROC-AUC and average precision of lists that are sorted once and then resampled many times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

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


@dataclass(frozen=True)
class Values:
    """Both statistics, float64, one value for each tag, each track, or for all together."""

    roc_auc: Float64Array
    average_precision: Float64Array


class Resampler(Protocol):
    """Labels and scores whose statistics can be computed again for any draw of tracks.

    values : of every track once
    """

    values: Values

    def of(self, counts: Int64Array) -> Values:
        """The statistics where track i is drawn counts[i] times, int64 (n_tracks,)."""


class Lists:
    """Lists of scores, each sorted once: any draw then costs one pass over them."""

    def __init__(self, lists: Iterator[tuple[BoolArray, Scores]], *, pairs: int = 1) -> None:
        self._lists = [_List(labels, scores, pairs) for labels, scores in lists]
        self.values = self.of(np.ones(self._lists[0].n_tracks, dtype=np.int64))

    def of(self, counts: Int64Array) -> Values:
        """As Resampler.of."""
        measured = np.array([one.measure(counts) for one in self._lists])
        return Values(measured[:, 0], measured[:, 1])


class _List:
    """One list sorted by score, with the places of its true ones, best score first."""

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
        # where no track of a tie was drawn, 0 / 1 stands for 0 / 0: its weight is 0 as well
        precision = true_through / np.maximum(all_through, 1)
        return float(weight @ beaten / n_true / n_false), float(weight @ precision / n_true)


class Tracks:
    """Both statistics of each track; a draw repeats them or leaves them out."""

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
        self.values = Values(
            np.where(mixed, 1 - sums[0] / n_pairs, np.nan),
            np.where(mixed, sums[1] / np.maximum(n_true, 1), np.nan),
        )

    def of(self, counts: Int64Array) -> Values:
        """As Resampler.of."""
        return Values(
            np.repeat(self.values.roc_auc, counts), np.repeat(self.values.average_precision, counts)
        )


def resampler(labels: BoolArray, scores: Scores, average: Average | None) -> Resampler:
    """The statistics whose `mean` is an average: of each tag, each track, or all pairs."""
    labels, scores = checked(labels, scores)
    if average in ("macro", None):
        return Lists(zip(labels.T, scores.T, strict=True))
    if average == "micro":
        return Lists(iter([(labels.ravel(), scores.ravel())]), pairs=labels.shape[1])
    if average == "samples":
        return Tracks(labels, scores)
    raise BadValue(f"unknown average {average!r}; choose one of {', '.join(AVERAGES)}")


def mean(values: Float64Array) -> float:
    """The mean without NaN values; NaN where nothing is left."""
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
        raise BadValue("labels must be true or false, or 1 or 0")
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise BadValue("some scores are not finite (NaN or infinity)")
    labels = labels.astype(bool)
    return (labels[:, None], scores[:, None]) if labels.ndim == 1 else (labels, scores)
