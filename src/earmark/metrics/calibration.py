"""Calibration: how often a tag is true where its score says 0.7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.arrays import BoolArray, Float64Array, Int64Array
from earmark.errors import BadValue
from earmark.metrics.sorted_lists import Scores, checked

CALIBRATION_BINS = 15  # Guo et al. 2017


@dataclass(frozen=True)
class CalibrationCurve:
    """Mean score against share of true labels, by bins of the score, over all pairs.

    score, share : float64 (n_bins,), mean score and share of true ones; NaN in an empty bin
    count : int64 (n_bins,), pairs in each bin of equal width
    """

    score: Float64Array
    share: Float64Array
    count: Int64Array

    @property
    def error(self) -> float:
        """Expected calibration error: |score - share|, mean over all pairs (Guo et al. 2017)."""
        used = self.count > 0
        gaps = np.abs(self.score[used] - self.share[used])
        return float(np.average(gaps, weights=self.count[used]))


def calibration(
    labels: BoolArray, scores: Scores, *, bins: int = CALIBRATION_BINS
) -> CalibrationCurve:
    """The calibration curve of scores in [0, 1]."""
    labels, scores = checked(labels, scores)
    if scores.min() < 0 or scores.max() > 1:
        raise BadValue("calibration needs probabilities; some of these scores are outside [0, 1]")
    place = np.minimum((scores * bins).astype(np.int64), bins - 1).ravel()
    count = np.bincount(place, minlength=bins)
    sums = (
        np.bincount(place, weights=values.ravel(), minlength=bins)
        for values in (scores.astype(np.float64), labels)
    )
    score, share = (
        np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for total in sums
    )
    return CalibrationCurve(score, share, count.astype(np.int64))


def expected_calibration_error(
    labels: BoolArray, scores: Scores, *, bins: int = CALIBRATION_BINS
) -> float:
    """Expected calibration error, in [0, 1]; 0 is best."""
    return calibration(labels, scores, bins=bins).error
