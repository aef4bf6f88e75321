"""How good scores are: ROC-AUC, average precision, precision at k, calibration, and intervals.

In every function labels are bool and scores float, both (n_tracks, n_tags), or (n_tracks,) for one
tag. What a mean is taken over has a name, and a number without it means nothing:

macro    a mean over tags: how well the tracks are in order, tag by tag. The field's figure.
micro    all pairs of a track and a tag in one list
samples  a mean over tracks: how well the tags of one track are in order. Scores that say nothing
         but how common a tag is reach .72 on the Million Song test split, and .50 by macro.

Where all labels are equal nothing can be put in order: such a tag (macro) or track (samples) has
the value NaN and is left out of the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from earmark.errors import BadValue

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Average = Literal["macro", "micro", "samples"]
Statistic = Literal["roc_auc", "average_precision"]
AVERAGES: tuple[Average, ...] = ("macro", "micro", "samples")
STATISTICS: tuple[Statistic, ...] = ("roc_auc", "average_precision")

REPLICATES = 1000  # enough for the ends of a 95 % interval to stand still in the third digit
CALIBRATION_BINS = 15  # Guo et al. 2017
_PAIRS_AT_ONCE = 1 << 22  # of a true tag and another tag of its track, to bound memory


@overload
def roc_auc(labels: Labels, scores: Scores, *, average: Average = ...) -> float: ...
@overload
def roc_auc(labels: Labels, scores: Scores, *, average: None) -> Floats: ...
def roc_auc(labels: Labels, scores: Scores, *, average: Average | None = "macro") -> float | Floats:
    """Area under the ROC curve: how often what is true has the higher score; ties count half.

    returns : the mean, NaN where it is over nothing; float64 (n_tags,) for average None
    """
    values, mean = _values(labels, scores, average)
    return values.roc_auc if average is None else mean(values.roc_auc)


@overload
def average_precision(labels: Labels, scores: Scores, *, average: Average = ...) -> float: ...
@overload
def average_precision(labels: Labels, scores: Scores, *, average: None) -> Floats: ...
def average_precision(
    labels: Labels, scores: Scores, *, average: Average | None = "macro"
) -> float | Floats:
    """Mean precision at each true one, best first; its floor is the share of true ones.

    The step sum, not the trapezoid area under the precision-recall curve, which is too kind.
    returns : the mean, NaN where it is over nothing; float64 (n_tags,) for average None
    """
    values, mean = _values(labels, scores, average)
    return values.average_precision if average is None else mean(values.average_precision)


def one_class(labels: Labels) -> Labels:
    """Bool (n_tags,): which tags all tracks carry, or none: they have no ROC-AUC."""
    n_positive = labels.sum(axis=0)
    result: Labels = (n_positive == 0) | (n_positive == len(labels))
    return result


def precision_at_k(labels: Labels, ranked: Scores, *, k: int) -> float:
    """The share of true tags among the first k of each track, mean over all tracks.

    ranked : what the tags are sorted by, larger first (earmark.ranking); ties in column order
    """
    labels, ranked = _checked(labels, ranked)
    if not 1 <= k <= labels.shape[1]:
        raise BadValue(f"precision at {k} of {labels.shape[1]} tags; choose 1 to that many")
    first = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(labels, first, axis=1).mean())


@dataclass(frozen=True)
class Calibration:
    """What came true of scores that say the same, over all pairs of a track and a tag.

    score, share : float64 (n_bins,), mean score and share of true ones; NaN in an empty bin
    count : int64 (n_bins,), pairs in each bin of equal width
    """

    score: Floats
    share: Floats
    count: Counts

    @property
    def error(self) -> float:
        """Expected calibration error: |score - share|, mean over all pairs (Guo et al. 2017)."""
        used = self.count > 0
        gaps = np.abs(self.score[used] - self.share[used])
        return float(np.average(gaps, weights=self.count[used]))


def calibration(labels: Labels, scores: Scores, *, bins: int = CALIBRATION_BINS) -> Calibration:
    """The calibration curve of scores in [0, 1]."""
    labels, scores = _checked(labels, scores)
    if scores.min() < 0 or scores.max() > 1:
        raise BadValue("calibration is of probabilities; these scores leave [0, 1]")
    place = np.minimum((scores * bins).astype(np.int64), bins - 1).ravel()
    count = np.bincount(place, minlength=bins)
    sums = (
        np.bincount(place, weights=values.ravel(), minlength=bins)
        for values in (scores.astype(np.float64), labels)
    )
    score, share = (
        np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for total in sums
    )
    return Calibration(score, share, count.astype(np.int64))


def expected_calibration_error(
    labels: Labels, scores: Scores, *, bins: int = CALIBRATION_BINS
) -> float:
    """How far probabilities are from what came true, on average, in [0, 1]."""
    return calibration(labels, scores, bins=bins).error


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a statistic, by bootstrap over tracks.

    error : the standard error
    """

    low: float
    high: float
    error: float

    @classmethod
    def of(cls, values: Floats) -> Interval:
        """The interval of float64 (n_replicates,) values; NaN ones are left out."""
        known = values[~np.isnan(values)]
        if len(known) < 2:
            return cls(np.nan, np.nan, np.nan)
        low, high = np.percentile(known, [2.5, 97.5])
        return cls(float(low), float(high), float(known.std(ddof=1)))


def bootstrap(
    labels: Labels,
    scores: Scores,
    statistic: Statistic,
    *,
    generator: np.random.Generator,
    average: Average = "macro",
    n: int = REPLICATES,
) -> Interval:
    """The interval of one statistic over n draws of as many tracks, with replacement."""
    values, mean = _values(labels, scores, average)
    draws = _draws(len(labels), n, generator)
    return Interval.of(np.array([mean(getattr(values.of(draw), statistic)) for draw in draws]))


@dataclass(frozen=True)
class Difference:
    """How much better b is than a on the same tracks.

    share_above : of the replicates where b is better; near 0 or 1 the sign is certain
    """

    difference: float
    interval: Interval
    share_above: float


def paired_bootstrap(
    labels: Labels,
    a: Scores,
    b: Scores,
    statistic: Statistic,
    *,
    generator: np.random.Generator,
    average: Average = "macro",
    n: int = REPLICATES,
) -> Difference:
    """The difference of b and a over n draws of tracks, the same tracks for both in each."""
    both = [_values(labels, scores, average) for scores in (a, b)]
    replicates = np.array(
        [
            [mean(getattr(values.of(draw), statistic)) for values, mean in both]
            for draw in _draws(len(labels), n, generator)
        ]
    )
    differences = replicates[:, 1] - replicates[:, 0]
    first, second = (mean(getattr(values, statistic)) for values, mean in both)
    known = differences[~np.isnan(differences)]
    return Difference(
        second - first,
        Interval.of(differences),
        float((known > 0).mean() + (known == 0).mean() / 2) if known.size else np.nan,
    )


@dataclass(frozen=True)
class Replicates:
    """Both statistics over draws of tracks.

    per_tag : float64 (n_replicates, n_tags); means : float64 (n_replicates,), by average
    """

    per_tag: dict[Statistic, Floats]
    means: dict[Statistic, dict[Average, Floats]]


def replicates(
    labels: Labels, scores: Scores, *, generator: np.random.Generator, n: int = REPLICATES
) -> Replicates:
    """Everything that an evaluation gives an interval for, from the same n draws."""
    kinds = {average: _values(labels, scores, average) for average in AVERAGES}
    drawn: list[dict[Average, _Values]] = [
        {average: values.of(draw) for average, (values, _) in kinds.items()}
        for draw in _draws(len(labels), n, generator)
    ]
    return Replicates(
        {name: np.array([getattr(one["macro"], name) for one in drawn]) for name in STATISTICS},
        {
            name: {
                average: np.array([mean(getattr(one[average], name)) for one in drawn])
                for average, (_, mean) in kinds.items()
            }
            for name in STATISTICS
        },
    )


def roc_curve(labels: Labels, scores: Scores) -> tuple[Floats, Floats]:
    """False and true positive rates of one tag, each rising from 0 to 1, a point a threshold."""
    n_above, n_true = _thresholds(labels, scores)
    return (n_above - n_true) / (~labels).sum(), n_true / labels.sum()


def precision_recall_curve(labels: Labels, scores: Scores) -> tuple[Floats, Floats]:
    """Recall and precision of one tag, recall rising to 1, a point a threshold."""
    n_above, n_true = (counts[1:] for counts in _thresholds(labels, scores))
    return n_true / labels.sum(), n_true / n_above


def _thresholds(labels: Labels, scores: Scores) -> tuple[Floats, Floats]:
    """How many, and how many true ones, have at least each score, from none to all."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    return np.append(0.0, ends + 1.0), np.append(0.0, np.cumsum(labels[order])[ends])


class _Values:
    """Both statistics, one value a tag, a track, or for all; and again for draws of tracks."""

    roc_auc: Floats
    average_precision: Floats

    def of(self, counts: Counts) -> _Values:
        """The same where track i is there counts[i] times."""
        raise NotImplementedError


class _Measured(_Values):
    def __init__(self, roc_auc: Floats, average_precision: Floats) -> None:
        self.roc_auc, self.average_precision = roc_auc, average_precision


class _Lists(_Values):
    """Lists of scores, each sorted once: a draw then costs one pass, however it came out."""

    def __init__(self, lists: Iterator[tuple[Labels, Scores]], *, pairs: int = 1) -> None:
        self._lists = [_List(labels, scores, pairs) for labels, scores in lists]
        everyone = np.ones(self._lists[0].n_tracks, dtype=np.int64)
        known = self.of(everyone)
        self.roc_auc, self.average_precision = known.roc_auc, known.average_precision

    def of(self, counts: Counts) -> _Values:
        measured = np.array([one.measure(counts) for one in self._lists])
        return _Measured(measured[:, 0], measured[:, 1])


class _List:
    """One list, best score first, with what the true ones need to know of their places."""

    def __init__(self, labels: Labels, scores: Scores, pairs: int) -> None:
        self.n_tracks = len(labels) // pairs
        order = np.argsort(-scores, kind="stable")
        self._track = order // pairs
        ordered = scores[order]
        places = np.flatnonzero(labels[order])
        new = np.append(True, ordered[1:] != ordered[:-1])  # a place whose score is not tied
        first = np.flatnonzero(new)
        tie = (np.cumsum(new) - 1)[places]
        self._true = self._track[places]
        self._before = first[tie]  # places before those of the same score
        self._through = np.append(first[1:], len(order))[tie]  # and through the last of them
        self._true_before = np.searchsorted(places, self._before)
        self._true_through = np.searchsorted(places, self._through)

    def measure(self, counts: Counts) -> tuple[float, float]:
        """ROC-AUC and average precision, NaN where all labels are equal."""
        every = np.concatenate([[0], np.cumsum(counts[self._track])])
        weight = counts[self._true]
        true = np.concatenate([[0], np.cumsum(weight)])
        n_true, n_false = int(true[-1]), int(every[-1] - true[-1])
        if n_true == 0 or n_false == 0:
            return np.nan, np.nan
        true_through, all_through = true[self._true_through], every[self._through]
        false_before = every[self._before] - true[self._true_before]
        false_through = all_through - true_through
        beaten = n_false - 0.5 * (false_before + false_through)
        # where nobody of a tie was drawn, 0 / 1 stands for 0 / 0: its weight is 0 as well
        precision = true_through / np.maximum(all_through, 1)
        return float(weight @ beaten / n_true / n_false), float(weight @ precision / n_true)


class _Tracks(_Values):
    """Both statistics of each track; a draw repeats and leaves out, but changes none of them."""

    def __init__(self, labels: Labels, scores: Scores) -> None:
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

    def of(self, counts: Counts) -> _Values:
        return _Measured(np.repeat(self.roc_auc, counts), np.repeat(self.average_precision, counts))


def _values(
    labels: Labels, scores: Scores, average: Average | None
) -> tuple[_Values, Callable[[Floats], float]]:
    labels, scores = _checked(labels, scores)
    if average in ("macro", None):
        return _Lists(zip(labels.T, scores.T, strict=True)), _mean
    if average == "micro":
        return _Lists(iter([(labels.ravel(), scores.ravel())]), pairs=labels.shape[1]), _mean
    if average == "samples":
        return _Tracks(labels, scores), _mean
    raise BadValue(f"no average {average!r}; choose one of {', '.join(AVERAGES)}")


def _mean(values: Floats) -> float:
    """The mean of what is no NaN; NaN where there is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def _draws(n_tracks: int, n: int, generator: np.random.Generator) -> Iterator[Counts]:
    if n < 1:
        raise BadValue(f"{n} replicates; give one or more")
    for _ in range(n):
        yield np.bincount(generator.integers(n_tracks, size=n_tracks), minlength=n_tracks)


def _checked(labels: Labels, scores: Scores) -> tuple[Labels, Scores]:
    """Both as (n_tracks, n_tags), or BadValue."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim not in (1, 2) or labels.size == 0:
        raise BadValue(
            f"labels {labels.shape} and scores {scores.shape} must both be (n_tracks, n_tags), "
            "with one or more of each"
        )
    if not np.isin(labels, (0, 1)).all():
        raise BadValue("labels are true or false, 1 or 0, and nothing else")
    if not np.isfinite(scores).all():
        raise BadValue("some scores are not finite (NaN or infinity)")
    labels = labels.astype(bool)
    return (labels[:, None], scores[:, None]) if labels.ndim == 1 else (labels, scores)
