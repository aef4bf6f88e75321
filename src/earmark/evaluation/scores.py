"""A model's scores of songs whose tags are known, beside those tags: the input of every measure."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark import engine, files, metrics, windows
from earmark.arrays import BoolArray, Float32Array, Int64Array
from earmark.audio import load_audio
from earmark.audio.budget import deadline, memory
from earmark.errors import BadValue, DataError, EarmarkError
from earmark.evaluation.columns import Columns
from earmark.features import log_mel
from earmark.inference import Options, model_of_worker
from earmark.model_file import Card
from earmark.runtime import BATCH, Model
from earmark.tagger import Tagger

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Catalog
    from earmark.data.store.reader import Store


OnProgress = Callable[[int], object]  # called with how many more songs are done
ALL = "all"  # the split of every song


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
class ScoredSongs:
    """Labels and scores of the same songs and tags; n_tags are those that model and data share.

    card : of the model; source : what was scored, and by which bytes, as JSON
    tags : in the model's spelling and order; priors : float32 (n_tags,), the model's
    ids : n_tracks
    labels : bool (n_tracks, n_tags)
    scores : float32 (n_tracks, n_tags), as the model ships them; raw : before its calibration
    only_model, only_data : tags that the other one does not know
    skipped : tags left out because all of the songs carry them, or none does
    n_unlabelled : songs left out because their tags are not known
    spectrogram : gives float32 (n_mels, n_frames), dB, of the track at a place; for a store, while
        it is open
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
        """Share of songs with each tag in the training data, float32 (n_tags,); .5 if not known."""
        if self.card.priors is None:
            return np.full(len(self.tags), 0.5, dtype=np.float32)
        places = [self.card.tags.index(tag) for tag in self.tags]
        return np.array(self.card.priors, dtype=np.float32)[places]

    def measurable(self) -> ScoredSongs:
        """Without the tags that all songs carry, or none does; these are then in `skipped`.

        Where no tag would remain all stay: a mean over songs may still be defined.
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
    ) -> ScoredSongs:
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


def score_store(
    model: Model,
    store: Store,
    *,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    progress: OnProgress = lambda _: None,
) -> ScoredSongs:
    """A model's scores of the clips of one split of a store, or of "all".

    same : tags with another name in the model: {name in the store: name in the model}
    progress : called with how many more clips are done

    Raises FeatureMismatch for a store of other features, BadValue where nothing can be measured.
    """
    model.card.features.require(store.settings, what=f"the store {store.folder}")
    known, n_unlabelled = songs_of(store, split=split)
    columns = Columns.of(model.card.tags, store.tags, same or {})
    logits = np.empty((len(known), len(model.card.tags)), dtype=np.float32)
    for first in range(0, len(known), BATCH):
        batch = known[first : first + BATCH]
        logits[first : first + len(batch)] = model.run(store.log_mels(batch))[0]
        progress(len(batch))
    return _scored(
        model,
        columns,
        logits,
        labels=store.labels[known],
        ids=[store.ids[place] for place in known],
        source=source_of(model, "store", store.folder, split, data_sha256=store.sha256),
        n_unlabelled=n_unlabelled,
        spectrogram=lambda place: store.log_mels([known[place]])[0],
    )


def score_catalog(
    model: Model,
    catalog: Catalog,
    *,
    path: str | Path,
    audio: str | Path | None = None,
    split: str = "test",
    same: Mapping[str, str] | None = None,
    options: Options = Options(center=True),
    workers: int | None = None,
    progress: OnProgress = lambda _: None,
) -> ScoredSongs:
    """A model's scores of the audio files of one split of a catalog, or of "all".

    path : of the catalog's file, for the record
    audio : the folder that relative paths are relative to; the catalog's own by default
    options : the middle of each track by default, which is what a store holds
    workers : processes; as many as there are cores by default

    A file that cannot be heard is left out, and is in `failures`. Raises BadValue where nothing
    can be measured, DataError where nothing can be heard.
    """
    known, n_unlabelled = songs_of(catalog, split=split)
    columns = Columns.of(model.card.tags, catalog.tags, same or {})
    names, ids = catalog.column("path"), catalog.ids
    units = audio_paths(names, known, folder=Path(path).parent if audio is None else audio)
    rows: list[np.int64] = []
    logits: list[Float32Array] = []
    failures: list[UnscoredSong] = []
    work = _LogitsOfFile(model.path, model.runtime, options)
    outcomes = engine.map_units(
        work,
        units,
        workers=workers,
        deadline=deadline(limits=options.limits),
        memory=memory(limits=options.limits, model_bytes=model.path.stat().st_size),
    )
    for place, outcome in zip(known, outcomes, strict=True):
        progress(1)
        if outcome.error is not None:
            failures.append(UnscoredSong(ids[place], str(outcome.unit), outcome.error))
        else:
            assert outcome.value is not None
            rows.append(place)
            logits.append(outcome.value)
    if not rows:
        raise DataError(
            f"none of the {len(failures)} songs could be heard. Check the paths; the first error: "
            f"{failures[0].error}"
        )
    path_of = dict(zip(known, units, strict=True))
    paths = tuple(path_of[row] for row in rows)
    features = model.card.features

    def spectrogram(place: int) -> Float32Array:
        samples = load_audio(paths[place], rate=features.rate).samples
        return log_mel(windows.centre_crop(samples, settings=features), settings=features)

    return _scored(
        model,
        columns,
        np.stack(logits),
        labels=catalog.labels()[rows],
        ids=[ids[row] for row in rows],
        source=source_of(model, "catalog", path, split, data_sha256=files.sha256(path))
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
        raise BadValue(f"no song is in the split {split!r}. Choose one of: {there}; or {ALL!r}")
    chosen = np.array(places, dtype=np.int64)
    known = chosen[data.labelled[chosen]]
    if not len(known):
        raise BadValue(
            f"none of the {len(chosen)} songs of the split {split!r} has known tags to compare the "
            "scores with. Choose another split, or data with labels"
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
class _LogitsOfFile:
    """Hears one file in a worker process: its pooled logits, float32 (n_tags,)."""

    model: Path
    runtime: str
    options: Options

    def __call__(self, path: Path) -> Float32Array:
        tagger = Tagger(model_of_worker(self.model, self.runtime))
        return windows.pool(
            tagger.listen(path, options=self.options).logits, pooling=tagger.card.pooling
        )


def _scored(
    model: Model,
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
) -> ScoredSongs:
    card, chosen = model.card, list(columns.of_model)
    return ScoredSongs(
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


def source_of(
    model: Model, kind: str, path: str | os.PathLike[str], split: str, *, data_sha256: str
) -> dict[str, Any]:
    """What was measured on what; `data_sha256` tells the data from others."""
    return {
        "model": model.card.name,
        "model_file": str(model.path),
        "model_sha256": files.sha256(model.path),
        "runtime": model.runtime,
        kind: str(path),
        "data_sha256": data_sha256,
        "split": split,
    }
