"""The status of a preview folder: songs in each state, and when a run will be done."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from earmark.data.previews.entry import FAILED, UNDER_WAY, State
from earmark.data.previews.folder import LOCK
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.rows import stored
from earmark.folder_lock import is_free

_RECENT = 900.0  # seconds over which the rate is an average, pauses included
_ALIVE = 30.0  # seconds without a sign of life after which a run counts as ended


@dataclass(frozen=True)
class Beat:
    """A sign of life that a run leaves in the ledger.

    at : Unix time
    waiting : what the run waits for, in words
    host : the machine that it runs on
    """

    at: float
    waiting: str
    host: str = ""


@dataclass(frozen=True)
class PreviewStatus:
    """The numbers of a ledger.

    states : songs in each state
    running : whether a run is at work
    per_minute : songs that got their outcome, a minute, in the last quarter of an hour; None where
        no run is at work, or none has its outcome yet
    finish_at : Unix time at which no song will be left at that rate; None without a rate
    retry_at : Unix time at which the first failure is due again, None for none
    waiting : what the run waits for, in words; "" for nothing
    """

    states: dict[State, int]
    running: bool
    per_minute: float | None
    finish_at: float | None
    retry_at: float | None
    waiting: str

    @property
    def total(self) -> int:
        """All songs."""
        return sum(self.states.values())

    @property
    def remaining(self) -> int:
        """Songs without an outcome."""
        return sum(self.states[state] for state in UNDER_WAY)

    @property
    def failed(self) -> int:
        """Songs that failed; songs that the source does not have, or that do not match, did not."""
        return sum(self.states[state] for state in FAILED)

    def as_json(self) -> dict[str, Any]:
        """The object that `earmark data status --json` prints."""
        return {
            "total": self.total,
            "states": {state.value: number for state, number in self.states.items()},
            "remaining": self.remaining,
            "running": self.running,
            "per_minute": None if self.per_minute is None else round(self.per_minute, 2),
            "finish_at": _iso(self.finish_at),
            "retry_at": _iso(self.retry_at),
            "waiting": self.waiting,
        }


def status_of(ledger: Ledger) -> PreviewStatus:
    """The status of an open ledger."""
    now = time.time()
    states = ledger.counts()
    remaining = sum(states[state] for state in UNDER_WAY)
    last = ledger.fact("beat")
    beat = None if last is None else stored(Beat, last, what="beat")
    running = beat is not None and now - beat.at < _ALIVE and not _has_ended(beat, ledger)
    per_minute = finish_at = None
    if running:
        started = ledger.fact("started")
        since = max(now - _RECENT, started if isinstance(started, float) else 0.0)
        finished = ledger.finished_since(since)
        if finished and now > since:
            per_minute = 60 * finished / (now - since)
            finish_at = now + 60 * remaining / per_minute
    return PreviewStatus(
        states=states,
        running=running,
        per_minute=per_minute,
        finish_at=finish_at,
        retry_at=ledger.next_retry(),
        waiting=beat.waiting if beat is not None and running else "",
    )


def _has_ended(beat: Beat, ledger: Ledger) -> bool:
    """Whether the run was killed on this machine: then its lock on the folder is free."""
    return beat.host == socket.gethostname() and is_free(ledger.path.parent, lock=LOCK)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
