"""Other ways to the spectrogram of one window: python -m benchmarks.transforms.

The Fourier transforms by NumPy (as earmark has them), SciPy and torch; the product with the filter
bank by bands of mels (as earmark has it), as a whole, and sparse. On one core, in turns, each
block of frames as large as earmark's.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.sparse
import torch

from earmark.features import _BLOCK, PRESETS, LogMel, _bands, mel_filters

TURNS = 60


def main() -> None:
    torch.set_num_threads(1)
    for name in ("efficientat-level", "choi2016"):
        settings = PRESETS[name]
        n_blocks = settings.n_frames / _BLOCK
        for title, ways in (("FFT", transforms(settings)), ("mel", products(settings))):
            times = in_turns(ways)
            first = next(iter(times.values()))
            for way, seconds in times.items():
                ms = 1000 * n_blocks * statistics.median(seconds)
                ratio = statistics.median(b / a for a, b in zip(first, seconds, strict=True))
                print(f"{name:18} {title}  {way:14} {ms:6.2f} ms a window  {ratio:5.2f}")


def transforms(settings: LogMel) -> dict[str, Callable[[], object]]:
    frames = _random(_BLOCK, settings.n_fft)
    spectrum = np.empty((_BLOCK, 1 + settings.n_fft // 2), dtype=np.complex64)
    tensor = torch.from_numpy(frames)
    return {
        "NumPy": lambda: np.fft.rfft(frames, axis=1, norm="forward", out=spectrum),  # type: ignore[arg-type]
        "SciPy": lambda: scipy.fft.rfft(frames, axis=1),
        "torch": lambda: torch.fft.rfft(tensor),
    }


def products(settings: LogMel) -> dict[str, Callable[[], object]]:
    power = _random(_BLOCK, 1 + settings.n_fft // 2)
    filters, mel = mel_filters(settings), np.empty((settings.n_mels, _BLOCK), dtype=np.float32)
    sparse = scipy.sparse.csr_array(filters)

    def bands() -> None:
        for rows, bins, band in _bands(settings):
            np.matmul(band, power[:, bins].T, out=mel[rows])

    return {
        "bands": bands,
        "whole": lambda: np.matmul(filters, power.T, out=mel),
        "sparse": lambda: sparse @ power.T,
    }


def in_turns(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each turn, by way."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 2):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            if turn > 1:
                times[name].append(time.perf_counter() - started)
    return times


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


if __name__ == "__main__":
    main()
