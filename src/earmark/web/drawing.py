"""Data of the page's plots, as JSON: waveform, spectrogram and tags over time."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.features import LogMel, mel_filters
from earmark.files import Json
from earmark.taggrams import Taggram, spectrogram

_WAVE_COLUMNS = 1500
_MEL_COLUMNS = 1500
_RANGE = (8.0, 99.7)  # percentiles of the spectrogram's levels that its colours span


def waveform(samples: Float32Array) -> Json:
    """Lowest and highest sample of each column, in thousandths of the peak.

    samples : float32 (n,), one or more
    """
    peak = float(np.abs(samples).max()) or 1.0
    n_columns = min(_WAVE_COLUMNS, samples.size)
    starts = np.arange(n_columns, dtype=np.int64) * samples.size // n_columns
    ends = (np.minimum, "low"), (np.maximum, "high")
    return {
        name: np.round(1000 * of.reduceat(samples, starts) / peak).astype(int).tolist()
        for of, name in ends
    }


def mel_image(samples: Float32Array, *, settings: LogMel) -> Json:
    """The spectrogram in 256 steps, and which band is which frequency.

    samples : float32 (n,), mono at settings.rate
    """

    def pieces() -> Iterator[Float32Array]:
        for first in range(0, samples.size, settings.window_samples):
            yield samples[first : first + settings.window_samples]

    seconds = samples.size / settings.rate
    mel = spectrogram(pieces(), settings=settings, column_seconds=seconds / _MEL_COLUMNS)
    floor, top = (float(np.percentile(mel, share)) for share in _RANGE)
    steps = np.clip((mel - floor) / max(top - floor, 1e-6), 0, 1) * 255
    return {
        "z": typed_array(steps.astype(np.uint8)),
        "hz": [round(hz) for hz in centres(settings)],
    }


def centres(settings: LogMel) -> list[float]:
    """The centre frequency of each mel band, in Hz."""
    hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.rate)
    filters = mel_filters(settings)
    total = filters.sum(axis=1)
    weighted = filters @ hz
    return [float(hz) for hz in weighted / np.where(total > 0, total, 1)]


def over_time(gram: Taggram) -> Json:
    """A taggram as JSON: scores[tag][cell] in [0, 1]."""
    return {
        "seconds": np.round(gram.seconds, 3).tolist(),
        "duration": round(gram.duration, 3),
        "tags": list(gram.tags),
        "scores": np.round(gram.scores.T.astype(np.float64), 4).tolist(),
    }


def typed_array(array: npt.NDArray[np.uint8]) -> Json:
    """An array as plotly.js reads it: base64 bytes, much shorter than a number's text for each."""
    return {
        "dtype": "u1",
        "bdata": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
        "shape": ", ".join(map(str, array.shape)),
    }
