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
    power, _ = _power_and_mean(samples, rate=rate, less_mean=False)
    return float(10 * np.log10(power)) if power else -np.inf


def mean_and_gain(
    samples: Float32Array, *, rate: int, level: float
) -> tuple[np.float32, np.float32]:
    """The mean to take off, then the factor that makes the samples as loud as `level` says.

    samples : float32 (n_samples,), one or more, at `rate` Hz; level : dB, as of `loudness`
    returns : 0 and 1 for silence, which is left as it is
    """
    power, mean = _power_and_mean(samples, rate=rate, less_mean=True)
    if power <= 10 ** (SILENCE / 10):
        return np.float32(0), np.float32(1)
    return np.float32(mean), np.float32(10 ** (level / 20) / np.sqrt(power))


def at_level(samples: Float32Array, *, rate: int, level: float) -> Float32Array:
    """The samples without their mean, as loud as `level` says; unchanged if they are silent.

    samples : float32 (n_samples,), one or more, at `rate` Hz; level : dB, as of `loudness`
    returns : float32 (n_samples,), the same for any gain before it and for any constant offset
    """
    mean, gain = mean_and_gain(samples, rate=rate, level=level)
    return samples if mean == 0 and gain == 1 else (samples - mean) * gain


def _power_and_mean(samples: Float32Array, *, rate: int, less_mean: bool) -> tuple[float, float]:
    """Mean square of the blocks that sound, without the mean of all or with it; and that mean."""
    size = max(1, round(BLOCK_SECONDS * rate))
    blocks = [samples[start : start + size] for start in range(0, samples.size, size)]
    lengths = np.array([block.size for block in blocks])
    sums = np.array([block.sum() for block in blocks], dtype=np.float64)
    energies = np.array([block @ block for block in blocks], dtype=np.float64)
    mean = float(sums.sum() / samples.size)
    if less_mean and mean * mean > energies.sum() / samples.size / 100:
        # mostly a constant, whose square would leave the rest no digits
        blocks = [block - np.float32(mean) for block in blocks]
        energies = np.array([block @ block for block in blocks], dtype=np.float64)
    elif less_mean:
        energies = np.maximum(0, energies - 2 * mean * sums + lengths * mean**2)
    gate = GATE * energies.sum() / samples.size
    if not gate:
        return 0.0, mean
    # The gate opens from half to one and a half of that, not at once: no rounding can tip it.
    weights = np.clip(energies / lengths / gate - 0.5, 0, 1)
    return float(weights @ energies / (weights @ lengths)), mean
