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
from pathlib import Path
from typing import Any

from earmark.data.previews.entry import UNDER_WAY, LedgerEntry, State, StoredReply
from earmark.data.previews.rows import COLUMNS, from_row, to_row, unpacked
from earmark.errors import BadLedger, DataError
from earmark.files import parse_json
from earmark.sqlite_file import Database, SqliteFormat


class DamagedLedger(BadLedger):
    """A ledger whose file is broken; its previews can be read from the disk again."""


# ruff: noqa: S608  # only constants of this file are put into SQL; values are always bound

_LATEST = 1e11  # Unix time in the year 5138, which every system can write as a date
_AGAIN = "Move it away and run `earmark data previews` again: it takes over the previews"
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

LEDGER_FORMAT = SqliteFormat(
    name="ledger",
    application_id=0x6561726D,  # "earm"
    version=1,
    schema=_SCHEMA,
    foreign=BadLedger,
    damaged=DamagedLedger,
    failed=DataError,
)

# a song keeps its lease from one stage to the next, and loses it with its outcome
_PUT = (
    f"INSERT INTO songs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
    + ", owner = iif(excluded.state IN ('pending', 'searched', 'matched'), owner, NULL)"
    ", leased_until = iif(excluded.state IN ('pending', 'searched', 'matched'), leased_until, NULL)"
)


class Ledger(Database):
    """An open ledger; every method is one transaction.

    Made by `Ledger.open`; `with` closes it. Raises BadLedger for a file that is damaged or of
    another version, and DataError where the disk is full or cannot be written to.
    """

    format = LEDGER_FORMAT

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        # of leases: a run on this machine has ended once its lock on the folder is free
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @classmethod
    def open(cls, path: str | Path, *, make: bool = False) -> Ledger:
        """Open a ledger; `make` one where there is none.

        In a read-only folder the ledger can be read, and not be changed.
        """
        if not make and not Path(path).is_file():
            raise BadLedger(
                f"there is no ledger at {path}. `earmark data previews CATALOG -o "
                f"{Path(path).parent}` makes one, and takes over the previews that are there"
            )
        return super().open(path, make=make)

    def check(self) -> None:
        """Read the whole file. Raises BadLedger where a part of it is damaged."""
        with self.errors():
            answer = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise DamagedLedger(f"the ledger {self.path} is damaged: {answer}. {_AGAIN}")

    # -- songs ------------------------------------------------------------------------------

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Add songs; of songs that are here already only the names, length and path change.

        A song that was not found under its old name becomes pending under a new one.
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

    def put(self, entries: Iterable[LedgerEntry], answers: Iterable[StoredReply] = ()) -> None:
        """Write songs as they are now, in place of what was there, and add replies.

        A song that has its outcome loses its lease.
        """
        changes = [to_row(entry) for entry in entries]
        with self.transaction() as connection:
            connection.executemany(_PUT, changes)
            connection.executemany(
                "INSERT OR IGNORE INTO replies (song_id, at, source, body) VALUES (?, ?, ?, ?)",
                ((a.song_id, a.at, a.source, zlib.compress(a.body)) for a in answers),
            )

    def get(self, song_id: str) -> LedgerEntry | None:
        """One song; None where it is not here."""
        return next(self._select("WHERE id = ?", (song_id,)), None)

    def entries(self, states: Collection[State] | None = None) -> Iterator[LedgerEntry]:
        """All songs, or those in some states, in the order of their ids.

        A thousand at a time are in memory; changes made meanwhile may or may not show.
        """
        chosen = list(State if states is None else states)
        last = ""
        while True:
            page = list(
                self._select(
                    # + keeps SQLite from the index of states, for which it sorts all that is left
                    f"WHERE id > ? AND +state IN ({_marks(chosen)}) ORDER BY id LIMIT 1000",
                    (last, *chosen),
                )
            )
            yield from page
            if not page:
                return
            last = page[-1].id

    def replies(self, song_id: str) -> list[StoredReply]:
        """The stored replies about a song, the oldest first."""
        with self.errors():
            rows = self._connection.execute(
                "SELECT song_id, at, source, body FROM replies WHERE song_id = ? ORDER BY at",
                (song_id,),
            ).fetchall()
        try:
            return [StoredReply(i, at, source, unpacked(body)) for i, at, source, body in rows]
        except (zlib.error, ValueError, TypeError) as error:
            raise BadLedger(
                f"the ledger {self.path} has a damaged reply about {song_id!r}: {error}. {_AGAIN}"
            ) from error

    # -- leases -----------------------------------------------------------------------------

    def claim(self, number: int, *, seconds: float) -> list[LedgerEntry]:
        """Lease songs that are under way, and that no run holds, for some seconds.

        Songs with a hit come first, since links run out; then songs to be judged, failures whose
        time has come, and songs that were never searched for.
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
        """Keep the leases of this run for some seconds more."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE songs SET leased_until = ? WHERE owner = ?",
                (time.time() + seconds, self.owner),
            )

    def release(self) -> None:
        """End the leases of this run."""
        self._release("owner = ?", (self.owner,))

    def take_over(self) -> int:
        """End the leases of runs that have ended; only under the lock. Returns how many.

        Other runs on this machine have ended, since the lock is ours; a run elsewhere has when its
        lease is over.
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

    def retry_now(self) -> None:
        """Make every failure that is to be tried again due now."""
        with self.transaction() as connection:
            connection.execute("UPDATE songs SET retry_at = 0 WHERE state = 'failed_retry'")

    # -- all songs --------------------------------------------------------------------------

    def counts(self) -> dict[State, int]:
        """How many songs are in each state, zeros included."""
        with self.errors():
            rows = self._connection.execute("SELECT state, count(*) FROM songs GROUP BY state")
        try:
            found = {State(state): number for state, number in rows}
        except ValueError as error:
            raise BadLedger(
                f"the ledger {self.path} has a row that no earmark wrote: {error}. {_AGAIN}"
            ) from error
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
        """Unix time at which the first failure is due again; None for none."""
        with self.errors():
            row = self._connection.execute(
                "SELECT min(retry_at) FROM songs WHERE state = 'failed_retry'"
            ).fetchone()
        if not isinstance(row[0], float | int | None) or not 0 <= (row[0] or 0) < _LATEST:
            raise BadLedger(
                f"the ledger {self.path} is damaged: the time of the next try is {row[0]!r:.80}. "
                f"{_AGAIN}"
            )
        return None if row[0] is None else float(row[0])

    def note(self, name: str, value: Any) -> None:
        """Store a fact about the whole ledger, as JSON."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value))
            )

    def fact(self, name: str) -> Any:
        """A stored fact; None where there is none."""
        with self.errors():
            row = self._connection.execute(
                "SELECT value FROM facts WHERE name = ?", (name,)
            ).fetchone()
        try:
            return None if row is None else parse_json(row[0])
        except (ValueError, TypeError) as error:
            raise BadLedger(
                f"the ledger {self.path} has a damaged fact {name!r}: {error}. {_AGAIN}"
            ) from error

    # -- within -----------------------------------------------------------------------------

    def _select(self, clause: str, values: Sequence[Any]) -> Iterator[LedgerEntry]:
        with self.errors():
            rows = self._connection.execute(
                f"SELECT {', '.join(COLUMNS)} FROM songs {clause}", values
            ).fetchall()
        return map(from_row, rows)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
