"""The rules that the rows of a sidecar keep, on which the reader and every export rely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from earmark.data.catalog.schema import bad_names, bad_splits, doubled, marks, unknown_tags

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_DB = float(np.finfo(np.float16).max)  # 65504: no spectrogram comes near


def row_problems(table: pa.Table, *, tags: Sequence[str], dtype: str) -> Iterator[str]:
    """What is wrong with the rows of a shard, whose columns have the types of a sidecar.

    tags : the vocabulary of the store; dtype : of its clips
    """
    import pyarrow.compute as pc

    for name in ("id", "split", "source"):
        if table[name].null_count:
            yield f"{table[name].null_count} rows have no {name}"
    unknown = unknown_tags(table["tags"], tags)
    for what, found in (
        ("ids that cannot be file names", bad_names(table["id"])),
        ("ids that are there twice", doubled(table["id"])),
        ("splits that are not train, valid, test, a fold or empty", bad_splits(table["split"])),
        ("tags that are not of this store", unknown),
    ):
        if len(found):
            yield f"{what}: {', '.join(map(repr, found[:3].to_pylist()))}"
    if not len(unknown):  # else they have no places
        rows, columns = marks(table["tags"], tags)
        if not (np.diff(rows * max(len(tags), 1) + columns) > 0).all():
            yield "tags that are doubled, or not in the order of the store"

    clips = table.filter(table["clip"].is_valid())
    if clips["clip"].to_pylist() != list(range(clips.num_rows)):
        yield "its rows do not point at one clip after the other"
    for name in ("offset", "step", "crc32c", "damaged_packets"):
        if clips[name].null_count:
            yield f"{clips[name].null_count} clips have no {name}"
    offset, step = (
        clips[name].to_numpy().astype(np.float64) for name in ("offset", "step")
    )  # NaN where null
    if dtype == "float16":
        fine = (offset == 0) & (step == 1)
    else:
        fine = (step > 0) & (np.abs(offset) <= LARGEST_DB) & (255 * step <= 2 * LARGEST_DB)
    if not fine.all():
        yield f"{int((~fine).sum())} clips have an offset or a step that {dtype} clips cannot have"
    seconds = clips["seconds"].drop_null().to_numpy()
    if not (np.isfinite(seconds) & (seconds >= 0)).all():
        yield "clips have seconds that are no length"
    failed = table["clip"].is_null()
    for name in ("error_kind", "error"):
        if not pc.all(pc.equal(table[name].is_valid(), failed)).as_py() and table.num_rows:
            yield f"{name} is there for songs with a clip, or missing for songs without"
