"""The ledger: what became of every song, in one SQLite file that survives a kill.

docs/reference/formats/ledger.md is its specification.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from earmark.data.matching.judge import Hit
from earmark.errors import BadLedger, DataError
from earmark.files import json_line
from earmark.sqlite_file import Database, Format


class DamagedLedger(BadLedger):
    """A ledger whose file is broken; what it knew of previews can be read from them again."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS songs (
    id TEXT PRIMARY KEY NOT NULL,
    artist TEXT NOT NULL,
    title TEXT NOT NULL,
    seconds REAL,
    path TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'searched', 'failed_retry',
        'failed_permanent', 'no_result', 'rejected', 'review', 'matched', 'downloaded')),
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL,
    retry_at REAL,
    changed_at REAL NOT NULL,
    source TEXT NOT NULL,
    hit TEXT,
    hit_at REAL,
    score REAL,
    file TEXT,
    sha256 TEXT,
    size INTEGER,
    clip_seconds REAL,
    owner TEXT,
    leased_until REAL
);
CREATE INDEX IF NOT EXISTS songs_by_state ON songs (state, retry_at);
CREATE INDEX IF NOT EXISTS songs_by_owner ON songs (owner) WHERE owner IS NOT NULL;
CREATE TABLE IF NOT EXISTS replies (
    number INTEGER PRIMARY KEY,
    song_id TEXT NOT NULL,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (song_id, at, source)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
"""

FORM = Format(
    name="ledger",
    application_id=0x6561726D,  # "earm"
    version=1,
    schema=_SCHEMA,
    foreign=BadLedger,
    damaged=DamagedLedger,
    failed=DataError,
)


class State(StrEnum):
    """What became of a song. The order is how far it has come, for the merge of two ledgers."""

    PENDING = "pending"
    SEARCHED = "searched"  # the reply is stored, and not yet judged
    FAILED_RETRY = "failed_retry"
    FAILED_PERMANENT = "failed_permanent"
    NO_RESULT = "no_result"  # the source has answered, and has nothing
    REJECTED = "rejected"  # hits, and none is this recording
    REVIEW = "review"  # a hit that a person has to look at
    MATCHED = "matched"  # a hit that is this recording, whose audio is not here
    DOWNLOADED = "downloaded"


UNDER_WAY = (State.MATCHED, State.SEARCHED, State.PENDING)  # what is left to do, nearest first
FAILED = (State.FAILED_RETRY, State.FAILED_PERMANENT)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One song of the ledger.

    tries : how often its turn has failed; retry_at : Unix time of the next, None for none
    source, hit, hit_at, score : which source's hit was chosen, when it was found, how sure
    file, sha256, size, clip_seconds : the preview: its name below audio/, and what is in it
    """

    id: str
    artist: str = ""
    title: str = ""
    seconds: float | None = None
    path: str = ""
    state: State = State.PENDING
    reason: str = ""
    tries: int = 0
    retry_at: float | None = None
    changed_at: float = 0.0
    source: str = ""
    hit: Hit | None = None
    hit_at: float | None = None
    score: float | None = None
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    clip_seconds: float | None = None


COLUMNS = tuple(LedgerEntry.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw reply of a source about a song, as it is stored; `at` is Unix time."""

    song_id: str
    at: float
    source: str
    body: bytes


def to_row(entry: LedgerEntry) -> tuple[Any, ...]:
    """The values of an entry in the order of COLUMNS."""
    hit = None if entry.hit is None else json_line(vars(entry.hit))
    return tuple(hit if name == "hit" else _storable(getattr(entry, name)) for name in COLUMNS)


def _storable(value: Any) -> Any:
    """Text as SQLite takes it: names of files may hold what is no UTF-8."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def from_row(row: Sequence[Any]) -> LedgerEntry:
    """The entry whose values these are."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = State(values["state"])
    if values["hit"] is not None:
        values["hit"] = Hit(**json.loads(values["hit"]))
    return LedgerEntry(**values)


# ruff: noqa: S608  # what is put into SQL is constants of these files; values are always bound


class Ledger(Database):
    """An open ledger; every method is one transaction.

    Made by `Ledger.open`; `with` closes it. Raises BadLedger for a file that is damaged or of
    another version, DataError where the disk is full or not to be written to.
    """

    form = FORM

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        # who holds a lease: a run on this machine is dead once its lock on the folder is free
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @classmethod
    def open(cls, path: str | Path, *, make: bool = False) -> Ledger:
        """Open a ledger; `make` one where there is none.

        Where the folder is read-only the ledger can be read and not be written to.
        """
        if not make and not Path(path).is_file():
            raise BadLedger(
                f"there is no ledger at {path}. `earmark data previews CATALOG -o "
                f"{Path(path).parent}` begins one, and takes up the previews that lie there"
            )
        return super().open(path, make=make)

    def check(self) -> None:
        """Read the whole file. Raises BadLedger where a part of it is damaged."""
        with self.errors():
            answer = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise DamagedLedger(f"the ledger {self.path} is damaged: {answer}")

    # -- songs ------------------------------------------------------------------------------

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Add songs; of those that are here already only the names are brought up to date.

        What was not found under another name becomes pending.
        """
        names = ", ".join(COLUMNS)
        marks = ", ".join("?" * len(COLUMNS))
        with self.transaction() as connection:
            connection.executemany(
                f"INSERT INTO songs ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET "
                "state = iif(state IN ('no_result', 'rejected', 'review') AND (artist, title) != "
                "(excluded.artist, excluded.title), 'pending', state), "
                "artist = excluded.artist, title = excluded.title, seconds = excluded.seconds, "
                "path = excluded.path WHERE (artist, title, path) != "
                "(excluded.artist, excluded.title, excluded.path) "
                "OR seconds IS NOT excluded.seconds",
                map(to_row, entries),
            )

    def put(self, entries: Iterable[LedgerEntry], answers: Iterable[Answer] = ()) -> None:
        """Write songs as they are now, and replies; whatever was there before is replaced.

        The leases of songs that have nothing left to do end.
        """
        changes = [to_row(entry) for entry in entries]
        with self.transaction() as connection:
            connection.executemany(_PUT, changes)
            connection.executemany(
                "INSERT OR IGNORE INTO replies (song_id, at, source, body) VALUES (?, ?, ?, ?)",
                ((a.song_id, a.at, a.source, zlib.compress(a.body)) for a in answers),
            )

    def get(self, song_id: str) -> LedgerEntry | None:
        """One song, None where it is not here."""
        return next(self._select("WHERE id = ?", (song_id,)), None)

    def entries(self, states: Collection[State] | None = None) -> Iterator[LedgerEntry]:
        """All songs, or those in some states, in the order of their ids.

        A thousand at a time are in memory; what is written meanwhile may or may not be seen.
        """
        chosen = list(State if states is None else states)
        last = ""
        while True:
            page = list(
                self._select(
                    f"WHERE id > ? AND state IN ({_marks(chosen)}) ORDER BY id LIMIT 1000",
                    (last, *chosen),
                )
            )
            yield from page
            if not page:
                return
            last = page[-1].id

    def answers(self, song_id: str) -> list[Answer]:
        """The stored replies about a song, the oldest first."""
        with self.errors():
            rows = self._connection.execute(
                "SELECT song_id, at, source, body FROM replies WHERE song_id = ? ORDER BY at",
                (song_id,),
            ).fetchall()
        return [Answer(i, at, source, zlib.decompress(body)) for i, at, source, body in rows]

    # -- leases -----------------------------------------------------------------------------

    def claim(self, number: int, *, seconds: float) -> list[LedgerEntry]:
        """Lease songs that have something left to do and that nobody holds, for some seconds.

        Songs whose audio is known come first, since links run out; then those to be judged,
        those that failed and whose time has come, and those of which nothing is known.
        """
        now = time.time()
        taken: list[LedgerEntry] = []
        with self.transaction() as connection:
            for condition in (
                "state = 'matched'",
                "state = 'searched'",
                f"state = 'failed_retry' AND retry_at <= {now!r}",
                "state = 'pending'",
            ):
                if len(taken) < number:
                    taken += self._select(
                        f"WHERE {condition} AND (owner IS NULL OR leased_until < ?) LIMIT ?",
                        (now, number - len(taken)),
                    )
            connection.executemany(
                "UPDATE songs SET owner = ?, leased_until = ? WHERE id = ?",
                [(self.owner, now + seconds, entry.id) for entry in taken],
            )
        return taken

    def renew_leases(self, *, seconds: float) -> None:
        """Hold what this run holds for some seconds more."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE songs SET leased_until = ? WHERE owner = ?",
                (time.time() + seconds, self.owner),
            )

    def release(self) -> None:
        """Let go of what this run holds."""
        self._release("owner = ?", (self.owner,))

    def take_over(self) -> int:
        """End the leases of dead runs; only under the lock on the folder. Returns how many.

        A run on this machine is dead, since the lock is ours; one elsewhere when its lease is over.
        """
        host = self.owner.split(":", 1)[0]
        return self._release(
            "owner IS NOT NULL AND (substr(owner, 1, ?) = ? OR leased_until < ?)",
            (len(host) + 1, host + ":", time.time()),
        )

    def _release(self, condition: str, values: Sequence[Any]) -> int:
        with self.transaction() as connection:
            return connection.execute(
                f"UPDATE songs SET owner = NULL, leased_until = NULL WHERE {condition}", values
            ).rowcount

    def hurry(self) -> None:
        """Let the time of every song that is to be tried again be now."""
        with self.transaction() as connection:
            connection.execute("UPDATE songs SET retry_at = 0 WHERE state = 'failed_retry'")

    # -- the whole --------------------------------------------------------------------------

    def counts(self) -> dict[State, int]:
        """How many songs are in each state; a zero where none is."""
        with self.errors():
            rows = self._connection.execute("SELECT state, count(*) FROM songs GROUP BY state")
            found = {State(state): number for state, number in rows}
        return {state: found.get(state, 0) for state in State}

    def finished_since(self, at: float) -> int:
        """How many songs have come to an outcome since that Unix time."""
        with self.errors():
            row = self._connection.execute(
                f"SELECT count(*) FROM songs WHERE state NOT IN ({_marks(UNDER_WAY)}) "
                "AND changed_at >= ?",
                (*UNDER_WAY, at),
            ).fetchone()
        return int(row[0])

    def next_retry(self) -> float | None:
        """Unix time of the first song that is to be tried again, None for none."""
        with self.errors():
            row = self._connection.execute(
                "SELECT min(retry_at) FROM songs WHERE state = 'failed_retry'"
            ).fetchone()
        return None if row[0] is None else float(row[0])

    def note(self, name: str, value: Any) -> None:
        """Keep a fact about the ledger as a whole, as JSON."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value))
            )

    def fact(self, name: str) -> Any:
        """A fact that was noted, None where it was not."""
        with self.errors():
            row = self._connection.execute(
                "SELECT value FROM facts WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    # -- within -----------------------------------------------------------------------------

    def _select(self, clause: str, values: Sequence[Any]) -> Iterator[LedgerEntry]:
        with self.errors():
            rows = self._connection.execute(
                f"SELECT {', '.join(COLUMNS)} FROM songs {clause}", values
            ).fetchall()
        return map(from_row, rows)


# a lease ends with the work, and goes on from one stage of it to the next
_PUT = (
    f"INSERT INTO songs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
    + ", owner = iif(excluded.state IN ('pending', 'searched', 'matched'), owner, NULL)"
    ", leased_until = iif(excluded.state IN ('pending', 'searched', 'matched'), leased_until, NULL)"
)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
