"""Mixes decoded frames to mono float32; NaN and samples far beyond full scale become silence.

It is the mean of the channels. Where they are in antiphase that mean is silent though music plays:
there it leans towards every other channel, the left one of each pair. What a silent channel takes
away is a constant gain, which the level in a model's features makes up for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.audio.stated import CutShort, cut_short

# FFmpeg's sample formats: how their numbers are stored, what full scale is, and what silence is.
_FORMATS: dict[str, tuple[np.dtype[Any], float, float]] = {
    "u8": (np.dtype(np.uint8), 2.0**7, 2.0**7),
    "s16": (np.dtype(np.int16), 2.0**15, 0.0),
    "s32": (np.dtype(np.int32), 2.0**31, 0.0),  # 24-bit files too: their decoders shift them up
    "s64": (np.dtype(np.int64), 2.0**63, 0.0),
    "flt": (np.dtype(np.float32), 1.0, 0.0),
    "dbl": (np.dtype(np.float64), 1.0, 0.0),
}
# Mean square above which a frame is nonsense. A square wave at full scale has 1, the hottest frame
# of 300 real Opus clips 1.2; but one flipped bit in AAC can decode to 80,000 times full scale,
# beside which all else in the clip is silence. Files that store floats are taken at their word, so
# long as their power fits into float32.
_LOUDEST, _LOUDEST_FLOAT = 16.0, 2.0**62

# How opposed two sides are: -2ab / (a^2 + b^2), from -1 (equal) over 0 (unrelated, or one is
# silent) to 1 (antiphase). Up to the first the mean keeps a fifth of the energy and is kept; from
# the second on, where it keeps a twentieth, one side alone is taken; in between both are mixed.
_OPPOSED, _ANTIPHASE = 0.6, 0.9
_STEPS_PER_SECOND = 20
_NOTHING = np.zeros(0, dtype=np.float32)
_MEMORY = 10  # steps: half a second, less than what is decoded before a part of a file


@dataclass
class Tally:
    """How decoding went: packets that were lost, and frames that hold sensible samples.

    stated : seconds that the file says it has, if it does (earmark.audio.stated)
    """

    damaged: int = 0
    sound: int = 0
    stated: float | None = None
    has_last_page: bool = True

    def cut_short(self, seconds: float) -> CutShort | None:
        """What is missing of a file that was decoded to its end, `seconds` long."""
        if not self.has_last_page:
            return CutShort(seconds, None)
        return cut_short(seconds, stated=self.stated)


def loudest_of(codec: str) -> float:
    """The mean square above which a frame of this codec is nonsense."""
    return _LOUDEST_FLOAT if codec.startswith(("pcm_f", "wavpack")) else _LOUDEST


def sides(
    frames: list[Any],
    *,
    loudest: float,
    tally: Tally,
    held: tuple[Float32Array, Float32Array] = (_NOTHING, _NOTHING),
) -> tuple[Float32Array, Float32Array | None]:
    """What the even and the odd channels bring to the mean of all, of frames that are of one kind.

    held : what either side begins with (Mixer.held), so that it is not copied once more
    returns : float32 (n,) each, full scale at 1 in their sum; None for the odd ones of one channel

    A frame that is louder than `loudest`, or holds NaN, becomes silence and counts as damaged.
    """
    kind = frames[0].format
    dtype, full_scale, silence = _FORMATS[kind.name.removesuffix("p")]
    n_channels = frames[0].layout.nb_channels
    lengths = [frame.samples for frame in frames]

    with np.errstate(over="ignore", invalid="ignore"):
        interleaved = None
        if not kind.is_planar:
            widths = [n * n_channels for n in lengths]
            interleaved = _joined(_plane(frames, 0, widths, dtype))
        both: list[Float32Array] = []
        for i in range(n_channels):  # one at a time in memory
            if interleaved is None:
                channel = _plane(frames, i, lengths, dtype)
            else:
                channel = [interleaved[i::n_channels]]
            if i < 2:
                both.append(_joined([held[i], *channel]))
            else:
                both[i % 2][held[i % 2].size :] += _joined(channel)
        new = [side[before.size :] for side, before in zip(both, held, strict=False)]
        for i, side in enumerate(new):
            if silence:
                side -= np.float32(silence * len(range(i, n_channels, 2)))
            side *= np.float32(1.0 / (full_scale * n_channels))
        # Whole numbers do not pass full scale. If all frames together have less energy than the
        # shortest may have, none can be too loud.
        n_silenced = 0
        if dtype.kind == "f" and not _energy(new) <= loudest * min(lengths):
            n_silenced = _silence(new, lengths, loudest)
    tally.damaged += n_silenced
    tally.sound += len(frames) - n_silenced
    return both[0], both[1] if n_channels > 1 else None


class Mixer:
    """Two sides to mono, as they come; what it gives does not depend on where they were cut.

    The mean leans to one side by how opposed they were in the half second before a step of the file
    and in that step; within a step it leans gradually to what the next one says. So up to two steps
    are held back.

    next : sample of the file that comes next
    held : of either side, float32 (n,): what the next two begin with
    """

    def __init__(self, *, rate: int, first: int) -> None:
        self.rate = rate
        self.next = first
        self._step = max(1, rate // _STEPS_PER_SECOND)  # samples
        self._filling = first % self._step  # zeros that make the first step whole
        self.held = (np.zeros(self._filling, dtype=np.float32),) * 2
        # of the steps before those that are held: sums of a^2 + b^2 and of -2ab
        self._past = np.zeros((2, _MEMORY))

    def mix(
        self, even: Float32Array, odd: Float32Array | None, *, last: bool = False
    ) -> Float32Array:
        """Mono of two sides that begin with what is held, but their end unless they are the last.

        One side alone is mono as it is, and nothing of it is held.
        """
        if odd is None:  # one channel needs no weights
            mono = even[self.held[0].size :]
            self.next += mono.size
            return mono
        a, b = even, odd
        if last:
            # silence fills the last step, and the one that is looked at behind it
            rest = np.zeros(-a.size % self._step + self._step, dtype=np.float32)
            a, b = np.concatenate([a, rest]), np.concatenate([b, rest])
        n_steps = a.size // self._step
        ready = max(0, n_steps - 1) * self._step
        # copies, so that the memory of the rest is free for the next ones while it is warm
        self.held = a[ready:].copy(), b[ready:].copy()
        mixed: Float32Array = a[:ready] + b[:ready]
        if ready:
            leaning = self._leaning(a, b, n_steps)
            if leaning is not None:
                edges = np.arange(n_steps) * self._step
                weights = np.interp(np.arange(ready), edges, leaning).astype(np.float32)
                mixed += weights * (a[:ready] - b[:ready])
            mixed = mixed[self._filling : even.size]
            self._filling = 0
        self.next += mixed.size
        return mixed

    def _leaning(
        self, a: Float32Array, b: Float32Array, n_steps: int
    ) -> npt.NDArray[np.float64] | None:
        """How far the mean leans to side a where each step begins, from 0 to 1; (n_steps,).

        None if it nowhere leans.
        """
        a, b = (side[: n_steps * self._step].reshape(n_steps, -1) for side in (a, b))
        powers = np.vecdot(a, a) + np.vecdot(b, b)
        sums = np.concatenate([self._past, [powers, -2 * np.vecdot(a, b)]], axis=1)
        self._past = sums[:, n_steps - 1 :][:, :_MEMORY]
        if (sums[1] <= _OPPOSED * sums[0]).all():  # as in most music; so is each sum of them
            return None
        recent = np.ones(_MEMORY + 1)
        powers, opposed = (np.convolve(row, recent, mode="valid") for row in sums)
        ratios = np.divide(opposed, powers, out=np.zeros(n_steps), where=powers > 0)
        leaning: npt.NDArray[np.float64] = (ratios - _OPPOSED) / (_ANTIPHASE - _OPPOSED)
        return leaning.clip(0, 1) if leaning.max() > 0 else None


def _plane(
    frames: list[Any], index: int, widths: list[int], dtype: np.dtype[Any]
) -> list[npt.NDArray[Any]]:
    """The numbers of one plane of each frame."""
    from av.audio.plane import AudioPlane

    # Not frame.planes nor to_ndarray(): PyAV looks for a null pointer after the last plane, and
    # from 8 channels on there is none.
    planes: list[Any] = [AudioPlane(frame, index) for frame in frames]
    return [np.frombuffer(plane, dtype, n) for plane, n in zip(planes, widths, strict=True)]


def _joined(parts: list[npt.NDArray[Any]]) -> Float32Array:
    return np.concatenate(parts, dtype=np.float32, casting="same_kind")


def _silence(both: list[Float32Array], lengths: list[int], loudest: float) -> int:
    """Make each frame that is too loud, or holds NaN, silent; returns how many.

    both : the sides, of all frames; lengths : of each of them
    """
    n_silenced = first = 0
    for length in lengths:
        frame = [side[first : first + length] for side in both]
        first += length
        if not _energy(frame) <= loudest * length:  # or NaN
            n_silenced += 1
            for side in frame:
                side[:] = 0.0
    return n_silenced


def _energy(both: list[Float32Array]) -> float:
    """What the sum of the sides has at most."""
    return len(both) * sum(float(side @ side) for side in both)
