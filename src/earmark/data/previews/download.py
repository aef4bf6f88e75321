"""The whole job: previews for the songs of a catalog, in a folder, over any number of runs.

`run` is one run of it. This module opens the folder and its ledger, takes in the songs, starts the
run, and reads where the job stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.data.previews.entry import FAILED, LedgerEntry, State
from earmark.data.previews.folder import ledger_path, remove_leftovers, working_on
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.options import DownloadOptions, Part
from earmark.data.previews.reconcile import open_or_replace, reconcile
from earmark.data.previews.rows import stored
from earmark.data.previews.run import DownloadProgress, DownloadRun
from earmark.data.previews.sources import SourceChoice, open_source
from earmark.data.previews.status import PreviewStatus, status_of
from earmark.errors import BadLedger, BadValue

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Song

_BATCH = 1000  # entries in one transaction


class DownloadListener:
    """What a caller can be told of; each method does nothing until it is overridden."""

    def started(self, status: PreviewStatus) -> None:
        """The ledger is open and up to date, and the run starts."""

    def checked(self, n_files: int) -> None:
        """So many previews that the ledger did not know have been checked."""

    def progressed(self, progress: DownloadProgress) -> None:
        """A few times a second."""

    def ledger_was_damaged(self, moved_to: str) -> None:
        """The damaged ledger was moved there, and a new one is made from the files."""


def download_previews(
    songs: Iterable[Song],
    folder: str | Path,
    *,
    choice: SourceChoice,
    part: Part | None = None,
    options: DownloadOptions | None = None,
    listener: DownloadListener | None = None,
) -> PreviewStatus:
    """Find and fetch the previews of songs, until each of them has an outcome.

    Kill it at any time and call it again: it goes on, and tries again what has failed.

    Raises BadValue for a source that cannot be used like this, FolderInUse, BadLedger for a ledger
    of another version, DataError where the disk takes no more, GaveUp where the service lets no
    more requests through. After each of these nothing is lost.
    """
    open_source(choice)  # refuse before anything is made
    part = part or Part()
    with _opened(Path(folder), options or DownloadOptions(), listener or DownloadListener()) as job:
        job.ledger.add(
            LedgerEntry(
                song.id, song.artist, song.title, song.seconds, song.path, changed_at=time.time()
            )
            for song in songs
            if song.id in part
        )
        job.ledger.note("choice", asdict(choice))
        job.ledger.note("options", asdict(job.options))
        return job.run(choice)


def retry_previews(
    folder: str | Path,
    *,
    also: Collection[State] = (),
    choice: SourceChoice | None = None,
    endpoint: str = "",
    options: DownloadOptions | None = None,
    only_mark: bool = False,
    listener: DownloadListener | None = None,
) -> PreviewStatus:
    """Try the failures of a folder again, with the source and the options of its last run.

    also : other outcomes to try again: no_result, rejected, review
    endpoint : the address that the last run asked in place of the service's own. It has to be given
        again: the ledger may be someone else's, who must not choose what this machine asks.
    only_mark : leave the work to the next run

    Raises BadValue where the last run asked another endpoint, and what download_previews raises.
    """
    folder = Path(folder)
    with Ledger.open(ledger_path(folder)) as ledger:
        last = ledger.fact("choice"), ledger.fact("options")
    if not only_mark and None in last:
        raise BadLedger(f"{folder} has had no run yet. Start one with `earmark data previews`")
    if choice is None:
        choice = stored(SourceChoice, last[0] or {"name": ""}, what="choice")
        if choice.endpoint != endpoint and not only_mark:
            asked = choice.endpoint or f"{choice.name} itself"
            advice = f"add --endpoint {choice.endpoint}" if choice.endpoint else "leave it out"
            raise BadValue(
                f"--endpoint is {endpoint or 'not given'}, and the last run in {folder} asked "
                f"{asked}, as its ledger says. To ask that again, {advice}"
            )
    options = options or stored(DownloadOptions, last[1] or {}, what="options")
    with _opened(folder, options, listener or DownloadListener()) as job:
        again: list[LedgerEntry] = []
        for entry in job.ledger.entries([*FAILED, *also]):
            again.append(entry.again())
            if len(again) == _BATCH:
                job.ledger.put(again)
                again.clear()
        job.ledger.put(again)
        return status_of(job.ledger) if only_mark else job.run(choice)


def preview_status(folder: str | Path) -> PreviewStatus:
    """Where the job in a folder stands, also while a run works on it."""
    with Ledger.open(ledger_path(Path(folder))) as ledger:
        return status_of(ledger)


class _Job:
    """A folder under our lock, with its open ledger."""

    def __init__(
        self, ledger: Ledger, folder: Path, options: DownloadOptions, listener: DownloadListener
    ) -> None:
        self.ledger = ledger
        self.folder = folder
        self.options = options
        self.listener = listener

    def run(self, choice: SourceChoice) -> PreviewStatus:
        """One run, to its end."""
        self.ledger.take_over()
        # after the songs are in: a file without a song would become a song of its own
        reconcile(
            self.ledger,
            self.folder,
            check=self.options.check,
            on_checked=self.listener.checked,
        )
        self.ledger.retry_now()  # starting a run means: try the failures too
        self.ledger.note("started", time.time())
        self.listener.started(status_of(self.ledger))
        run = DownloadRun(
            self.ledger,
            self.folder,
            source=open_source(choice),
            options=self.options,
            on_progress=self.listener.progressed,
        )
        try:
            asyncio.run(run.work())
        finally:
            self.ledger.note("beat", None)
        return status_of(self.ledger)


@contextmanager
def _opened(folder: Path, options: DownloadOptions, listener: DownloadListener) -> Iterator[_Job]:
    with working_on(folder):
        remove_leftovers(folder)
        ledger, moved_to = open_or_replace(folder)
        if moved_to:
            listener.ledger_was_damaged(moved_to)
        with ledger:
            yield _Job(ledger, folder, options, listener)
