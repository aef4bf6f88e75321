"""MTG-Jamendo: its autotagging lists, as a catalog.

Tab-separated, with as many columns as a track has tags:
`TRACK_ID ARTIST_ID ALBUM_ID PATH DURATION TAGS...`. A split is three such files, named
`<subset>-train.tsv`, `<subset>-validation.tsv` and `<subset>-test.tsv`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.import_report import (
    SPLIT_NAMES,
    Imported,
    ImportReport,
    Place,
    located,
    read_text,
    seconds_of,
    unique,
)
from earmark.errors import BadCatalog

_HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
_META_HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "TRACK_NAME", "ARTIST_NAME", "ALBUM_NAME"]
_N_META_FIELDS = 8  # with RELEASEDATE and URL
# test first: a track in two files stays in test, and out of training
_ORDER = ("test", "valid", "train", "")


def read_jamendo(
    paths: Sequence[str | Path],
    *,
    subset: str | None = None,
    audio: str | Path | None = None,
    meta: str | Path | None = None,
) -> Imported:
    """The catalog of one autotagging file, or of the files of one split.

    paths : the files, or the folder of a split such as data/splits/split-0; a file whose name
        ends with -train, -validation or -test is that split
    subset : which files of a folder, such as autotagging_top50tags, where it holds several
    audio : the folder that the paths of the lists are relative to; without it they stay relative
    meta : raw.meta.tsv, for the names of artists and titles; without it an artist is its id

    Raises BadCatalog, with the line, for what does not parse.
    """
    report = ImportReport.of(
        duplicate_ids="rows that repeat an earlier one: used once",
        ids_in_two_splits="tracks in two splits: kept in the one furthest from training",
        without_labels="tracks without tags: their labels are unknown",
        without_name="tracks that the meta file does not name: the artist is its id",
        malformed_names="lines of the meta file without artist or of other fields: not used",
        files_missing="audio files that are not there or are empty: kept in the catalog",
    )
    files = [(file, _split(file)) for path in paths for file in _files(Path(path), subset)]
    files.sort(key=lambda file: _ORDER.index(file[1]))
    names = None if meta is None else _names(Path(meta), report)
    folder = None if audio is None else Path(audio)

    def songs() -> Iterator[tuple[Place, Song]]:
        split_of: dict[str, str] = {}
        for file, split in files:
            for place, fields in _rows(file, _HEADER):
                track_id = fields[0]
                first = split_of.setdefault(track_id, split)
                if first != split:
                    report["ids_in_two_splits"].add(f"{place}: {track_id} is in {first} too")
                    continue
                yield place, _song(place, fields, split, names, folder, report)

    return Imported(Catalog.from_songs(unique(songs(), report), source="jamendo"), report)


def _song(
    place: Place,
    fields: list[str],
    split: str,
    names: dict[str, tuple[str, str]] | None,
    folder: Path | None,
    report: ImportReport,
) -> Song:
    if len(fields) < len(_HEADER) - 1:
        raise BadCatalog(
            f"{place}: {len(fields)} values; a line should have {' '.join(_HEADER)}, "
            "separated by tabs"
        )
    track_id, artist_id, _, path, duration, *tags = fields
    tags = [sys.intern(tag.strip()) for tag in tags if tag.strip()]
    if not tags:
        report["without_labels"].add(track_id)
    artist, title = (names or {}).get(track_id, (artist_id, ""))
    if names is not None and track_id not in names:
        report["without_name"].add(track_id)
    return Song(
        id=track_id,
        artist=artist,
        title=title,
        split=split,
        path=path if folder is None else _audio(path, folder, report),
        seconds=seconds_of(duration, place=place),
        tags=tuple(tags) or None,
    )


def _files(path: Path, subset: str | None) -> list[Path]:
    """The file itself, or the files of one subset in the folder of a split."""
    if not path.is_dir():
        return [path]
    found: dict[str, list[Path]] = {}
    for file in sorted(path.glob("*.tsv")):
        if _split(file):
            found.setdefault(file.stem.rpartition("-")[0], []).append(file)
    if subset is None and len(found) == 1:
        subset = next(iter(found))
    if subset not in found:
        raise BadCatalog(
            f"{path} holds the subsets {', '.join(found) or '(none)'}; "
            f"{'none is chosen' if subset is None else f'not {subset!r}'}. Choose one of them"
        )
    return found[subset]


def _split(file: Path) -> str:
    return SPLIT_NAMES.get(file.stem.rpartition("-")[2], "")


def _rows(path: Path, header: list[str]) -> Iterator[tuple[Place, list[str]]]:
    """The rows under the header, cut at tabs only: some names hold one double quote."""
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    if lines[0].split("\t")[: len(header)] != header:
        raise BadCatalog(
            f"{Place(path, 1)}: not an MTG-Jamendo list; its columns should be "
            f"{' '.join(header)}, separated by tabs"
        )
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            yield Place(path, number), line.split("\t")


def _names(path: Path, report: ImportReport) -> dict[str, tuple[str, str]]:
    """{track id: (artist, title)} of a meta file."""
    names = {}
    for place, fields in _rows(path, _META_HEADER):
        if len(fields) == _N_META_FIELDS + 1 and not fields[4]:
            del fields[4]  # two lines of the published file hold an empty field after the title
        if len(fields) != _N_META_FIELDS or not fields[4].strip():
            report["malformed_names"].add(str(place))
            continue
        names[fields[0]] = (fields[4].strip(), fields[3].strip())
    return names


def _audio(path: str, folder: Path, report: ImportReport) -> str:
    """The audio of a track: `14/214.mp3`, or `14/214.low.mp3` of the smaller download."""
    low = Path(path).with_suffix(".low.mp3")
    if not (folder / path).exists() and (folder / low).exists():
        path = str(low)
    return located(path, folder, report)
