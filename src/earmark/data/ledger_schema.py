"""The tables of the ledger, its version, and what SQLite means by its errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from earmark.errors import BadLedger

APPLICATION_ID = 0x6561726D  # "earm", where `file` and SQLite look for it
FORMAT_VERSION = 1  # as SQLite's user_version

SCHEMA = """
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

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing is lost: make room and run it again",
    sqlite3.SQLITE_READONLY: "the folder or the file is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; is the folder there, and writable?",
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_IOERR: "the disk fails to write, or is full. Nothing is lost: run it again",
}


class DamagedLedger(BadLedger):
    """A ledger whose file is broken; what it knew of previews can be read from them again."""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The format version of a ledger, 0 for an empty file. Raises BadLedger for a foreign one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise BadLedger(f"{path} is an SQLite file, but no ledger of earmark's")
    if version != FORMAT_VERSION:
        raise BadLedger(
            f"{path} is a ledger of version {version}; this earmark knows version "
            f"{FORMAT_VERSION}. Update earmark, or take another folder"
        )
    return version


def create(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing, and set up how the file is written."""
    # readers do not wait for the writer; a power cut may cost the last moments, never the file,
    # and the next run finds the previews of those moments on the disk
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # 64 MB: a quarter million songs; the default of 2 MB makes updates three times slower
    connection.execute("PRAGMA cache_size = -65536")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {FORMAT_VERSION}; {SCHEMA} COMMIT;"
        )


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is broken or is no SQLite file."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def disk_words(error: sqlite3.Error) -> str:
    """What an error of the disk means and what to do about it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return _WORDS.get(code, str(error))
