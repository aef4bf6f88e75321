"""Scores that mean what they say: a slope and an offset for the logits of each tag (Platt 1999).

A tag with few validation songs cannot tell two numbers well. So all tags together tell them first,
and each tag departs from that as far as its songs insist.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float64Array
from earmark.model_file import Calibration, sigmoid

# Songs of evidence that as much weight is on: of (1, 0) for what all tags say together, and of that
# for each tag.
_SHARED, _ALONE = 1.0, 10.0
_LEAST_SLOPE = 0.05  # calibrated scores must keep the order of the songs
_STEPS, _LONGEST = 100, 1.0


def calibrate(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]) -> Calibration:
    """The slope and offset of each tag that make its scores most likely true.

    logits : float32 (n_songs, n_tags); labels : bool, same shape; songs not learned from
    """
    x, y = logits.astype(np.float64), labels.astype(np.float64)
    shared = _fit(x.reshape(-1, 1), y.reshape(-1, 1), towards=(1.0, 0.0), strength=_SHARED)
    slope, offset = _fit(x, y, towards=(shared[0, 0], shared[1, 0]), strength=_ALONE)
    return Calibration(tuple(slope.tolist()), tuple(offset.tolist()))


def _fit(
    x: Float64Array, y: Float64Array, *, towards: tuple[float, float], strength: float
) -> Float64Array:
    """float64 (2, n_tags): slopes and offsets, by Newton's method on the penalised likelihood.

    x, y : float64 (n_songs, n_tags)
    """
    centre = np.array(towards)[:, None]
    slope, offset = np.repeat(centre, x.shape[1], axis=1)
    for _ in range(_STEPS):
        p = sigmoid(slope * x + offset)
        error, weight = p - y, p * (1 - p)
        by_slope = (error * x).sum(0) + strength * (slope - centre[0])
        by_offset = error.sum(0) + strength * (offset - centre[1])
        aa = (weight * x * x).sum(0) + strength
        bb = weight.sum(0) + strength
        ab = (weight * x).sum(0)
        determinant = aa * bb - ab * ab
        step = np.stack([bb * by_slope - ab * by_offset, aa * by_offset - ab * by_slope])
        step = np.clip(step / determinant, -_LONGEST, _LONGEST)  # far from the end it overshoots
        slope, offset = np.maximum(slope - step[0], _LEAST_SLOPE), offset - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return np.stack([slope, offset])
