"""Windows of a track: the samples of one clip's length that a network hears at once.

Ways to choose them, each an iterator of Window: `whole`, `centre` and `centre_of`, `spread` and
`stretches`. Nothing is padded but a track that is shorter than one window. `pool` and `over_time`
put the answers to windows together again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark import audio
from earmark.arrays import Float32Array, Int64Array
from earmark.audio.length import length_of
from earmark.audio.stated import CutShort
from earmark.errors import BadValue, UnreadableAudio
from earmark.features import LogMel
from earmark.model_file import Pooling
from earmark.signal_check import Level

# Longer than the clips of 30 s that music services give, so that each is one block, and a window of
# it no copy.
_BLOCK_SECONDS = 45.0
_LONG = 2  # windows, from which on the middle of a file is sought


class Window(NamedTuple):
    """What a network hears at once.

    start : first sample, counted from the beginning of the track
    samples : float32 (window_samples,)
    n_valid : how many samples of the track are in it; the rest is silence or repetition
    """

    start: int
    samples: Float32Array
    n_valid: int


class Track:
    """A file or samples as mono blocks at `target_rate` Hz, measured as they pass.

    source : a file, or float32 (n_samples,) mono samples at `rate` Hz (earmark.audio.given)
    max_seconds : the track ends there; None takes all of it
    with_unrest : as of earmark.signal_check.Level
    limits : as of audio.load_audio
    n_samples, damaged_packets, level : of what has been read so far; after `centre_of`, n_samples
        is of the whole
    cut_short : of a file, once it was read to its end (audio.AudioStream)
    stated_seconds : of the whole file by its header, where only parts of it were read; else None
    """

    def __init__(
        self,
        source: Path | Float32Array,
        *,
        target_rate: int,
        rate: int | None = None,
        max_seconds: float | None = None,
        with_unrest: bool = True,
        limits: bool = True,
    ) -> None:
        self.rate = target_rate
        self.path = source if isinstance(source, Path) else None
        self.n_samples = 0
        self.damaged_packets = 0
        self.level = Level(target_rate, with_unrest=with_unrest)
        self.cut_short: CutShort | None = None
        self.stated_seconds: float | None = None
        self._max_seconds = max_seconds
        self._limits = limits
        self._blocks: audio.AudioStream | list[Float32Array]
        if isinstance(source, Path):
            self._blocks = audio.stream_audio(
                source,
                rate=target_rate,
                seconds=max_seconds,
                block_seconds=_BLOCK_SECONDS,
                limits=limits,
            )
        else:
            assert rate is not None
            resampled = audio.resample(source, rate=rate, target_rate=target_rate)
            end = None if max_seconds is None else max(1, round(max_seconds * target_rate))
            self._blocks = [resampled[:end]]

    def __iter__(self) -> Iterator[Float32Array]:
        for block in self.blocks():
            self.level.add(block)
            yield block

    def blocks(self) -> Iterator[Float32Array]:
        """The blocks, whose level is not measured."""
        for block in self._blocks:
            self.n_samples += block.size
            yield block
        if isinstance(self._blocks, audio.AudioStream):
            self.damaged_packets = self._blocks.damaged_packets
            self.cut_short = self._blocks.cut_short

    def duration(self) -> float | None:
        """Seconds that the file states; None if it does not."""
        assert self.path is not None
        return audio.probe(self.path, limits=self._limits).duration

    def parts(self, starts: Iterable[float], *, seconds: float) -> list[Float32Array]:
        """The samples from each of these starts (seconds) on, reached by seeking in the file.

        Empty where one of them cannot be read; then nothing was measured.
        """
        assert self.path is not None
        parts = []
        for start in starts:
            try:
                part = audio.load_audio(
                    self.path, rate=self.rate, start=start, seconds=seconds, limits=self._limits
                )
            except UnreadableAudio:  # no audio at that place
                return []
            if part.samples.size == 0:
                return []
            parts.append(part)
        for part in parts:
            self.n_samples += part.samples.size
            self.level.add(part.samples)
            self.damaged_packets += part.damaged_packets
        return [part.samples for part in parts]

    def seek_centre(self, n_samples: int) -> tuple[int, Float32Array] | None:
        """That many samples from the middle of a long file, after the number of the first of them.

        They are reached by seeking, and the rest is read but not decoded: of that only the length
        is known. None where the file is not long or that cannot be done.
        """
        if self.path is None or self._max_seconds is not None:  # which is soon decoded
            return None
        least = _LONG * n_samples / self.rate
        length = length_of(self.path, least=least, limits=self._limits)
        if length is None or length.at(self.rate) < _LONG * n_samples:
            return None
        first = (length.at(self.rate) - n_samples) // 2
        parts = self.parts([first / self.rate], seconds=n_samples / self.rate)
        if not parts:
            return None
        self.n_samples = length.at(self.rate)
        self.cut_short = length.cut_short
        return first, parts[0]


def whole(
    blocks: Iterable[Float32Array], *, settings: LogMel, hop_samples: int | None = None
) -> Iterator[Window]:
    """Every sample of a track that comes in blocks; holds no more than a window and a block.

    What remains at the end is heard in one more window, which ends where the track ends.

    blocks : float32 (n_samples,) each, in order, of any lengths
    hop_samples : from one window's start to the next; a whole window by default
    """
    for start, piece in _cut(blocks, length=settings.window_samples, hop=hop_samples):
        yield Window(start, fit(piece, settings=settings), piece.size)


def stretches(
    blocks: Iterable[Float32Array],
    *,
    settings: LogMel,
    stretch_samples: int,
    hop_samples: int | None = None,
) -> Iterator[Window]:
    """Every sample, in stretches shorter than a window, each repeated until it fills one.

    So each answer is about those few seconds alone. On 160 labelled clips a quarter of a window,
    repeated, scores as well as the whole window (studies/stretches.py).

    hop_samples : from one stretch's start to the next; a whole stretch by default
    """
    if stretch_samples > settings.window_samples:
        raise BadValue(
            f"a stretch of {stretch_samples} samples is longer than a window of "
            f"{settings.window_samples}; choose a shorter one"
        )
    for start, piece in _cut(blocks, length=stretch_samples, hop=hop_samples):
        yield Window(start, repeat(piece, settings=settings), piece.size)


def centre(blocks: Iterable[Float32Array], *, settings: LogMel) -> Iterator[Window]:
    """One window: the centre crop of a track that comes in blocks; none for no samples.

    Holds half the track: what lies before the middle of what has come so far cannot be in it.
    """
    size, held = settings.window_samples, _Held()
    for block in blocks:
        held.add(block)
        held.drop((held.end - size) // 2)
    if not held.end:
        return
    first = max(0, (held.end - size) // 2)
    crop = held.between(first, first + size)
    yield Window(first, fit(crop, settings=settings), crop.size)


def centre_of(track: Track, *, settings: LogMel) -> Iterator[Window]:
    """As `centre`; of a long file little but the window is decoded, where that can be done.

    The level of the track is that of the window.
    """
    found = track.seek_centre(settings.window_samples)
    if found is not None:
        start, samples = found
        yield Window(start, fit(samples, settings=settings), samples.size)
        return
    for window in centre(track.blocks(), settings=settings):
        track.level.add(window.samples[: window.n_valid])
        yield window


def spread(track: Track, number: int, *, settings: LogMel) -> Iterator[Window]:
    """That many windows, from the middles of equal parts of a file, reached by seeking.

    The `whole` track instead, if it is shorter than these windows together, if the file does not
    state its duration, or if one of these places holds no audio.

    Raises BadValue for a track of samples.
    """
    if track.path is None:
        raise BadValue("spread seeks in a file, and these are samples: leave it out")
    duration = track.duration()
    parts: list[Float32Array] = []
    starts: list[float] = []
    if duration is not None and duration > number * settings.seconds:
        starts = [(part + 0.5) / number * duration - settings.seconds / 2 for part in range(number)]
        parts = track.parts(starts, seconds=settings.seconds)
    if not parts:
        yield from whole(track, settings=settings)
        return
    track.stated_seconds = duration
    for start, samples in zip(starts, parts, strict=True):
        first = round(start * settings.rate)
        yield Window(first, fit(samples, settings=settings), samples.size)


def fit(samples: Float32Array, *, settings: LogMel) -> Float32Array:
    """A clip of settings.window_samples from one that is no longer, filled as the settings say.

    samples : float32 (n_samples,), 1 <= n_samples <= window_samples
    """
    missing = settings.window_samples - samples.size
    if samples.size == 0 or missing < 0:
        raise BadValue(f"{samples.size} samples do not fit a window of {settings.window_samples}")
    if not missing:
        return samples
    if settings.short == "repeat":
        return repeat(samples, settings=settings)
    return np.pad(samples, (0, missing))


def repeat(samples: Float32Array, *, settings: LogMel) -> Float32Array:
    """A clip of settings.window_samples: the samples, again and again."""
    return np.resize(samples, settings.window_samples)


def centre_crop(samples: Float32Array, *, settings: LogMel) -> Float32Array:
    """The middle of a track, one window long: the papers' way to hear a clip.

    samples : float32 (n_samples,), one or more
    returns : float32 (window_samples,)
    """
    spare = samples.size - settings.window_samples
    if spare <= 0:
        return fit(samples, settings=settings)
    return samples[spare // 2 : spare // 2 + settings.window_samples]


def pool(logits: Float32Array, *, pooling: Pooling = "logits") -> Float32Array:
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


def over_time(
    starts: Int64Array,
    logits: Float32Array,
    *,
    lengths: int | Int64Array,
    n_samples: int,
    cell_samples: int,
) -> Float32Array:
    """Logits over time: in each cell the mean of the windows that hear any of it.

    starts : int64 (n,), first sample of each window; logits : float32 (n, n_tags)
    lengths : samples of the track in each window, int64 (n,) or one number for all
    returns : float32 (n_cells, n_tags), cell i from i * cell_samples on
    """
    n_cells = max(1, -(-n_samples // cell_samples))
    cell_starts = np.arange(n_cells)[:, None] * cell_samples
    hears = (starts < cell_starts + cell_samples) & (starts + lengths > cell_starts)
    if not hears.any(axis=1).all():
        raise BadValue(
            "some part of the track lies in no window: choose a hop that is at most a window long"
        )
    weights = hears / hears.sum(axis=1, keepdims=True)
    cells: Float32Array = (weights @ logits).astype(np.float32)
    return cells


def _cut(
    blocks: Iterable[Float32Array], *, length: int, hop: int | None
) -> Iterator[tuple[int, Float32Array]]:
    """(first sample, float32 (length,)) at multiples of the hop, and once more at the track's end.

    One shorter piece for a track that is shorter; nothing for a track of no samples.
    """
    if hop is None:
        hop = length
    if not 0 < hop <= length:
        raise BadValue(f"a hop of {hop} samples leaves gaps; choose 1 to {length}")
    held, start = _Held(), 0
    for block in blocks:
        held.add(block)
        while held.end >= start + length:
            yield start, held.between(start, start + length)
            start += hop
        held.drop(min(start, held.end - length))  # the track may end here
    if 0 < held.end < length:
        yield 0, held.between(0, held.end)
    elif start and held.end > start - hop + length:
        yield held.end - length, held.between(held.end - length, held.end)


class _Held:
    """The end of a track that comes in blocks: what will still be asked for.

    end : samples that have come
    """

    def __init__(self) -> None:
        self._blocks: deque[Float32Array] = deque()
        self._start = self.end = 0  # of what is held

    def add(self, block: Float32Array) -> None:
        """Take what comes next."""
        self._blocks.append(block)
        self.end += block.size

    def drop(self, until: int) -> None:
        """Forget the blocks that end before a sample."""
        while self._blocks and self._start + self._blocks[0].size <= until:
            self._start += self._blocks.popleft().size

    def between(self, first: int, last: int) -> Float32Array:
        """The samples [first, last), as far as they have come: no copy where one block has them."""
        parts, start = [], self._start
        for block in self._blocks:
            part = block[max(0, first - start) : max(0, last - start)]
            if part.size:
                parts.append(part)
            start += block.size
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
