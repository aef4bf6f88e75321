"""Previews for the songs of a catalog, in a folder that any number of runs may complete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.data.previews.downloader import Downloader, DownloadProgress
from earmark.data.previews.folder import ledger_path, remove_leftovers, working_on
from earmark.data.previews.ledger import FAILED, Ledger, LedgerEntry, State
from earmark.data.previews.options import DownloadOptions
from earmark.data.previews.parts import Part
from earmark.data.previews.reconcile import open_sound, reconcile, undone
from earmark.data.previews.sources import Choice, open_source
from earmark.data.previews.status import Status, status_of
from earmark.errors import BadLedger

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Song

_BATCH = 1000


class DownloadListener:
    """What a caller may want to hear of; each method does nothing until it is overridden."""

    def started(self, status: Status) -> None:
        """The ledger is open and up to date, and the work begins."""

    def checked(self, n_files: int) -> None:
        """So many previews that the ledger did not know have been checked."""

    def progressed(self, progress: DownloadProgress) -> None:
        """A few times a second."""

    def ledger_was_damaged(self, aside: str) -> None:
        """The ledger was put aside under that name, and a new one is made from the files."""


def download_previews(
    songs: Iterable[Song],
    folder: str | Path,
    *,
    choice: Choice,
    part: Part | None = None,
    options: DownloadOptions | None = None,
    listener: DownloadListener | None = None,
) -> Status:
    """Find and fetch the previews of songs, until each of them has an outcome.

    Killed at any time and called again it goes on; what has failed before is tried again.

    Raises BadValue for a source that cannot be used so, FolderInUse, BadLedger for a ledger of
    another version, DataError where the disk takes no more, GaveUp where the service does not
    let us on. Whatever it raises, nothing that was reached is lost.
    """
    open_source(choice)  # refuse before anything is made
    part = part or Part()
    with _at_work(
        Path(folder), options or DownloadOptions(), listener or DownloadListener()
    ) as work:
        work.ledger.add(
            LedgerEntry(
                song.id, song.artist, song.title, song.seconds, song.path, changed_at=time.time()
            )
            for song in songs
            if song.id in part
        )
        work.ledger.note("choice", asdict(choice))
        work.ledger.note("options", asdict(work.options))
        return work.run(choice)


def retry_previews(
    folder: str | Path,
    *,
    also: Collection[State] = (),
    choice: Choice | None = None,
    options: DownloadOptions | None = None,
    only_mark: bool = False,
    listener: DownloadListener | None = None,
) -> Status:
    """Take the failures of a folder again, with the source and the options of its last run.

    also : other outcomes to take again: no_result, rejected, review
    only_mark : leave the work to the next run
    """
    folder = Path(folder)
    with Ledger.open(ledger_path(folder)) as ledger:
        stored = ledger.fact("choice"), ledger.fact("options")
    if not only_mark and None in stored:
        raise BadLedger(f"{folder} has seen no run yet: begin with `earmark data previews`")
    choice = choice or Choice(**stored[0] or {"name": ""})
    options = options or DownloadOptions(**stored[1] or {})
    with _at_work(folder, options, listener or DownloadListener()) as work:
        again: list[LedgerEntry] = []
        for entry in work.ledger.entries([*FAILED, *also]):
            # what failed on the way to its audio keeps its hit; what was judged is asked anew
            hit = entry.hit if entry.state in FAILED else None
            again.append(
                undone(replace(entry, hit=hit, reason="", tries=0, retry_at=None, score=None))
            )
            if len(again) == _BATCH:
                work.ledger.put(again)
                again.clear()
        work.ledger.put(again)
        return status_of(work.ledger) if only_mark else work.run(choice)


def preview_status(folder: str | Path) -> Status:
    """Where the work on a folder stands; whether or not a run is at it."""
    with Ledger.open(ledger_path(Path(folder))) as ledger:
        return status_of(ledger)


class _Work:
    """A folder that is ours for the moment, with its ledger."""

    def __init__(
        self, ledger: Ledger, folder: Path, options: DownloadOptions, listener: DownloadListener
    ) -> None:
        self.ledger = ledger
        self.folder = folder
        self.options = options
        self.listener = listener

    def run(self, choice: Choice) -> Status:
        self.ledger.take_over()
        # after the songs are in: a file without a song is one more song, and no stranger
        reconcile(
            self.ledger,
            self.folder,
            check=self.options.check,
            on_checked=self.listener.checked,
        )
        self.ledger.hurry()  # whoever starts a run asks for what has failed, too
        self.ledger.note("started", time.time())
        self.listener.started(status_of(self.ledger))
        fetching = Downloader(
            self.ledger,
            self.folder,
            source=open_source(choice),
            options=self.options,
            on_progress=self.listener.progressed,
        )
        try:
            asyncio.run(fetching.run())
        finally:
            self.ledger.note("beat", None)
        return status_of(self.ledger)


@contextmanager
def _at_work(folder: Path, options: DownloadOptions, listener: DownloadListener) -> Iterator[_Work]:
    with working_on(folder):
        remove_leftovers(folder)
        ledger, aside = open_sound(folder)
        if aside:
            listener.ledger_was_damaged(aside)
        with ledger:
            yield _Work(ledger, folder, options, listener)
