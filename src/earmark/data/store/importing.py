"""A store from spectrograms made elsewhere, in the formats that `data.store.exporting` writes."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.catalog.schema import is_id
from earmark.data.store.exporting import ABOUT, LABELS, SONGS, SPECTRUM
from earmark.data.store.format import (
    DType,
    Row,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    shard_card,
    shard_name,
    shard_names,
    write_shard,
)
from earmark.data.store.index import StoreIndex, make_index, write_index
from earmark.errors import BadStore, BadValue, FeatureMismatch
from earmark.features import LogMel, preset
from earmark.folder_lock import disk_errors, only_run_in
from earmark.tags import MSD_50


def import_store(
    source: str | Path, folder: str | Path, *, features: str | None = None, dtype: DType = "float16"
) -> StoreIndex:
    """Write a new store from all tars or pairs in the folder `source`; returns its index.

    features : the preset that made them, where no about.json says so. Labels then have the 50
        columns of the Million Song Dataset, and clips are named by their place.

    Raises BadStore for files that do not fit together and for a folder that holds a store.
    """
    source, folder = Path(source), Path(folder)
    settings, tags = _read_about(source, features)
    form = StoreFormat(settings, dtype)
    songs = chain(_from_tars(source), _from_pairs(source, tags))
    rows = _rows(songs, form, set(tags))
    card = shard_card(form, tags=tags, songs_sha256="")
    with only_run_in(folder), disk_errors(folder):
        if shard_names(folder):
            raise BadStore(f"{folder} holds shards already. Take another folder")
        names: list[str] = []
        for row in rows:  # the first of each shard
            part = chain([row], islice(rows, form.clips_per_shard - 1))
            write_shard(folder, len(names), part, card=card)
            names.append(shard_name(len(names)))
        if not names:
            raise BadStore(f"{source} holds no *.tar and no *{SPECTRUM}")
        index = make_index(folder, names, form=form, tags=tags)
        write_index(folder, index)
    return index


@dataclass(frozen=True, eq=False)
class _Song:
    id: str
    split: str
    tags: list[str] | None
    source: Path
    log_mel: npt.NDArray[Any]


def _rows(songs: Iterator[_Song], form: StoreFormat, tags: set[str]) -> Iterator[Row]:
    ids: set[str] = set()
    for song in songs:
        if not is_id(song.id) or song.id in ids:
            raise BadStore(f"{song.source}: {song.id!r} is no id, or is there twice")
        if not tags.issuperset(song.tags or ()):
            raise BadStore(
                f"{song.source}: {song.id} has tags that are not in {ABOUT}: {song.tags}"
            )
        log_mel = song.log_mel.squeeze()
        if log_mel.shape != form.clip_shape or not np.issubdtype(log_mel.dtype, np.floating):
            raise BadStore(
                f"{song.source}: {song.id} is {song.log_mel.dtype} {song.log_mel.shape}; the "
                f"features {form.features.name} give float32 {form.clip_shape}"
            )
        if not np.isfinite(log_mel).all() or np.abs(log_mel).max() > np.finfo(np.float16).max:
            raise BadStore(f"{song.source}: {song.id} holds values that are no dB")
        ids.add(song.id)
        codes, offset, step = pack(np.ascontiguousarray(log_mel, np.float32), dtype=form.dtype)
        clip = StoredClip(codes, offset, step, crc32c(codes))
        yield Row(song.id, song.split, song.tags, song.source.name, clip, None)


def _read_about(source: Path, features: str | None) -> tuple[LogMel, tuple[str, ...]]:
    path = source / ABOUT
    if not path.exists():
        if features is None:
            raise BadValue(
                f"{source} has no {ABOUT}: say with --features how its spectrograms were made"
            )
        return preset(features), MSD_50
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        settings, tags = LogMel.from_dict(about["features"]), tuple(about["tags"])
    except (OSError, ValueError, KeyError, TypeError, FeatureMismatch) as error:
        raise BadStore(f"{path} is damaged: {error!r}") from error
    if features is not None:
        preset(features).require(settings, what=str(path))
    return settings, tags


def _from_tars(source: Path) -> Iterator[_Song]:
    for path in sorted(source.glob("*.tar")):
        try:
            with tarfile.open(path) as tar:
                yield from _members(path, tar)
        except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
            raise BadStore(f"{path} is damaged: {error!r}") from error


def _members(path: Path, tar: tarfile.TarFile) -> Iterator[_Song]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for member in tar:
        key, _, suffix = member.name.partition(".")
        file = tar.extractfile(member)
        if file is None:  # a folder or a link
            continue
        if suffix == "npy":
            arrays[key] = np.load(io.BytesIO(file.read()), allow_pickle=False)
        elif suffix == "json":
            about = json.loads(file.read())
            yield _Song(about["id"], about["split"], about["tags"], path, arrays.pop(key))
    if arrays:
        raise BadStore(f"{path}: {', '.join(sorted(arrays)[:3])} come without a .json after them")


def _from_pairs(source: Path, tags: tuple[str, ...]) -> Iterator[_Song]:
    for path in sorted(source.glob(f"*{SPECTRUM}"), key=_first_clip):
        stem = path.name.removesuffix(SPECTRUM)
        try:
            # mapped: the report's files are larger than many memories
            spectra = np.load(path, mmap_mode="r", allow_pickle=False)
            labels = np.load(source / (stem + LABELS), allow_pickle=False)
            songs = _songs_of(source / (stem + SONGS), _first_clip(path), len(spectra))
        except (OSError, ValueError, KeyError) as error:
            raise BadStore(f"{path} and {stem}{LABELS} cannot be read: {error}") from error
        if labels.shape != (len(spectra), len(tags)) or len(songs) != len(spectra):
            raise BadStore(
                f"{path} has {len(spectra)} clips, {stem}{LABELS} labels {labels.shape} and "
                f"{stem}{SONGS} {len(songs)} songs; there are {len(tags)} tags"
            )
        for (song_id, split, is_labelled), spectrum, row in zip(
            songs, spectra, labels, strict=True
        ):
            on = [tag for tag, mark in zip(tags, row, strict=True) if mark] if is_labelled else None
            yield _Song(song_id, split, on, path, spectrum)


def _first_clip(path: Path) -> int:
    """x0 of x0-x1_spectrum.npy, by which the files are in order; 0 where there is none."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def _songs_of(path: Path, first: int, n: int) -> list[tuple[str, str, bool]]:
    """(id, split, whether it is labelled) of each clip; by their place where no file says it."""
    if not path.exists():
        return [(str(first + place), "", True) for place in range(n)]
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["id"], row["split"], row["labelled"] == "1") for row in csv.DictReader(file)]
