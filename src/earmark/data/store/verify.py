"""The check of a whole store: every file, every row and every clip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.data.catalog.schema import doubled
from earmark.data.store.format import (
    REPAIR,
    StoreFormat,
    check_is_file,
    crc32c,
    npy_header,
    read_sidecar,
    shard_names,
)
from earmark.data.store.index import INDEX, Shard, read_index
from earmark.data.store.rows import row_problems
from earmark.engine import map_units
from earmark.errors import BadStore, FeatureMismatch
from earmark.parquet_file import load_pyarrow
from earmark.remote import Place, place_of, size_of

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = 5  # damaged clips of one shard that a problem names


@dataclass(frozen=True)
class StoreProblem:
    """One thing that is wrong with a store: the name of a file, and what is wrong with it."""

    file: str
    problem: str


def verify_store(path: str | Path, *, workers: int | None = None) -> list[StoreProblem]:
    """All that is wrong with a store; [] if it is whole.

    workers : processes that read, as of engine.map_units

    Finds flipped bits, cut and missing files, surplus shards, rows that fit no clip, and shards
    with other features or tags than the store. Raises BadStore where the index cannot be read.
    """
    folder = place_of(path)
    index = read_index(folder)
    known = {shard.name for shard in index.shards}
    problems = [
        StoreProblem(name, f"is not in {INDEX}")
        for name in shard_names(folder)
        if name not in known
    ]
    work = _CheckShard(folder, index.format, index.tags)
    for outcome in map_units(work, index.shards, workers=workers):
        if outcome.error is not None:
            raise outcome.error
        problems += outcome.value or []
    if not problems:
        problems += _doubled_ids(folder, index.shards)
    return problems


def damaged_shards(
    folder: Path,
    names: Iterable[str],
    *,
    store_format: StoreFormat,
    tags: tuple[str, ...],
    workers: int | None = None,
) -> set[str]:
    """Those of some shards whose files cannot stay, with or without an index of the store."""
    sums: dict[str, str] = {}
    with suppress(BadStore):  # a damaged index is written anew
        sums = {shard.name: shard.sidecar_sha256 for shard in read_index(folder).shards}
    work = _CheckShard(folder, store_format, tags)
    found, shards = set(), []
    for name in names:
        try:
            _, table = read_sidecar(folder / f"{name}.parquet")
        except BadStore:
            found.add(name)
            continue
        n_clips = table.num_rows - table["clip"].null_count
        shards.append(Shard(name, table.num_rows, n_clips, sums.get(name, "")))
    for outcome in map_units(work, shards, workers=workers):
        if outcome.error is not None:
            raise outcome.error
        if outcome.value:
            found.add(outcome.unit.name)
    return found


def _doubled_ids(folder: Place, shards: Iterable[Shard]) -> list[StoreProblem]:
    columns = [read_sidecar(folder / f"{shard.name}.parquet")[1]["id"] for shard in shards]
    if not columns:
        return []
    ids = doubled(load_pyarrow().chunked_array([c for column in columns for c in column.chunks]))
    if not len(ids):
        return []
    shown = ", ".join(map(repr, ids[:NAMED].to_pylist()))
    return [StoreProblem(INDEX, f"{len(ids)} ids are in more than one row: {shown}")]


@dataclass(frozen=True)
class _CheckShard:
    """The check of one shard."""

    folder: Place
    format: StoreFormat
    tags: tuple[str, ...]

    def __call__(self, shard: Shard) -> list[StoreProblem]:
        sidecar, clips = f"{shard.name}.parquet", f"{shard.name}.npy"
        problems = []
        table = None
        try:
            card, table = read_sidecar(self.folder / sidecar)
        except BadStore as error:
            words = str(error).removeprefix(f"{self.folder / sidecar} ").removesuffix(f". {REPAIR}")
            problems.append(StoreProblem(sidecar, words))
        else:
            problems += [
                StoreProblem(sidecar, problem) for problem in self._of_sidecar(shard, card, table)
            ]
        problems += [StoreProblem(clips, problem) for problem in self._of_clips(shard, table)]
        return problems

    def _of_sidecar(self, shard: Shard, card: dict[str, Any], table: pa.Table) -> Iterator[str]:
        try:
            store_format = StoreFormat.from_dict(card)
            self.format.features.require(store_format.features, what="it")
            for what, found, wanted in (
                ("features", store_format.features.name, self.format.features.name),
                ("dtype", store_format.dtype, self.format.dtype),
                ("clips_per_shard", store_format.clips_per_shard, self.format.clips_per_shard),
            ):
                if found != wanted:
                    yield f"has the {what} {found}; the store has {wanted}"
        except (BadStore, FeatureMismatch) as error:
            yield str(error)
        if tuple(card.get("tags", ())) != self.tags:
            yield "has other tags than the store"
        n_clips = table.num_rows - table["clip"].null_count
        if (table.num_rows, n_clips) != (shard.songs, shard.clips):
            yield (
                f"has {table.num_rows} songs and {n_clips} clips; {INDEX} says {shard.songs} "
                f"and {shard.clips}"
            )
        yield from row_problems(table, tags=self.tags, dtype=self.format.dtype)
        sidecar = (self.folder / f"{shard.name}.parquet").read_bytes()
        if shard.sidecar_sha256 not in ("", hashlib.sha256(sidecar).hexdigest()):
            yield "has changed since it was written"

    def _of_clips(self, shard: Shard, table: pa.Table | None) -> Iterator[str]:
        path = self.folder / f"{shard.name}.npy"
        header = npy_header(shard.clips, self.format)
        size = len(header) + shard.clips * self.format.clip_bytes
        try:
            check_is_file(path)
            found = size_of(path)
            file = path.open("rb")
        except BadStore:
            yield "is not a file"
            return
        except OSError as error:
            yield "is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
            return
        with file:
            if found != size:
                yield f"has {found} bytes; {shard.clips} clips have {size}"
            if file.read(len(header)) != header:
                yield f"its header is not that of {shard.clips} {self.format.dtype} clips"
            if table is None:
                return  # there is nothing to compare the clips with
            damaged, strange = [], []
            clip = np.empty(self.format.clip_bytes, np.uint8)
            for row in table.select(["id", "clip", "crc32c"]).to_pylist():
                if row["clip"] is None:
                    continue
                if file.readinto(clip.data) != clip.size or crc32c(clip) != row["crc32c"]:
                    damaged.append(f"{row['clip']} ({row['id']})")
                elif self.format.dtype == "float16" and _has_infinite(clip.view(np.uint16)):
                    strange.append(f"{row['clip']} ({row['id']})")
        for what, clips in (
            ("damaged clips", damaged),
            ("clips of values that are not numbers", strange),
        ):
            if clips:
                more = f" and {len(clips) - NAMED} more" if len(clips) > NAMED else ""
                yield f"{what}: {', '.join(clips[:NAMED])}{more}"


def _has_infinite(halves: npt.NDArray[np.uint16]) -> bool:
    """Whether float16 numbers, as their bits, hold an infinity or a NaN."""
    return bool(((halves & 0x7C00) == 0x7C00).any())
