"""The tagger: a file in, its tags out; many files side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from earmark import engine, ranking, tags, windows, zoo
from earmark.arrays import Float32Array
from earmark.audio.budget import deadline, memory
from earmark.audio.given import AudioSource, path_of
from earmark.errors import BadValue, EarmarkError, UnreadableAudio
from earmark.inference import Listening, Options, hear, model_of_worker
from earmark.model_file import Card
from earmark.ranking import DEFAULT_RANKING, Ranking
from earmark.runtime import LoadedModel, Model
from earmark.signal_check import Doubt, Kind, doubts, headline, kind, sound_of

log = logging.getLogger("earmark.tagger")

Value = TypeVar("Value")
# Below this many files another process costs more than it brings: it takes a second to start.
_FEW_FILES = 6
# A first genre with a lower score is "not sure": of 900 clips on held-out folds 97 % have one from
# here on, and it is right for 73 % of them (studies/shipped_report.py).
SURE = 0.3


@dataclass(frozen=True)
class Tag:
    """One tag of one track.

    score : probability, in [0, 1]
    lift : score / prior; evidence : log-odds of the score less a share of the prior's
        (earmark.ranking); both None where the model states no priors
    reliability : ROC-AUC of the tag on unseen songs, None where it was not measured
    calibrated : whether the score was fitted to labels, so that it is the share of songs with that
        score that have the tag
    """

    name: str
    score: float
    lift: float | None
    evidence: float | None
    group: str
    reliability: float | None
    calibrated: bool = False

    @property
    def tag(self) -> str:
        """The name again, as JSON lines call it."""
        return self.name


@dataclass(frozen=True)
class Tags:
    """The tags of one track, best first by the chosen ranking.

    `heard["jazz"]` is the tag of that name, `for tag in heard` runs over all of them.

    path : None for samples
    seconds : of audio that were heard
    model : the model's name
    damaged_packets : packets of the file that the decoder had to leave out
    warnings : reasons to doubt the tags, usually none; None where the signal was not checked
    """

    path: Path | None
    seconds: float
    model: str
    tags: tuple[Tag, ...]
    damaged_packets: int = 0
    warnings: tuple[Doubt, ...] | None = ()

    def __getitem__(self, name: str) -> Tag:
        """The tag of that name, in upper or lower case. Raises BadValue, with all names."""
        return self.tags[tags.index([tag.name for tag in self.tags], name)]

    def __iter__(self) -> Iterator[Tag]:
        """The tags, best first."""
        return iter(self.tags)

    @property
    def kind(self) -> Kind:
        """What kind of sound this is: music, speech, silence, noise or other."""
        return kind(self.warnings)

    @property
    def first_genre(self) -> Tag | None:
        """The genre that fits best, by evidence where the priors are known; None if not sure.

        A specific genre goes before a vague one (earmark.ranking.first_genre).
        """
        genres = [tag for tag in self.tags if tag.group == "genre"]
        if not genres or self.kind != "music":
            return None
        scores = np.array([tag.score for tag in genres], dtype=np.float32)
        values = [tag.score if tag.evidence is None else tag.evidence for tag in genres]
        names = [tag.name for tag in genres]
        first = genres[ranking.first_genre(names, scores, np.array(values, dtype=np.float32))]
        return first if first.score >= SURE else None

    @property
    def headline(self) -> str | None:
        """What to say in place of the tags, such as "This is silence"; None for music."""
        return headline(self.warnings)

    def as_json(self, *, top: int | None = None) -> dict[str, Any]:
        """The JSON line of a tagged file, with the first `top` tags."""
        first = self.first_genre
        line: dict[str, Any] = {
            "path": None if self.path is None else str(self.path),
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "kind": self.kind,
            "first_genre": None if first is None else first.name,
            "tags": [
                {
                    "tag": tag.name,
                    "score": round(tag.score, 6),
                    "lift": tag.lift and round(tag.lift, 4),
                    "evidence": tag.evidence and round(tag.evidence, 4),
                    "group": tag.group,
                    "calibrated": tag.calibrated,
                    "reliability": tag.reliability and round(tag.reliability, 4),
                }
                for tag in self.tags[:top]
            ],
        }
        if self.damaged_packets:
            line["damaged_packets"] = self.damaged_packets
        if self.warnings:
            line["warnings"] = [doubt.as_json() for doubt in self.warnings]
        return line


@dataclass(frozen=True, eq=False)
class Embedding:
    """The embedding of one file.

    vector : float32 (n_dimensions,), as of Tagger.embed
    seconds : of audio that were heard
    model : the model's name; vectors of two models have nothing in common
    """

    path: Path
    vector: Float32Array
    seconds: float
    model: str


@dataclass(frozen=True)
class Failure:
    """A file that could not be heard, and why."""

    path: Path
    error: EarmarkError

    def __str__(self) -> str:
        """What is wrong with which file."""
        is_named = isinstance(self.error, UnreadableAudio)
        return str(self.error) if is_named else f"{self.path}: {self.error}"

    def as_json(self) -> dict[str, Any]:
        """The JSON line of a file that failed."""
        return {"path": str(self.path), "error": self.error.as_json()}


class Tagger:
    """Tags music with a loaded model; make one with `Tagger.load`.

    A tagger can be sent to other processes (multiprocessing, joblib, Dask, Ray): it is pickled as
    the path of its model's file, and each process loads that once. There, load it with threads=1,
    or each process takes all cores.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def __repr__(self) -> str:
        """Which model it is, and how many tags it knows."""
        return f"<Tagger {self.card.name}, {len(self.tags)} tags, {self.model.path}>"

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str] | None = None,
        *,
        runtime: str | None = None,
        threads: int | None = None,
    ) -> Tagger:
        """A tagger from a model's name (`earmark models list`) or file; the default without one.

        runtime : onnxruntime or openvino; EARMARK_RUNTIME, or onnxruntime, by default
        threads : cores for the network; all by default

        Raises ModelNotFound, which says how to get one, and BadModel.
        """
        name = None if name_or_path is None else os.fspath(name_or_path)
        return cls(Model(zoo.resolve(name), runtime=runtime, threads=threads))

    @property
    def card(self) -> Card:
        """The model's card: its tags, features, source and licence."""
        return self.model.card

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the tags, in the order of the scores' columns."""
        return self.card.tags

    def score_log_mel(self, log_mel: Float32Array) -> Float32Array:
        """Scores of spectrograms.

        log_mel : float32 (n, n_mels, n_frames), dB, as the model's features make it, before any
            standardisation
        returns : float32 (n, n_tags), in [0, 1]
        """
        return self.card.scores(self.model.run(log_mel)[0])

    def listen(
        self,
        source: AudioSource,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Listening:
        """The network's answer to each window of a track, in bounded memory.

        Takes what `tag` takes; the ranking in the options has no effect.
        """
        return hear(self.model, source, rate=rate, options=options)

    def tag(
        self,
        source: AudioSource,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Tags:
        """The tags of one track, best first.

        source : the path of a file; its bytes; a file opened with open(path, "rb"), or a BytesIO;
            or samples: floats with full scale at 1, int16, int32 or uint8, (n,), (n, channels) or
            (channels, n), as an array or a torch tensor
        rate : of samples, Hz; a file states its own

        Raises UnreadableAudio for a file that holds no audio, BadValue for what is none of these.
        """
        heard = self.listen(source, rate=rate, options=options)
        return self.tags_of(heard, path=path_of(source), options=options)

    def tags_of(
        self, heard: Listening, *, path: Path | None = None, options: Options = Options()
    ) -> Tags:
        """The tags of a track from what `listen` returned, best first.

        options : the ranking and the vocabulary; the rest has no effect here
        """
        ranked = rank_tags(self.card, self.scores_of(heard), by=options.rank)
        return Tags(
            path=path,
            seconds=heard.seconds,
            model=self.card.name,
            tags=tuple(tag for tag in ranked if tags.is_in(tag.name, options.vocabulary)),
            damaged_packets=heard.damaged_packets,
            warnings=self.doubts_of(heard),
        )

    def scores_of(self, heard: Listening) -> Float32Array:
        """The scores of a track from what `listen` returned, float32 (n_tags,), in [0, 1]."""
        return self.card.scores(self._pooled(heard))

    def doubts_of(self, heard: Listening) -> tuple[Doubt, ...]:
        """The reasons to doubt the tags of a track, from what `listen` returned."""
        sound = sound_of(self.card.log_odds(self._pooled(heard)), self.tags)
        found = doubts(peak=heard.peak, unrest=heard.unrest, sound=sound)
        if heard.cut_short is not None:
            found += (Doubt("cut_short", str(heard.cut_short)),)
        return found

    def _pooled(self, heard: Listening) -> Float32Array:
        return windows.pool(heard.logits, pooling=self.card.pooling)

    def embed(
        self,
        source: AudioSource,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Float32Array:
        """The embedding of a track: the network's last recurrent state, mean over windows.

        Tracks that sound alike have embeddings that point the same way (cosine similarity).
        Takes what `tag` takes.

        returns : float32 (n_dimensions,)
        """
        return self.listen(source, rate=rate, options=options).embedding

    def tag_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        workers: int | None = None,
        options: Options = Options(),
    ) -> Iterator[Tags | Failure]:
        """The tags of many files, in their order; a file that fails does so alone.

        They come as they are ready, so that a loop over them can show progress, as with
        `tqdm(tagger.tag_files(paths), total=len(paths))`.

        workers : processes that decode and infer side by side; by default as many as there are
            cores, and only this one for fewer than six files
        """
        return _results(
            _TagFile(options), paths, tagger=self, workers=workers, limits=options.limits
        )

    def embed_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        workers: int | None = None,
        options: Options = Options(),
    ) -> Iterator[Embedding | Failure]:
        """The embeddings of many files, in their order; a file that fails does so alone.

        workers : as of tag_files
        """
        return _results(
            _EmbedFile(options), paths, tagger=self, workers=workers, limits=options.limits
        )


def rank_tags(card: Card, scores: Float32Array, *, by: Ranking | None = None) -> tuple[Tag, ...]:
    """The tags of one track, best first; without the words for what is not music.

    scores : float32 (n_tags,), in [0, 1], in the order of card.tags
    by : None is DEFAULT_RANKING where the model states priors, else score

    Raises BadValue for a ranking by priors where the model states none.
    """
    unknown: tuple[None, ...] = (None,) * len(card.tags)
    lifts: Sequence[float | None] = unknown
    evidences: Sequence[float | None] = unknown
    values = scores
    if card.priors is not None:
        priors = np.array(card.priors, dtype=np.float32)
        values = ranking.rank_values(scores, priors, by=by or DEFAULT_RANKING)
        lifts = ranking.lift(scores, priors).tolist()
        evidences = ranking.evidence(scores, priors).tolist()
    elif by not in (None, "score"):
        raise BadValue(
            f"the model {card.name} does not say how frequent its tags are, which the ranking "
            f"{by!r} needs; use score"
        )
    groups = [tags.group(tag) for tag in card.tags]
    order = [i for i in np.argsort(-values, kind="stable").tolist() if groups[i] != "sound"]
    reliability = card.reliability or unknown
    return tuple(
        Tag(
            name=card.tags[i],
            score=float(scores[i]),
            lift=lifts[i],
            evidence=evidences[i],
            group=groups[i],
            reliability=reliability[i],
            calibrated=card.is_calibrated(i),
        )
        for i in order
    )


def map_files(
    function: Callable[[Tagger, Path], Value],
    paths: Sequence[str | os.PathLike[str]],
    *,
    tagger: Tagger,
    workers: int | None = None,
    limits: bool = True,
) -> Iterator[engine.Outcome[Path, Value]]:
    """function(tagger, path) for each file, in order; a file that fails does so alone.

    function : picklable; each worker process calls it with a tagger of its own
    workers : as of Tagger.tag_files
    limits : each file has audio.budget.DEADLINE seconds, and a worker process audio.budget.MEMORY
    """
    if workers is None and len(paths) < _FEW_FILES:
        workers = 1
    files, seconds = map(Path, paths), deadline(limits=limits)
    if workers == 1:
        return engine.map_units(partial(function, tagger), files, workers=1, deadline=seconds)
    work = _InWorker(function, tagger.model.path, tagger.model.runtime)
    most = memory(limits=limits, model_bytes=tagger.model.path.stat().st_size)
    return engine.map_units(work, files, workers=workers, deadline=seconds, memory=most)


def _results(
    function: Callable[[Tagger, Path], Value],
    paths: Iterable[str | os.PathLike[str]],
    *,
    tagger: Tagger,
    workers: int | None,
    limits: bool,
) -> Iterator[Value | Failure]:
    """What map_files gives, with a Failure for each file that failed."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadValue(f"this takes a list of files: give [{os.fspath(paths)!r}], or call tag")
    return _values(map_files(function, list(paths), tagger=tagger, workers=workers, limits=limits))


def _values(outcomes: Iterator[engine.Outcome[Path, Value]]) -> Iterator[Value | Failure]:
    for outcome in outcomes:
        if outcome.error is not None:
            log.info("failed: %s", outcome.error)
            yield Failure(outcome.unit, outcome.error)
        else:
            assert outcome.value is not None
            log.debug("heard %s", outcome.unit)
            yield outcome.value


@dataclass(frozen=True)
class _TagFile:
    """The work on one file of tag_files."""

    options: Options

    def __call__(self, tagger: Tagger, path: Path) -> Tags:
        return tagger.tag(path, options=self.options)


@dataclass(frozen=True)
class _EmbedFile:
    """The work on one file of embed_files."""

    options: Options

    def __call__(self, tagger: Tagger, path: Path) -> Embedding:
        heard = tagger.listen(path, options=self.options)
        return Embedding(path, heard.embedding, heard.seconds, tagger.card.name)


@dataclass(frozen=True)
class _InWorker(Generic[Value]):
    """The work on one file in a worker process; each process loads the model once."""

    function: Callable[[Tagger, Path], Value]
    model: Path
    runtime: str

    def __call__(self, path: Path) -> Value:
        return self.function(Tagger(model_of_worker(self.model, self.runtime)), path)
