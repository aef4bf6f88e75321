"""One run of a download: many songs at a time are searched for and fetched, until none is left.

`download` is the whole job, of which this is one run. Each song is one task, which goes from search
to download as soon as it can; its state is written to the ledger in batches, a few times a second.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.data.previews.audio_check import CheckedPreview, Suspect, keep
from earmark.data.previews.decisions import decide
from earmark.data.previews.entry import UNDER_WAY, LedgerEntry, State, StoredReply
from earmark.data.previews.failures import BadContent, GaveUp, RequestRefused, TransientFailure
from earmark.data.previews.folder import AUDIO
from earmark.data.previews.http import HttpClient, HttpLimits, attempts
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.options import DownloadOptions
from earmark.data.previews.rate_limit import RatePolicy
from earmark.data.previews.sources.source import Source
from earmark.data.previews.status import Beat
from earmark.errors import DownloadFailed, EarmarkError
from earmark.folder_lock import disk_errors

if TYPE_CHECKING:
    import stamina

_LEASE = 600.0  # seconds; renewed while the run lives
_TICK = 0.25  # seconds between two batches of ledger entries
BEAT = 5.0  # seconds between two signs of life in the ledger
_PER_CONNECTION, _AT_LEAST = 8, 64  # songs in memory; most of them wait for their turn
_RECENT = 60.0  # seconds over which the rate is an average


@dataclass(frozen=True)
class DownloadProgress:
    """Where a run stands.

    done : songs of this run that have their outcome
    per_minute : of such songs, over the last minute
    waiting : hosts that get no requests at the moment, in words; "" for none
    """

    done: int
    per_minute: float
    waiting: str


class DownloadRun:
    """A run on an open ledger, under the lock on its folder.

    `await work()` ends when every song has an outcome, or raises what stops the whole run: GaveUp
    where the service rejects us for too long, DataError where the disk takes no more. However it
    ends, all that is known by then is in the ledger.
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
        self._client = HttpClient(
            api_host=source.api_host,
            policy=RatePolicy(rate, options.cooldown, options.patience),
            reach=source.reach,
            connections=2 * options.concurrency,
        )
        self._changes: dict[str, LedgerEntry] = {}  # not yet in the ledger
        self._replies: list[StoredReply] = []  # not yet in the ledger
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = 0
        self._beat = 0.0
        self._history: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._task_ended = asyncio.Event()
        self._searching = asyncio.Semaphore(options.concurrency)
        self._downloading = asyncio.Semaphore(options.concurrency)
        self._stopped_by: BaseException | None = None
        self._checkers = ThreadPoolExecutor(thread_name_prefix="earmark-check")

    async def work(self) -> None:
        """Work until no song is left."""
        with self._checkers:
            try:
                async with self._client:
                    await self._take_songs()
            finally:
                self._flush()
                self._ledger.release()

    async def _take_songs(self) -> None:
        ticker = asyncio.create_task(self._tick())
        ticker.add_done_callback(self._ended)
        try:
            capacity = max(_AT_LEAST, _PER_CONNECTION * self._options.concurrency)
            while self._stopped_by is None:
                self._task_ended.clear()
                free = capacity - len(self._tasks)
                if free >= capacity // 4 or not self._tasks:
                    self._flush()  # before the ledger says what is still to do
                    claimed = self._ledger.claim(free, seconds=_LEASE)
                    if not claimed and not self._tasks:
                        return
                    for entry in claimed:
                        task = asyncio.create_task(self._song(entry))
                        self._tasks.add(task)
                        task.add_done_callback(self._ended)
                await self._task_ended.wait()
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
        self._task_ended.set()

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
            f"no requests to {host} for {left:.0f} s ({reason})"
            for host, (left, reason) in self._client.pauses().items()
        )
        progress = DownloadProgress(self._done, rate, waiting)
        if now - self._beat > BEAT:
            self._beat = now
            self._ledger.note("beat", asdict(Beat(time.time(), waiting, socket.gethostname())))
        if self._on_progress is not None:
            self._on_progress(progress)

    # -- one song -----------------------------------------------------------------------------

    async def _song(self, entry: LedgerEntry) -> None:
        try:
            # this source cannot fetch a hit of another one
            if entry.hit is None or entry.source != self._source.name:
                entry = await self._search(entry)
                if entry.state is State.MATCHED:
                    self._note(entry)
            if entry.state in (State.MATCHED, State.FAILED_RETRY):
                async with self._downloading:
                    entry = await self._download(entry)
        except (TransientFailure, BadContent) as error:
            entry = self._failed(entry, error)
        except RequestRefused as error:
            entry = self._failed(entry, error, permanent=error.gone)
        except GaveUp as error:
            if error.host == self._source.api_host:
                raise
            entry = self._failed(entry, error)
        except EarmarkError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug on one song must not stop the others
            words = f"a bug in earmark stopped it: {error!r}. Please report it, with this line"
            entry = self._failed(entry, DownloadFailed(words))
        self._note(entry)

    async def _search(self, entry: LedgerEntry) -> LedgerEntry:
        if entry.state is State.SEARCHED:
            stored = [r for r in self._ledger.replies(entry.id) if r.source == self._source.name]
            if stored:
                return decide(entry, stored)
        nameless = not (entry.artist.strip() and entry.title.strip())
        if nameless and self._source.api_host:
            reason = "the song has no artist or no title to search for"
            return entry.judged(State.REJECTED, reason)
        async with self._searching:
            async for attempt in self._attempts():
                with attempt:
                    body = await self._source.ask(entry, client=self._client, limits=self._limits)
        reply = StoredReply(entry.id, time.time(), self._source.name, body)
        self._replies.append(reply)
        self._note(entry.searched(reply))
        return decide(entry, [reply])

    async def _download(self, entry: LedgerEntry) -> LedgerEntry:
        assert entry.hit is not None
        assert entry.hit_at is not None
        suspect = ""
        async for attempt in self._attempts():
            with attempt:
                age = time.time() - entry.hit_at
                fetched = await self._source.fetch(
                    entry.hit, age=age, client=self._client, limits=self._limits
                )
                if fetched.hit is not entry.hit:
                    entry = replace(entry, hit=fetched.hit, hit_at=time.time())
                try:
                    preview = await self._keep(entry, fetched.audio, suspect)
                except Suspect as error:
                    suspect = error.sha256
                    raise
        if entry.file not in (None, preview.name):
            with disk_errors(self._folder):
                (self._folder / AUDIO / str(entry.file)).unlink(missing_ok=True)
        return entry.downloaded(preview)

    async def _keep(self, entry: LedgerEntry, audio: bytes | Path, suspect: str) -> CheckedPreview:
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
                suspect=suspect,
            ),
        )

    def _attempts(self) -> AsyncIterator[stamina.Attempt]:
        return attempts(self._options.attempts, cooldown=self._options.cooldown)

    def _failed(
        self, entry: LedgerEntry, error: DownloadFailed, *, permanent: bool = False
    ) -> LedgerEntry:
        tries = entry.tries + 1
        permanent = permanent or tries >= self._options.rounds
        return entry.failed(
            str(error), retry_in=None if permanent else 10 * self._options.cooldown * 2**tries
        )

    # -- the ledger ---------------------------------------------------------------------------

    def _note(self, entry: LedgerEntry) -> None:
        self._changes[entry.id] = entry
        if entry.state not in UNDER_WAY:
            self._done += 1

    def _flush(self) -> None:
        if self._changes or self._replies:
            self._ledger.put(self._changes.values(), self._replies)
            self._changes.clear()
            self._replies.clear()
