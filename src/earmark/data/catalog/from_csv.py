"""A song list of the user's own, in CSV: `id,path,tags,artist,split[,title,seconds]`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.import_report import (
    Imported,
    ImportReport,
    Place,
    located,
    read_text,
    seconds_of,
    split_name,
    unique,
)
from earmark.errors import BadCatalog

TAG_COLUMNS = ("tags",)
_PLAIN_COLUMNS = ("path", "artist", "title", "seconds")  # and id, tags, split


def read_csv(
    path: str | Path,
    *,
    tag_columns: Sequence[str] | None = None,
    split_column: str = "split",
    separator: str = "|",
) -> Imported:
    """The catalog of a CSV file with a line of column names, and the report of the import.

    tag_columns : columns of tags joined by `separator`, which a song carries together; None for
        `tags`. A song with nothing in any of them has unknown labels; a separator alone means
        "none of the tags".
    split_column : train, valid, test, a fold number or nothing
    Audio paths are relative to the folder of the CSV file. Only the column id is
    required, and every column that is named by an option.

    Raises BadCatalog, with the line, for what does not parse.
    """
    path = Path(path)
    report = ImportReport.of(
        duplicate_ids="rows that repeat an earlier one: used once",
        files_missing="audio files that are not there or are empty: kept in the catalog",
        without_path="songs without a path: to be found by id in an audio folder",
        without_labels="songs without tags: their labels are unknown",
        columns_not_used="columns that no option names: not used",
    )
    songs = _songs(path, report, tuple(tag_columns or TAG_COLUMNS), split_column, separator)
    return Imported(Catalog.from_songs(unique(songs, report), source="csv"), report)


def _songs(
    path: Path,
    report: ImportReport,
    tag_columns: tuple[str, ...],
    split_column: str,
    separator: str,
) -> Iterator[tuple[Place, Song]]:
    folder = path.absolute().parent
    rows = _rows(path)
    _, header = next(rows, (Place(path, 1), []))
    header = [name.strip() for name in header]
    wanted = {"id"} | ({*tag_columns, split_column} - {*TAG_COLUMNS, "split"})
    missing = sorted(wanted - set(header))
    if missing or len(set(header)) != len(header):
        problem = f"no column {', '.join(missing)}" if missing else "a column is there twice"
        raise BadCatalog(
            f"{Place(path, 1)}: {problem}; the columns are {', '.join(header) or '(none)'}. "
            "The first line must name them: id,path,tags,artist,split"
        )
    for name in header:
        if name not in {"id", *_PLAIN_COLUMNS, *tag_columns, split_column}:
            report["columns_not_used"].add(name)
    for place, row in rows:
        if len(row) != len(header):
            raise BadCatalog(
                f"{place}: {len(row)} values for {len(header)} columns. "
                'Put a value that holds a comma in double quotes: "one, two"'
            )
        cells = dict(zip(header, row, strict=True))
        plain = {name: cells.get(name, "").strip() for name in _PLAIN_COLUMNS}
        if not plain["path"]:
            report["without_path"].add(cells["id"])
        tags = _tags([cells.get(name, "") for name in tag_columns], separator)
        if tags is None:
            report["without_labels"].add(cells["id"])
        yield (
            place,
            Song(
                id=cells["id"].strip(),
                artist=plain["artist"],
                title=plain["title"],
                split=split_name(cells.get(split_column, ""), place=place),
                path=located(plain["path"], folder, report),
                seconds=seconds_of(plain["seconds"], place=place),
                tags=tags,
            ),
        )


def _rows(path: Path) -> Iterator[tuple[Place, list[str]]]:
    """The rows that are not empty, each with the line it ends on."""
    reader = csv.reader(StringIO(read_text(path), newline=""), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadCatalog(
                f"{Place(path, reader.line_num)}: {error}. Is a double quote left open?"
            ) from error
        if any(cell.strip() for cell in row):
            yield Place(path, reader.line_num), [*row]


def _tags(cells: list[str], separator: str) -> tuple[str, ...] | None:
    if not any(cell.strip() for cell in cells):
        return None
    names = (name.strip() for cell in cells for name in cell.split(separator))
    # few different tags on many songs: interned, each is in memory only once
    return tuple(sys.intern(name) for name in names if name)
