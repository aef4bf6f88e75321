"""Decodes any file that FFmpeg reads to mono float32 samples at one rate: all, a part, or blocks.

The channels are averaged, where they do not cancel each other (earmark.audio.downmix). soxr
resamples in its HQ quality: FFmpeg's own resampler lets 13 dB below full scale through just past
the edge, soxr HQ 144.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path

import numpy as np

from earmark.arrays import Float32Array
from earmark.audio import ogg_chain
from earmark.audio.budget import Budget
from earmark.audio.decoding import Piece, decode, first_frame, frames_of
from earmark.audio.downmix import Tally
from earmark.audio.fetched import local_file
from earmark.audio.opening import opened, opened_file
from earmark.audio.stated import CutShort
from earmark.errors import BadValue, UnreadableAudio
from earmark.remote import place_of

# Files with these suffixes are audio when a folder is searched (earmark.audio.find). A file that is
# given by its name is opened whatever its suffix.
AUDIO_SUFFIXES = frozenset(
    {
        ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape", ".au", ".caf", ".dff",
        ".dsf", ".dts", ".eac3", ".ec3", ".flac", ".m4a", ".m4b", ".m4p", ".m4r", ".mka", ".mp1",
        ".mp2", ".mp3", ".mpc", ".mpga", ".oga", ".ogg", ".opus", ".ra", ".rf64", ".snd", ".spx",
        ".tak", ".tta", ".w64", ".wav", ".wave", ".weba", ".wma", ".wv",
    }
)  # fmt: skip
_MOST_ROOM = 1 << 22  # samples of a block for which memory is taken before there are any
_NOTHING = np.zeros(0, dtype=np.float32)
_LATEST = 1e9  # seconds, 31 years: FFmpeg counts fractions of them in 64 bits


@dataclass(frozen=True)
class Audio:
    """Decoded audio.

    samples : float32 (n,), mono at `rate`; full scale is 1, which lossy and float files may exceed
    rate : Hz
    damaged_packets : packets of the file that were lost within these samples
    is_cut : whether max_seconds left out the end of the file
    cut_short : how long the file says that it is, where it ends earlier
    """

    samples: Float32Array
    rate: int
    damaged_packets: int = 0
    is_cut: bool = False
    cut_short: CutShort | None = None

    @property
    def seconds(self) -> float:
        """Duration of the samples."""
        return self.samples.size / self.rate


@dataclass(frozen=True)
class AudioInfo:
    """What the header and the first frame of a file state.

    duration : seconds; None if not stated; FFmpeg's estimate for formats without a header (aac)
    rate : Hz, of its first frame
    channels : of its first frame
    codec : FFmpeg's name for it, such as mp3, aac, pcm_s16le
    """

    duration: float | None
    rate: int
    channels: int
    codec: str


def load_audio(
    path: str | os.PathLike[str],
    *,
    rate: int,
    start: float = 0.0,
    seconds: float | None = None,
    max_seconds: float | None = None,
    limits: bool = True,
) -> Audio:
    """A file, or a part of it, as mono samples.

    path : a file in any format that FFmpeg reads, here or at an address such as
        s3://bucket/song.mp3 (earmark.remote)
    rate : of the returned samples, Hz
    start, seconds : the part to return: from `start` on, that long; the whole file by default. A
        late start is reached by seeking
    max_seconds : decode at most so much after `start`, to limit the memory: an hour at 12 kHz takes
        170 MB. Audio.is_cut says whether there was more
    limits : refuse a file that costs too much for the music in it (audio.budget); False hears it
        whatever it costs

    Raises UnreadableAudio for a file that holds no audio, BadValue for an impossible argument.
    """
    if max_seconds is not None:
        _check(0 < max_seconds < math.inf, "max_seconds", max_seconds, "above 0, or None for all")
    most = math.inf if max_seconds is None else max(1, round(max_seconds * rate))
    if most < math.inf and (seconds is None or seconds * rate > most):
        seconds = (most + 1) / rate  # one sample more tells that there is more
    stream = AudioStream(path, rate=rate, start=start, seconds=seconds, limits=limits)
    blocks = list(stream)
    samples = blocks[0] if len(blocks) == 1 else np.concatenate([*blocks, _NOTHING])
    is_cut = samples.size > most
    if is_cut:
        samples = samples[: int(most)].copy()
    return Audio(samples, rate, stream.damaged_packets, is_cut, stream.cut_short)


def stream_audio(
    path: str | os.PathLike[str],
    *,
    rate: int,
    start: float = 0.0,
    seconds: float | None = None,
    block_seconds: float = 30.0,
    limits: bool = True,
) -> AudioStream:
    """The same samples as of load_audio, in blocks and bounded memory; see AudioStream."""
    return AudioStream(
        path, rate=rate, start=start, seconds=seconds, block_seconds=block_seconds, limits=limits
    )


class AudioStream:
    """Blocks of mono samples from a file; together they are what load_audio returns.

    rate : Hz of the blocks
    start, seconds : the part to return; 0 is the first sample that the file decodes to. The part is
        the slice [round(start * rate) :][: round(seconds * rate)] of the whole: empty past the end,
        and at least one sample long within it. A late start is reached by seeking. It is exact (to
        1e-5; AAC's noise substitution is another noise) in wav, aiff, flac, m4a, alac, mp3, ogg and
        opus. Asf and matroska keep time in milliseconds and are exact to two of them; raw ac3 may
        drift. Files that cannot seek are decoded from their beginning.
    block_seconds : length of every block but the last, which may be shorter
    limits : as of load_audio
    damaged_packets : lost so far; complete when the blocks have run out
    cut_short : how long the file says that it is, where it ends earlier; None before the blocks
        have run out, and for a part that ends before the file does

    Iterating opens the file, reads it as blocks are taken, and closes it. Iterating again starts at
    the beginning. Lost packets leave silence of their length wherever the file keeps time. A change
    of rate or channels within the file is followed.

    Iterating raises UnreadableAudio for a file that holds no audio (also at its end, for one that
    holds nothing but NaN). Raises BadValue for an impossible argument.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: int,
        start: float = 0.0,
        seconds: float | None = None,
        block_seconds: float = 30.0,
        limits: bool = True,
    ) -> None:
        check_rate(rate)
        _check(0 <= start < _LATEST, "start", start, f"0 or more seconds, below {_LATEST:g}")
        _check(
            seconds is None or 0 < seconds < math.inf,
            "seconds",
            seconds,
            "above 0, or None for all",
        )
        _check(0 < block_seconds < math.inf, "block_seconds", block_seconds, "above 0")
        self.path = place_of(path)
        self.rate = int(rate)
        self._start = start
        self._first = round(start * rate)
        self._seconds = seconds
        self._block = max(1, round(block_seconds * rate))
        self._limits = limits
        self._tally = Tally()
        self.cut_short: CutShort | None = None

    @property
    def damaged_packets(self) -> int:
        """Packets lost so far within the part."""
        return self._tally.damaged

    def __iter__(self) -> Iterator[Float32Array]:
        block, n = self._empty(), 0
        for samples in self._part():
            rest = samples
            while rest.size:
                if n == block.size:  # it is one of the blocks that are too long to be made at once
                    block = np.concatenate([block, np.empty_like(block)])[: self._block]
                more = rest[: block.size - n]
                block[n : n + more.size] = more
                n += more.size
                rest = rest[more.size :]
                if n == self._block:
                    yield block
                    block, n = self._empty(), 0
        if n:
            # a few samples do not keep the memory of a whole block
            yield block[:n] if 2 * n > block.size else block[:n].copy()

    def _empty(self) -> Float32Array:
        """Room for a block, or for the beginning of a very long one."""
        return np.empty(min(self._block, _MOST_ROOM), dtype=np.float32)

    def _part(self) -> Iterator[Float32Array]:
        """The samples of the part, in stretches of any length."""
        self._tally = Tally()
        self.cut_short = None
        wanted = math.inf if self._seconds is None else max(1, round(self._seconds * self.rate))
        last = self._first + wanted
        heard = False
        end = 0  # of the file, in samples at this rate
        with (
            local_file(self.path) as path,
            closing(
                decode(path, start=self._start, tally=self._tally, limits=self._limits)
            ) as pieces,
        ):
            for position, samples in _resampled(pieces, rate=self.rate):
                heard = heard or samples.size > 0
                end = position + samples.size
                part = samples[max(0, self._first - position) :]
                if end > last:
                    part = part[: int(last) - end]
                if part.size:
                    yield part
                if end >= last:
                    break
            else:
                self.cut_short = self._tally.cut_short(end / self.rate)
        if not self._tally.sound:
            raise UnreadableAudio(
                self.path, "every sample is NaN or far beyond full scale. Export the audio again"
            )
        if not heard:
            raise UnreadableAudio(self.path, "it is shorter than one sample. Choose a longer file")


def resample(samples: Float32Array, *, rate: int, target_rate: int) -> Float32Array:
    """Mono samples at another rate, as stream_audio does it.

    samples : floats (n,), mono at `rate`, full scale at 1
    returns : float32 (about n * target_rate / rate,)

    Raises BadValue for anything but one row of floats, and for an impossible rate.
    """
    import soxr

    check_rate(rate)
    check_rate(target_rate)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise BadValue(
            f"samples must be floats of shape (n,), not {samples.dtype} {samples.shape}: average "
            "the channels, and divide integers by full scale"
        )
    mono = np.ascontiguousarray(samples, dtype=np.float32)
    resampler = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality="HQ")
    resampled: Float32Array = resampler.resample_chunk(mono, last=True)
    return resampled


def probe(path: str | os.PathLike[str], *, limits: bool = True) -> AudioInfo:
    """Rate, channels, codec and stated duration of a file; only its beginning is read.

    limits : as of load_audio

    Raises UnreadableAudio for a file that holds no audio.
    """
    with local_file(path) as local:
        return _probe(local, limits=limits)


def _probe(path: Path, *, limits: bool) -> AudioInfo:
    tally = Tally()
    with opened_file(path) as file:
        is_chain = len(ogg_chain.ends(file, limits=limits).links) > 1
    with opened(path, budget=Budget(path, limits=limits)) as (container, stream, _):
        frame = first_frame(path, frames_of(container, stream, tally), tally)
        duration = None
        if stream.duration is not None:
            duration = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            duration = container.duration / 1e6  # AV_TIME_BASE counts microseconds
        if is_chain:
            duration = None  # it is that of one link: times start at 0 in each
        return AudioInfo(
            duration=duration,
            rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            codec=stream.codec_context.codec.canonical_name,
        )


def _resampled(pieces: Iterator[Piece], *, rate: int) -> Iterator[tuple[int, Float32Array]]:
    """(index of the first sample in the whole file at `rate`, samples), in order.

    The indices of the file and of the result coincide every `step` samples of the file; a part
    begins on such an index, so that its samples are those of the whole.
    """
    import soxr

    first = next(pieces)
    common = math.gcd(first.rate, rate)
    step = first.rate // common
    index = round(first.position * first.rate)
    skip = -index % step
    position = (index + skip) // step * (rate // common)
    for native, run in groupby(chain([first], pieces), key=attrgetter("rate")):
        resampler = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ")
        for piece in run:
            samples = resampler.resample_chunk(piece.samples[skip:])
            yield position, samples
            position += samples.size
            skip = max(0, skip - piece.samples.size)
        samples = resampler.resample_chunk(_NOTHING, last=True)
        yield position, samples
        position += samples.size
        skip = 0


def _check(holds: bool, name: str, value: float | None, should: str) -> None:
    if not holds:
        raise BadValue(f"{name} is {value!r}, but must be {should}")


def check_rate(rate: int) -> None:
    """Raise BadValue for a rate that is not a whole number of Hz above 0."""
    _check(isinstance(rate, int | np.integer) and rate > 0, "rate", rate, "a whole number of Hz")
