"""A track as the networks hear it: windows of one clip's length, and scores over time.

Every sample lies in a window. A track is cut at multiples of the hop; what remains at the end is
heard in one more window that ends where the track ends, so nothing is padded but a track that is
shorter than one window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.errors import BadValue
from earmark.features import LogMel
from earmark.model_file import Pooling


def fit(samples: Float32Array, *, settings: LogMel) -> Float32Array:
    """A clip of settings.window_samples from one that is no longer, filled as the settings say.

    samples : float32 (n_samples,), 1 <= n_samples <= window_samples
    """
    missing = settings.window_samples - samples.size
    if samples.size == 0 or missing < 0:
        raise BadValue(f"{samples.size} samples do not fit a window of {settings.window_samples}")
    if settings.short == "repeat":
        return np.resize(samples, settings.window_samples)
    return np.pad(samples, (0, missing))


def centre_crop(samples: Float32Array, *, settings: LogMel) -> Float32Array:
    """The middle of a track, one window long: the papers' way to hear a clip.

    samples : float32 (n_samples,), one or more
    returns : float32 (window_samples,)
    """
    spare = samples.size - settings.window_samples
    if spare <= 0:
        return fit(samples, settings=settings)
    return samples[spare // 2 : spare // 2 + settings.window_samples]


def centre(blocks: Iterable[Float32Array], *, settings: LogMel) -> tuple[int, Float32Array]:
    """The centre crop of a track that comes in blocks, and its first sample.

    Holds half the track: what lies before the middle of what has come so far cannot be in it.
    """
    size = settings.window_samples
    held = np.empty(0, dtype=np.float32)  # samples from `start` on
    start = 0
    for block in blocks:
        held = np.concatenate([held, block])
        spare = (start + held.size - size) // 2 - start
        if spare > size:  # now and then, not at each block
            held, start = held[spare:].copy(), start + spare
    first = max(0, (start + held.size - size) // 2)
    return first, centre_crop(held[first - start :][:size], settings=settings)


def cut(
    blocks: Iterable[Float32Array], *, settings: LogMel, hop_samples: int | None = None
) -> Iterator[tuple[int, Float32Array]]:
    """Windows of a track that comes in blocks, holding no more than a window and a block.

    blocks : float32 (n_samples,) each, in order, of any lengths
    hop_samples : from one window's start to the next; a whole window by default
    yields : (first sample, float32 (window_samples,)); nothing for a track of no samples
    """
    size = settings.window_samples
    hop = size if hop_samples is None else hop_samples
    if not 0 < hop <= size:
        raise BadValue(f"a hop of {hop} samples leaves gaps; choose 1 to {size}")
    held = np.empty(0, dtype=np.float32)  # samples from `start` on
    start = next_start = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while start + held.size >= next_start + size:
            yield next_start, held[next_start - start :][:size]
            next_start += hop
        # the last window's length must stay: the track may end here
        spare = min(next_start - start, held.size - size)
        if spare > 0:
            held, start = held[spare:], start + spare
    end = start + held.size
    if next_start == 0 and end > 0:
        yield 0, fit(held, settings=settings)
    elif next_start and end > next_start - hop + size:
        yield end - size, held[-size:]


def pool(
    logits: npt.NDArray[np.float32], *, pooling: Pooling = "logits"
) -> npt.NDArray[np.float32]:
    """One track's logits from those of its windows, each of which has one vote.

    logits : float32 (n_windows, n_tags), one window or more
    pooling : the mean of the logits, or the log-odds of the mean score
    returns : float32 (n_tags,)
    """
    if pooling == "logits" or len(logits) == 1:
        return np.asarray(logits.mean(axis=0), dtype=np.float32)
    wide = logits.astype(np.float64)
    # log(sum of sigmoids) - log(sum of the rest), from logarithms: small scores keep their digits
    yes, rest = (np.logaddexp.reduce(-np.logaddexp(0, x), axis=0) for x in (-wide, wide))
    return np.asarray(yes - rest, dtype=np.float32)


def repeat(stretch: Float32Array, *, settings: LogMel) -> Float32Array:
    """A stretch of a track, again and again until it fills a window.

    On 160 labelled clips a quarter of a window, repeated, scores as well as the whole window
    (studies/stretches.py), so it shows what a few seconds alone sound like.
    """
    return np.resize(stretch, settings.window_samples)


def over_time(
    starts: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float32],
    *,
    length: int,
    n_samples: int,
    cell_samples: int,
) -> npt.NDArray[np.float32]:
    """Logits over time: in each cell the mean of what was heard with any of it.

    starts : int64 (n,), first sample of each stretch; logits : float32 (n, n_tags)
    length : samples of a stretch
    returns : float32 (n_cells, n_tags), cell i from i * cell_samples on
    """
    n_cells = max(1, -(-n_samples // cell_samples))
    cell_starts = np.arange(n_cells)[:, None] * cell_samples
    heard = (starts < cell_starts + cell_samples) & (starts + length > cell_starts)
    if not heard.any(axis=1).all():
        raise BadValue("part of the track was not heard: the hop is longer than the stretch")
    weights = heard / heard.sum(axis=1, keepdims=True)
    cells: npt.NDArray[np.float32] = (weights @ logits).astype(np.float32)
    return cells
