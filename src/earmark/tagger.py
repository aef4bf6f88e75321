"""The tagger: a file in, its tags out; many files side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Generic, TypeVar

from earmark import engine, tags, windows, zoo
from earmark.arrays import Float32Array
from earmark.audio.budget import deadline, memory
from earmark.audio.given import AudioSource, path_of
from earmark.errors import BadValue
from earmark.inference import Listening, Options, hear, model_of_worker
from earmark.model_file import Card
from earmark.remote import Place, place_of
from earmark.results import Embedding, Failure, Tags, rank_tags
from earmark.runtime import Device, LoadedModel, Model, runtime_of
from earmark.signal_check import Doubt, doubts, sound_of

log = logging.getLogger("earmark.tagger")

Value = TypeVar("Value")
File = TypeVar("File", bound=Place)
# Below this many files another process costs more than it brings: it takes a second to start.
_FEW_FILES = 6


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
        device: Device = "cpu",
        threads: int | None = None,
    ) -> Tagger:
        """A tagger from a model's name (`earmark models list`) or file; the default without one.

        runtime : onnxruntime or openvino; EARMARK_RUNTIME, or onnxruntime, by default
        device : cpu, or cuda for an NVIDIA GPU, which needs the extra gpu
        threads : cores for the network; all by default

        Raises ModelNotFound, which says how to get one, BadModel, and MissingExtra.
        """
        name = None if name_or_path is None else os.fspath(name_or_path)
        runs = runtime_of(device, runtime)
        return cls(Model(zoo.resolve(name), runtime=runs, threads=threads))

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

        source : the path of a file, or an address such as s3://bucket/song.mp3; its bytes; a file
            opened with open(path, "rb"), or a BytesIO; or samples: floats with full scale at 1,
            int16, int32 or uint8, (n,), (n, channels) or (channels, n), as an array or a torch
            tensor
        rate : of samples, Hz; a file states its own

        Raises UnreadableAudio for a file that holds no audio, BadValue for what is none of these.
        """
        heard = self.listen(source, rate=rate, options=options)
        return self.tags_of(heard, path=path_of(source), options=options)

    def tags_of(
        self, heard: Listening, *, path: Place | None = None, options: Options = Options()
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

        paths : may be endless; taken a few ahead of the results
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


def map_files(
    function: Callable[[Tagger, File], Value],
    files: Iterable[File],
    *,
    tagger: Tagger,
    workers: int | None = None,
    limits: bool = True,
) -> Iterator[engine.Outcome[File, Value]]:
    """function(tagger, path) for each file, in order; a file that fails does so alone.

    files : taken a few ahead of the outcomes, so that there may be any number of them
    function : picklable; each worker process calls it with a tagger of its own
    workers : as of Tagger.tag_files
    limits : each file has audio.budget.DEADLINE seconds, and a worker process audio.budget.MEMORY
    """
    files = iter(files)
    first = list(islice(files, _FEW_FILES))
    if workers is None and len(first) < _FEW_FILES:
        workers = 1
    files, seconds = chain(first, files), deadline(limits=limits)
    if workers == 1:
        return engine.map_units(partial(function, tagger), files, workers=1, deadline=seconds)
    work = _InWorker(function, tagger.model.path, tagger.model.runtime)
    most = memory(limits=limits, model_bytes=tagger.model.path.stat().st_size)
    return engine.map_units(work, files, workers=workers, deadline=seconds, memory=most)


def _results(
    function: Callable[[Tagger, Place], Value],
    paths: Iterable[str | os.PathLike[str]],
    *,
    tagger: Tagger,
    workers: int | None,
    limits: bool,
) -> Iterator[Value | Failure]:
    """What map_files gives, with a Failure for each file that failed."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadValue(f"this takes a list of files: give [{os.fspath(paths)!r}], or call tag")
    files = map(place_of, paths)
    return _values(map_files(function, files, tagger=tagger, workers=workers, limits=limits))


def _values(outcomes: Iterator[engine.Outcome[Place, Value]]) -> Iterator[Value | Failure]:
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

    def __call__(self, tagger: Tagger, path: Place) -> Tags:
        return tagger.tag(path, options=self.options)


@dataclass(frozen=True)
class _EmbedFile:
    """The work on one file of embed_files."""

    options: Options

    def __call__(self, tagger: Tagger, path: Place) -> Embedding:
        heard = tagger.listen(path, options=self.options)
        return Embedding(path, heard.embedding, heard.seconds, tagger.card.name)


@dataclass(frozen=True)
class _InWorker(Generic[File, Value]):
    """The work on one file in a worker process; each process loads the model once."""

    function: Callable[[Tagger, File], Value]
    model: Path
    runtime: str

    def __call__(self, path: File) -> Value:
        return self.function(Tagger(model_of_worker(self.model, self.runtime)), path)
