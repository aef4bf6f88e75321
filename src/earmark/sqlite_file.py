"""SQLite files of ours: whose they are, of which version, and what SQLite means by its errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from earmark.errors import EarmarkError

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing is lost: make room and run it again",
    sqlite3.SQLITE_READONLY: "the folder or the file is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; is the folder there, and writable?",
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_IOERR: "the disk fails to write, or is full. Nothing is lost: run it again",
}


@dataclass(frozen=True)
class Format:
    """A kind of SQLite file.

    name : what people call it
    application_id : where `file` and SQLite look for whose it is
    version : SQLite's user_version
    foreign, damaged, failed : what is raised for a file that is not of this kind and version, for
        one that is broken, and for a disk that is full or not to be written to
    upgrades : version -> the SQL that makes the next version of it
    """

    name: str
    application_id: int
    version: int
    schema: str
    foreign: type[EarmarkError]
    damaged: type[EarmarkError]
    failed: type[EarmarkError]
    upgrades: Mapping[int, str] = field(default_factory=dict)


class Database:
    """An open SQLite file of one kind; every change is one transaction; `with` closes it.

    Any method may raise the errors of its format.
    """

    form: ClassVar[Format]

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path, *, make: bool = False) -> Self:
        """Open a file; `make` one where there is none.

        Where the folder is read-only the file can be read and not be written to.
        """
        path = Path(path)
        connection = None
        try:
            writable = os.access(path.parent, os.W_OK) and (make or os.access(path, os.W_OK))
            # the write-ahead log needs a writable folder even of those who only read
            log = path.with_name(f"{path.name}-wal")
            if not writable and log.exists() and log.stat().st_size:
                raise cls.form.foreign(
                    f"the {cls.form.name} {path} has changes of a killed run beside it, and its "
                    "folder can only be read. Copy the folder to where it can be written, and use "
                    "the copy"
                )
            uri = path.absolute().as_uri() + ("" if writable else "?immutable=1")
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
            version = _check_version(connection, path, form=cls.form)
            if writable:
                _prepare(connection, form=cls.form)
            elif version < cls.form.version:
                raise cls.form.foreign(
                    f"the {cls.form.name} {path} is of version {version}, and to bring it to "
                    f"version {cls.form.version} it must be written to, which its folder forbids. "
                    "Copy it to where it can be written, and use the copy"
                )
            return cls(path, connection)
        except (sqlite3.Error, EarmarkError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise _translated(path, error, form=cls.form) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it is then one file again, without its write-ahead log."""
        self._connection.close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds."""
        with self.errors():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One change of the file: all of it, or where the block fails nothing."""
        with self.errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read meanwhile be of one moment, whatever others write."""
        with self.errors():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    @contextmanager
    def durable(self) -> Iterator[None]:
        """Let what changes meanwhile outlive a power cut, which takes a moment each time."""
        with self.errors():
            self._connection.execute("PRAGMA synchronous = FULL")
            try:
                yield
            finally:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into those of the format."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(self.path, error, form=self.form) from error


def _check_version(connection: sqlite3.Connection, path: Path, *, form: Format) -> int:
    """The version of a file, that of the format where it is empty."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return form.version
    if application != form.application_id:
        raise form.foreign(f"{path} is an SQLite file, but no {form.name} of earmark's")
    if version != form.version and version not in form.upgrades:
        raise form.foreign(
            f"{path} is a {form.name} of version {version}; this earmark knows version "
            f"{form.version}. Update earmark, or take another file"
        )
    return version


def _prepare(connection: sqlite3.Connection, *, form: Format) -> None:
    # readers do not wait for the writer; a power cut may cost the last moments, never the file
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # 64 MB: a quarter million rows; the default of 2 MB makes updates three times slower
    connection.execute("PRAGMA cache_size = -65536")
    if _version(connection) == form.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # another process may have done it meanwhile
    if version == 0:
        connection.execute(f"PRAGMA application_id = {form.application_id}")
        _run(connection, form.schema)
    else:
        for older in range(version, form.version):
            _run(connection, form.upgrades[older])
    connection.execute(f"PRAGMA user_version = {form.version}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements in the transaction that is open; executescript would end it."""
    for statement in statements.split(";"):
        connection.execute(statement)


def _translated(path: Path, error: sqlite3.Error, *, form: Format) -> EarmarkError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return form.damaged(f"the {form.name} {path} is damaged: {error}")
    return form.failed(f"cannot work on the {form.name} {path}: {_WORDS.get(code, str(error))}")
