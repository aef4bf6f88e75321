"""Decodes an open file to mono samples at the file's own rate, piece by piece, with PyAV (FFmpeg).

It seeks, keeps time, and goes on after damage.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.arrays import Float32Array
from earmark.audio import ogg_chain
from earmark.audio.budget import Budget
from earmark.audio.downmix import Mixer, Tally, loudest_of, sides
from earmark.audio.frame_times import LONGEST_HOLE, SHORTEST_HOLE, clock
from earmark.audio.opening import opened, opened_file
from earmark.audio.stated import stated_seconds
from earmark.errors import UnreadableAudio

# Seconds decoded ahead of a part and thrown away: up to one to meet the resampler's grid, the rest
# until the codec has forgotten that it began in the middle.
_WARM_UP = 2.0
_RATES = range(1_000, 1 << 24)  # Hz; others are damage, and would swell in resampling
_PIECE = 1 << 15  # samples of a channel that are made into numbers at a time
_READ_ERRORS = 10  # in a row; a demuxer that cannot get past a place reports it without end


class Piece(NamedTuple):
    """A stretch of decoded audio.

    position : seconds after the first sample that the whole file decodes to
    samples : float32 (n,), mono at `rate`
    """

    position: float
    rate: int
    samples: Float32Array


def decode(
    path: str | Path, *, start: float, tally: Tally, limits: bool = True
) -> Generator[Piece]:
    """The file's audio from a little before `start` (seconds) to its end.

    limits : False decodes a file whatever it costs (audio.budget)

    The position of the first piece says where it begins: 0, or where a seek led, at least half of
    _WARM_UP before `start`. Damage before `start` is not counted. Where packets are missing there
    is silence, so that what follows stays in its place.

    Raises UnreadableAudio if nothing decodes.
    """
    with opened_file(path) as file:
        links, tally.has_last_page = ogg_chain.ends(file, limits=limits)
    tally.damaged = tally.sound = 0
    budget = Budget(path, limits=limits)
    yield from budget.timed(_decoded(path, start, tally, links=links, budget=budget))


def _decoded(
    path: str | Path, start: float, tally: Tally, *, links: list[tuple[int, int]], budget: Budget
) -> Generator[Piece]:
    if len(links) > 1:
        yield from _chained(path, start, tally, links=links, budget=budget)
        return
    if start > 2 * _WARM_UP:
        pieces = _pieces(path, start, tally, budget=budget, seek=True)
        first = next(pieces, None)
        if first is not None and first.position <= start - _WARM_UP / 2:
            yield first
            yield from pieces
            return
        pieces.close()  # the format cannot seek, or not well
        tally.damaged = tally.sound = 0
    yield from _pieces(path, start, tally, budget=budget)


def _chained(
    path: str | Path, start: float, tally: Tally, *, links: list[tuple[int, int]], budget: Budget
) -> Iterator[Piece]:
    """The files of an Ogg chain, one after the other; one that cannot be read counts as damage."""
    elapsed = 0.0  # seconds
    failure = None
    for link in links:
        try:
            for piece in _pieces(path, start - elapsed, tally, budget=budget, link=link):
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
    budget: Budget,
    seek: bool = False,
    link: tuple[int, int] | None = None,
) -> Generator[Piece]:
    import av

    with opened(path, budget=budget, link=link) as (container, stream, source):
        tally.stated = None if seek or link else stated_seconds(container, stream, source)
        tick = float(stream.time_base)  # seconds
        time_of = clock(container, stream)
        frames = frames_of(container, stream, tally)
        first = first_frame(path, frames, tally)
        # not 0 where the encoder's delay was cut off
        origin = time_of(first) or 0
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

        loudest = loudest_of(stream.codec_context.name)
        run: list[Any] = []  # frames of one kind without a hole between them
        mixer = Mixer(rate=first.sample_rate, first=0)  # of all runs of that kind
        length, kind = 0, (0, "", 0)
        end = math.inf if seek else 0.0  # of the last frame, seconds
        damaged = tally.damaged  # when the last frame came
        longest = 0.0  # frame so far, seconds
        for frame in frames:  # a thousand times in 30 s, and cold: each name that is read counts
            rate, n = frame.sample_rate, frame.samples
            pts = time_of(frame)
            position = end if pts is None else (pts - origin) * tick
            if position < start:
                tally.damaged = damaged = 0
            is_hole = SHORTEST_HOLE < position - end < LONGEST_HOLE
            frame_kind = (rate, frame.format.name, frame.layout.nb_channels)
            is_break = is_hole or frame_kind != kind
            if run and (is_break or length >= _PIECE):
                budget.heard(length / kind[0])
                both = sides(run, loudest=loudest, tally=tally, held=mixer.held)
                yield from _mixed(mixer, both, last=is_break)
                run, length = [], 0
            seconds = n / rate
            if seconds > longest:
                longest = seconds
            if is_hole:
                # At least so many packets; those that failed to decode are counted already.
                missing = max(1, round((position - end) / longest))
                tally.damaged += max(0, missing - (tally.damaged - damaged))
                silence = np.zeros(round((position - end) * rate), dtype=np.float32)
                yield Piece(end, rate, silence)
            if is_break:
                if math.isinf(position):
                    return  # a seek led to a place whose time is unknown
                mixer, kind = Mixer(rate=rate, first=round(position * rate)), frame_kind
            run.append(frame)
            length += n
            end, damaged = position + seconds, tally.damaged
        if run:
            both = sides(run, loudest=loudest, tally=tally, held=mixer.held)
            yield from _mixed(mixer, both, last=True)


def _mixed(
    mixer: Mixer, both: tuple[Float32Array, Float32Array | None], *, last: bool
) -> Iterator[Piece]:
    """What the mixer gives of these two sides, if anything yet."""
    position = mixer.next / mixer.rate
    samples = mixer.mix(*both, last=last)
    if samples.size:
        yield Piece(position, mixer.rate, samples)
