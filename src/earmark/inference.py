"""One track through the network: which windows it hears (Options), and what it answers (Listening).

`hear` takes a file or samples; `listen` takes the windows of any track (earmark.windows).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark.arrays import Float32Array, Int64Array
from earmark.audio.given import AudioSource, file_or_samples
from earmark.audio.stated import CutShort
from earmark.errors import BadValue
from earmark.features import LogMel, log_mel
from earmark.ranking import RANKINGS, Ranking
from earmark.runtime import BATCH, LoadedModel, Model
from earmark.signal_check import knows_sounds
from earmark.tags import VOCABULARIES, Vocabulary
from earmark.windows import Track, Window, centre_of, spread, stretches, whole


@dataclass(frozen=True)
class Options:
    """Which windows of a track are heard, and how its tags are sorted.

    By default the whole track is heard, window after window.

    rank : what the tags are sorted by; None is evidence where the model states priors, else score
    vocabulary : msd50 answers with the fifty tags of the Million Song Dataset alone
        (both for `tag` and `tag_files` only)
    center : hear one window only, in the middle of the track, as the papers do; of a long file
        little more is decoded
    hop_seconds : from one window (or stretch) to the next; None is its length
    stretch_seconds : hear stretches of that length, each repeated until it fills a window, so that
        an answer is about those seconds alone
    max_seconds : the track ends there; None takes all of it
    spread : hear that many windows, spread evenly over a file and reached by seeking; the whole
        track if it is shorter than these windows together
    limits : refuse a file that costs too much for the music in it; False hears it all the same

    Raises BadValue for a value that is out of range and for two ways of hearing at once.
    """

    rank: Ranking | None = None
    vocabulary: Vocabulary = "all"
    center: bool = False
    hop_seconds: float | None = None
    stretch_seconds: float | None = None
    max_seconds: float | None = None
    spread: int | None = None
    limits: bool = True

    def __post_init__(self) -> None:
        """Refuse values that are out of range, and fields that contradict each other."""
        if self.rank is not None and self.rank not in RANKINGS:
            raise BadValue(f"no ranking {self.rank!r}; choose one of {', '.join(RANKINGS)}")
        if self.vocabulary not in VOCABULARIES:
            known = " or ".join(VOCABULARIES)
            raise BadValue(f"no vocabulary {self.vocabulary!r}; choose {known}")
        for name in ("hop_seconds", "stretch_seconds", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise BadValue(f"{name} is {value}; it must be a number above zero, or None")
        if self.spread is not None and self.spread < 1:
            raise BadValue(f"spread is {self.spread}; choose one window or more")
        for one, other in _CONTRADICTIONS:
            if all(getattr(self, name) not in (None, False) for name in (one, other)):
                raise BadValue(f"{one} and {other} contradict each other: give one of them only")


_CONTRADICTIONS = (
    ("center", "spread"),
    ("center", "hop_seconds"),
    ("center", "stretch_seconds"),
    ("spread", "hop_seconds"),
    ("spread", "stretch_seconds"),
    ("spread", "max_seconds"),  # the windows are found from the duration of the whole file
)


class Answers(NamedTuple):
    """What a network answers to windows.

    starts : int64 (n_windows,), first sample of each window at the model's rate
    lengths : int64 (n_windows,), samples of the track in each window
    logits : float32 (n_windows, n_tags)
    embeddings : float32 (n_windows, n_dimensions)
    """

    starts: Int64Array
    lengths: Int64Array
    logits: Float32Array
    embeddings: Float32Array


@dataclass(frozen=True)
class Listening:
    """What a network answers to one track, window by window.

    seconds : of audio that were heard; of the whole track with `center`
    starts : int64 (n_windows,), first sample of each window at the model's rate
    lengths : int64 (n_windows,), samples of the track in each window
    logits : float32 (n_windows, n_tags)
    embeddings : float32 (n_windows, n_dimensions)
    damaged_packets : packets that the decoder had to leave out, of what was decoded
    peak, unrest : of what was heard (earmark.signal_check); unrest is None where the model knows
        sounds
    cut_short : how long the file says that it is, where it ends earlier
    stated_seconds : of the whole file by its header, where only parts of it were heard; else None
    """

    seconds: float
    starts: Int64Array
    lengths: Int64Array
    logits: Float32Array
    embeddings: Float32Array
    damaged_packets: int
    peak: float
    unrest: float | None
    cut_short: CutShort | None = None
    stated_seconds: float | None = None

    @property
    def embedding(self) -> Float32Array:
        """The track's embedding, float32 (n_dimensions,): the mean over its windows."""
        return np.asarray(self.embeddings.mean(axis=0), dtype=np.float32)


def listen(model: LoadedModel, windows: Iterable[Window]) -> Answers:
    """What a model answers to windows, batch by batch. Raises BadValue for no windows."""
    settings = model.card.features
    starts: list[int] = []
    lengths: list[int] = []
    parts: list[tuple[Float32Array, Float32Array]] = []
    rest = iter(windows)
    while batch := list(islice(rest, BATCH)):
        starts += [window.start for window in batch]
        lengths += [window.n_valid for window in batch]
        mels = np.empty((len(batch), settings.n_mels, settings.n_frames), dtype=np.float32)
        for window, mel in zip(batch, mels, strict=True):
            log_mel(window.samples, settings=settings, out=mel)
        parts.append(model.run(mels))
    if not parts:
        raise BadValue(
            f"the track is shorter than one sample at {settings.rate} Hz. Give a longer one"
        )
    logits, embeddings = map(np.concatenate, zip(*parts, strict=True))
    return Answers(
        np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64), logits, embeddings
    )


def hear(
    model: LoadedModel,
    source: AudioSource,
    *,
    rate: int | None = None,
    options: Options = Options(),
) -> Listening:
    """What a model answers to a file, or to samples at `rate` Hz, in bounded memory.

    source : see earmark.audio.given

    Raises UnreadableAudio for a file that holds no audio, BadValue for what is neither.
    """
    settings, end = model.card.features, options.max_seconds
    with file_or_samples(source, rate=rate) as given:
        track = Track(
            given,
            rate=rate,
            target_rate=settings.rate,
            max_seconds=end,
            limits=options.limits,
            with_unrest=not knows_sounds(model.card.tags),
        )
        answers = listen(model, _chosen(track, options, settings=settings))
    return Listening(
        seconds=track.n_samples / settings.rate,
        starts=answers.starts,
        lengths=answers.lengths,
        logits=answers.logits,
        embeddings=answers.embeddings,
        damaged_packets=track.damaged_packets,
        peak=track.level.peak,
        unrest=track.level.unrest,
        cut_short=track.cut_short,
        stated_seconds=track.stated_seconds,
    )


def _chosen(track: Track, options: Options, *, settings: LogMel) -> Iterator[Window]:
    """The windows of a track that the options choose."""
    if options.center:
        return centre_of(track, settings=settings)
    if options.spread is not None:
        return spread(track, options.spread, settings=settings)
    stretch, hop = (
        None if seconds is None else max(1, round(seconds * settings.rate))
        for seconds in (options.stretch_seconds, options.hop_seconds)
    )
    if stretch is not None:
        return stretches(track, settings=settings, stretch_samples=stretch, hop_samples=hop)
    return whole(track, settings=settings, hop_samples=hop)


@lru_cache(maxsize=1)
def model_of_worker(path: Path, runtime: str) -> Model:
    """The model that a worker process keeps loaded from one file to the next, on one core."""
    return Model(path, runtime=runtime, threads=1)
