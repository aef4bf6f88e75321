"""What a model file says of songs whose tags are known: scores beside labels, in common columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark import engine, files, windows
from earmark.audio import load_audio
from earmark.data.store_index import INDEX
from earmark.errors import BadValue, DataError
from earmark.evaluation.columns import Columns
from earmark.evaluation.scored import Array, Failure, Labels, Places, Scored
from earmark.features import log_mel
from earmark.listening import Options, listen
from earmark.runtime import BATCH, Session

if TYPE_CHECKING:
    from earmark.data.catalog import Catalog
    from earmark.data.store import Store

Progress = Callable[[int], object]
ALL = "all"  # a split of every song


def score_store(
    session: Session,
    store: Store,
    *,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    progress: Progress = lambda _: None,
) -> Scored:
    """A model's scores of the clips of one split of a store, or of "all".

    same : tags of the store that are called otherwise in the model: {in the store: in the model}
    progress : called with how many more clips are done

    Raises FeatureMismatch for a store of other features, BadValue where nothing can be measured.
    """
    session.card.features.require(store.settings, what=f"the store {store.folder}")
    known, n_unlabelled = songs_of(store, split=split)
    columns = Columns.of(session.card.tags, store.tags, same or {})
    logits = np.empty((len(known), len(session.card.tags)), dtype=np.float32)
    for first in range(0, len(known), BATCH):
        batch = known[first : first + BATCH]
        logits[first : first + len(batch)] = session.run(store.log_mels(batch))[0]
        progress(len(batch))
    return _scored(
        session,
        columns,
        logits,
        labels=store.labels[known],
        ids=[store.ids[place] for place in known],
        source=_source(session, "store", store.folder, split, known_by=store.folder / INDEX),
        n_unlabelled=n_unlabelled,
        spectrogram=lambda place: store.log_mels([known[place]])[0],
    )


def score_catalog(
    session: Session,
    catalog: Catalog,
    *,
    path: str | Path,
    audio: str | Path | None = None,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    options: Options = Options(center=True),
    workers: int | None = None,
    progress: Progress = lambda _: None,
) -> Scored:
    """A model's scores of the audio files of one split of a catalog, or of "all".

    path : of the catalog's file, for the record
    audio : the folder that relative paths are relative to; the catalog's own by default
    options : the middle of each track by default, which is what a store holds
    workers : processes; as many as there are cores by default

    A file that cannot be heard is left out, and is in `failures`. Raises BadValue where nothing
    can be measured, DataError where nothing can be heard.
    """
    known, n_unlabelled = songs_of(catalog, split=split)
    columns = Columns.of(session.card.tags, catalog.tags, same or {})
    names, ids = catalog.column("path"), catalog.ids
    units = audio_paths(names, known, folder=Path(path).parent if audio is None else audio)
    rows: list[np.int64] = []
    logits: list[Array] = []
    failures: list[Failure] = []
    work = Listener(session.path, session.runtime, options)
    for place, outcome in zip(known, engine.map_units(work, units, workers=workers), strict=True):
        progress(1)
        if outcome.error is not None:
            failures.append(Failure(ids[place], str(outcome.unit), outcome.error))
        else:
            assert outcome.value is not None
            rows.append(place)
            logits.append(outcome.value)
    if not rows:
        raise DataError(
            f"not one of the {len(failures)} songs could be heard; the first: {failures[0].error}"
        )
    path_of = dict(zip(known, units, strict=True))
    paths = tuple(path_of[row] for row in rows)
    features = session.card.features

    def spectrogram(place: int) -> Array:
        samples = load_audio(paths[place], rate=features.rate).samples
        return log_mel(windows.centre_crop(samples, settings=features), settings=features)

    return _scored(
        session,
        columns,
        np.stack(logits),
        labels=catalog.labels()[rows],
        ids=[ids[row] for row in rows],
        source=_source(session, "catalog", path, split, known_by=path)
        | dataclasses.asdict(options),
        n_unlabelled=n_unlabelled,
        spectrogram=spectrogram,
        paths=paths,
        failures=tuple(failures),
    )


def songs_of(data: Store | Catalog, *, split: str) -> tuple[Places, int]:
    """The places of the labelled songs of a split, or of "all"; and how many are not labelled.

    Raises BadValue where there are none.
    """
    places = [place for place, name in enumerate(data.splits) if split in (ALL, name)]
    if not places:
        there = ", ".join(sorted({name or "(none)" for name in data.splits})) or "no songs"
        raise BadValue(f"no song is in the split {split!r}; there are: {there}; or take {ALL!r}")
    chosen = np.array(places, dtype=np.int64)
    known = chosen[data.labelled[chosen]]
    if not len(known):
        raise BadValue(
            f"of the {len(chosen)} songs of the split {split!r} nobody knows the tags: there is "
            "nothing to compare the scores with"
        )
    return known, len(chosen) - len(known)


def audio_paths(names: Sequence[str], places: Places, *, folder: str | Path) -> list[Path]:
    """The audio files of these songs. Raises DataError for songs without a path."""
    without = [place for place in places if not names[place]]
    if without:
        raise DataError(
            f"{len(without)} of the {len(places)} songs have no path in the catalog. Evaluate on a "
            "store instead: `earmark data shards` finds audio by id"
        )
    return [Path(folder) / names[place] for place in places]


@dataclass(frozen=True)
class Listener:
    """The work on one file: its pooled logits, float32 (n_tags,)."""

    model: Path
    runtime: str
    options: Options

    def __call__(self, path: Path) -> Array:
        session = loaded(self.model, self.runtime)
        return windows.pool(listen(session, path, options=self.options).logits)


@lru_cache(maxsize=1)
def loaded(model: Path, runtime: str) -> Session:
    """A model that stays loaded in a worker process, on one core."""
    return Session(model, runtime=runtime, threads=1)


def _scored(
    session: Session,
    columns: Columns,
    logits: Array,
    *,
    labels: Labels,
    ids: Sequence[str],
    source: Mapping[str, Any],
    n_unlabelled: int,
    spectrogram: Callable[[int], Array],
    paths: tuple[Path, ...] = (),
    failures: tuple[Failure, ...] = (),
) -> Scored:
    card, chosen = session.card, list(columns.of_model)
    return Scored(
        card=card,
        source=source,
        tags=tuple(card.tags[column] for column in chosen),
        ids=tuple(ids),
        labels=np.stack([labels[:, of].any(axis=1) for of in columns.of_model.values()], axis=1),
        scores=card.scores(logits)[:, chosen],
        raw=dataclasses.replace(card, calibration=None).scores(logits)[:, chosen],
        only_model=tuple(tag for i, tag in enumerate(card.tags) if i not in columns.of_model),
        only_data=columns.only_data,
        n_unlabelled=n_unlabelled,
        spectrogram=spectrogram,
        paths=paths,
        failures=failures,
    )


def _source(
    session: Session, kind: str, path: str | Path, split: str, *, known_by: str | Path
) -> dict[str, Any]:
    """What was measured on what; the hash of the file `known_by` stands for the data."""
    return {
        "model": session.card.name,
        "model_file": str(session.path),
        "model_sha256": files.sha256(session.path),
        "runtime": session.runtime,
        kind: str(path),
        "data_sha256": files.sha256(known_by),
        "split": split,
    }
