"""How long a file is once it is decoded, found by reading all of it and decoding its two ends."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from earmark.audio import ogg_chain
from earmark.audio.budget import Budget
from earmark.audio.decoding import first_frame, frames_of
from earmark.audio.downmix import Tally
from earmark.audio.frame_times import clock
from earmark.audio.opening import opened, opened_file
from earmark.audio.stated import CutShort, stated_seconds

# They keep the time of each packet to the sample, and FFmpeg finds any of them again.
_EXACT = {"aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "ogg", "wav"}
_VORBIS_SLACK = 0.05  # seconds that FFmpeg may time a packet late, where long blocks end
# Bytes: most clips of 30 s are smaller, and opening one takes a hundredth of the time of hearing it
_LARGE = 1_250_000
_TAIL = 2.0  # seconds before the end from where it is decoded


class Length(NamedTuple):
    """How long a file is.

    n_samples, rate : of the whole, as it decodes
    cut_short : where the file says that it is longer
    """

    n_samples: int
    rate: int
    cut_short: CutShort | None

    def at(self, rate: int) -> int:
        """Samples of the whole at another rate, in Hz, as soxr rounds them."""
        return (2 * self.n_samples * rate + self.rate) // (2 * self.rate)


def length_of(path: Path, *, least: float = 0.0, limits: bool = True) -> Length | None:
    """The length of a file; None where only decoding all of it can tell.

    That is so in formats whose clock is coarse, for chains of Ogg, and where packets are missing,
    marked as damaged, or do not decode at one of the ends.

    least : seconds; None as well for a file that FFmpeg takes to be shorter, and for small ones
    limits : as of audio.load_audio

    Raises UnreadableAudio for a file that holds no audio.
    """
    import av

    tally = Tally()
    with opened_file(path) as file:
        if least and file.seek(0, os.SEEK_END) < _LARGE:
            return None
        links, tally.has_last_page = ogg_chain.ends(file, limits=limits)
    if len(links) > 1:
        return None
    budget = Budget(path, limits=limits)
    with opened(path, budget=budget) as (container, stream, source):
        if container.format.name not in _EXACT or (container.duration or 0) < 1e6 * least:
            return None  # AV_TIME_BASE counts microseconds
        tally.stated = stated_seconds(container, stream, source)
        time_of = clock(container, stream)
        first = first_frame(path, frames_of(container, stream, tally), tally)
        origin = time_of(first)
        if origin is None:
            return None
        sample = 1 / (first.sample_rate * stream.time_base)  # ticks
        is_vorbis = stream.codec_context.name == "vorbis"
        slack = _VORBIS_SLACK / stream.time_base if is_vorbis else 0
        end = _end(container.demux(stream), origin + first.samples * sample, slack, budget=budget)
        if end is None:
            return None
        try:
            container.seek(int(end - _TAIL / stream.time_base), stream=stream)
        except av.FFmpegError:
            return None
        tail = deque(frames_of(container, stream, tally), maxlen=1)
        if not tail or tally.damaged or tail[0].sample_rate != first.sample_rate:
            return None
        time = time_of(tail[0])
        if time is None:
            return None
        n_samples = round((time - origin) / sample) + tail[0].samples
    return Length(n_samples, first.sample_rate, tally.cut_short(n_samples / first.sample_rate))


def _end(
    packets: Iterator[Any], begin: Fraction, slack: float, *, budget: Budget
) -> Fraction | None:
    """When the last of the packets ends, in ticks; None unless each begins where one has ended.

    begin : of the first of them; slack : ticks that may lie between two
    """
    import av

    end = begin
    try:
        for packet in packets:
            if packet.size:
                if packet.pts is None or packet.is_corrupt or abs(packet.pts - end) > slack:
                    return None
                end = packet.pts + packet.duration
                budget.packet()
    except av.FFmpegError:
        return None
    return end
