"""The catalog: which songs there are, what they are called, where they lie, how they are labelled.

One Parquet file, one row a song, held as columns: a million songs are a few arrays and not a
million objects. docs/formats/catalog.md is its specification.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.errors import BadCatalog, MissingExtra
from earmark.files import atomic_path

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

FORMAT = "earmark.catalog"
FORMAT_VERSION = 1
SPLITS = ("train", "valid", "test")  # or a fold number, or "" where there is none

_METADATA_KEY = b"earmark"
_ROWS_AT_ONCE = 8192  # songs made into objects at a time, when a catalog is walked
_ID_BYTES = 200  # an id becomes a file name with a suffix; most file systems stop at 255 bytes
# no separator, no control character, no blank at either end, and not hidden: `audio/<id>.m4a`
_ID_PATTERN = r"^[^./\\ \x00-\x1f\x7f]([^/\\\x00-\x1f\x7f]*[^/\\ \x00-\x1f\x7f])?$"
_SPLIT_PATTERN = r"^(train|valid|test|[0-9]{1,4})?$"


@dataclass(frozen=True, slots=True)
class Song:
    """One row of a catalog.

    id : unique in the catalog, usable as a file name
    artist, title : "" where not known
    split : "train", "valid", "test", a fold number as text, or "" where there is none
    path : the audio: absolute, or relative to the audio folder a later command is given, or ""
    seconds : length of the whole recording, None where not known
    tags : in the order of the vocabulary; None where the labels are not known, which is
        something else than () for a song that is known to carry none of them
    """

    id: str
    artist: str = ""
    title: str = ""
    split: str = ""
    path: str = ""
    seconds: float | None = None
    tags: tuple[str, ...] | None = None


class Catalog:
    """Songs as columns, with the vocabulary of their tags.

    table : Arrow table with the columns id, artist, title, split, path, seconds, tags
    tags : the vocabulary; its order is the order of the columns of `labels()`
    source : what the catalog was made from: "msd", "csv", "jamendo", "mtat" or ""

    Raises BadCatalog for ids that are missing, doubled or no file names, for splits other than
    train, valid, test and fold numbers, and for tags that are not in the vocabulary.
    """

    def __init__(self, table: pa.Table, *, tags: Sequence[str], source: str = "") -> None:
        self.tags = tuple(tags)
        self.source = source
        self.table = _checked(table, self.tags)

    @classmethod
    def from_songs(
        cls, songs: Iterable[Song], *, tags: Sequence[str] | None = None, source: str = ""
    ) -> Catalog:
        """A catalog of these songs, in this order.

        tags : the vocabulary; by default every tag that occurs, the most frequent first
        """
        pa = load_pyarrow()
        columns: dict[str, list[Any]] = {name: [] for name in _schema().names}
        for song in songs:  # columns grow and the songs go: there may be a million of them
            for name, values in columns.items():
                values.append(getattr(song, name))
        if tags is None:
            tags = _by_frequency(columns["tags"])
        place = {tag: number for number, tag in enumerate(tags)}
        columns["tags"] = [
            # a tag outside the vocabulary goes last here, and is refused by name below
            None
            if of_one is None
            else sorted(set(of_one), key=lambda tag: place.get(tag, len(place)))
            for of_one in columns["tags"]
        ]
        return cls(pa.table(columns, schema=_schema()), tags=tags, source=source)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Song]:
        for batch in self.table.to_batches(max_chunksize=_ROWS_AT_ONCE):
            yield from map(_song, batch.to_pylist())

    def __getitem__(self, index: int) -> Song:
        return _song(self.table.slice(range(len(self))[index], 1).to_pylist()[0])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalog):
            return NotImplemented
        return self.tags == other.tags and bool(self.table.equals(other.table))

    __hash__ = None  # type: ignore[assignment]  # equal by content, and the content is large

    @property
    def ids(self) -> list[str]:
        """The ids, in row order."""
        return self.column("id")

    @property
    def splits(self) -> list[str]:
        """The split of each song, in row order."""
        return self.column("split")

    def column(self, name: str) -> list[Any]:
        """One column as Python values, in row order."""
        values: list[Any] = self.table[name].to_pylist()
        return values

    def song(self, song_id: str) -> Song:
        """The song with this id. Raises BadCatalog where there is none."""
        import pyarrow.compute as pc

        row = pc.index(self.table["id"], song_id).as_py()
        if row < 0:
            raise BadCatalog(f"no song {song_id!r} among the {len(self)} of this catalog")
        return self[row]

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Bool (n_songs,): whether the labels of each song are known."""
        mask: npt.NDArray[np.bool_] = self.table["tags"].is_valid().to_numpy()
        return mask

    def labels(self) -> npt.NDArray[np.bool_]:
        """Bool (n_songs, n_tags), columns in the order of `tags`; all False where not known."""
        labels = np.zeros((len(self), len(self.tags)), dtype=bool)
        labels[self.marks()] = True
        return labels

    def marks(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where `labels()` is True: int64 (n_marks,) rows and columns, without the whole matrix."""
        return _marks(self.table["tags"], self.tags)

    def select(self, mask: npt.NDArray[np.bool_]) -> Catalog:
        """The songs where bool (n_songs,) `mask` is True, in the same order and vocabulary."""
        table = self.table.filter(load_pyarrow().array(mask))
        return Catalog(table, tags=self.tags, source=self.source)

    def replace(self, name: str, values: Sequence[str]) -> Catalog:
        """The same songs with other values in one column of text."""
        pa = load_pyarrow()
        place = self.table.schema.get_field_index(name)
        table = self.table.set_column(place, _schema().field(name), pa.array(values, pa.string()))
        return Catalog(table, tags=self.tags, source=self.source)


def write_catalog(catalog: Catalog, path: str | Path) -> None:
    """Write a catalog atomically; the same catalog gives the same bytes."""
    import pyarrow.parquet as pq

    card = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "source": catalog.source,
        "tags": list(catalog.tags),
    }
    encoded = json.dumps(card, ensure_ascii=False).encode()
    table = catalog.table.replace_schema_metadata({_METADATA_KEY: encoded})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_catalog(path: str | Path) -> Catalog:
    """Read a catalog.

    Raises BadCatalog for a file that is not there, is damaged, is no catalog of ours, or is one
    of a version that this earmark does not know.
    """
    pa = load_pyarrow()
    import pyarrow.parquet as pq

    path = Path(path)
    try:
        # one file object and no memory map: the catalog may be replaced while it is in use
        with path.open("rb") as file:
            table = pq.read_table(file)
    except OSError as error:
        # Arrow reports damage as an OSError without an errno, the system one with it
        if error.errno is not None:
            raise BadCatalog(f"cannot read the catalog {path}: {error.strerror}") from error
        raise BadCatalog(f"{path} is a damaged catalog ({error}). Make it again") from error
    except pa.ArrowInvalid as error:
        raise BadCatalog(
            f"{path} is no Parquet file ({error}). "
            "Make a catalog with: earmark data catalog csv|msd|jamendo|mtat ... -o FILE"
        ) from error
    card = _card(path, (table.schema.metadata or {}).get(_METADATA_KEY))
    try:
        return Catalog(table, tags=card["tags"], source=card["source"])
    except BadCatalog as error:
        raise BadCatalog(f"{path}: {error}") from error


def is_id(text: str) -> bool:
    """Whether a text can be the id of a song: a file name that every system takes."""
    return bool(re.fullmatch(_ID_PATTERN, text)) and len(text.encode()) <= _ID_BYTES


def _schema() -> pa.Schema:
    pa = load_pyarrow()
    text = [pa.field(name, pa.string()) for name in ("id", "artist", "title", "split", "path")]
    return pa.schema(
        [*text, pa.field("seconds", pa.float64()), pa.field("tags", pa.list_(pa.string()))]
    )


def _song(row: dict[str, Any]) -> Song:
    tags = row.pop("tags")
    return Song(**row, tags=None if tags is None else tuple(tags))


def _by_frequency(tags_of_songs: Iterable[Iterable[str] | None]) -> tuple[str, ...]:
    """Every tag that occurs, the most frequent first, ties in alphabetical order."""
    counts = Counter(tag for of_one in tags_of_songs for tag in set(of_one or ()))
    return tuple(sorted(counts, key=lambda tag: (-counts[tag], tag)))


def _vocabulary(tags: Sequence[str]) -> pa.Array:
    pa = load_pyarrow()
    return pa.array(list(tags), pa.string())


def _card(path: Path, encoded: bytes | None) -> dict[str, Any]:
    if encoded is None:
        raise BadCatalog(f"{path} is a Parquet file, but no catalog that earmark wrote")
    try:
        card: dict[str, Any] = json.loads(encoded)
        name, version, _, _ = card["format"], card["version"], card["tags"], card["source"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadCatalog(f"{path} is a damaged catalog: its metadata is unreadable") from error
    if name != FORMAT:
        raise BadCatalog(f"{path} is of format {name!r}, not {FORMAT!r}")
    if version != FORMAT_VERSION:
        raise BadCatalog(
            f"{path} is a catalog of version {version}; this earmark knows version "
            f"{FORMAT_VERSION}. Update earmark, or make the catalog again"
        )
    return card


def _checked(table: pa.Table, tags: tuple[str, ...]) -> pa.Table:
    """The table with our schema; raises BadCatalog for rows that break a rule of the format."""
    pa = load_pyarrow()
    import pyarrow.compute as pc

    if table.schema.names != _schema().names:
        raise BadCatalog(f"columns {table.schema.names}; expected {_schema().names}")
    try:
        table = table.cast(_schema()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadCatalog(f"a column of another type: {error}") from error
    for name in ("id", "artist", "title", "split", "path"):
        if table[name].null_count:
            raise BadCatalog(f"{table[name].null_count} rows without a value for {name}")
    if len(set(tags)) != len(tags) or not all(isinstance(tag, str) and tag for tag in tags):
        raise BadCatalog(f"a vocabulary with a doubled or an empty tag: {list(tags)}")

    ids = table["id"]
    fine = pc.and_(
        pc.match_substring_regex(ids, _ID_PATTERN), pc.less_equal(pc.binary_length(ids), _ID_BYTES)
    )
    _refuse(ids.filter(pc.invert(fine)), "ids that cannot be file names")
    counts = pc.value_counts(ids)
    _refuse(
        counts.field("values").filter(pc.greater(counts.field("counts"), 1)), "ids more than once"
    )
    splits = table["split"].unique()
    _refuse(
        splits.filter(pc.invert(pc.match_substring_regex(splits, _SPLIT_PATTERN))),
        "splits that are not train, valid, test, a fold number or empty",
    )
    used = pc.list_flatten(table["tags"]).unique()
    _refuse(
        used.filter(pc.invert(pc.is_in(used, value_set=_vocabulary(tags)))),
        "tags that are not in the vocabulary",
    )
    rows, columns = _marks(table["tags"], tags)
    in_order = np.diff(rows * len(tags) + columns) > 0
    if not in_order.all():
        row = int(rows[1:][~in_order][0])
        raise BadCatalog(
            f"tags of {ids[row].as_py()!r} that are doubled or not in the vocabulary's order: "
            f"{table['tags'][row].as_py()}"
        )
    return table


def _marks(
    tags_of_songs: pa.ChunkedArray, tags: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    import pyarrow.compute as pc

    rows = pc.list_parent_indices(tags_of_songs).to_numpy()
    columns = pc.index_in(pc.list_flatten(tags_of_songs), value_set=_vocabulary(tags)).to_numpy()
    return rows.astype(np.int64), columns.astype(np.int64)


def _refuse(values: pa.Array, what: str) -> None:
    if len(values):
        shown = ", ".join(repr(value) for value in values[:5].to_pylist())
        raise BadCatalog(f"{len(values)} {what}: {shown}{', ...' if len(values) > 5 else ''}")


def load_pyarrow() -> Any:
    """The module pyarrow, or MissingExtra with the way to get it."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtra("pyarrow", "data") from error
    return pyarrow
