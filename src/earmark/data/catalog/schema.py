"""The schema of a catalog: its columns, and the rules of its ids, splits and tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from earmark.errors import BadCatalog
from earmark.parquet_file import load_pyarrow

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_ID_BYTES = 200  # an id becomes a file name with a suffix; most file systems allow 255 bytes
# no separator, no control character, no blank at either end, and not hidden: `audio/<id>.m4a`
_ID_PATTERN = r"^[^./\\ \x00-\x1f\x7f]([^/\\\x00-\x1f\x7f]*[^/\\ \x00-\x1f\x7f])?$"
_SPLIT_PATTERN = r"^(train|valid|test|[0-9]{1,4})?$"


def is_id(text: str) -> bool:
    """Whether a text can be the id of a song: a file name on every system."""
    return bool(re.fullmatch(_ID_PATTERN, text)) and len(text.encode()) <= _ID_BYTES


def is_split(text: str) -> bool:
    """Whether a text is a split, a fold number, or empty."""
    return bool(re.fullmatch(_SPLIT_PATTERN, text))


def schema() -> pa.Schema:
    """The columns of a catalog; `seconds` and `tags` may be null, and null means not known."""
    pa = load_pyarrow()
    text = [pa.field(name, pa.string()) for name in ("id", "artist", "title", "split", "path")]
    return pa.schema(
        [*text, pa.field("seconds", pa.float64()), pa.field("tags", pa.list_(pa.string()))]
    )


def checked(table: pa.Table, tags: tuple[str, ...]) -> pa.Table:
    """The table with our schema. Raises BadCatalog for rows that break a rule of the format."""
    pa = load_pyarrow()

    if table.schema.names != schema().names:
        raise BadCatalog(f"columns {table.schema.names}; expected {schema().names}")
    try:
        table = table.cast(schema()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadCatalog(f"a column of another type: {error}") from error
    for name in ("id", "artist", "title", "split", "path"):
        if table[name].null_count:
            raise BadCatalog(f"{table[name].null_count} rows without a value for {name}")
    if len(set(tags)) != len(tags) or not all(tags):
        raise BadCatalog(f"a vocabulary with a doubled or an empty tag: {list(tags)}")

    ids = table["id"]
    _refuse(bad_names(ids), "ids that cannot be file names")
    _refuse(doubled(ids), "ids more than once")
    _refuse(
        bad_splits(table["split"]), "splits that are not train, valid, test, a fold number or empty"
    )
    _refuse(unknown_tags(table["tags"], tags), "tags that are not in the vocabulary")
    rows, columns = marks(table["tags"], tags)
    in_order = np.diff(rows * len(tags) + columns) > 0
    if not in_order.all():
        row = int(rows[1:][~in_order][0])
        raise BadCatalog(
            f"tags of {ids[row].as_py()!r} that are doubled or not in the vocabulary's order: "
            f"{table['tags'][row].as_py()}"
        )
    return table


def bad_names(ids: pa.ChunkedArray) -> pa.Array:
    """Those of a column of ids that cannot be file names."""
    import pyarrow.compute as pc

    fine = pc.and_(
        pc.match_substring_regex(ids, _ID_PATTERN), pc.less_equal(pc.binary_length(ids), _ID_BYTES)
    )
    return ids.filter(pc.invert(fine))


def doubled(ids: pa.ChunkedArray) -> pa.Array:
    """Those of a column of ids that are there more than once."""
    import pyarrow.compute as pc

    counts = pc.value_counts(ids)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def bad_splits(splits: pa.ChunkedArray) -> pa.Array:
    """The texts of a column of splits that are none."""
    import pyarrow.compute as pc

    splits = splits.unique()
    return splits.filter(pc.invert(pc.match_substring_regex(splits, _SPLIT_PATTERN)))


def unknown_tags(tags_of_songs: pa.ChunkedArray, tags: Sequence[str]) -> pa.Array:
    """The tags of a column that are not in the vocabulary."""
    import pyarrow.compute as pc

    used = pc.list_flatten(tags_of_songs).unique()
    return used.filter(pc.invert(pc.is_in(used, value_set=_vocabulary(tags))))


def marks(
    tags_of_songs: pa.ChunkedArray, tags: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Int64 (n_marks,) twice: the row of each tag in the column, and its place in `tags`."""
    import pyarrow.compute as pc

    rows = pc.list_parent_indices(tags_of_songs).to_numpy()
    columns = pc.index_in(pc.list_flatten(tags_of_songs), value_set=_vocabulary(tags)).to_numpy()
    return rows.astype(np.int64), columns.astype(np.int64)


def _vocabulary(tags: Sequence[str]) -> pa.Array:
    pa = load_pyarrow()
    return pa.array(list(tags), pa.string())


def _refuse(values: pa.Array, what: str) -> None:
    if len(values):
        shown = ", ".join(repr(value) for value in values[:5].to_pylist())
        raise BadCatalog(f"{len(values)} {what}: {shown}{', ...' if len(values) > 5 else ''}")
