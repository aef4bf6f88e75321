"""The import of a store: spectrograms made elsewhere, in the formats that `exporting` writes."""

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
    ShardRow,
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

    features : the preset that made them, where no about.json names it. Labels then have the 50
        columns of the Million Song Dataset, and the id of a clip is its place.

    Raises BadStore for files that do not fit together and for a folder that holds a store.
    """
    source, folder = Path(source), Path(folder)
    settings, tags = _read_about(source, features)
    store_format = StoreFormat(settings, dtype)
    songs = chain(_from_tars(source), _from_pairs(source, tags))
    rows = _rows(songs, store_format, set(tags))
    card = shard_card(store_format, tags=tags, songs_sha256="")
    with only_run_in(folder), disk_errors(folder):
        if shard_names(folder):
            raise BadStore(f"{folder} already holds shards. Take another folder")
        names: list[str] = []
        for row in rows:  # the first of each shard
            shard = chain([row], islice(rows, store_format.clips_per_shard - 1))
            write_shard(folder, len(names), shard, card=card)
            names.append(shard_name(len(names)))
        if not names:
            raise BadStore(f"{source} holds no *.tar and no *{SPECTRUM}")
        index = make_index(folder, names, store_format=store_format, tags=tags)
        write_index(folder, index)
    return index


@dataclass(frozen=True, eq=False)
class _ForeignClip:
    """A clip and its song, as a tar or a pair of arrays gives them."""

    id: str
    split: str
    tags: list[str] | None
    source: Path
    log_mel: npt.NDArray[Any]


def _rows(
    songs: Iterator[_ForeignClip], store_format: StoreFormat, tags: set[str]
) -> Iterator[ShardRow]:
    ids: set[str] = set()
    for song in songs:
        if not is_id(song.id) or song.id in ids:
            raise BadStore(
                f"{song.source}: the id {song.id!r} cannot be a file name, or is there twice"
            )
        if not tags.issuperset(song.tags or ()):
            raise BadStore(
                f"{song.source}: {song.id} has tags that are not in {ABOUT}: {song.tags}"
            )
        log_mel = song.log_mel.squeeze()
        if log_mel.shape != store_format.clip_shape or not np.issubdtype(
            log_mel.dtype, np.floating
        ):
            raise BadStore(
                f"{song.source}: {song.id} is {song.log_mel.dtype} {song.log_mel.shape}; the "
                f"features {store_format.features.name} give float32 {store_format.clip_shape}"
            )
        if not np.isfinite(log_mel).all() or np.abs(log_mel).max() > np.finfo(np.float16).max:
            raise BadStore(f"{song.source}: {song.id} holds values that cannot be dB")
        ids.add(song.id)
        codes, offset, step = pack(
            np.ascontiguousarray(log_mel, np.float32), dtype=store_format.dtype
        )
        clip = StoredClip(codes, offset, step, crc32c(codes))
        yield ShardRow(song.id, song.split, song.tags, song.source.name, clip, None)


def _read_about(source: Path, features: str | None) -> tuple[LogMel, tuple[str, ...]]:
    path = source / ABOUT
    if not path.exists():
        if features is None:
            raise BadValue(
                f"{source} has no {ABOUT}: name with --features how its spectrograms were made"
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


def _from_tars(source: Path) -> Iterator[_ForeignClip]:
    for path in sorted(source.glob("*.tar")):
        try:
            with tarfile.open(path) as tar:
                yield from _members(path, tar)
        except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
            raise BadStore(f"{path} is damaged: {error!r}") from error


def _members(path: Path, tar: tarfile.TarFile) -> Iterator[_ForeignClip]:
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
            yield _ForeignClip(about["id"], about["split"], about["tags"], path, arrays.pop(key))
    if arrays:
        raise BadStore(f"{path}: {', '.join(sorted(arrays)[:3])} have no .json after them")


def _from_pairs(source: Path, tags: tuple[str, ...]) -> Iterator[_ForeignClip]:
    for path in sorted(source.glob(f"*{SPECTRUM}"), key=_first_clip):
        stem = path.name.removesuffix(SPECTRUM)
        try:
            # mapped: the files of the report are larger than the memory of many machines
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
            yield _ForeignClip(song_id, split, on, path, spectrum)


def _first_clip(path: Path) -> int:
    """x0 of x0-x1_spectrum.npy, which gives the order of the files; 0 where there is none."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def _songs_of(path: Path, first: int, n: int) -> list[tuple[str, str, bool]]:
    """(id, split, whether it is labelled) of each clip; without the file its place is its id."""
    if not path.exists():
        return [(str(first + place), "", True) for place in range(n)]
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["id"], row["split"], row["labelled"] == "1") for row in csv.DictReader(file)]
