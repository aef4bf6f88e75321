"""The check of a whole store: every file, every row and every clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.data.store.format import StoreFormat, crc32c, npy_header, read_sidecar, shard_names
from earmark.data.store.index import INDEX, Shard, read_index
from earmark.engine import map_units
from earmark.errors import BadStore, FeatureMismatch
from earmark.files import sha256

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
    folder = Path(path)
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
    return problems


@dataclass(frozen=True)
class _CheckShard:
    """The check of one shard."""

    folder: Path
    format: StoreFormat
    tags: tuple[str, ...]

    def __call__(self, shard: Shard) -> list[StoreProblem]:
        sidecar, clips = f"{shard.name}.parquet", f"{shard.name}.npy"
        problems = []
        table = None
        try:
            card, table = read_sidecar(self.folder / sidecar)
        except BadStore as error:
            problems.append(
                StoreProblem(sidecar, str(error).removeprefix(f"{self.folder / sidecar} "))
            )
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
            if store_format != self.format:
                yield f"has {store_format.dtype} clips; the store has {self.format.dtype}"
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
        if table["clip"].drop_null().to_pylist() != list(range(n_clips)):
            yield "its rows do not point at one clip after the other"
        if sha256(self.folder / f"{shard.name}.parquet") != shard.sidecar_sha256:
            yield "has changed since it was written"

    def _of_clips(self, shard: Shard, table: pa.Table | None) -> Iterator[str]:
        path = self.folder / f"{shard.name}.npy"
        header = npy_header(shard.clips, self.format)
        size = len(header) + shard.clips * self.format.clip_bytes
        try:
            file = path.open("rb")
        except OSError as error:
            yield "is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
            return
        with file:
            if path.stat().st_size != size:
                yield f"has {path.stat().st_size} bytes; {shard.clips} clips have {size}"
            if file.read(len(header)) != header:
                yield f"its header is not that of {shard.clips} {self.format.dtype} clips"
            if table is None:
                return  # there is nothing to compare the clips with
            damaged = []
            clip = np.empty(self.format.clip_bytes, np.uint8)
            for row in table.select(["id", "clip", "crc32c"]).to_pylist():
                if row["clip"] is None:
                    continue
                if file.readinto(clip.data) != clip.size or crc32c(clip) != row["crc32c"]:
                    damaged.append(f"{row['clip']} ({row['id']})")
        if damaged:
            more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
            yield f"damaged clips: {', '.join(damaged[:NAMED])}{more}"
