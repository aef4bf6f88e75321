"""The journal of written files: each change, and what it takes to undo it."""

from __future__ import annotations

# ruff: noqa: S608  # only constants of this file are put into SQL; values are always bound
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from earmark.library.database import Library


@dataclass(frozen=True)
class JournalEntry:
    """One change of a file, and what it takes to undo it.

    before, after : the fields that changed
    before_sha256, after_sha256 : of the whole file
    delta : what turns the file as it was left into the file as it was (library.writing.delta)
    """

    run: int
    path: Path
    audio: bytes
    mtime_ns: int
    before: dict[str, tuple[str, ...]]
    after: dict[str, tuple[str, ...]]
    before_sha256: str
    after_sha256: str
    delta: bytes
    id: int | None = None


_COLUMNS = (
    "run", "path", "audio", "mtime_ns", "before", "after", "before_sha256", "after_sha256", "delta"
)  # fmt: skip


def next_run(library: Library) -> int:
    """The number of a new run of writing."""
    return int(library.rows("SELECT coalesce(max(run), 0) + 1 FROM journal")[0][0])


def note(library: Library, entry: JournalEntry) -> JournalEntry:
    """Write a change to the journal; it is on the disk when this returns it, with its id."""
    values = (
        entry.run, os.fsencode(entry.path), entry.audio, entry.mtime_ns,
        json.dumps(entry.before), json.dumps(entry.after),
        entry.before_sha256, entry.after_sha256, entry.delta, time.time(),
    )  # fmt: skip
    with library.durable(), library.transaction() as connection:
        done = connection.execute(
            f"INSERT INTO journal ({', '.join(_COLUMNS)}, at) "
            f"VALUES ({', '.join('?' * len(values))})",
            values,
        )
    return replace(entry, id=done.lastrowid)


def runs(library: Library) -> list[tuple[int, float, int]]:
    """(run, Unix time of its last change, files) of every run that can be undone, in order."""
    return library.rows("SELECT run, max(at), count(*) FROM journal GROUP BY run ORDER BY run")


def entries(library: Library, run: int) -> Iterator[JournalEntry]:
    """The changes of a run, the last one first, one in memory at a time."""
    numbers = library.rows("SELECT id FROM journal WHERE run = ? ORDER BY id DESC", (run,))
    for (number,) in numbers:
        row = library.rows(f"SELECT {', '.join(_COLUMNS)} FROM journal WHERE id = ?", (number,))[0]
        _, path, audio, mtime_ns, before, after, before_sha256, after_sha256, delta = row
        yield JournalEntry(
            run, Path(os.fsdecode(path)), audio, mtime_ns, _fields(before), _fields(after),
            before_sha256, after_sha256, delta, number,
        )  # fmt: skip


def strike(library: Library, entry: JournalEntry) -> None:
    """Delete a change that is undone from the journal."""
    with library.transaction() as connection:
        connection.execute("DELETE FROM journal WHERE id = ?", (entry.id,))


def _fields(text: str) -> dict[str, tuple[str, ...]]:
    return {field: tuple(values) for field, values in json.loads(text).items()}
