"""Files in, tags out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from earmark import engine, ranking, tags, windows, zoo
from earmark.arrays import Float32Array
from earmark.errors import BadValue, EarmarkError
from earmark.inference import Listening, Options, listen
from earmark.model_file import Card
from earmark.ranking import DEFAULT_RANKING, Ranking
from earmark.runtime import Model
from earmark.signal_check import Doubt, doubts

Value = TypeVar("Value")
# Below this many files another process costs more than it brings: it takes a second to start.
_FEW_FILES = 6


@dataclass(frozen=True)
class Tag:
    """One tag of one track.

    score : probability, in [0, 1]
    lift : score / prior; evidence : log-odds of the score less a share of the prior's
        (earmark.ranking); both None where the model states no priors
    reliability : ROC-AUC of the tag on unseen songs, None where nobody measured it
    """

    tag: str
    score: float
    lift: float | None
    evidence: float | None
    group: str
    reliability: float | None


@dataclass(frozen=True)
class Tags:
    """The tags of one track, best first by the ranking that was asked for.

    path : None for samples that came from no file
    warnings : why to doubt the tags, mostly nothing
    """

    path: Path | None
    seconds: float
    model: str
    tags: tuple[Tag, ...]
    damaged_packets: int = 0
    warnings: tuple[Doubt, ...] = ()

    def as_json(self, *, top: int | None = None) -> dict[str, Any]:
        """The JSON line of a tagged file, with the first `top` tags."""
        line: dict[str, Any] = {
            "path": None if self.path is None else str(self.path),
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "tags": [
                {
                    "tag": tag.tag,
                    "score": round(tag.score, 6),
                    "lift": tag.lift and round(tag.lift, 4),
                    "evidence": tag.evidence and round(tag.evidence, 4),
                    "group": tag.group,
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


@dataclass(frozen=True)
class Failure:
    """A file that could not be tagged, and why."""

    path: Path
    error: EarmarkError

    def as_json(self) -> dict[str, Any]:
        """The JSON line of a file that failed."""
        return {"path": str(self.path), "error": self.error.as_json()}


class Tagger:
    """A loaded model that says which tags music carries."""

    def __init__(self, session: Model) -> None:
        self.session = session

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        runtime: str | None = None,
        threads: int | None = None,
    ) -> Tagger:
        """A tagger from a model's name (`earmark models list`) or file; the default without one.

        runtime : onnxruntime or openvino; EARMARK_RUNTIME, or onnxruntime, by default
        threads : cores for the network; all by default

        Raises ModelNotFound, which says how to get one, and BadModel.
        """
        return cls(Model(zoo.resolve(name_or_path), runtime=runtime, threads=threads))

    @property
    def card(self) -> Card:
        """What the model says of itself."""
        return self.session.card

    @property
    def tags(self) -> tuple[str, ...]:
        """What each column of the scores means."""
        return self.card.tags

    def score_log_mel(self, log_mel: Float32Array) -> Float32Array:
        """Scores of spectrograms.

        log_mel : float32 (n, n_mels, n_frames), dB, as the model's features make it, before any
            standardisation
        returns : float32 (n, n_tags), in [0, 1]
        """
        return self.card.scores(self.session.run(log_mel)[0])

    def listen(
        self,
        source: str | Path | Float32Array,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Listening:
        """The network's answer to each window of a track, in bounded memory.

        source : a file, or float32 (n_samples,) mono samples at `rate` Hz
        """
        return listen(self.session, source, rate=rate, options=options)

    def tag(
        self,
        source: str | Path | Float32Array,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Tags:
        """The tags of one track, best first.

        source : a file, or float32 (n_samples,) mono samples at `rate` Hz

        Raises UnreadableAudio for a file that holds no audio.
        """
        heard = self.listen(source, rate=rate, options=options)
        path = None if isinstance(source, np.ndarray) else Path(source)
        return self.tags_of(heard, path=path, rank=options.rank)

    def tags_of(
        self, heard: Listening, *, path: Path | None = None, rank: Ranking = DEFAULT_RANKING
    ) -> Tags:
        """The tags of a track that was listened to, best first."""
        scores = self.card.scores(windows.pool(heard.logits, pooling=self.card.pooling))
        return Tags(
            path=path,
            seconds=heard.seconds,
            model=self.card.name,
            tags=rank_tags(self.card, scores, by=rank),
            damaged_packets=heard.damaged_packets,
            warnings=doubts(peak=heard.peak, unrest=heard.unrest),
        )

    def embed(
        self,
        source: str | Path | Float32Array,
        *,
        rate: int | None = None,
        options: Options = Options(),
    ) -> Float32Array:
        """What the network remembers of a track: its last recurrent state, mean over windows.

        returns : float32 (n_dimensions,)
        """
        return self.listen(source, rate=rate, options=options).embedding

    def tag_files(
        self,
        paths: Sequence[str | Path],
        *,
        workers: int | None = None,
        options: Options = Options(),
    ) -> Iterator[Tags | Failure]:
        """The tags of many files, in their order; a file that fails does so alone.

        workers : processes that decode and infer side by side; as many as there are cores by
            default, and none but this one for a few files
        """
        if isinstance(paths, str | Path):
            raise BadValue(f"tag_files takes a list of files; for the one file {paths}, use tag")
        for outcome in map_files(_TagFile(options), paths, tagger=self, workers=workers):
            if outcome.error is not None:
                yield Failure(outcome.unit, outcome.error)
            else:
                assert outcome.value is not None
                yield outcome.value


def rank_tags(
    card: Card, scores: Float32Array, *, by: Ranking = DEFAULT_RANKING
) -> tuple[Tag, ...]:
    """The tags of one track, best first.

    scores : float32 (n_tags,), in [0, 1], in the order of card.tags

    Raises BadValue for a ranking by priors where the model states none.
    """
    unknown: tuple[None, ...] = (None,) * len(card.tags)
    lifts: Sequence[float | None] = unknown
    evidences: Sequence[float | None] = unknown
    values = scores
    if card.priors is not None:
        priors = np.array(card.priors, dtype=np.float32)
        values = ranking.rank_values(scores, priors, by=by)
        lifts = ranking.lift(scores, priors).tolist()
        evidences = ranking.evidence(scores, priors).tolist()
    elif by != "score":
        raise BadValue(
            f"the model {card.name} does not say how frequent its tags are, which the ranking "
            f"{by!r} needs; use score"
        )
    order = np.argsort(-values, kind="stable")
    reliability = card.reliability or unknown
    return tuple(
        Tag(
            tag=card.tags[i],
            score=float(scores[i]),
            lift=lifts[i],
            evidence=evidences[i],
            group=tags.group(card.tags[i]),
            reliability=reliability[i],
        )
        for i in order
    )


def map_files(
    function: Callable[[Tagger, Path], Value],
    paths: Sequence[str | Path],
    *,
    tagger: Tagger,
    workers: int | None = None,
) -> Iterator[engine.Outcome[Path, Value]]:
    """function(tagger, path) for each file, in order; a file that fails does so alone.

    function : picklable; each worker process calls it with a tagger of its own
    workers : processes that decode and infer side by side; as many as there are cores by default,
        and none but this one for a few files
    """
    if workers is None and len(paths) < _FEW_FILES:
        workers = 1
    files = map(Path, paths)
    if workers == 1:
        return engine.map_units(partial(function, tagger), files, workers=1)
    work = _InWorker(function, tagger.session.path, tagger.session.runtime)
    return engine.map_units(work, files, workers=workers)


@dataclass(frozen=True)
class _TagFile:
    """What becomes of one file of tag_files."""

    options: Options

    def __call__(self, tagger: Tagger, path: Path) -> Tags:
        return tagger.tag(path, options=self.options)


@dataclass(frozen=True)
class _InWorker(Generic[Value]):
    """The work of one worker process on one file; each process loads the model once."""

    function: Callable[[Tagger, Path], Value]
    model: Path
    runtime: str

    def __call__(self, path: Path) -> Value:
        return self.function(_worker_tagger(self.model, self.runtime), path)


@lru_cache(maxsize=1)
def _worker_tagger(model: Path, runtime: str) -> Tagger:
    return Tagger(Model(model, runtime=runtime, threads=1))
