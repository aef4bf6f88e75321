"""Occlusion: which regions of a spectrogram a tag depends on (Zeiler and Fergus 2014).

Each region is muted in turn. The result shows what the network is sensitive to and does not prove a
cause: it never learned from muted regions, and one region may replace another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark import windows
from earmark.arrays import Float32Array
from earmark.features import LogMel, log_mel
from earmark.runtime import BATCH
from earmark.tagger import Tagger

N_BANDS, N_TIMES = 8, 12  # regions of a window; each costs a pass through the network


def sensitivity(tagger: Tagger, samples: Float32Array, *, start: float) -> dict[str, Any]:
    """How far each tag's log-odds fall when a region of one window is muted.

    samples : float32 (n,), mono at the model's rate, from `start` (seconds) of the song; what goes
        beyond one window is left out
    returns : "mel_edges" (bands), "times" (seconds), and "falls"[tag][band][time] in nats; above
        zero the region speaks for the tag
    """
    settings = tagger.card.features
    heard = samples[: settings.window_samples]
    mel = log_mel(windows.fit(heard, settings=settings), settings=settings)
    n_frames = min(mel.shape[1], -(-heard.size // settings.hop))
    bands, frames = _edges(settings.n_mels, N_BANDS), _edges(n_frames, N_TIMES)
    base = _log_odds(tagger, mel[None])[0]
    falls = np.concatenate(
        [base - _log_odds(tagger, batch) for batch in _muted(mel, bands, frames, settings)]
    )
    grid = falls.T.reshape(len(tagger.tags), len(bands) - 1, len(frames) - 1)
    seconds = np.minimum(frames * settings.hop, heard.size) / settings.rate + start
    return {
        "mel_edges": bands.tolist(),
        "times": np.round(seconds, 3).tolist(),
        "tags": list(tagger.tags),
        "falls": np.round(grid.astype(np.float64), 3).tolist(),
    }


def _edges(n: int, parts: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, n, parts + 1).round().astype(np.int64))


def _muted(
    mel: Float32Array, bands: npt.NDArray[np.int64], frames: npt.NDArray[np.int64], settings: LogMel
) -> Iterator[Float32Array]:
    """The window with one region after the other at the level of silence, in batches."""
    silence = np.float32(settings.silence)
    if settings.top_db is not None:
        silence = max(silence, mel.max() - np.float32(settings.top_db))
    batch: list[Float32Array] = []
    for low, high in pairwise(bands):
        for first, last in pairwise(frames):
            copy = mel.copy()
            copy[low:high, first:last] = silence
            batch.append(copy)
            if len(batch) == BATCH:
                yield np.stack(batch)
                batch = []
    if batch:
        yield np.stack(batch)


def _log_odds(tagger: Tagger, mels: Float32Array) -> Float32Array:
    return tagger.card.log_odds(tagger.model.run(mels)[0])
