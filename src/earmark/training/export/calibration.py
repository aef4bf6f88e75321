"""Calibration: a slope and an offset for the logits of each tag (Platt scaling, 1999).

Few validation songs fix the two numbers of a tag poorly. So they are fitted for all tags together
first, and those of each tag are then drawn towards the shared ones.
"""

from __future__ import annotations

import numpy as np

from earmark.arrays import BoolArray, Float32Array, Float64Array
from earmark.model_file import Calibration, sigmoid

# Strengths of the penalties, in songs: of the shared numbers towards (1, 0), and of each tag's
# towards the shared ones.
_SHARED, _PER_TAG = 1.0, 10.0
_MIN_SLOPE = 0.05  # above 0, so that calibration keeps the order of the songs
_MAX_STEPS, _MAX_CHANGE = 100, 1.0  # of Newton's method


def calibrate(logits: Float32Array, labels: BoolArray) -> Calibration:
    """The slope and offset of each tag under which the labels are most likely.

    logits : float32 (n_songs, n_tags); labels : bool, same shape; of songs not learned from
    """
    x, y = logits.astype(np.float64), labels.astype(np.float64)
    shared = _fit(x.reshape(-1, 1), y.reshape(-1, 1), towards=(1.0, 0.0), strength=_SHARED)
    slope, offset = _fit(x, y, towards=(shared[0, 0], shared[1, 0]), strength=_PER_TAG)
    return Calibration(tuple(slope.tolist()), tuple(offset.tolist()))


def _fit(
    x: Float64Array, y: Float64Array, *, towards: tuple[float, float], strength: float
) -> Float64Array:
    """float64 (2, n_tags): slopes and offsets, by Newton's method on the penalised likelihood.

    x, y : float64 (n_songs, n_tags)
    """
    centre = np.array(towards)[:, None]
    slope, offset = np.repeat(centre, x.shape[1], axis=1)
    for _ in range(_MAX_STEPS):
        p = sigmoid(slope * x + offset)
        error, weight = p - y, p * (1 - p)
        by_slope = (error * x).sum(0) + strength * (slope - centre[0])
        by_offset = error.sum(0) + strength * (offset - centre[1])
        aa = (weight * x * x).sum(0) + strength
        bb = weight.sum(0) + strength
        ab = (weight * x).sum(0)
        determinant = aa * bb - ab * ab
        step = np.stack([bb * by_slope - ab * by_offset, aa * by_offset - ab * by_slope])
        step = np.clip(step / determinant, -_MAX_CHANGE, _MAX_CHANGE)  # or it overshoots
        slope, offset = np.maximum(slope - step[0], _MIN_SLOPE), offset - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return np.stack([slope, offset])
