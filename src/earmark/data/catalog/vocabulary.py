"""The vocabulary of a catalog: tags counted, the frequent ones kept, label arrays made tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from earmark.data.catalog.catalog import Catalog
from earmark.errors import BadValue
from earmark.parquet_file import load_pyarrow

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa


def count_tags(catalog: Catalog) -> npt.NDArray[np.int64]:
    """Int64 (n_tags,): how many songs carry each tag of the vocabulary."""
    return np.bincount(catalog.marks()[1], minlength=len(catalog.tags)).astype(np.int64)


def keep_tags(catalog: Catalog, *, top: int | None = None, min_songs: int = 1) -> Catalog:
    """The same songs with only the frequent tags, the most frequent first, ties alphabetical.

    top : how many tags to keep at most; None for all
    min_songs : drop the tags of fewer songs
    A song that loses all its tags is still labelled: it carries none of the tags that stay.
    """
    if top is not None and top < 1:
        raise BadValue(f"cannot keep the {top} most frequent tags: ask for 1 or more")
    counts = count_tags(catalog)
    enough = [place for place in range(len(catalog.tags)) if counts[place] >= min_songs]
    kept = sorted(enough, key=lambda place: (-counts[place], catalog.tags[place]))[:top]
    if not kept and catalog.tags:
        raise BadValue(
            f"no tag is on {min_songs} songs or more; the most frequent is on {counts.max()}"
        )
    rows, columns = catalog.marks()
    new_place = np.full(len(catalog.tags), -1)
    new_place[kept] = np.arange(len(kept))
    columns = new_place[columns]
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    order = np.lexsort((columns, rows))
    tags = tuple(catalog.tags[place] for place in kept)
    lists = _lists(rows[order], columns[order], known=catalog.labelled, tags=tags)
    place = catalog.table.schema.get_field_index("tags")
    table = catalog.table.set_column(place, catalog.table.schema.field("tags"), lists)
    return Catalog(table, tags=tags, source=catalog.source)


def tag_lists(
    labels: npt.NDArray[np.bool_], *, known: npt.NDArray[np.bool_], tags: Sequence[str]
) -> pa.Array:
    """The column `tags` of a label matrix, without one object a song.

    labels : bool (n_songs, n_tags)
    known : bool (n_songs,), False where the labels are not known
    """
    rows, columns = np.nonzero(labels & known[:, None])
    return _lists(rows, columns, known=known, tags=tags)


def _lists(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    known: npt.NDArray[np.bool_],
    tags: Sequence[str],
) -> pa.Array:
    """Marks in row order as an Arrow array of lists of tags."""
    pa = load_pyarrow()
    offsets = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(known)))))
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(list(tags), pa.string()).take(pa.array(columns)),
        mask=pa.array(~known),
    )
