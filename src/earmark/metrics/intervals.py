"""Confidence intervals by the bootstrap: measures on random draws of tracks, with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.arrays import BoolArray, Float64Array, Int64Array
from earmark.errors import BadValue
from earmark.metrics.sorted_lists import (
    AVERAGES,
    STATISTICS,
    Average,
    Scores,
    Statistic,
    Values,
    mean,
    resampler,
)

REPLICATES = 1000  # enough for the standard error to be stable within 5 %
FEW = 20  # tracks with a tag, or without it; for fewer an interval is too narrow
_ERRORS = 1.96  # standard errors on each side of a 95 % interval


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a statistic about its estimate, by bootstrap over tracks.

    Only the spread of the replicates counts, not where they lie: a track that is drawn twice ranks
    beside itself, so that the average precision of draws lies above the estimate, the more so the
    fewer tracks carry a tag. Percentiles of the replicates then need not hold the estimate
    (studies/interval_coverage.py measures both).

    error : the standard error
    """

    low: float
    high: float
    error: float

    @classmethod
    def of(cls, estimate: float, values: Float64Array) -> Interval:
        """The interval of a statistic in [0, 1], symmetric in its log-odds, so that it stays there.

        values : float64 (n_replicates,); NaN ones are left out
        """
        error = _spread(values)
        if not 0 < estimate < 1:  # NaN, or what every draw of these tracks has
            return cls(estimate, estimate, error)
        centre = np.log(estimate / (1 - estimate))
        reach = _ERRORS * error / (estimate * (1 - estimate))
        low, high = (0.5 * (1 + np.tanh(0.5 * (centre + side * reach))) for side in (-1, 1))
        return cls(float(low), float(high), error)

    @classmethod
    def of_difference(cls, estimate: float, values: Float64Array) -> Interval:
        """The interval of a difference of two statistics, as far to either side."""
        error = _spread(values)
        return cls(estimate - _ERRORS * error, estimate + _ERRORS * error, error)


def bootstrap(
    labels: BoolArray,
    scores: Scores,
    statistic: Statistic,
    *,
    generator: np.random.Generator,
    average: Average = "macro",
    n: int = REPLICATES,
) -> Interval:
    """The interval of one statistic over n draws of as many tracks, with replacement."""
    lists = resampler(labels, scores, average)
    draws = _draws(len(labels), n, generator)
    values = np.array([mean(getattr(lists.of(draw), statistic)) for draw in draws])
    return Interval.of(mean(getattr(lists.values, statistic)), values)


@dataclass(frozen=True)
class Difference:
    """How much better b is than a on the same tracks.

    share_above : share of the replicates where b is better; near 0 or 1 the sign is certain
    """

    difference: float
    interval: Interval
    share_above: float

    @classmethod
    def of(cls, values: Sequence[float], drawn: Sequence[Float64Array]) -> Difference:
        """The second of two values less the first.

        drawn : float64 (n_replicates,) of each, from the same draws of tracks
        """
        differences = drawn[1] - drawn[0]
        known = differences[~np.isnan(differences)]
        above = (known > 0).mean() + (known == 0).mean() / 2 if known.size else np.nan
        difference = values[1] - values[0]
        return cls(difference, Interval.of_difference(difference, differences), float(above))


def paired_bootstrap(
    labels: BoolArray,
    a: Scores,
    b: Scores,
    statistic: Statistic,
    *,
    generator: np.random.Generator,
    average: Average = "macro",
    n: int = REPLICATES,
) -> Difference:
    """The difference of b and a over n draws of tracks, the same tracks for both in each."""
    both = [resampler(labels, scores, average) for scores in (a, b)]
    replicates = np.array(
        [
            [mean(getattr(lists.of(draw), statistic)) for lists in both]
            for draw in _draws(len(labels), n, generator)
        ]
    )
    whole = [mean(getattr(lists.values, statistic)) for lists in both]
    return Difference.of(whole, list(replicates.T))


@dataclass(frozen=True)
class Replicates:
    """Both statistics over draws of tracks.

    per_tag : float64 (n_replicates, n_tags); means : float64 (n_replicates,), by average
    """

    per_tag: dict[Statistic, Float64Array]
    means: dict[Statistic, dict[Average, Float64Array]]


def replicates(
    labels: BoolArray, scores: Scores, *, generator: np.random.Generator, n: int = REPLICATES
) -> Replicates:
    """Everything that an evaluation gives an interval for, from the same n draws."""
    kinds = {average: resampler(labels, scores, average) for average in AVERAGES}
    drawn: list[dict[Average, Values]] = [
        {average: lists.of(draw) for average, lists in kinds.items()}
        for draw in _draws(len(labels), n, generator)
    ]
    return Replicates(
        {name: np.array([getattr(one["macro"], name) for one in drawn]) for name in STATISTICS},
        {
            name: {
                average: np.array([mean(getattr(one[average], name)) for one in drawn])
                for average in kinds
            }
            for name in STATISTICS
        },
    )


def _spread(values: Float64Array) -> float:
    """The standard deviation of values without NaN ones; NaN for fewer than two."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else np.nan


def _draws(n_tracks: int, n: int, generator: np.random.Generator) -> Iterator[Int64Array]:
    if n < 1:
        raise BadValue(f"{n} replicates are too few; give one or more")
    for _ in range(n):
        yield np.bincount(generator.integers(n_tracks, size=n_tracks), minlength=n_tracks)
