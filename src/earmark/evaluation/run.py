"""The whole evaluation in one call: score songs with one model or two, measure, compare.

docs/reference/formats/evaluation.md says what each key of the result means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from earmark.data.catalog.catalog import Catalog, read_catalog
from earmark.data.catalog.from_csv import read_csv
from earmark.data.store.reader import open_store
from earmark.errors import BadValue
from earmark.evaluation.compare import compare_scores, in_common
from earmark.evaluation.measures import measure
from earmark.evaluation.robustness import robustness
from earmark.evaluation.scores import ScoredSongs, score_catalog, score_store, songs_of
from earmark.files import Json
from earmark.inference import Options
from earmark.metrics import REPLICATES
from earmark.provenance import commit
from earmark.runtime import Model

# called with a stage's name and its number of songs; gives what to call with how many more are done
Stage = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


def no_stage(_words: str, _total: int) -> AbstractContextManager[Callable[[int], object]]:
    """A Stage that shows nothing."""
    return nullcontext(lambda _done: None)


@dataclass(frozen=True)
class EvaluationSongs:
    """The songs to hear: a store's spectrograms, or a catalog's audio; one of the two.

    catalog : a CSV file, or a catalog of `earmark data`
    audio : the folder that paths of a catalog of `earmark data` are relative to; its own by default
    split : train, valid, test, a fold number, or all
    """

    store: str | Path | None = None
    catalog: Path | None = None
    audio: Path | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse two sources, or none, and a folder that would not be looked at."""
        if (self.store is None) == (self.catalog is None):
            raise BadValue("give the songs as a store or as a catalog, exactly one of the two")
        if self.audio is not None and (self.catalog is None or _is_csv(self.catalog)):
            raise BadValue(
                "an audio folder belongs to a catalog of `earmark data`: a store has no audio, and "
                "paths in a CSV file are relative to that file. Leave it out"
            )


@dataclass(frozen=True)
class EvaluationOptions:
    """How songs are heard, and what is measured.

    same : {tag in the data: tag in the model}, where one tag has two names
    whole : hear all of each file of a catalog, not only the middle that a store holds
    distorted : hear a catalog's audio distorted as well
    replicates : draws of songs for the intervals
    seed : of those draws, and of added noise
    workers : processes that hear audio; one for each core by default
    """

    same: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    distorted: bool = False
    replicates: int = REPLICATES
    seed: int = 0
    workers: int | None = None


def evaluate_models(
    models: Sequence[Path],
    songs: EvaluationSongs,
    *,
    options: EvaluationOptions = EvaluationOptions(),
    command: str = "",
    stage: Stage = no_stage,
) -> tuple[Json, list[ScoredSongs]]:
    """Evaluate models; returns the result, as `--json` prints it, and the scores of each model.

    models : one model file to measure, or two to compare on the same songs
    command : the command line, for the record

    Raises BadValue for options that contradict each other, and what reading the models, the songs
    and the labels raises.
    """
    if not 1 <= len(models) <= 2:
        raise BadValue(f"{len(models)} models are given; give one to measure or two to compare")
    if options.distorted and (songs.catalog is None or len(models) > 1):
        raise BadValue("only audio can be distorted: give a catalog, and one model")
    if options.whole and songs.catalog is None:
        raise BadValue("a store holds the middle of each file, and no whole: give a catalog")
    loaded = [Model(model) for model in models]
    scored = _score(loaded, songs, options, stage)
    if len(scored) == 2:
        scored = list(in_common(*scored))
    seed, n = options.seed, options.replicates
    results = []
    for one in scored:
        with stage(f"{n} draws of {len(one.ids)} songs for the intervals", n):
            results.append(measure(one, generator=np.random.default_rng(seed), n=n))
    result = results[0]
    if options.distorted:
        with stage("hearing them distorted", len(scored[0].paths)) as advance:
            result["robustness"] = robustness(
                scored[0], loaded[0], seed=seed, workers=options.workers, progress=advance
            )
    if len(results) == 2:
        difference = compare_scores(*scored, seed=seed, n=n)
        result = {"a": result, "b": results[1], "difference": difference}
    return result | {"command": command, "commit": commit(), "seed": seed}, scored


def _score(
    loaded: Sequence[Model], songs: EvaluationSongs, options: EvaluationOptions, stage: Stage
) -> list[ScoredSongs]:
    hear: Callable[..., ScoredSongs]
    if songs.store is not None:
        # each clip is read once for each model, in order: no need for memory
        clips = open_store(songs.store, resident=False)
        total = len(songs_of(clips, split=songs.split)[0])
        hear = partial(score_store, store=clips, split=songs.split, same=options.same)
    else:
        assert songs.catalog is not None
        catalog = _catalog(songs.catalog)
        total = len(songs_of(catalog, split=songs.split)[0])
        hear = partial(
            score_catalog, catalog=catalog, path=songs.catalog, audio=songs.audio,
            split=songs.split, same=options.same, workers=options.workers,
            options=Options(center=not options.whole),
        )  # fmt: skip
    scored = []
    for model in loaded:
        with stage(f"hearing with {model.card.name}", total) as advance:
            scored.append(hear(model, progress=advance))
    return scored


def _catalog(path: Path) -> Catalog:
    return read_csv(path).catalog if _is_csv(path) else read_catalog(path)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"
