"""The front end against librosa's, on one core, interleaved: python -m benchmarks.log_mel."""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import statistics
import time

import librosa
import numpy as np

from earmark.features import PRESETS, LogMel, log_mel

REPEATS = 40


def theirs(samples: np.ndarray, settings: LogMel) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=samples, sr=settings.rate, n_fft=settings.n_fft, hop_length=settings.hop,
        n_mels=settings.n_mels, fmin=settings.f_min, fmax=settings.f_max,
        htk=settings.mel_scale == "htk", pad_mode=settings.padding,
        norm="slaney" if settings.mel_norm == "slaney" else None,
    )  # fmt: skip
    return librosa.power_to_db(mel ** (settings.decibels / 10), top_db=settings.top_db)


def main() -> None:
    for name, settings in PRESETS.items():
        noise = np.random.default_rng(0).normal(0, 0.1, settings.window_samples)
        samples = noise.astype(np.float32)
        ours_ms, theirs_ms = [], []
        for _ in range(REPEATS + 2):
            started = time.perf_counter()
            log_mel(samples, settings=settings)
            between = time.perf_counter()
            theirs(samples, settings)
            ours_ms.append(1000 * (between - started))
            theirs_ms.append(1000 * (time.perf_counter() - between))
        ratios = sorted(b / a for a, b in zip(ours_ms[2:], theirs_ms[2:], strict=True))
        print(
            f"{name:<10} earmark {statistics.median(ours_ms):6.2f} ms  librosa "
            f"{statistics.median(theirs_ms):6.2f} ms  ratio {statistics.median(ratios):.2f} "
            f"({ratios[len(ratios) // 10]:.2f} to {ratios[-len(ratios) // 10]:.2f})"
        )


if __name__ == "__main__":
    main()
