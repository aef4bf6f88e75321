"""The progress of a download on stderr: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from earmark.cli.terminal import LineTimer, live_bar, say

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
                    "previews", total=self.total, completed=self.before, rate="", note=""
                )

        def progressed(self, progress: DownloadProgress) -> None:
            done = min(self.total, self.before + progress.done)
            rate = f"{progress.per_minute:.0f} a minute"
            if self.bar is not None:
                self.bar.update(self.task, completed=done, rate=rate, note=progress.waiting)
            elif self.timer.is_due():
                waiting = f", {progress.waiting}" if progress.waiting else ""
                say(f"previews: {done} of {self.total}, {rate}{waiting}")

        def checked(self, n_files: int) -> None:
            say(f"checked {n_files} previews that the ledger did not know")

        def ledger_was_damaged(self, moved_to: str) -> None:
            say(f"the ledger is damaged and was moved to {moved_to}; the previews give a new one")

    with live_bar() as bar:
        yield Reporter(bar)
