"""The progress of a download on stderr: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from earmark.cli.terminal import LineTimer, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from earmark.data.previews.download import DownloadListener
    from earmark.data.previews.run import DownloadProgress
    from earmark.data.previews.status import PreviewStatus


@contextmanager
def report_progress() -> Iterator[DownloadListener]:
    """A listener that shows what it is told."""
    from earmark.data.previews.download import DownloadListener

    class Reporter(DownloadListener):
        def __init__(self, bar: Bar | None) -> None:
            self.bar = bar
            self.task: Any = None
            self.before = self.total = 0
            self.timer = LineTimer()

        def started(self, status: PreviewStatus) -> None:
            self.total = status.total
            self.before = status.total - status.remaining - status.failed
            if self.bar is not None:
                self.task = self.bar.add_task(
                    "previews", total=self.total, completed=self.before, rate="", waiting=""
                )

        def progressed(self, progress: DownloadProgress) -> None:
            done = min(self.total, self.before + progress.done)
            rate = f"{progress.per_minute:.0f} a minute"
            if self.bar is not None:
                self.bar.update(self.task, completed=done, rate=rate, waiting=progress.waiting)
            elif self.timer.is_due():
                waiting = f", {progress.waiting}" if progress.waiting else ""
                say(f"previews: {done} of {self.total}, {rate}{waiting}")

        def checked(self, n_files: int) -> None:
            say(f"checked {n_files} previews that the ledger did not know")

        def ledger_was_damaged(self, moved_to: str) -> None:
            say(f"the ledger is damaged and was moved to {moved_to}; the previews give a new one")

    if not sys.stderr.isatty():
        yield Reporter(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[waiting]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield Reporter(bar)
