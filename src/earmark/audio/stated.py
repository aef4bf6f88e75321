"""How long a file says that it is, by its container or header; to tell that its end is missing.

FFmpeg's duration is what the header says in some formats, and in others what it guesses from the
size of the file.
"""

from __future__ import annotations

from struct import Struct
from types import SimpleNamespace
from typing import Any, NamedTuple

from earmark.audio import asf_header
from earmark.audio.trailers import synchsafe
from earmark.counted import clock

# Of these FFmpeg reports what is written in them.
_STATED_BY_STREAM = {
    "aiff", "ape", "au", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mpc", "mpc8", "tak", "tta", "wv",
}  # fmt: skip
_STATED_BY_CONTAINER = {"matroska,webm", "flv"}  # of the longest stream in it
_LONGEST_MISSING = 1.0, 0.01  # seconds, and share of the whole: rounding, delays of encoders
_BELIEVED = 1e6  # seconds, eleven days; more is damage of the header

_ID3_BYTES = 10  # of the header of ID3v2, the last four of which say how long the tag is
_CHUNK = {b"RIFF": Struct("<4sI"), b"RIFX": Struct(">4sI"), b"RF64": Struct("<4sI")}
_RATE = {b"RIFF": Struct("<8xI"), b"RIFX": Struct(">8xI"), b"RF64": Struct("<8xI")}  # bytes/s
_DS64 = Struct("<8xQ")  # bytes of the audio where 32 bits are too few (EBU Tech 3306)
_UNKNOWN = (0, 0xFFFFFFFF)  # what is written before the length is known
_MOST_CHUNKS = 100


class CutShort(NamedTuple):
    """A file that ends too early.

    seconds : where it ends
    stated : seconds that it says it has; None where only its last page is missing (Ogg)
    """

    seconds: float
    stated: float | None

    def __str__(self) -> str:
        end = clock(self.seconds)
        if self.stated is None:
            return f"it is cut short: it ends at {end}, and its last page is missing"
        return f"it is cut short: {end} of {clock(self.stated)}"


def cut_short(seconds: float, *, stated: float | None) -> CutShort | None:
    """Whether a file of so many seconds lacks some of those that it states."""
    least, share = _LONGEST_MISSING
    if stated is None or not 0 < stated < _BELIEVED:
        return None
    if stated - seconds <= max(least, share * stated):
        return None
    return CutShort(seconds, stated)


def stated_seconds(container: Any, stream: Any, source: SimpleNamespace) -> float | None:
    """How many seconds of audio an open file says it has; None if it does not say."""
    name = container.format.name
    has_duration = stream.duration is not None and stream.duration > 0
    place = source.tell()
    try:
        if name == "wav":
            return _wave_seconds(source)
        if name == "asf":
            return asf_header.seconds(source)
        if has_duration and (
            name in _STATED_BY_STREAM or (name == "mp3" and _counts_its_frames(source))
        ):
            return float(stream.duration * stream.time_base)
        if name in _STATED_BY_CONTAINER and len(container.streams) == 1 and container.duration:
            return float(container.duration) / 1e6  # AV_TIME_BASE counts microseconds
        return None
    finally:
        source.seek(place)


def _counts_its_frames(source: SimpleNamespace) -> bool:
    """Whether the first frame of an MP3 is a header of Xing, LAME or Fraunhofer."""
    source.seek(0)
    head = source.read(_ID3_BYTES)
    start = 0
    if head.startswith(b"ID3") and len(head) == _ID3_BYTES:
        start = _ID3_BYTES + synchsafe(head[-4:])
    source.seek(start)
    first = source.read(4096)
    return any(name in first for name in (b"Xing", b"Info", b"VBRI"))


def _wave_seconds(source: SimpleNamespace) -> float | None:
    source.seek(0)
    form = source.read(4)
    if form not in _CHUNK:
        return None
    chunk = _CHUNK[form]
    at, rate, large = 12, 0, 0
    for _ in range(_MOST_CHUNKS):
        source.seek(at)
        header = source.read(chunk.size)
        if len(header) < chunk.size:
            return None
        kind, n_bytes = chunk.unpack(header)
        if kind == b"data":
            n_bytes = large if form == b"RF64" else n_bytes
            return None if n_bytes in _UNKNOWN or not rate else n_bytes / rate
        if kind in (b"fmt ", b"ds64"):
            body = source.read(_DS64.size)
            if len(body) < _DS64.size:
                return None
            if kind == b"ds64":
                [large] = _DS64.unpack(body)
            else:
                [rate] = _RATE[form].unpack(body[: _RATE[form].size])
        at += chunk.size + n_bytes + n_bytes % 2
    return None
