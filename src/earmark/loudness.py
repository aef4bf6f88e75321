"""The loudness of music, with its pauses left out, and the gain that brings music to a given level.

After ITU-R BS.1770-4: blocks of 400 ms are measured, and those more than 10 dB below the mean of
all are left out. Without its K-weighting, for all that is asked is the same for the same music;
and without its gate at an absolute -70, so that music turned down measures just that much lower.
"""

from __future__ import annotations

import numpy as np

from earmark.arrays import Float32Array

# dB; up to this level a signal is silence, and is not changed. A 16-bit file's dither has -96.
SILENCE = -90.0
BLOCK_SECONDS = 0.4
GATE = 0.1  # of the mean power


def loudness(samples: Float32Array, *, rate: int) -> float:
    """Mean power of the blocks that sound, in dB; 0 is a square wave at full scale.

    samples : float32 (n_samples,), one or more, at `rate` Hz
    returns : -inf for digital silence
    """
    power = _power(samples, rate=rate)
    return float(10 * np.log10(power)) if power else -np.inf


def at_level(samples: Float32Array, *, rate: int, level: float) -> Float32Array:
    """The samples without their mean, as loud as `level` says; unchanged if they are silent.

    samples : float32 (n_samples,), one or more, at `rate` Hz; level : dB, as of `loudness`
    returns : float32 (n_samples,), the same for any gain before it and for any constant offset
    """
    centred: Float32Array = samples - samples.mean(dtype=np.float64).astype(np.float32)
    power = _power(centred, rate=rate)
    if power <= 10 ** (SILENCE / 10):
        return samples
    centred *= np.float32(10 ** (level / 20) / np.sqrt(power))
    return centred


def _power(samples: Float32Array, *, rate: int) -> float:
    starts = np.arange(0, samples.size, max(1, round(BLOCK_SECONDS * rate)))
    lengths = np.diff(starts, append=samples.size)
    energies = np.add.reduceat(np.square(samples), starts).astype(np.float64)
    gate = GATE * energies.sum() / samples.size
    if not gate:
        return 0.0
    # The gate opens from half to one and a half of that, not at once: no rounding can tip it.
    weights = np.clip(energies / lengths / gate - 0.5, 0, 1)
    return float(weights @ energies / (weights @ lengths))
