"""Other ways to the spectrogram of one window: python -m benchmarks.transforms.

The Fourier transforms by NumPy (as earmark has them), SciPy and torch; the product with the filter
bank by bands of mels (as earmark has it), as a whole, and sparse. On one core, in turns, each
block of frames as large as earmark's.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import statistics
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.sparse
import torch

from benchmarks.turns import in_turns
from earmark.features import _BLOCK, PRESETS, LogMel, _bands, mel_filters

TURNS, BLOCKS = 30, 10
Work = Callable[[int], object]  # on the block of that number, of which all are alike


def main() -> None:
    torch.set_num_threads(1)
    for name in ("efficientat-level", "choi2016"):
        settings = PRESETS[name]
        n_blocks = settings.n_frames / _BLOCK
        for title, ways in (("FFT", transforms(settings)), ("mel", products(settings))):
            times = in_turns(ways, range(BLOCKS), TURNS)
            first = next(iter(times.values()))
            for way, of_block in times.items():
                ms = n_blocks * statistics.median(of_block)
                ratio = statistics.median(b / a for a, b in zip(first, of_block, strict=True))
                print(f"{name:18} {title}  {way:14} {ms:6.2f} ms a window  {ratio:5.2f}")


def transforms(settings: LogMel) -> dict[str, Work]:
    frames = _random(_BLOCK, settings.n_fft)
    spectrum = np.empty((_BLOCK, 1 + settings.n_fft // 2), dtype=np.complex64)
    tensor = torch.from_numpy(frames)
    return {
        "NumPy": lambda _: np.fft.rfft(frames, axis=1, norm="forward", out=spectrum),  # type: ignore[arg-type]
        "SciPy": lambda _: scipy.fft.rfft(frames, axis=1),
        "torch": lambda _: torch.fft.rfft(tensor),
    }


def products(settings: LogMel) -> dict[str, Work]:
    power = _random(_BLOCK, 1 + settings.n_fft // 2)
    filters, mel = mel_filters(settings), np.empty((settings.n_mels, _BLOCK), dtype=np.float32)
    sparse = scipy.sparse.csr_array(filters)

    def bands(_: int) -> None:
        for rows, bins, band in _bands(settings):
            np.matmul(band, power[:, bins].T, out=mel[rows])

    return {
        "bands": bands,
        "whole": lambda _: np.matmul(filters, power.T, out=mel),
        "sparse": lambda _: sparse @ power.T,
    }


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


if __name__ == "__main__":
    main()
