"""From an open file to mono samples at the file's own rate, piece by piece.

Seeking, averaging the channels, keeping time, and going on after damage; PyAV (FFmpeg) decodes.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.audio import ogg_chain
from earmark.audio.opening import opened, opened_file
from earmark.errors import UnreadableAudio

Samples = npt.NDArray[np.float32]

# FFmpeg's sample formats: how their numbers are stored, what full scale is, and what silence is.
_FORMATS: dict[str, tuple[npt.DTypeLike, float, float]] = {
    "u8": (np.uint8, 2.0**7, 2.0**7),
    "s16": (np.int16, 2.0**15, 0.0),
    "s32": (np.int32, 2.0**31, 0.0),  # 24-bit files too: their decoders shift them up
    "s64": (np.int64, 2.0**63, 0.0),
    "flt": (np.float32, 1.0, 0.0),
    "dbl": (np.float64, 1.0, 0.0),
}
# Seconds decoded ahead of a part and thrown away: up to one to meet the resampler's grid, the rest
# until the codec has forgotten that it began in the middle.
_WARM_UP = 2.0
# A hole between the times of two frames is missing audio if it is longer than clocks are coarse
# (asf, avi and matroska count in ms), and not so long that the clock itself must have jumped.
_SHORTEST_HOLE, _LONGEST_HOLE = 0.010, 30.0  # seconds
# Mean square above which a frame is nonsense. A square wave at full scale has 1, the hottest frame
# of 300 real Opus clips 1.2; but one flipped bit in AAC can decode to 80,000 times full scale,
# beside which all else in the clip is silence. Files that store floats are taken at their word, so
# long as their power fits into float32.
_LOUDEST, _LOUDEST_FLOAT = 16.0, 2.0**62
_RATES = range(1_000, 1 << 24)  # Hz; others are damage, and would swell in resampling
_PIECE = 1 << 16  # samples of a channel that are made into numbers at a time
_READ_ERRORS = 10  # in a row; a demuxer that cannot pass a place reports it for ever


class Piece(NamedTuple):
    """A stretch of decoded audio.

    position : seconds after the first sample that the whole file decodes to
    samples : float32 (n,), mono at `rate`
    """

    position: float
    rate: int
    samples: Samples


@dataclass
class Tally:
    """How decoding went: packets that were lost, and frames that hold sensible samples."""

    damaged: int = 0
    sound: int = 0


def decode(path: str | Path, *, start: float, tally: Tally) -> Generator[Piece]:
    """The file's audio from a little before `start` (seconds) to its end.

    The position of the first piece says where it begins: 0, or where a seek led, at least half of
    _WARM_UP before `start`. Damage before `start` is not counted. Where packets are missing there
    is silence, so that what follows stays in its place.

    Raises UnreadableAudio if nothing decodes.
    """
    with opened_file(path) as file:
        links = ogg_chain.links(file)
    tally.damaged = tally.sound = 0
    if len(links) > 1:
        yield from _chained(path, links, start, tally)
        return
    if start > 2 * _WARM_UP:
        pieces = _pieces(path, start, tally, seek=True)
        first = next(pieces, None)
        if first is not None and first.position <= start - _WARM_UP / 2:
            yield first
            yield from pieces
            return
        pieces.close()  # the format cannot seek, or not well
        tally.damaged = tally.sound = 0
    yield from _pieces(path, start, tally)


def _chained(
    path: str | Path, links: list[tuple[int, int]], start: float, tally: Tally
) -> Iterator[Piece]:
    """The files of an Ogg chain, one after the other; one that cannot be read counts as damage."""
    elapsed = 0.0  # seconds
    failure = None
    for link in links:
        try:
            for piece in _pieces(path, start - elapsed, tally, link=link):
                yield piece._replace(position=elapsed)
                elapsed += piece.samples.size / piece.rate
        except UnreadableAudio as error:
            tally.damaged += 1
            failure = error
    if elapsed == 0.0 and failure is not None:
        raise failure


def frames_of(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """Every av.AudioFrame with samples, in order; packets that do not decode are counted."""
    import av

    errors = 0
    while errors < _READ_ERRORS:
        try:
            for packet in container.demux(stream):
                errors = 0
                try:
                    frames = packet.decode()
                except MemoryError:
                    raise
                except av.FFmpegError:
                    tally.damaged += 1
                    continue
                for frame in frames:
                    if frame.sample_rate not in _RATES:
                        tally.damaged += 1
                    elif frame.samples > 0:
                        yield frame
        except MemoryError:
            raise
        except av.FFmpegError:
            tally.damaged += errors == 0
            errors += 1
        else:
            return


def first_frame(path: str | Path, frames: Iterator[Any], tally: Tally) -> Any:
    """The first frame; raises UnreadableAudio if there is none."""
    frame = next(frames, None)
    if frame is None:
        raise UnreadableAudio(
            path,
            f"it decodes to no samples ({tally.damaged} damaged packets). It is empty or damaged "
            "throughout: play it to check, and fetch it again",
        )
    return frame


def _pieces(
    path: str | Path,
    start: float,
    tally: Tally,
    *,
    seek: bool = False,
    link: tuple[int, int] | None = None,
) -> Generator[Piece]:
    import av

    with opened(path, link=link) as (container, stream):
        tick = float(stream.time_base)  # seconds
        ends = (container.format.name, stream.codec_context.name) == ("ogg", "vorbis")
        frames = frames_of(container, stream, tally)
        first = first_frame(path, frames, tally)
        origin = _pts(first, ends) or 0  # not 0 where the encoder's delay was cut off
        if tally.damaged and stream.start_time is not None:
            origin = min(origin, stream.start_time)  # silence for the packets before the first
        if seek:
            try:
                container.seek(origin + int((start - _WARM_UP) / tick), stream=stream)
            except av.FFmpegError:
                return
            frames = frames_of(container, stream, tally)
        else:
            frames = chain([first], frames)

        floats = stream.codec_context.name.startswith(("pcm_f", "wavpack"))
        loudest = _LOUDEST_FLOAT if floats else _LOUDEST
        run: list[Any] = []  # frames of one kind without a hole between them
        begin, length, kind = 0.0, 0, (0, "", 0)
        end = math.inf if seek else 0.0  # of the last frame, seconds
        damaged = tally.damaged  # when the last frame came
        longest = 0.0  # frame so far, seconds
        for frame in frames:
            rate, seconds = frame.sample_rate, frame.samples / frame.sample_rate
            pts = _pts(frame, ends)
            position = end if pts is None else (pts - origin) * tick
            if position < start:
                tally.damaged = damaged = 0
            is_hole = _SHORTEST_HOLE < position - end < _LONGEST_HOLE
            frame_kind = (rate, frame.format.name, frame.layout.nb_channels)
            if run and (is_hole or length >= _PIECE or frame_kind != kind):
                yield Piece(begin, kind[0], _mono(run, loudest, tally))
                run = []
            longest = max(longest, seconds)
            if is_hole:
                # At least so many packets; those that failed to decode are counted already.
                missing = max(1, round((position - end) / longest))
                tally.damaged += max(0, missing - (tally.damaged - damaged))
                silence = np.zeros(round((position - end) * rate), dtype=np.float32)
                yield Piece(end, rate, silence)
            if not run:
                begin, length, kind = position, 0, frame_kind
            run.append(frame)
            length += frame.samples
            end, damaged = position + seconds, tally.damaged
        if run:
            yield Piece(begin, kind[0], _mono(run, loudest, tally))


def _pts(frame: Any, by_end: bool) -> int | None:
    """When a frame begins, in ticks of its stream; None if the file does not say.

    by_end : in ogg FFmpeg times a Vorbis block late where long ones give way to short ones; the end
        that it gives is right, and one tick is one sample
    """
    pts: int | None = frame.pts
    if by_end and pts is not None and 0 < frame.duration < frame.samples:
        pts += frame.duration - frame.samples
    return pts


def _mono(frames: list[Any], loudest: float, tally: Tally) -> Samples:
    """The mean of the channels, float32 (n,), full scale at 1, of frames that are of one kind.

    A frame that is louder than `loudest`, or holds NaN, becomes silence and counts as damaged.
    """
    from av.audio.plane import AudioPlane

    dtype, full_scale, silence = _FORMATS[frames[0].format.name.removesuffix("p")]
    channels, planar = frames[0].layout.nb_channels, frames[0].format.is_planar
    lengths = np.array([frame.samples for frame in frames])

    def plane(index: int, width: int) -> Samples:
        # Not frame.planes nor to_ndarray(): PyAV looks for a null pointer after the last plane, and
        # from 8 channels on there is none.
        planes: list[Any] = [AudioPlane(frame, index) for frame in frames]
        return np.concatenate(
            [np.frombuffer(p, dtype, n * width) for p, n in zip(planes, lengths, strict=True)],
            dtype=np.float32,
            casting="unsafe",
        )

    with np.errstate(over="ignore", invalid="ignore"):
        if planar:
            # one at a time in memory
            parts: Iterator[Samples] = (plane(index, 1) for index in range(channels))
        else:
            parts = iter(plane(0, channels).reshape(-1, channels).T)
        mono = np.ascontiguousarray(next(parts))
        for part in parts:
            mono += part
        if silence:
            mono -= silence * channels
        mono *= 1.0 / (full_scale * channels)
        powers = np.add.reduceat(np.square(mono), np.cumsum(lengths) - lengths) / lengths
    sound = powers <= loudest  # also false for NaN
    if not sound.all():
        mono[np.repeat(~sound, lengths)] = 0.0
    tally.sound += int(sound.sum())
    tally.damaged += int((~sound).sum())
    return mono
