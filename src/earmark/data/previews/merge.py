"""Join the folders of several machines into one: ledgers, replies and previews."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from earmark import files
from earmark.data.previews.audio_check import inspect
from earmark.data.previews.folder import (
    AUDIO,
    audio_files,
    ledger_path,
    link_or_copy,
    reading_from,
    remove_leftovers,
    working_on,
)  # fmt: skip
from earmark.data.previews.http import BadContent
from earmark.data.previews.ledger import Answer, Ledger, LedgerEntry, State
from earmark.data.previews.reconcile import downloaded, open_sound, reconcile, undone
from earmark.errors import BadValue
from earmark.folder_lock import disk_errors

_BATCH = 500
_ORDER = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True)
class Merged:
    """What a merge has done.

    songs : in the ledger now
    copied : previews that came from the folders
    damaged : previews of the folders that did not have the bytes that their ledger says, or were
        not whole; their songs are taken up by the next run
    """

    songs: int
    copied: int
    damaged: tuple[str, ...]


def merge(
    folders: Sequence[str | Path],
    output: str | Path,
    *,
    on_song: Callable[[int], None] | None = None,
) -> Merged:
    """Join folders into `output`, which may be there already and then is one of them.

    Of a song that is in several the state that has come furthest counts, then a known hit, the
    higher score, the later change: the result does not depend on the order of the folders.
    Previews are linked where possible, else copied, and compared with the SHA-256 of their ledger.
    Killed and called again it goes on. A folder without a ledger counts by its previews.

    on_song : called with the number of songs read so far

    Raises BadValue, BadLedger, FolderInUse, DataError.
    """
    output = Path(output)
    others = {Path(folder).resolve(): Path(folder) for folder in folders}
    sources = [folder for place, folder in others.items() if place != output.resolve()]
    for folder in sources:
        if not ledger_path(folder).is_file() and not audio_files(folder):
            raise BadValue(f"{folder} has neither a ledger nor previews: there is nothing to merge")
    joining = _Joining(output)
    with ExitStack() as stack:
        stack.enter_context(working_on(output))
        for folder in sources:
            stack.enter_context(reading_from(folder))
        remove_leftovers(output)
        joining.ledger = stack.enter_context(open_sound(output)[0])
        reconcile(joining.ledger, output)
        for folder in sources:
            for page, answers in _pages(folder, joining.ledger):
                joining.ledger.put(joining.changes(page, folder), answers)
                joining.n_read += len(page)
                if on_song is not None:
                    on_song(joining.n_read)
        songs = sum(joining.ledger.counts().values())
    return Merged(songs=songs, copied=joining.n_copied, damaged=tuple(joining.damaged))


class _Joining:
    """The output of a merge, and the count of what has come into it."""

    ledger: Ledger

    def __init__(self, output: Path) -> None:
        self.output = output
        self.n_read = 0
        self.n_copied = 0
        self.damaged: list[str] = []

    def changes(self, page: list[LedgerEntry], folder: Path) -> Iterator[LedgerEntry]:
        """The songs of another folder that have come further there; brings their previews."""
        for entry in page:
            here = self.ledger.get(entry.id)
            if here is not None and _rank(here) >= _rank(entry):
                continue
            if entry.state is State.DOWNLOADED:
                name = entry.file
                entry = _take(entry, folder, self.output)
                if entry.state is not State.DOWNLOADED:
                    self.damaged.append(str(folder / AUDIO / (name or entry.id)))
                    if here is not None and _rank(here) >= _rank(entry):
                        continue
                else:
                    self.n_copied += 1
                    if here is not None and here.file not in (None, name):
                        (self.output / AUDIO / str(here.file)).unlink(missing_ok=True)
            yield entry


def _rank(entry: LedgerEntry) -> tuple[int, bool, float, float, str, str]:
    """How far a song has come; equal only for the same outcome."""
    return (
        _ORDER[entry.state],
        entry.hit is not None,  # a preview with its story before one that was found on the disk
        entry.score or 0.0,
        entry.changed_at,
        entry.sha256 or "",
        entry.reason,
    )


def _pages(folder: Path, output: Ledger) -> Iterator[tuple[list[LedgerEntry], list[Answer]]]:
    """The songs and the replies of a folder, some hundred at a time.

    How it was last run is noted in the output, so that `retry` knows.
    """
    if not ledger_path(folder).is_file():
        yield from _pages_of_files(folder)
        return
    with Ledger.open(ledger_path(folder)) as ledger:
        for fact in ("choice", "options"):
            if output.fact(fact) is None:
                output.note(fact, ledger.fact(fact))
        page: list[LedgerEntry] = []
        answers: list[Answer] = []
        for entry in ledger.entries():
            page.append(entry)
            answers += ledger.answers(entry.id)
            if len(page) == _BATCH:
                yield page, answers
                page, answers = [], []
        yield page, answers


def _pages_of_files(folder: Path) -> Iterator[tuple[list[LedgerEntry], list[Answer]]]:
    for song_id, path in audio_files(folder).items():
        try:
            clip = inspect(path)
        except BadContent:
            # with a checksum that no file has, it is counted among the damaged
            yield [LedgerEntry(song_id, state=State.DOWNLOADED, file=path.name, sha256="")], []
            continue
        entry = LedgerEntry(song_id, changed_at=path.stat().st_mtime, reason="found on the disk")
        yield [downloaded(entry, clip)], []


def _take(entry: LedgerEntry, folder: Path, output: Path) -> LedgerEntry:
    """Bring a preview over; its song is no longer downloaded where the file is not what it was."""
    source = folder / AUDIO / (entry.file or "")
    if not source.is_file() or files.sha256(source) != entry.sha256:
        return undone(entry)
    target = output / AUDIO / source.name
    with disk_errors(target.parent):
        link_or_copy(source, target)
    return entry
