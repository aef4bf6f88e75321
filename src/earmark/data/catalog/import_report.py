"""What the readers of song lists share: the report of an import, text with line numbers, paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.schema import is_id
from earmark.errors import BadCatalog
from earmark.files import encodes

N_EXAMPLES = 5  # of each kind of issue, so that a report about a million lines fits on a page
# what song lists call a split: what a catalog calls it
SPLIT_NAMES = {
    "": "",
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}


class Place(NamedTuple):
    """A line of an input file, for messages; lines count from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass
class ImportIssue:
    """A kind of fault in the input that does not stop the import.

    meaning : what it is, and what was done about it, in words
    examples : the first few, with what is needed to find them in the input
    """

    meaning: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < N_EXAMPLES:
            self.examples.append(example)


@dataclass(frozen=True)
class ImportReport:
    """The issues of an import, by kind; a kind that did not occur has the count 0."""

    issues: dict[str, ImportIssue]

    @classmethod
    def of(cls, **meanings: str) -> ImportReport:
        """A report with these kinds of issues, none of which has occurred yet."""
        return cls({kind: ImportIssue(meaning) for kind, meaning in meanings.items()})

    def __getitem__(self, kind: str) -> ImportIssue:
        return self.issues[kind]

    def as_json(self) -> dict[str, Any]:
        """{kind: {"count", "meaning", "examples"}} of every kind, also of those with count 0."""
        return {
            kind: {
                "count": issue.count,
                "meaning": issue.meaning,
                "examples": issue.examples,
            }
            for kind, issue in self.issues.items()
        }


class Imported(NamedTuple):
    """A song list that was read: its catalog, and the report of the import."""

    catalog: Catalog
    report: ImportReport


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises BadCatalog with the reason where that is not possible."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCatalog(f"cannot read {path}: {error.strerror}. Check its name") from error


def read_text(path: Path) -> str:
    """A whole UTF-8 file, with or without a byte order mark; line ends as they are.

    Raises BadCatalog that names the first line which is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(path, data.count(b"\n", 0, error.start) + 1)
        raise BadCatalog(f"{place}: the text is not UTF-8. Save the file as UTF-8") from error


def split_name(text: str, *, place: Place) -> str:
    """The catalog's name of a split: train, valid, test, a fold number, or ""."""
    name = text.strip().lower()
    if name.isascii() and name.isdigit():
        return str(int(name))
    try:
        return SPLIT_NAMES[name]
    except KeyError:
        raise BadCatalog(
            f"{place}: the split is {text!r}; use train, valid, test, a fold number or nothing"
        ) from None


def seconds_of(text: str, *, place: Place) -> float | None:
    """Seconds from text; None for an empty one."""
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadCatalog(f"{place}: {text!r} is not a length in seconds. Write a number")
    return seconds


def unique(rows: Iterable[tuple[Place, Song]], report: ImportReport) -> Iterator[Song]:
    """Each song once, in the order of the rows.

    A repeated row counts as `duplicate_ids`. Raises BadCatalog for an id that cannot be a file
    name, and for an id with different values, since the right one cannot be known.
    """
    # the hash of a song, and not the song: a million songs would take half a gigabyte
    seen: dict[str, tuple[Place, int]] = {}
    for place, song in rows:
        if not is_id(song.id):
            raise BadCatalog(
                f"{place}: the id {song.id!r} cannot be a file name. Use up to 200 letters, digits "
                "and signs without / and \\, and no dot or blank at the start"
            )
        first, content = seen.setdefault(song.id, (place, hash(song)))
        if first == place:
            yield song
        elif content == hash(song):
            report["duplicate_ids"].add(f"{place}: {song.id}")
        else:
            raise BadCatalog(
                f"{place}: the id {song.id!r} is at {first} too, with other values. "
                "Give each song its own id, or remove one of the two lines"
            )


def located(path: str, folder: Path, report: ImportReport) -> str:
    """The absolute path of audio, given relative to `folder`; "" stays "".

    A file that is missing or empty keeps its path, and counts as `files_missing`. Raises BadCatalog
    where the folder has a name that no catalog can hold.
    """
    if not path:
        return ""
    # not Path.resolve: in a folder of links the names of the links may be the ids
    absolute = os.path.abspath(folder / path)  # noqa: PTH100
    if not encodes(absolute):
        raise BadCatalog(
            f"{folder} has a name that is not UTF-8, and a catalog holds paths as text. Rename the "
            "folder, or leave out the paths and name it with `earmark data shards --audio`"
        )
    try:
        there = os.stat(absolute).st_size > 0  # noqa: PTH116
    except (OSError, ValueError):  # ValueError: a NUL in the name
        there = False
    if not there:
        report["files_missing"].add(absolute)
    return absolute
