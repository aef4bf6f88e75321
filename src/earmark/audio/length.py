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

# These containers keep the time of each packet to the sample, and FFmpeg finds any of them again.
_CONTAINERS = {"aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "ogg", "wav"}
# From anywhere in a file these decode to what they do from its beginning.
_CODECS = ("aac", "alac", "flac", "mp3", "opus", "pcm_", "vorbis")
_VORBIS_SLACK = 0.05  # seconds that FFmpeg may time a packet late, where long blocks end
# Bytes: most clips of 30 s are smaller, and opening one takes a hundredth of the time of hearing it
_LARGE = 1_250_000
_TAIL = 2.0  # seconds before the end from where it is decoded


class FileLength(NamedTuple):
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


def length_of(path: Path, *, least: float = 0.0, limits: bool = True) -> FileLength | None:
    """The length of a file; None where only decoding all of it can tell.

    That is so in other formats than _CONTAINERS and _CODECS, for chains of Ogg, where the times or
    the lengths of packets show that some are missing, and for damage at one of the ends.

    least : seconds; None as well for a file that FFmpeg takes to be shorter, and for small ones
    limits : as of audio.load_audio

    Raises UnreadableAudio for a file that holds no audio, or that costs too much.
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
        codec = stream.codec_context.codec.canonical_name
        if container.format.name not in _CONTAINERS or not codec.startswith(_CODECS):
            return None
        if (container.duration or 0) < 1e6 * least:  # AV_TIME_BASE counts microseconds
            return None
        tally.stated = stated_seconds(container, stream, source)
        time_of = clock(container, stream)
        first = first_frame(path, frames_of(container, stream, tally), tally)
        origin = time_of(first)
        if origin is None:
            return None
        sample = 1 / (first.sample_rate * stream.time_base)  # ticks
        slack = _VORBIS_SLACK / stream.time_base if codec == "vorbis" else None
        end = _end(container.demux(stream), origin + first.samples * sample, slack, budget=budget)
        if end is None:
            return None
        try:
            container.seek(int(end - _TAIL / stream.time_base), stream=stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            return None
        tail = deque(frames_of(container, stream, tally), maxlen=1)
        time = time_of(tail[0]) if tail else None
        if time is None or tally.damaged:
            return None
        n_samples = round((time - origin) / sample) + tail[0].samples
        budget.heard(n_samples / first.sample_rate)
    return FileLength(n_samples, first.sample_rate, tally.cut_short(n_samples / first.sample_rate))


def _end(
    packets: Iterator[Any], begin: Fraction, slack: float | None, *, budget: Budget
) -> Fraction | None:
    """When the last of the packets ends, in ticks; None where some seem to be missing.

    begin : of the first of them
    slack : ticks that may lie between two packets of any length; None for a codec whose packets
        follow each other exactly, and are of one length but for the last
    """
    import av

    end: Fraction = begin
    lengths: set[int] = set()
    try:
        for packet in packets:
            if not packet.size:  # the last, which is none
                continue
            if packet.pts is None or abs(packet.pts - end) > (slack or 0):
                return None
            if slack is None and len(lengths) > 1:
                return None
            lengths.add(packet.duration)
            end = packet.pts + packet.duration
            budget.packet()
    except MemoryError:
        raise
    except av.FFmpegError:
        return None
    return end
