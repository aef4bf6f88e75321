"""When the frames of a file are to be heard, by the times that its container keeps."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

# A hole between the times of two frames is missing audio if it is longer than clocks are coarse
# (asf, avi and matroska count in ms), and not so long that the clock itself must have jumped.
SHORTEST_HOLE, LONGEST_HOLE = 0.010, 30.0  # seconds


def clock(container: Any, stream: Any) -> Callable[[Any], int | None]:
    """What gives the time of a frame, in ticks of its stream; None where the file does not say."""
    name, codec = container.format.name, stream.codec_context.name
    if _keeps_no_time(name, codec):
        return _no_time
    return _vorbis_time if (name, codec) == ("ogg", "vorbis") else attrgetter("pts")


def _keeps_no_time(container: str, codec: str) -> bool:
    """Whether the times of frames are wrong though nothing is missing.

    AVI counts packets as if all were equally long. For FLAC in ASF and WTV FFmpeg's parser keeps
    ten frames back, and gives the first the time of none and the second that of the eleventh.
    """
    return container == "avi" or (codec == "flac" and container in ("asf", "wtv"))


def _no_time(_: Any) -> None:
    """The time of a frame in a container that does not keep it."""


def _vorbis_time(frame: Any) -> int | None:
    """When a block of Vorbis in ogg begins, in ticks of its stream; None if the file does not say.

    There FFmpeg times a block late where long ones give way to short ones; the end that it gives is
    right, and one tick is one sample.
    """
    pts: int | None = frame.pts
    if pts is not None and 0 < frame.duration < frame.samples:
        pts += frame.duration - frame.samples
    return pts
