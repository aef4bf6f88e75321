"""The catalog: which songs there are, their names, their audio files and their labels.

One Parquet file with one row a song, in memory as columns: a million songs are a few arrays, and
not a million objects. docs/reference/formats/catalog.md is its specification.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.data.catalog.schema import checked, marks, schema
from earmark.errors import BadCatalog
from earmark.files import atomic_path, parse_json
from earmark.folder_lock import disk_errors
from earmark.parquet_file import load_pyarrow, read_parquet, write_parquet

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

FORMAT = "earmark.catalog"
FORMAT_VERSION = 1
SPLITS = ("train", "valid", "test")  # or a fold number, or "" for no split

_METADATA_KEY = b"earmark"
_MAKE_ONE = "Make one with: earmark data catalog csv|msd|jamendo|mtat ... -o FILE"
_ROWS_AT_ONCE = 8192  # songs that are objects at a time, in a loop over a catalog


@dataclass(frozen=True, slots=True)
class Song:
    """One row of a catalog.

    id : unique in the catalog, usable as a file name
    artist, title : "" where not known
    split : "train", "valid", "test", a fold number as text, or "" where there is none
    path : the audio: absolute, or relative to the audio folder of a later command, or ""
    seconds : length of the whole recording, None where not known
    tags : in the order of the vocabulary; None where the labels are not known, and () for a
        song that is known to carry none of them
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

    Raises BadCatalog for ids that are missing, doubled or not file names, for splits other than
    train, valid, test and fold numbers, and for tags that are not in the vocabulary.
    """

    def __init__(self, table: pa.Table, *, tags: Sequence[str], source: str = "") -> None:
        self.tags = tuple(tags)
        self.source = source
        self.table = checked(table, self.tags)

    @classmethod
    def from_songs(
        cls, songs: Iterable[Song], *, tags: Sequence[str] | None = None, source: str = ""
    ) -> Catalog:
        """A catalog of these songs, in this order.

        tags : the vocabulary; by default every tag that occurs, the most frequent first
        """
        pa = load_pyarrow()
        columns: dict[str, list[Any]] = {name: [] for name in schema().names}
        for song in songs:  # each song becomes values at once: there may be a million of them
            for name, values in columns.items():
                values.append(getattr(song, name))
        if tags is None:
            tags = _by_frequency(columns["tags"])
        place = {tag: number for number, tag in enumerate(tags)}
        columns["tags"] = [
            # a tag outside the vocabulary goes last here, and `checked` refuses it by name
            None
            if of_one is None
            else sorted(set(of_one), key=lambda tag: place.get(tag, len(place)))
            for of_one in columns["tags"]
        ]
        return cls(pa.table(columns, schema=schema()), tags=tags, source=source)

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
            raise BadCatalog(
                f"no song {song_id!r} among the {len(self)} of this catalog. Check the id"
            )
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
        return marks(self.table["tags"], self.tags)

    def select(self, mask: npt.NDArray[np.bool_]) -> Catalog:
        """The songs where bool (n_songs,) `mask` is True, in the same order and vocabulary."""
        table = self.table.filter(load_pyarrow().array(mask))
        return Catalog(table, tags=self.tags, source=self.source)

    def replace(self, name: str, values: Sequence[str]) -> Catalog:
        """The same songs with other values in one column of text."""
        pa = load_pyarrow()
        place = self.table.schema.get_field_index(name)
        table = self.table.set_column(place, schema().field(name), pa.array(values, pa.string()))
        return Catalog(table, tags=self.tags, source=self.source)


def write_catalog(catalog: Catalog, path: str | Path) -> None:
    """Write a catalog atomically; the same catalog gives the same bytes.

    Raises DataError where the file cannot be written.
    """
    card = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "source": catalog.source,
        "tags": list(catalog.tags),
    }
    encoded = json.dumps(card, ensure_ascii=False).encode()
    table = catalog.table.replace_schema_metadata({_METADATA_KEY: encoded})
    with disk_errors(Path(path)), atomic_path(path) as temporary:
        write_parquet(table, temporary)


def read_catalog(path: str | Path) -> Catalog:
    """Read a catalog.

    Raises BadCatalog for a file that is missing, is damaged, is not a catalog of ours, or is of a
    version that this earmark does not know.
    """
    pa = load_pyarrow()

    path = Path(path)
    try:
        # one file object and no memory map: the catalog may be replaced while it is in use
        with path.open("rb") as file:
            table = read_parquet(file)
    except OSError as error:
        # Arrow reports damage as an OSError without an errno, the system one with it
        if error.errno is not None:
            raise BadCatalog(
                f"cannot read the catalog {path}: {error.strerror}. Check its name and permissions"
            ) from error
        raise BadCatalog(f"{path} is a damaged catalog ({error}). Make it again") from error
    except pa.ArrowInvalid as error:
        raise BadCatalog(f"{path} is not a Parquet file ({error}). {_MAKE_ONE}") from error
    card = _card(path, (table.schema.metadata or {}).get(_METADATA_KEY))
    try:
        return Catalog(table, tags=card["tags"], source=card["source"])
    except BadCatalog as error:
        raise BadCatalog(f"{path} is a damaged catalog: {error}. Make it again") from error


def _song(row: dict[str, Any]) -> Song:
    tags = row.pop("tags")
    return Song(**row, tags=None if tags is None else tuple(tags))


def _by_frequency(tags_of_songs: Iterable[Iterable[str] | None]) -> tuple[str, ...]:
    """Every tag that occurs, the most frequent first, ties in alphabetical order."""
    counts = Counter(tag for of_one in tags_of_songs for tag in set(of_one or ()))
    return tuple(sorted(counts, key=lambda tag: (-counts[tag], tag)))


def _card(path: Path, encoded: bytes | None) -> dict[str, Any]:
    if encoded is None:
        raise BadCatalog(f"{path} is a Parquet file, but no catalog of earmark. {_MAKE_ONE}")
    try:
        card: dict[str, Any] = parse_json(encoded)
        name, version = card["format"], card["version"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadCatalog(
            f"{path} is a damaged catalog: its metadata cannot be read. Make it again"
        ) from error
    if name != FORMAT:
        raise BadCatalog(f"{path} is of format {name!r}, not {FORMAT!r}. {_MAKE_ONE}")
    if version != FORMAT_VERSION:
        raise BadCatalog(
            f"{path} is a catalog of version {version}; this earmark knows version "
            f"{FORMAT_VERSION}. Update earmark, or make the catalog again"
        )
    tags, source = card.get("tags"), card.get("source")
    if not isinstance(source, str) or not isinstance(tags, list) or not all(map(_is_text, tags)):
        raise BadCatalog(
            f"{path} is a damaged catalog: its metadata lacks tags or source. Make it again"
        )
    return card


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
