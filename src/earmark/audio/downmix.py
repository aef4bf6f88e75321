"""Decoded frames to mono: the mean of the channels, in float32, and nonsense made silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array

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


@dataclass
class Tally:
    """How decoding went: packets that were lost, and frames that hold sensible samples."""

    damaged: int = 0
    sound: int = 0


def loudest_of(codec: str) -> float:
    """The mean square above which a frame of this codec is nonsense."""
    return _LOUDEST_FLOAT if codec.startswith(("pcm_f", "wavpack")) else _LOUDEST


def mono(frames: list[Any], *, loudest: float, tally: Tally) -> Float32Array:
    """The mean of the channels, float32 (n,), full scale at 1, of frames that are of one kind.

    A frame that is louder than `loudest`, or holds NaN, becomes silence and counts as damaged.
    """
    kind = frames[0].format
    dtype, full_scale, silence = _FORMATS[kind.name.removesuffix("p")]
    n_channels = frames[0].layout.nb_channels
    lengths = [frame.samples for frame in frames]

    with np.errstate(over="ignore", invalid="ignore"):
        if kind.is_planar:
            mixed = _plane(frames, 0, lengths, dtype).astype(np.float32, copy=False)
            for channel in range(1, n_channels):  # one at a time in memory
                mixed += _plane(frames, channel, lengths, dtype)
        else:
            widths = [n * n_channels for n in lengths]
            # from integers at once: taken out of them one by one it takes twice as long
            interleaved = _plane(frames, 0, widths, dtype).astype(np.float32, copy=False)
            mixed = np.ascontiguousarray(interleaved[::n_channels])
            for channel in range(1, n_channels):
                mixed += interleaved[channel::n_channels]
        if silence:
            mixed -= np.float32(silence * n_channels)
        mixed *= np.float32(1.0 / (full_scale * n_channels))
        # If all together have less energy than the shortest may have, none can be too loud.
        n_silenced = 0
        if not mixed @ mixed <= loudest * min(lengths):
            n_silenced = _silence(mixed, np.array(lengths), loudest)
    tally.damaged += n_silenced
    tally.sound += len(frames) - n_silenced
    return mixed


def _plane(
    frames: list[Any], index: int, widths: list[int], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """The numbers of one plane of each frame, one frame after the other."""
    from av.audio.plane import AudioPlane

    # Not frame.planes nor to_ndarray(): PyAV looks for a null pointer after the last plane, and
    # from 8 channels on there is none.
    planes: list[Any] = [AudioPlane(frame, index) for frame in frames]
    return np.concatenate(
        [np.frombuffer(plane, dtype, n) for plane, n in zip(planes, widths, strict=True)]
    )


def _silence(samples: Float32Array, lengths: npt.NDArray[np.int64], loudest: float) -> int:
    """Make each frame that is too loud, or holds NaN, silent; returns how many.

    samples : of all frames; lengths : of each of them
    """
    powers = np.add.reduceat(np.square(samples), np.cumsum(lengths) - lengths) / lengths
    loud = ~(powers <= loudest)  # also true for NaN
    samples[np.repeat(loud, lengths)] = 0.0
    return int(loud.sum())
