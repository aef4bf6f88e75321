"""Undo of a run of writing: every byte back, or only the fields where a file has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from earmark.errors import EarmarkError, NotScanned, UnwritableTags
from earmark.files import sha256
from earmark.library.database import Library
from earmark.library.writing.delta import apply_delta
from earmark.library.writing.fields import Values
from earmark.library.writing.journal import JournalEntry, entries, runs, strike
from earmark.library.writing.rewrite import (
    WritingRun,
    only_writer,
    rewrite,
    unwritable_errors,
)
from earmark.library.writing.tag_file import read_fields, write_fields
from earmark.library.writing.write import require_same_audio


class UndoOutcome(StrEnum):
    """What became of one file.

    restored : it has every byte back
    unwritten : it never changed: the run was killed before the file was replaced
    fields : another program has changed it since: only fields that still had earmark's values have
        their old values back
    failed : it stays as it is
    """

    restored = "restored"
    unwritten = "unwritten"
    fields = "fields"
    failed = "failed"


@dataclass(frozen=True)
class Undone:
    """One file of an undone run."""

    path: Path
    outcome: UndoOutcome
    error: EarmarkError | None = None


def last_run(library: Library) -> int:
    """The newest run that can be undone. Raises NotScanned where there is none."""
    known = runs(library)
    if not known:
        raise NotScanned(
            "there is nothing to undo: no tags were written, or all runs are undone. "
            "`earmark library undo --list` shows the runs"
        )
    return known[-1][0]


def files_of(library: Library, run: int) -> list[Path]:
    """The files that a run changed, the last one first. Raises NotScanned as undo does."""
    _check(library, run)
    return [entry.path for entry in entries(library, run)]


def undo_writing(library: Library, run: int) -> Iterator[Undone]:
    """Undo a run, its last change first; what fails stays in the journal and can be tried again.

    Raises NotScanned for a run that is not in the journal, FolderInUse while another run writes.
    """
    with only_writer(library) as writing:
        _check(library, run)
        for entry in entries(library, run):
            path = entry.path
            try:
                path = _place(library, entry)
                outcome = _undo_one(library, writing, entry, path)
            except EarmarkError as error:
                yield Undone(path, UndoOutcome.failed, error)
            else:
                strike(library, entry)
                yield Undone(path, outcome)


def _check(library: Library, run: int) -> None:
    if run not in {known for known, _, _ in runs(library)}:
        raise NotScanned(
            f"there is no run {run} to undo; `earmark library undo --list` shows the runs"
        )


def _place(library: Library, entry: JournalEntry) -> Path:
    """Where the file is now: a scan may have found it in another folder."""
    if entry.path.exists():
        return entry.path
    place = library.place_of(entry.audio)
    if place is None or not place.exists():
        raise UnwritableTags(
            entry.path, "it does not exist. If it has moved, scan its new folder first"
        )
    return place


def _undo_one(
    library: Library, writing: WritingRun, entry: JournalEntry, path: Path
) -> UndoOutcome:
    with unwritable_errors(path):
        before = path.stat()
        found = sha256(path)
    if found == entry.before_sha256:  # killed between the journal and the rename
        return UndoOutcome.unwritten
    if found == entry.after_sha256:
        rewrite(
            writing, path, lambda file, copy: _restore(file, copy, entry), mtime_ns=entry.mtime_ns
        )
        outcome = UndoOutcome.restored
    else:
        _put_back_fields(writing, entry, path)
        outcome = UndoOutcome.fields
    library.restat(path, size=before.st_size, mtime_ns=before.st_mtime_ns)
    return outcome


def _restore(file: Path, copy: Path, entry: JournalEntry) -> None:
    apply_delta(file, entry.delta, to=copy)
    if sha256(copy) != entry.before_sha256:
        raise UnwritableTags(
            file, "the journal is damaged. The file is unchanged: take it from a backup"
        )


def _put_back_fields(writing: WritingRun, entry: JournalEntry, path: Path) -> None:
    now = read_fields(path, entry.after)
    ours: dict[str, Values] = {
        field: entry.before[field] for field, value in entry.after.items() if now[field] == value
    }

    def make(file: Path, copy: Path) -> None:
        write_fields(copy, ours)
        require_same_audio(file, copy)

    if ours:
        rewrite(writing, path, make)
