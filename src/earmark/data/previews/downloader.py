"""One run of the downloader: songs are searched and fetched side by side until none is left.

Every song is one task that passes from search to download as soon as it can; what becomes of it is
written to the ledger in batches, a few times a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.data.previews.audio_check import Preview, Suspect, keep
from earmark.data.previews.decisions import judged
from earmark.data.previews.folder import AUDIO
from earmark.data.previews.http import BadContent, HttpClient, HttpLimits, RequestRefused, attempts
from earmark.data.previews.ledger import UNDER_WAY, Answer, Ledger, LedgerEntry, State
from earmark.data.previews.options import DownloadOptions
from earmark.data.previews.rate_limit import GaveUp, Manners, Trouble
from earmark.data.previews.reconcile import downloaded
from earmark.data.previews.sources import Source
from earmark.errors import DownloadFailed, EarmarkError
from earmark.folder_lock import disk_errors

if TYPE_CHECKING:
    import stamina

_LEASE = 600.0  # seconds; renewed while the run lives
_TICK = 0.25  # seconds between two batches
BEAT = 5.0  # seconds between two signs of life in the ledger
_IN_FLIGHT, _AT_LEAST = 8, 64  # songs for each connection; most of them wait their turn
_RECENT = 60.0  # seconds that the rate is an average over


@dataclass(frozen=True)
class DownloadProgress:
    """Where a run stands.

    done : songs of this run that have come to an outcome
    per_minute : such songs a minute, over the last minute
    waiting : hosts that are left alone, in words; "" for none
    """

    done: int
    per_minute: float
    waiting: str


class Downloader:
    """A run on an open ledger, under the lock on its folder.

    `await run()` ends when every song has an outcome, or with what stops the whole run: GaveUp
    where the service rejects for too long, DataError where the disk takes no more. However it
    ends, what is known by then is in the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        *,
        source: Source,
        options: DownloadOptions,
        on_progress: Callable[[DownloadProgress], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._source = source
        self._options = options
        self._on_progress = on_progress
        self._limits = HttpLimits(options.deadline, options.max_bytes)
        rate = source.per_minute if options.rate is None else options.rate
        self._network = HttpClient(
            api_host=source.api_host,
            manners=Manners(rate, options.cooldown, options.patience),
            connections=2 * options.concurrency,
        )
        self._changes: dict[str, LedgerEntry] = {}  # not yet in the ledger
        self._answers: list[Answer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = 0
        self._beat = 0.0
        self._history: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    async def run(self) -> None:
        """Work until nothing is left to do."""
        self._news = asyncio.Event()
        self._searching = asyncio.Semaphore(self._options.concurrency)
        self._downloading = asyncio.Semaphore(self._options.concurrency)
        self._stopped_by: BaseException | None = None
        with ThreadPoolExecutor(thread_name_prefix="earmark-check") as self._checkers:
            try:
                async with self._network:
                    await self._work()
            finally:
                self._flush()
                self._ledger.release()

    async def _work(self) -> None:
        ticker = asyncio.create_task(self._tick())
        ticker.add_done_callback(self._ended)
        try:
            capacity = max(_AT_LEAST, _IN_FLIGHT * self._options.concurrency)
            while self._stopped_by is None:
                self._news.clear()
                free = capacity - len(self._tasks)
                if free >= capacity // 4 or not self._tasks:
                    self._flush()  # so that the ledger knows what is still to do
                    claimed = self._ledger.claim(free, seconds=_LEASE)
                    if not claimed and not self._tasks:
                        return
                    for entry in claimed:
                        task = asyncio.create_task(self._song(entry))
                        self._tasks.add(task)
                        task.add_done_callback(self._ended)
                await self._news.wait()
            raise self._stopped_by
        finally:
            ticker.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(ticker, *self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._stopped_by = self._stopped_by or task.exception()
        self._news.set()

    async def _tick(self) -> None:
        renewed = time.monotonic()
        while True:
            self._flush()
            self._report()
            await asyncio.sleep(_TICK)
            if time.monotonic() - renewed > _LEASE / 10:
                self._ledger.renew_leases(seconds=_LEASE)
                renewed = time.monotonic()

    def _report(self) -> None:
        now = time.monotonic()
        self._history.append((now, self._done))
        while now - self._history[0][0] > _RECENT:
            self._history.popleft()
        then, before = self._history[0]
        rate = 60 * (self._done - before) / (now - then) if now > then else 0.0
        waiting = ", ".join(
            f"{host} is left alone for {left:.0f} s ({reason})"
            for host, (left, reason) in self._network.pauses().items()
        )
        progress = DownloadProgress(self._done, rate, waiting)
        if now - self._beat > BEAT:
            self._beat = now
            self._ledger.note("beat", {"at": time.time(), "waiting": waiting})
        if self._on_progress is not None:
            self._on_progress(progress)

    # -- one song -----------------------------------------------------------------------------

    async def _song(self, entry: LedgerEntry) -> None:
        try:
            # a hit of another source is nothing that this one could fetch
            if entry.hit is None or entry.source != self._source.name:
                entry = await self._search(entry)
                if entry.state is State.MATCHED:
                    self._note(entry)
            if entry.state in (State.MATCHED, State.FAILED_RETRY):
                async with self._downloading:
                    entry = await self._download(entry)
        except (Trouble, BadContent) as error:
            entry = self._failed(entry, error)
        except RequestRefused as error:
            entry = self._failed(entry, error, permanent=error.gone)
        except GaveUp as error:
            if error.host == self._source.api_host:
                raise
            entry = self._failed(entry, error)
        except EarmarkError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug that one song meets must not stop all
            name = type(error).__name__
            entry = self._failed(entry, DownloadFailed(f"unexpected {name}: {error}"))
        self._note(entry)

    async def _search(self, entry: LedgerEntry) -> LedgerEntry:
        if entry.state is State.SEARCHED:
            of_ours = [a for a in self._ledger.answers(entry.id) if a.source == self._source.name]
            if of_ours:
                return judged(entry, of_ours)
        nameless = not (entry.artist.strip() and entry.title.strip())
        if nameless and self._source.api_host:
            reason = "the song has no artist or no title to search for"
            return replace(entry, state=State.REJECTED, reason=reason, changed_at=time.time())
        async with self._searching:
            async for attempt in self._attempts():
                with attempt:
                    body = await self._source.ask(entry, network=self._network, limits=self._limits)
        answer = Answer(entry.id, time.time(), self._source.name, body)
        self._answers.append(answer)
        self._note(replace(entry, state=State.SEARCHED, source=answer.source, hit_at=answer.at))
        return judged(entry, [answer])

    async def _download(self, entry: LedgerEntry) -> LedgerEntry:
        assert entry.hit is not None
        assert entry.hit_at is not None
        known = ""
        async for attempt in self._attempts():
            with attempt:
                age = time.time() - entry.hit_at
                fetched = await self._source.fetch(
                    entry.hit, age=age, network=self._network, limits=self._limits
                )
                if fetched.hit is not entry.hit:
                    entry = replace(entry, hit=fetched.hit, hit_at=time.time())
                try:
                    clip = await self._keep(entry, fetched.audio, known)
                except Suspect as error:
                    known = error.sha256
                    raise
        if entry.file not in (None, clip.name):
            with disk_errors(self._folder):
                (self._folder / AUDIO / str(entry.file)).unlink(missing_ok=True)
        return downloaded(entry, clip)

    async def _keep(self, entry: LedgerEntry, audio: bytes | Path, known: str) -> Preview:
        assert entry.hit is not None
        expected = self._source.clip_seconds
        if expected is not None:
            expected = min(expected, entry.hit.seconds or entry.seconds or math.inf)
        return await asyncio.get_running_loop().run_in_executor(
            self._checkers,
            partial(
                keep,
                audio,
                folder=self._folder,
                song_id=entry.id,
                expected_seconds=expected,
                check=self._options.check,
                known=known,
            ),
        )

    def _attempts(self) -> AsyncIterator[stamina.Attempt]:
        return attempts(self._options.attempts, cooldown=self._options.cooldown)

    def _failed(
        self, entry: LedgerEntry, error: DownloadFailed, *, permanent: bool = False
    ) -> LedgerEntry:
        tries = entry.tries + 1
        permanent = permanent or tries >= self._options.rounds
        now = time.time()
        return replace(
            entry,
            state=State.FAILED_PERMANENT if permanent else State.FAILED_RETRY,
            reason=str(error),
            tries=tries,
            retry_at=None if permanent else now + 10 * self._options.cooldown * 2**tries,
            changed_at=now,
        )

    # -- the book -----------------------------------------------------------------------------

    def _note(self, entry: LedgerEntry) -> None:
        self._changes[entry.id] = entry
        if entry.state not in UNDER_WAY:
            self._done += 1

    def _flush(self) -> None:
        if self._changes or self._answers:
            self._ledger.put(self._changes.values(), self._answers)
            self._changes.clear()
            self._answers.clear()
