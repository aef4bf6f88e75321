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
    resampler,
)

REPLICATES = 1000  # enough for the ends of a 95 % interval to be stable in the third digit


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a statistic, by bootstrap over tracks.

    error : the standard error
    """

    low: float
    high: float
    error: float

    @classmethod
    def of(cls, values: Float64Array) -> Interval:
        """The interval of float64 (n_replicates,) values; NaN ones are left out."""
        known = values[~np.isnan(values)]
        if len(known) < 2:
            return cls(np.nan, np.nan, np.nan)
        low, high = np.percentile(known, [2.5, 97.5])
        return cls(float(low), float(high), float(known.std(ddof=1)))


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
    lists, mean = resampler(labels, scores, average)
    draws = _draws(len(labels), n, generator)
    return Interval.of(np.array([mean(getattr(lists.of(draw), statistic)) for draw in draws]))


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
        return cls(values[1] - values[0], Interval.of(differences), float(above))


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
            [mean(getattr(lists.of(draw), statistic)) for lists, mean in both]
            for draw in _draws(len(labels), n, generator)
        ]
    )
    whole = [mean(getattr(lists.values, statistic)) for lists, mean in both]
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
        {average: lists.of(draw) for average, (lists, _) in kinds.items()}
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


def _draws(n_tracks: int, n: int, generator: np.random.Generator) -> Iterator[Int64Array]:
    if n < 1:
        raise BadValue(f"{n} replicates are too few; give one or more")
    for _ in range(n):
        yield np.bincount(generator.integers(n_tracks, size=n_tracks), minlength=n_tracks)
