"""One track through the network: decoded, cut into windows, made visible, heard; block by block."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark import audio, ranking, windows
from earmark.arrays import Float32Array
from earmark.errors import BadValue, UnreadableAudio
from earmark.features import LogMel, log_mel
from earmark.ranking import DEFAULT_RANKING, Ranking
from earmark.runtime import BATCH, LoadedModel, Model
from earmark.signal_check import Level


@dataclass(frozen=True)
class Options:
    """How a track is listened to and its tags are put in order.

    rank : what the tags are sorted by
    center : hear the middle of the track only, one window, as the papers do
    hop_seconds : from one window to the next; None is a whole window
    stretch_seconds : hear stretches of that length, each repeated until it fills a window, so that
        the answer is about those seconds alone; None hears whole windows
    max_seconds : stop listening there; None hears the whole track
    spread : hear that many windows, spread evenly over the track and reached by seeking, where the
        file says that it is longer than they are together; None hears every second
    """

    rank: Ranking = DEFAULT_RANKING
    center: bool = False
    hop_seconds: float | None = None
    stretch_seconds: float | None = None
    max_seconds: float | None = None
    spread: int | None = None

    def __post_init__(self) -> None:
        """Refuse options that nothing can be heard with."""
        if self.rank not in ranking.RANKINGS:
            raise BadValue(f"no ranking {self.rank!r}; choose one of {', '.join(ranking.RANKINGS)}")
        for name in ("hop_seconds", "stretch_seconds", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadValue(f"{name} is {value}; it must be above zero")
        if self.spread is not None and self.spread < 1:
            raise BadValue(f"spread is {self.spread}; at least one window must be heard")


@dataclass(frozen=True)
class Listening:
    """What the network makes of one track, window by window.

    seconds : of audio that were heard
    starts : int64 (n_windows,), first sample of each window at the model's rate
    logits : float32 (n_windows, n_tags); embeddings : float32 (n_windows, n_dimensions)
    damaged_packets : how many packets the decoder had to leave out
    peak, unrest : of what was heard (earmark.signal_check)
    """

    seconds: float
    starts: npt.NDArray[np.int64]
    logits: Float32Array
    embeddings: Float32Array
    damaged_packets: int
    peak: float
    unrest: float | None

    @property
    def embedding(self) -> Float32Array:
        """What the network remembers of the track, float32 (n_dimensions,): mean over windows."""
        return np.asarray(self.embeddings.mean(axis=0), dtype=np.float32)


def listen(
    session: LoadedModel,
    source: str | Path | Float32Array,
    *,
    rate: int | None = None,
    options: Options = Options(),
) -> Listening:
    """What a loaded model makes of a file, or of mono samples at `rate` Hz.

    Raises UnreadableAudio for a file that holds no audio.
    """
    features = session.card.features
    blocks = _Blocks(source, rate, target_rate=features.rate, max_seconds=options.max_seconds)
    length, hop = (
        features.window_samples if seconds is None else max(1, round(seconds * features.rate))
        for seconds in (options.stretch_seconds, options.hop_seconds)
    )
    pieces = dataclasses.replace(features, window_samples=length)
    cuts = windows.cut(blocks, settings=pieces, hop_samples=min(hop, length))
    if options.center:
        cuts = iter([windows.centre(blocks, settings=features)])
    elif options.spread is not None and not isinstance(source, np.ndarray):
        clips = _spread_clips(source, options.spread, settings=features)
        if clips:
            blocks.count(clips)
            cuts = ((clip.start, windows.fit(clip.samples, settings=features)) for clip in clips)
    starts: list[int] = []
    batch: list[Float32Array] = []
    parts: list[tuple[Float32Array, Float32Array]] = []
    for start, piece in cuts:
        if options.stretch_seconds is not None:
            piece = piece[: blocks.n_samples]  # a shorter track is not filled up, but repeated
        starts.append(start)
        batch.append(log_mel(windows.repeat(piece, settings=features), settings=features))
        if len(batch) == BATCH:
            parts.append(session.run(np.stack(batch)))
            batch.clear()
    if batch:
        parts.append(session.run(np.stack(batch)))
    logits, embeddings = zip(*parts, strict=True)
    return Listening(
        seconds=blocks.n_samples / features.rate,
        starts=np.array(starts, dtype=np.int64),
        logits=np.concatenate(logits),
        embeddings=np.concatenate(embeddings),
        damaged_packets=blocks.damaged_packets,
        peak=blocks.level.peak,
        unrest=blocks.level.unrest,
    )


@dataclass(frozen=True)
class _Clip:
    """One window of a track, and the sample that it begins with."""

    start: int
    samples: Float32Array
    damaged_packets: int


def _spread_clips(path: str | Path, number: int, *, settings: LogMel) -> list[_Clip]:
    """Windows from the middles of equal parts of a track.

    Nothing for a track that is too short for it, or whose stated duration leads astray: then every
    second is to be heard.
    """
    duration = audio.probe(path).duration
    if duration is None or duration <= number * settings.seconds:
        return []
    clips = []
    for part in range(number):
        start = (part + 0.5) / number * duration - settings.seconds / 2
        try:
            clip = audio.load_audio(path, rate=settings.rate, start=start, seconds=settings.seconds)
        except UnreadableAudio:  # no audio at that place
            return []
        if clip.samples.size == 0:
            return []
        first = round(start * settings.rate)
        clips.append(_Clip(first, clip.samples, clip.damaged_packets))
    return clips


class _Blocks:
    """Mono blocks at the model's rate from a file or from samples, measured as they pass."""

    def __init__(
        self,
        source: str | Path | Float32Array,
        rate: int | None,
        *,
        target_rate: int,
        max_seconds: float | None,
    ) -> None:
        self.n_samples = 0
        self.damaged_packets = 0
        self.level = Level(target_rate)
        self._source: audio.AudioStream | Float32Array
        if isinstance(source, np.ndarray):
            if rate is None:
                raise BadValue("samples do not know their rate: give rate=... in Hz")
            if source.size == 0:
                raise BadValue("there are no samples to listen to")
            resampled = audio.resample(source, rate=rate, target_rate=target_rate)
            last = None if max_seconds is None else round(max_seconds * target_rate)
            self._source = resampled[:last]
        else:
            if rate is not None:
                raise BadValue("a file knows its own rate: give rate only with samples")
            self._source = audio.stream_audio(source, rate=target_rate, seconds=max_seconds)

    def count(self, clips: Iterable[_Clip]) -> None:
        """Count clips that are heard in place of the blocks."""
        for clip in clips:
            self.n_samples += clip.samples.size
            self.level.add(clip.samples)
            self.damaged_packets += clip.damaged_packets

    def __iter__(self) -> Iterator[Float32Array]:
        stream = self._source
        for block in [stream] if isinstance(stream, np.ndarray) else stream:
            self.n_samples += block.size
            self.level.add(block)
            yield block
        if not isinstance(stream, np.ndarray):
            self.damaged_packets = stream.damaged_packets


@lru_cache(maxsize=1)
def model_of_worker(path: Path, runtime: str) -> Model:
    """The model that a worker process keeps loaded from one file to the next, on one core."""
    return Model(path, runtime=runtime, threads=1)
