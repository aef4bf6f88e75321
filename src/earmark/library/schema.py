"""The tables of a library and its version; docs/formats/library.md is their specification."""

from __future__ import annotations

from earmark.errors import BadLibrary, LibraryError
from earmark.sqlite_file import Format

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    card TEXT NOT NULL,
    used_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS songs (
    id INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES models (id),
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    audio BLOB,
    seconds REAL NOT NULL,
    quick INTEGER NOT NULL,
    damaged_packets INTEGER NOT NULL,
    artist TEXT NOT NULL,
    title TEXT NOT NULL,
    album TEXT NOT NULL,
    scores BLOB,
    error_kind TEXT,
    error_message BLOB,
    missing_since REAL,
    UNIQUE (model, path)
);
CREATE INDEX IF NOT EXISTS songs_by_audio ON songs (model, audio);
CREATE INDEX IF NOT EXISTS songs_by_state ON songs (model, missing_since, error_kind);
CREATE TABLE IF NOT EXISTS embeddings (
    id INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES models (id),
    block INTEGER NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (model, block)
);
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    at REAL NOT NULL,
    path BLOB NOT NULL,
    audio BLOB NOT NULL,
    mtime_ns INTEGER NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    before_sha256 TEXT NOT NULL,
    after_sha256 TEXT NOT NULL,
    delta BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_run ON journal (run);
"""

FORM = Format(
    name="library",
    application_id=0x6561726C,  # "earl"
    version=1,
    schema=_SCHEMA,
    foreign=BadLibrary,
    damaged=BadLibrary,
    failed=LibraryError,
)
