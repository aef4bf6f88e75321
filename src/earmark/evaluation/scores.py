"""Songs whose tags are known beside what a model says of them: made, kept and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark import engine, files, metrics, windows
from earmark.arrays import BoolArray, Float32Array, Int64Array
from earmark.audio import load_audio
from earmark.data.store.index import INDEX
from earmark.errors import BadValue, DataError, EarmarkError
from earmark.evaluation.columns import Columns
from earmark.features import log_mel
from earmark.inference import Options, listen
from earmark.model_file import Card
from earmark.runtime import BATCH, Model

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Catalog
    from earmark.data.store.reader import Store


@dataclass(frozen=True)
class UnscoredSong:
    """A song that could not be heard, and why."""

    id: str
    path: str
    error: EarmarkError

    def as_json(self) -> dict[str, Any]:
        """The JSON line of a song that failed."""
        return {"id": self.id, "path": self.path, "error": self.error.as_json()}


@dataclass(frozen=True, eq=False)
class Scored:
    """Labels and scores of the same songs and tags; n_tags are those that both sides know.

    card : of the model; source : what was scored, and by which bytes, as JSON
    tags : in the model's spelling and order; priors : float32 (n_tags,), the model's
    ids : n_tracks
    labels : bool (n_tracks, n_tags)
    scores : float32 (n_tracks, n_tags), as the model ships them; raw : before its calibration
    only_model, only_data : tags that the other side does not know
    skipped : tags left out because all of the songs carry them, or none does
    n_unlabelled : songs left out because nobody knows their tags
    spectrogram : float32 (n_mels, n_frames), dB, of one track by its place; of a store, while it is
        open
    paths : the audio files, n_tracks; none for a store
    """

    card: Card
    source: Mapping[str, Any]
    tags: tuple[str, ...]
    ids: tuple[str, ...]
    labels: BoolArray
    scores: Float32Array
    raw: Float32Array
    only_model: tuple[str, ...]
    only_data: tuple[str, ...]
    n_unlabelled: int
    spectrogram: Callable[[int], Float32Array]
    paths: tuple[Path, ...] = ()
    failures: tuple[UnscoredSong, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def priors(self) -> Float32Array:
        """Share of songs with each tag where the model learned; all alike where it is not said."""
        if self.card.priors is None:
            return np.full(len(self.tags), 0.5, dtype=np.float32)
        places = [self.card.tags.index(tag) for tag in self.tags]
        return np.array(self.card.priors, dtype=np.float32)[places]

    def measurable(self) -> Scored:
        """Without the tags that have one class, which are then in `skipped`.

        Where no tag would remain all stay: a mean over songs may still be there.
        """
        one_class = metrics.one_class(self.labels)
        kept = np.flatnonzero(~one_class)
        left_out = tuple(tag for tag, out in zip(self.tags, one_class, strict=True) if out)
        if not left_out:
            return self
        rest = self.select(np.arange(len(self.ids)), kept) if len(kept) else self
        return dataclasses.replace(rest, skipped=(*self.skipped, *left_out))

    def select(
        self, rows: Sequence[int] | Int64Array, columns: Sequence[int] | Int64Array
    ) -> Scored:
        """These songs and these tags only."""
        grid = np.ix_(np.asarray(rows), np.asarray(columns))
        return dataclasses.replace(
            self,
            tags=tuple(self.tags[column] for column in columns),
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[grid],
            scores=self.scores[grid],
            raw=self.raw[grid],
            spectrogram=lambda place: self.spectrogram(rows[place]),
            paths=tuple(self.paths[row] for row in rows) if self.paths else (),
        )


OnProgress = Callable[[int], object]
ALL = "all"  # a split of every song


def score_store(
    session: Model,
    store: Store,
    *,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    progress: OnProgress = lambda _: None,
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
    session: Model,
    catalog: Catalog,
    *,
    path: str | Path,
    audio: str | Path | None = None,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    options: Options = Options(center=True),
    workers: int | None = None,
    progress: OnProgress = lambda _: None,
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
    logits: list[Float32Array] = []
    failures: list[UnscoredSong] = []
    work = LogitsOfFile(session.path, session.runtime, options)
    for place, outcome in zip(known, engine.map_units(work, units, workers=workers), strict=True):
        progress(1)
        if outcome.error is not None:
            failures.append(UnscoredSong(ids[place], str(outcome.unit), outcome.error))
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

    def spectrogram(place: int) -> Float32Array:
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


def songs_of(data: Store | Catalog, *, split: str) -> tuple[Int64Array, int]:
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


def audio_paths(names: Sequence[str], places: Int64Array, *, folder: str | Path) -> list[Path]:
    """The audio files of these songs. Raises DataError for songs without a path."""
    without = [place for place in places if not names[place]]
    if without:
        raise DataError(
            f"{len(without)} of the {len(places)} songs have no path in the catalog. Evaluate on a "
            "store instead: `earmark data shards` finds audio by id"
        )
    return [Path(folder) / names[place] for place in places]


@dataclass(frozen=True)
class LogitsOfFile:
    """The work on one file: its pooled logits, float32 (n_tags,)."""

    model: Path
    runtime: str
    options: Options

    def __call__(self, path: Path) -> Float32Array:
        session = loaded(self.model, self.runtime)
        heard = listen(session, path, options=self.options)
        return windows.pool(heard.logits, pooling=session.card.pooling)


@lru_cache(maxsize=1)
def loaded(model: Path, runtime: str) -> Model:
    """A model that stays loaded in a worker process, on one core."""
    return Model(model, runtime=runtime, threads=1)


def _scored(
    session: Model,
    columns: Columns,
    logits: Float32Array,
    *,
    labels: BoolArray,
    ids: Sequence[str],
    source: Mapping[str, Any],
    n_unlabelled: int,
    spectrogram: Callable[[int], Float32Array],
    paths: tuple[Path, ...] = (),
    failures: tuple[UnscoredSong, ...] = (),
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
    session: Model, kind: str, path: str | Path, split: str, *, known_by: str | Path
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
