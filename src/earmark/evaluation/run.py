"""One model, or two, on songs whose tags are known: everything that `earmark evaluate` says.

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
from earmark.evaluation import compare
from earmark.evaluation.measures import Json, evaluate
from earmark.evaluation.robustness import robustness
from earmark.evaluation.scores import Scored, score_catalog, score_store, songs_of
from earmark.inference import Options
from earmark.metrics import REPLICATES
from earmark.provenance import commit
from earmark.runtime import Model

# told of each stage in words and how many songs it has; gives what to call with how many are done
Stage = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


@dataclass(frozen=True)
class TestSet:
    """The songs to hear: a store's spectrograms, or a catalog's audio; one of the two.

    catalog : a CSV file, or a catalog of `earmark data`
    audio : the folder that the catalog's paths are relative to; its own by default
    split : train, valid, test, a fold number, or all
    """

    store: Path | None = None
    catalog: Path | None = None
    audio: Path | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse two sources, or none."""
        if (self.store is None) == (self.catalog is None):
            raise BadValue("give the songs as a store or as a catalog, one of the two")


@dataclass(frozen=True)
class Questions:
    """What to find out of them, and how.

    same : {tag in the data: tag in the model}, where one tag has two names
    whole : hear all of each file of a catalog, not the middle as a store does
    distorted : hear a catalog's audio distorted as well
    replicates : draws of songs for the intervals
    seed : of those draws, and of added noise
    workers : processes that hear audio; one a core by default
    """

    same: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    distorted: bool = False
    replicates: int = REPLICATES
    seed: int = 0
    workers: int | None = None


def assess(
    models: Sequence[Path],
    songs: TestSet,
    *,
    questions: Questions = Questions(),
    command: str = "",
    stage: Stage = lambda _words, _total: nullcontext(lambda _done: None),
) -> tuple[Json, list[Scored]]:
    """Hear the songs with each model; returns the result, as JSON has it, and the scores.

    models : one model file to measure, or two to compare on the same songs
    command : for the record

    Raises BadValue for what cannot be asked, and what reading models, songs and labels raises.
    """
    if not 1 <= len(models) <= 2:
        raise BadValue(f"{len(models)} models; give one to measure or two to compare")
    if questions.distorted and (songs.catalog is None or len(models) > 1):
        raise BadValue("only audio can be distorted: give a catalog, and one model")
    sessions = [Model(model) for model in models]
    scored = _hear(sessions, songs, questions, stage)
    if len(scored) == 2:
        scored = list(compare.common(*scored))
    seed, n = questions.seed, questions.replicates
    results = []
    for one in scored:
        with stage(f"{n} draws of {len(one.ids)} songs for the intervals", n):
            results.append(evaluate(one, generator=np.random.default_rng(seed), n=n))
    result = results[0]
    if questions.distorted:
        with stage("distorting", len(scored[0].paths)) as advance:
            result["robustness"] = robustness(
                scored[0], sessions[0], seed=seed, workers=questions.workers, progress=advance
            )
    if len(results) == 2:
        difference = compare.compare(*scored, seed=seed, n=n)
        result = {"a": result, "b": results[1], "difference": difference}
    return result | {"command": command, "commit": commit(), "seed": seed}, scored


def _hear(
    sessions: Sequence[Model], songs: TestSet, questions: Questions, stage: Stage
) -> list[Scored]:
    hear: Callable[..., Scored]
    if songs.store is not None:
        # each clip is read once for each model, in order: no need for memory
        clips = open_store(songs.store, resident=False)
        total = len(songs_of(clips, split=songs.split)[0])
        hear = partial(score_store, store=clips, split=songs.split, same=questions.same)
    else:
        assert songs.catalog is not None
        catalog = _catalog(songs.catalog)
        total = len(songs_of(catalog, split=songs.split)[0])
        hear = partial(
            score_catalog, catalog=catalog, path=songs.catalog, audio=songs.audio,
            split=songs.split, same=questions.same, workers=questions.workers,
            options=Options(center=not questions.whole),
        )  # fmt: skip
    scored = []
    for session in sessions:
        with stage(f"hearing with {session.card.name}", total) as advance:
            scored.append(hear(session, progress=advance))
    return scored


def _catalog(path: Path) -> Catalog:
    return read_csv(path).catalog if path.suffix.lower() == ".csv" else read_catalog(path)
