"""The merge of several machines' preview folders into one: ledgers, replies and audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from earmark import files
from earmark.data.previews.audio_check import inspect
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.failures import BadContent
from earmark.data.previews.folder import (
    AUDIO,
    ledger_path,
    link_or_copy,
    preview_files,
    reading_from,
    remove_leftovers,
    working_on,
)  # fmt: skip
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.reconcile import FOUND, open_or_replace, reconcile
from earmark.errors import BadValue
from earmark.folder_lock import disk_errors

_BATCH = 500  # entries in one transaction
_ORDER = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True)
class MergeResult:
    """What a merge has done.

    songs : in the ledger now
    copied : previews that came from the folders
    damaged : previews of the folders whose bytes do not match their ledger, or that are not whole;
        the next run downloads them again
    """

    songs: int
    copied: int
    damaged: tuple[str, ...]


def merge_previews(
    folders: Sequence[str | Path],
    output: str | Path,
    *,
    on_song: Callable[[int], None] | None = None,
) -> MergeResult:
    """Merge folders into `output`; one that exists already takes part in the merge.

    For a song in several folders the furthest state counts, then a known hit, the higher score,
    the later change: the result does not depend on the order of the folders. Previews are linked
    where possible, else copied, and compared with the SHA-256 in their ledger. A folder without a
    ledger takes part with its previews. Kill it at any time and call it again: it goes on.

    on_song : called with the number of songs read so far

    Raises BadValue, BadLedger, FolderInUse, DataError.
    """
    output = Path(output)
    others = {Path(folder).resolve(): Path(folder) for folder in folders}
    sources = [folder for place, folder in others.items() if place != output.resolve()]
    for folder in sources:
        if not ledger_path(folder).is_file() and not preview_files(folder):
            raise BadValue(f"{folder} has neither a ledger nor previews: there is nothing to merge")
    with ExitStack() as stack:
        stack.enter_context(working_on(output))
        for folder in sources:
            stack.enter_context(reading_from(folder))
        remove_leftovers(output)
        ledger = stack.enter_context(open_or_replace(output)[0])
        reconcile(ledger, output)
        merging = _Merging(ledger, output)
        for folder in sources:
            for page, replies in _pages(folder, ledger):
                ledger.put(merging.changes(page, folder), replies)
                merging.n_read += len(page)
                if on_song is not None:
                    on_song(merging.n_read)
        songs = sum(ledger.counts().values())
    return MergeResult(songs=songs, copied=merging.n_copied, damaged=tuple(merging.damaged))


class _Merging:
    """The output of a merge, and the counts of what has come into it."""

    def __init__(self, ledger: Ledger, output: Path) -> None:
        self.ledger = ledger
        self.output = output
        self.n_read = 0
        self.n_copied = 0
        self.damaged: list[str] = []

    def changes(self, page: list[LedgerEntry], folder: Path) -> Iterator[LedgerEntry]:
        """The songs that have come further in another folder; copies their previews."""
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
    """How far a song has come; two songs rank equal only with the same outcome."""
    return (
        _ORDER[entry.state],
        entry.hit is not None,  # a preview of a known hit before one that was found on the disk
        entry.score or 0.0,
        entry.changed_at,
        entry.sha256 or "",
        entry.reason,
    )


def _pages(folder: Path, output: Ledger) -> Iterator[tuple[list[LedgerEntry], list[StoredReply]]]:
    """The songs and the replies of a folder, some hundred at a time.

    The output also gets the options of the folder's last run, for `retry`.
    """
    if not ledger_path(folder).is_file():
        yield from _pages_of_files(folder)
        return
    with Ledger.open(ledger_path(folder)) as ledger:
        for fact in ("choice", "options"):
            if output.fact(fact) is None:
                output.note(fact, ledger.fact(fact))
        page: list[LedgerEntry] = []
        replies: list[StoredReply] = []
        for entry in ledger.entries():
            page.append(entry)
            replies += ledger.replies(entry.id)
            if len(page) == _BATCH:
                yield page, replies
                page, replies = [], []
        yield page, replies


def _pages_of_files(folder: Path) -> Iterator[tuple[list[LedgerEntry], list[StoredReply]]]:
    for song_id, path in preview_files(folder).items():
        try:
            preview = inspect(path)
        except BadContent:
            # no file has this checksum, so it counts as damaged
            yield [LedgerEntry(song_id, state=State.DOWNLOADED, file=path.name, sha256="")], []
            continue
        entry = LedgerEntry(song_id, changed_at=path.stat().st_mtime, reason=FOUND)
        yield [entry.downloaded(preview)], []


def _take(entry: LedgerEntry, folder: Path, output: Path) -> LedgerEntry:
    """Copy a preview; where its bytes do not match the ledger, its song has none any more."""
    source = folder / AUDIO / (entry.file or "")
    if not source.is_file() or files.sha256(source) != entry.sha256:
        return entry.without_preview()
    target = output / AUDIO / source.name
    with disk_errors(target.parent):
        link_or_copy(source, target)
    return entry
