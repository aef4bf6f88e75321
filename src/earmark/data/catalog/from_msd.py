"""The Million Song Dataset: the split of Choi et al. 2016 and unique_tracks.txt, as a catalog.

A folder of `{train,valid,test}_x_msd_id.txt` (one track id a line) and `{train,valid,test}_y.npy`
(one row an id, one column a tag of MSD_50), and the list `TRACKID<SEP>SONGID<SEP>artist<SEP>title`
that names a million tracks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earmark.data.catalog.catalog import SPLITS, Catalog
from earmark.data.catalog.import_report import Imported, ImportReport, Place, read_bytes
from earmark.data.catalog.vocabulary import tag_lists
from earmark.errors import BadCatalog
from earmark.parquet_file import load_pyarrow
from earmark.tags import MSD_50

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_TRACK_ID = re.compile(rb"TR[A-Z]{5}[0-9A-F]{11}")
_SEPARATOR = b"<SEP>"
_AGAIN = "Put the right array there, or move it away to go on with unknown labels"


@dataclass
class _SplitSongs:
    """One split: the ids that are used, and their rows in the label array."""

    split: str
    ids: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    labels: npt.NDArray[np.bool_] | None = None  # (len(ids), n_tags); None where not known


def read_msd(
    splits: str | Path, tracks: str | Path | None = None, *, named_only: bool = False
) -> Imported:
    """The catalog of the Million Song split, and the report of the import.

    splits : the folder of the id files and label arrays; a split without ids is left out, one
        without a label array has unknown labels
    tracks : unique_tracks.txt; without it no song has a name
    named_only : leave out the songs without artist or title, which cannot be searched for

    Raises BadCatalog where no id is found, and for a label array that does not fit its ids, whose
    labels would go to the wrong songs.
    """
    report = _report(named_only=named_only)
    found = _read_splits(Path(splits), report)
    ids = [track_id for songs in found for track_id in songs.ids]
    artists, titles = [""] * len(ids), [""] * len(ids)
    if tracks is not None:
        row_of = {track_id: row for row, track_id in enumerate(ids)}
        for row, artist, title in _names(Path(tracks), row_of, report):
            artists[row], titles[row] = artist, title
    named = np.array([bool(a and t) for a, t in zip(artists, titles, strict=True)], dtype=bool)
    for row in np.flatnonzero(~named).tolist():
        report["ids_without_name"].add(ids[row].decode())

    arrow = load_pyarrow()
    table = arrow.table(
        {
            "id": [track_id.decode() for track_id in ids],
            "artist": artists,
            "title": titles,
            "split": [songs.split for songs in found for _ in songs.ids],
            "path": [""] * len(ids),
            "seconds": arrow.nulls(len(ids), arrow.float64()),
            "tags": _tags(found),
        }
    )
    catalog = Catalog(table, tags=MSD_50, source="msd")
    return Imported(catalog.select(named) if named_only else catalog, report)


def _report(*, named_only: bool) -> ImportReport:
    result = "left out" if named_only else "kept, with what is known of the name"
    return ImportReport.of(
        ids_without_name=f"ids without artist or title in the track list: {result}",
        names_without_id="named tracks that are in no split: not used",
        phantom_ids="lines of the id files that hold no track id: not used",
        duplicate_ids="ids that are twice in one split: the first is used",
        ids_in_two_splits="ids in two splits: kept in the one furthest from training",
        duplicate_names="ids that the track list names twice: the first name is used",
        malformed_names="lines of the track list without four fields: not used",
        bad_utf8="lines of the track list that are not UTF-8: read as Windows-1252",
        labels_missing="splits without a label array: their labels are unknown",
        labels_not_bool="label arrays of numbers that are all 0 or 1: read as bool",
    )


def _read_splits(folder: Path, report: ImportReport) -> list[_SplitSongs]:
    """The splits there are, in the order train, valid, test."""
    found: list[_SplitSongs] = []
    split_of: dict[bytes, str] = {}
    faults: list[str] = []
    # test first: an id in two splits stays in test, and out of training
    for split in reversed(SPLITS):
        path = folder / f"{split}_x_msd_id.txt"
        if not path.exists():
            continue
        songs = _SplitSongs(split)
        n_rows = 0
        lines = read_bytes(path).removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if not lines[-1]:
            lines.pop()  # the file ends with the end of a line
        for number, line in enumerate(lines, 1):
            track_id = line.strip()
            row = n_rows
            n_rows += bool(track_id)  # each line that is not empty has its row of labels
            if not _TRACK_ID.fullmatch(track_id):
                report["phantom_ids"].add(f"{Place(path, number)}: {_shown(track_id)}")
            elif track_id not in split_of:
                split_of[track_id] = split
                songs.ids.append(track_id)
                songs.rows.append(row)
            elif split_of[track_id] == split:
                report["duplicate_ids"].add(f"{Place(path, number)}: {track_id.decode()}")
            else:
                report["ids_in_two_splits"].add(
                    f"{track_id.decode()}: {split} and {split_of[track_id]}"
                )
        try:
            songs.labels = _labels(folder / f"{split}_y.npy", path, n_rows, report)
        except BadCatalog as error:
            faults.append(str(error))  # so that one run names all of them
        found.append(songs)
    if faults:
        raise BadCatalog(
            f"{'; '.join(faults)}. Put the right arrays there, or move them away to go on with "
            "unknown labels"
        )
    if not split_of:
        wanted = ", ".join(f"{split}_x_msd_id.txt" for split in SPLITS)
        raise BadCatalog(f"no track ids in {folder}; it should hold {wanted}")
    for songs in found:
        if songs.labels is not None:
            songs.labels = songs.labels[songs.rows]
    return found[::-1]


def _labels(
    path: Path, ids: Path, n_rows: int, report: ImportReport
) -> npt.NDArray[np.bool_] | None:
    """Bool (n_rows, 50), or None where there is no such file."""
    if not path.exists():
        report["labels_missing"].add(str(path))
        return None
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise BadCatalog(
            f"{path} cannot be read as an array of labels ({error}). {_AGAIN}"
        ) from error
    if array.ndim != 2 or array.shape[1] != len(MSD_50):
        raise BadCatalog(
            f"{path} has the shape {array.shape}; it should have one row an id and {len(MSD_50)} "
            "columns"
        )
    if array.shape[0] != n_rows:
        raise BadCatalog(
            f"{path} has {array.shape[0]} rows for the {n_rows} ids of {ids.name}. {_AGAIN}"
        )
    if array.dtype.kind not in "buif":
        raise BadCatalog(f"{path} holds {array.dtype}; labels should be true or false")
    if array.dtype != bool:
        if not ((array == 0) | (array == 1)).all():
            raise BadCatalog(f"{path} holds numbers other than 0 and 1. {_AGAIN}")
        report["labels_not_bool"].add(f"{path}: {array.dtype}")
    labels: npt.NDArray[np.bool_] = array.astype(bool)
    return labels


def _names(
    path: Path, row_of: dict[bytes, int], report: ImportReport
) -> Iterator[tuple[int, str, str]]:
    """(row, artist, title) of each line that names a track of the split, each row once."""
    named: set[int] = set()
    n_tracks = 0
    try:
        with path.open("rb") as file:
            # lines end at b"\n" only: str.splitlines would also cut names at U+0085
            for number, line in enumerate(file, 1):
                fields = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n").split(_SEPARATOR, 3)
                if len(fields) != 4 or not _TRACK_ID.fullmatch(fields[0]):
                    report["malformed_names"].add(f"{Place(path, number)}: {_shown(line)}")
                    continue
                n_tracks += 1
                if not _is_utf8(line):
                    report["bad_utf8"].add(f"{Place(path, number)}: {_shown(line)}")
                row = row_of.get(fields[0])
                if row is None:
                    report["names_without_id"].add(fields[0].decode())
                elif row in named:
                    report["duplicate_names"].add(f"{Place(path, number)}: {fields[0].decode()}")
                else:
                    named.add(row)
                    yield row, _decoded(fields[2]), _decoded(fields[3])
    except OSError as error:
        raise BadCatalog(f"cannot read {path}: {error.strerror}. Check its name") from error
    if not n_tracks:
        raise BadCatalog(
            f"no line of {path} reads TRACKID<SEP>SONGID<SEP>artist<SEP>title, as each should"
        )


def _tags(found: list[_SplitSongs]) -> pa.Array:
    """The labels of all splits as the column `tags`."""
    labels = [
        np.zeros((len(songs.ids), len(MSD_50)), bool) if songs.labels is None else songs.labels
        for songs in found
    ]
    known = [np.full(len(songs.ids), songs.labels is not None) for songs in found]
    return tag_lists(np.concatenate(labels), known=np.concatenate(known), tags=MSD_50)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(name: bytes) -> str:
    """A name as text. A name that is not UTF-8 was most likely typed on Windows."""
    encoding = "utf-8" if _is_utf8(name) else "cp1252"
    return name.decode(encoding, errors="replace").strip()


def _shown(line: bytes) -> str:
    """The start of a line, in quotes, for a message."""
    return repr(line.rstrip(b"\r\n")[:60].decode(errors="backslashreplace"))
