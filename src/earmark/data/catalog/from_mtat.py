"""MagnaTagATune: its annotations, as a catalog.

`annotations_final.csv` is tab-separated and quoted: `clip_id`, a column of 0 and 1 for each of
188 tags, `mp3_path`. `clip_info_final.csv` names artists and titles. The split that the field
uses goes by the first character of mp3_path.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.import_report import (
    Imported,
    ImportReport,
    Place,
    located,
    read_text,
    unique,
)
from earmark.errors import BadCatalog

_SPLIT_OF = dict.fromkeys("0123456789ab", "train") | {"c": "valid"} | dict.fromkeys("def", "test")


def read_mtat(
    annotations: str | Path,
    *,
    info: str | Path | None = None,
    audio: str | Path | None = None,
) -> Imported:
    """The catalog of MagnaTagATune, its clips split by folder: 0-b train, c valid, d-f test.

    info : clip_info_final.csv, for the names of artists and titles; without it there are none
    audio : the folder that mp3_path is relative to; without it the paths stay relative
    A clip is 29 s of a song whose length is not given, so seconds are not known.

    Raises BadCatalog, with the line, for what does not parse.
    """
    report = ImportReport.of(
        duplicate_ids="rows that repeat an earlier one: used once",
        without_name="clips that the info file does not name: kept, without artist and title",
        files_missing="audio files that are not there or are empty: kept in the catalog",
    )
    names = None if info is None else _names(Path(info))
    folder = None if audio is None else Path(audio)
    rows = _rows(Path(annotations))
    place, header = next(rows)
    if len(header) < 3 or header[0] != "clip_id" or header[-1] != "mp3_path":
        raise BadCatalog(
            f"{place}: not MagnaTagATune's annotations; the columns should be clip_id, the tags "
            "and mp3_path, separated by tabs"
        )
    vocabulary = header[1:-1]

    def songs() -> Iterator[tuple[Place, Song]]:
        for place, (clip_id, *marks, path) in rows:
            split = _SPLIT_OF.get(path[:1])
            if split is None or path[1:2] != "/":
                raise BadCatalog(f"{place}: the mp3_path {path!r} should start with 0/ to f/")
            if not set(marks) <= {"0", "1"}:
                wrong = next(mark for mark in marks if mark not in {"0", "1"})
                raise BadCatalog(f"{place}: a tag is {wrong!r}; it should be 0 or 1")
            if names is not None and clip_id not in names:
                report["without_name"].add(clip_id)
            artist, title = (names or {}).get(clip_id, ("", ""))
            yield (
                place,
                Song(
                    id=clip_id,
                    artist=artist,
                    title=title,
                    split=split,
                    path=path if folder is None else located(path, folder, report),
                    tags=tuple(
                        tag for tag, mark in zip(vocabulary, marks, strict=True) if mark == "1"
                    ),
                ),
            )

    catalog = Catalog.from_songs(unique(songs(), report), tags=vocabulary, source="mtat")
    return Imported(catalog, report)


def _names(path: Path) -> dict[str, tuple[str, str]]:
    """{clip id: (artist, title)} of a clip_info file."""
    rows = _rows(path)
    place, header = next(rows)
    try:
        columns = [header.index(name) for name in ("clip_id", "artist", "title")]
    except ValueError:
        raise BadCatalog(
            f"{place}: not MagnaTagATune's clip_info; it should have columns clip_id, artist and "
            "title"
        ) from None
    return {
        clip_id: (artist.strip(), title.strip())
        for clip_id, artist, title in ([row[column] for column in columns] for _, row in rows)
    }


def _rows(path: Path) -> Iterator[tuple[Place, list[str]]]:
    """The rows of a tab-separated file, its header first, all of one length."""
    reader = csv.reader(StringIO(read_text(path), newline=""), delimiter="\t")
    n_columns = 0
    try:
        for row in reader:
            place = Place(path, reader.line_num)
            n_columns = n_columns or len(row)
            if row and len(row) != n_columns:
                raise BadCatalog(
                    f"{place}: {len(row)} values for {n_columns} columns. Fetch the file again"
                )
            if row:
                yield place, row
    except csv.Error as error:
        place = Place(path, reader.line_num)
        raise BadCatalog(f"{place}: {error}. Fetch the file again") from error
    if not n_columns:
        raise BadCatalog(f"{path} is empty. Fetch it again")
