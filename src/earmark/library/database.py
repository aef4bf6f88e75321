"""The library's file: an SQLite database with one row for each file and model.

Every change is one transaction, so that a kill loses at most the song that is being heard.
docs/reference/formats/library.md is its specification.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from earmark.arrays import Float32Array
from earmark.errors import BadLibrary, LibraryError, NotScanned
from earmark.library.embeddings import JOIN, VECTOR, EmbeddingIndex, from_vector, keep
from earmark.library.identity import BELOW, inside, known_path, known_places
from earmark.library.overlay import CORRECTED, laid_over
from earmark.library.overlay import TABLE as _CORRECTIONS
from earmark.library.song import COLUMNS, ScannedFile, from_row, to_row
from earmark.model_file import Card
from earmark.sqlite_file import Database, SqliteFormat

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
    warnings TEXT,
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
_PLAYLISTS = """
CREATE TABLE IF NOT EXISTS playlists (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model INTEGER NOT NULL REFERENCES models (id),
    file BLOB NOT NULL,
    request TEXT NOT NULL,
    saved_at REAL NOT NULL
);
"""

# From each older version to the next one.
_UPGRADES = {1: "ALTER TABLE songs ADD COLUMN warnings TEXT;", 2: _PLAYLISTS, 3: _CORRECTIONS}

FORM = SqliteFormat(
    name="library",
    application_id=0x6561726C,  # "earl"
    version=4,
    schema=_SCHEMA + _PLAYLISTS + _CORRECTIONS,
    upgrades=_UPGRADES,
    foreign=BadLibrary,
    damaged=BadLibrary,
    failed=LibraryError,
    is_private=True,  # what somebody listens to, and where it lies
)


# ruff: noqa: S608  # only constants of these files are put into SQL; values are always bound


@dataclass(frozen=True)
class LibraryModel:
    """A model that a library was scanned with."""

    id: int
    sha256: str
    card: Card


class FileState(NamedTuple):
    """A file as a scan compares it: what it was like, and whether it was heard.

    size, mtime_ns : when it was heard
    failed, quick, missing, judged : as ScannedFile has them
    """

    size: int
    mtime_ns: int
    failed: bool
    quick: bool
    missing: bool
    judged: bool


def library_path() -> Path:
    """The default library: EARMARK_LIBRARY, or a file in the user's data folder."""
    import platformdirs

    own = os.environ.get("EARMARK_LIBRARY")
    if own:
        return Path(own).expanduser()
    return platformdirs.user_data_path("earmark", appauthor=False) / "library.sqlite"


class Library(Database):
    """An open library. Raises BadLibrary, and LibraryError for errors of the disk."""

    format = FORM

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        connection.execute("PRAGMA foreign_keys = ON")

    @classmethod
    def open(cls, path: str | Path | None = None, *, make: bool = False) -> Library:
        """Open a library, by default the user's own; `make` creates a missing one."""
        path = library_path() if path is None else Path(path)
        if not make and not path.is_file():
            raise BadLibrary(
                f"there is no library at {path}. Run `earmark library scan DIR` to make one"
            )
        if make:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(
                    f"cannot make the folder {path.parent}: {error.strerror}. Check its permissions"
                ) from error
        return super().open(path, make=make)

    # -- models -----------------------------------------------------------------------------

    def add_model(self, sha256: str, card: Card) -> LibraryModel:
        """Register a model, or its renewed use; it becomes the one used last."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO models (sha256, card, used_at) VALUES (?, ?, ?) "
                "ON CONFLICT (sha256) DO UPDATE SET used_at = excluded.used_at",
                (sha256, card.to_json(), time.time()),
            )
        return self.model(sha256)

    def model(self, name: str | None = None) -> LibraryModel:
        """A model by its name or the beginning of its sha256; without a name the one used last.

        Raises NotScanned for a model that nothing was scanned with.
        """
        known = [
            LibraryModel(number, sha256, Card.from_json(card))
            for number, sha256, card in self.rows(
                "SELECT id, sha256, card FROM models ORDER BY used_at DESC"
            )
        ]
        for model in known:
            if name is None or model.card.name == name or model.sha256.startswith(name):
                return model
        if name is None:
            raise NotScanned(f"{self.path} has no songs yet. Run `earmark library scan DIR`")
        names = ", ".join(model.card.name for model in known) or "none"
        raise NotScanned(
            f"nothing was scanned with the model {name}; there are: {names}. Give one of these, or "
            f"run `earmark library scan DIR --model {name}`"
        )

    # -- songs ------------------------------------------------------------------------------

    def put(
        self, model: LibraryModel, song: ScannedFile, *, embedding: Float32Array | None = None
    ) -> None:
        """Write a song's row; it replaces the row of the same path and model.

        embedding : float32 (n_dimensions,); None for a failure only
        """
        assert (embedding is None) == (song.failure is not None)
        values = [model.id, *to_row(song)]
        with self.transaction() as connection:
            number = connection.execute(_PUT, values).fetchone()[0]
            if embedding is not None:
                keep(connection, model.id, number, embedding)

    def songs(
        self,
        model: LibraryModel,
        *,
        below: Path | None = None,
        failed: bool | None = None,
        missing: bool | None = False,
        corrected: bool = False,
    ) -> Iterator[ScannedFile]:
        """Songs as `numbered` gives them, without their ids."""
        for _, song in self.numbered(
            model, below=below, failed=failed, missing=missing, corrected=corrected
        ):
            yield song

    def numbered(
        self,
        model: LibraryModel,
        *,
        below: Path | None = None,
        failed: bool | None = None,
        missing: bool | None = False,
        corrected: bool = False,
    ) -> Iterator[tuple[int, ScannedFile]]:
        """(id, song) in the order of their paths, a thousand in memory at a time.

        below : a folder, or one file, by any of its names
        failed, missing : only such songs with True, only the others with False, both with None
        corrected : only songs of which a person has corrected tags
        """
        conditions = []
        if corrected:
            conditions.append("audio IN (SELECT audio FROM corrections)")
        if failed is not None:
            conditions.append(f"error_kind IS {'NOT ' if failed else ''}NULL")
        if missing is not None:
            conditions.append(f"missing_since IS {'NOT ' if missing else ''}NULL")
        if below is None:
            yield from self._pages(model, conditions, ())
            return
        for place in known_places(self, model.id, below):
            yield from self._pages(model, [*conditions, BELOW], inside(place))

    def _pages(
        self, model: LibraryModel, conditions: list[str], values: tuple[Any, ...]
    ) -> Iterator[tuple[int, ScannedFile]]:
        """(id, song) of rows that fulfil conditions, which take these values."""
        where = " AND ".join(["model = ?", *conditions, "path > ?"])
        last = b""
        while True:
            rows = self.rows(
                f"SELECT id, {_READ} FROM songs WHERE {where} ORDER BY path LIMIT 1000",
                (model.id, *values, last),
            )
            yield from ((row[0], _read(row[1:], model)) for row in rows)
            if len(rows) < 1000:
                return
            last = rows[-1][1]

    def known_path(self, model: LibraryModel, path: str | Path) -> Path | None:
        """The path by which a file is known, asked by any of its names; None if it is not."""
        return known_path(self, model.id, path)

    def song(self, model: LibraryModel, path: Path) -> ScannedFile | None:
        """The song at a path; None if it was never scanned."""
        rows = self.rows(
            f"SELECT {_READ} FROM songs WHERE model = ? AND path = ?",
            (model.id, os.fsencode(path)),
        )
        return _read(rows[0], model) if rows else None

    def number(self, model: LibraryModel, path: Path) -> int | None:
        """The id of the song at a path; None if it was never scanned."""
        rows = self.rows(
            "SELECT id FROM songs WHERE model = ? AND path = ?", (model.id, os.fsencode(path))
        )
        return int(rows[0][0]) if rows else None

    def heard(
        self, model: LibraryModel, audio: bytes, *, quick: bool
    ) -> tuple[ScannedFile, Float32Array] | None:
        """A song with that audio and its embedding, of length one; None if the audio is not known.

        Songs that were not judged (ScannedFile.warnings) do not count. The scores are as they were
        heard, without corrections.

        quick : also songs of which only a few windows were heard
        """
        rows = self.rows(
            f"SELECT {', '.join(COLUMNS)}, {VECTOR} FROM songs {JOIN} "
            "AND model = ? AND audio = ? AND quick <= ? AND warnings IS NOT NULL "
            "ORDER BY quick LIMIT 1",
            (model.id, audio, quick),
        )
        return (from_row(rows[0][:-1]), from_vector(rows[0][-1])) if rows else None

    def states(self, model: LibraryModel) -> dict[bytes, FileState]:
        """The state of every file, by its path."""
        rows = self.rows(
            "SELECT path, size, mtime_ns, error_kind IS NOT NULL, quick, "
            "missing_since IS NOT NULL, warnings IS NOT NULL FROM songs WHERE model = ?",
            (model.id,),
        )
        return {row[0]: FileState(*row[1:]) for row in rows}

    def audios(self, model: LibraryModel, *, quick: bool) -> frozenset[bytes]:
        """Audio hashes of the songs that were heard and judged; `quick` includes quick scans."""
        rows = self.rows(
            "SELECT DISTINCT audio FROM songs WHERE model = ? AND audio IS NOT NULL AND quick <= ? "
            "AND warnings IS NOT NULL",
            (model.id, quick),
        )
        return frozenset(row[0] for row in rows)

    def index(self, model: LibraryModel) -> EmbeddingIndex:
        """The embeddings of all songs whose files are there."""
        return EmbeddingIndex.load(self, model.id)

    def vector(self, model: LibraryModel, path: Path) -> Float32Array | None:
        """The embedding of the song at a path, of length one."""
        rows = self.rows(
            f"SELECT {VECTOR} FROM songs {JOIN} AND model = ? AND path = ? AND error_kind IS NULL",
            (model.id, os.fsencode(path)),
        )
        return from_vector(rows[0][0]) if rows else None

    def lengths(self, model: LibraryModel) -> dict[int, float]:
        """The seconds of every song, by its id."""
        return dict(self.rows("SELECT id, seconds FROM songs WHERE model = ?", (model.id,)))

    def by_number(self, model: LibraryModel, numbers: Iterable[int]) -> list[ScannedFile]:
        """The songs with these ids, in their order; what is no longer there is left out."""
        query = f"SELECT {_READ} FROM songs WHERE model = ? AND id = ?"
        found = (self.rows(query, (model.id, number)) for number in numbers)
        return [_read(rows[0], model) for rows in found if rows]

    def mark_missing(self, model: LibraryModel, paths: Iterable[bytes]) -> list[bytes]:
        """Mark files as missing; delete songs that have moved: another file now has their audio.

        Returns the audio of those.
        """
        moved: list[bytes] = []
        with self.transaction() as connection:
            for path in paths:
                deleted = connection.execute(
                    "DELETE FROM songs WHERE model = ? AND path = ? AND (error_kind IS NOT NULL "
                    "OR EXISTS (SELECT 1 FROM songs AS other WHERE other.model = songs.model "
                    "AND other.audio = songs.audio AND other.path != songs.path "
                    "AND other.missing_since IS NULL)) RETURNING audio",
                    (model.id, path),
                ).fetchall()
                moved += [audio for (audio,) in deleted if audio is not None]
                if not deleted:
                    connection.execute(
                        "UPDATE songs SET missing_since = coalesce(missing_since, ?) "
                        "WHERE model = ? AND path = ?",
                        (time.time(), model.id, path),
                    )
        return moved

    def rename(
        self,
        model: LibraryModel,
        names: Iterable[tuple[bytes, bytes]],
        *,
        doubles: Iterable[bytes] = (),
    ) -> None:
        """Give rows other paths, and delete those of files that have another row.

        names : (old, new)
        """
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE OR REPLACE songs SET path = ? WHERE model = ? AND path = ?",
                [(new, model.id, old) for old, new in names],
            )
            connection.executemany(
                "DELETE FROM songs WHERE model = ? AND path = ?",
                [(model.id, path) for path in doubles],
            )

    def mark_found(self, model: LibraryModel, paths: Iterable[bytes]) -> None:
        """Mark files as present again."""
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE songs SET missing_since = NULL WHERE model = ? AND path = ?",
                [(model.id, path) for path in paths],
            )

    def forget_missing(self, model: LibraryModel) -> int:
        """Delete the songs whose files are gone. Returns how many."""
        with self.transaction() as connection:
            return connection.execute(
                "DELETE FROM songs WHERE model = ? AND missing_since IS NOT NULL", (model.id,)
            ).rowcount

    def restat(self, path: Path, *, size: int, mtime_ns: int) -> None:
        """Update size and time of a file's rows that have this older size and time."""
        status = path.stat()
        with self.transaction() as connection:
            connection.execute(
                "UPDATE songs SET size = ?, mtime_ns = ? "
                "WHERE path = ? AND size = ? AND mtime_ns = ?",
                (status.st_size, status.st_mtime_ns, os.fsencode(path), size, mtime_ns),
            )

    def place_of(self, audio: bytes) -> Path | None:
        """A file with that audio; None if no such file is known."""
        rows = self.rows(
            "SELECT path FROM songs WHERE audio = ? AND missing_since IS NULL LIMIT 1", (audio,)
        )
        return Path(os.fsdecode(rows[0][0])) if rows else None


_READ = f"{', '.join(COLUMNS)}, {CORRECTED}"


def _read(row: tuple[Any, ...], model: LibraryModel) -> ScannedFile:
    """A song from _READ: as it was heard, under a person's corrections."""
    return laid_over(from_row(row[:-1]), row[-1], model.card.tags)


_PUT = (
    f"INSERT INTO songs (model, {', '.join(COLUMNS)}) "
    f"VALUES (?, {', '.join('?' * len(COLUMNS))}) ON CONFLICT (model, path) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "path")
    + " RETURNING id"
)
