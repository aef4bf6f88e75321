"""The tables of the ledger and its version."""

from __future__ import annotations

from earmark.errors import BadLedger, DataError
from earmark.sqlite_file import Format


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
