"""earmark's SQLite files: identifier and version of each kind, WAL, transactions, clear errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from earmark.errors import EarmarkError

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing is lost: free some space, and try again",
    sqlite3.SQLITE_READONLY: "it is read-only. Change the permissions of the file or its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. Check that its folder exists and is writable",
    sqlite3.SQLITE_BUSY: "another process uses it. Wait until that ends, and try again",
    sqlite3.SQLITE_IOERR: "the disk is full or fails. Nothing is lost: check it, and try again",
}
# Python's sqlite3 raises the second for a damaged schema that it quotes in a message
_ERRORS = (sqlite3.Error, UnicodeDecodeError)


@dataclass(frozen=True)
class SqliteFormat:
    """A kind of SQLite file.

    name : its name in messages
    application_id : by which SQLite and the command `file` tell whose it is
    version : SQLite's user_version
    foreign, damaged, failed : raised for a file of another kind or version, for a damaged file,
        and for a disk that is full or cannot be written to
    upgrades : version -> the SQL that makes the next version of it
    is_private : only its owner may read it, whatever the umask says; a file of an older version
        becomes so when it is upgraded, and an owner who then opens it to others is obeyed
    """

    name: str
    application_id: int
    version: int
    schema: str
    foreign: type[EarmarkError]
    damaged: type[EarmarkError]
    failed: type[EarmarkError]
    upgrades: Mapping[int, str] = field(default_factory=dict)
    is_private: bool = False


class Database:
    """An open SQLite file of one kind; every change is one transaction; `with` closes it.

    Any method may raise the errors of its format.
    """

    format: ClassVar[SqliteFormat]

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path, *, make: bool = False) -> Self:
        """Open a file; `make` one where there is none.

        In a read-only folder the file can be read, and not be changed.
        """
        path = Path(path)
        connection = None
        try:
            writable = os.access(path.parent, os.W_OK) and (make or os.access(path, os.W_OK))
            # even to read the write-ahead log SQLite needs a writable folder
            log = path.with_name(f"{path.name}-wal")
            if not writable and log.exists() and log.stat().st_size:
                raise cls.format.foreign(
                    f"the {cls.format.name} {path} has changes of a killed run beside it, and its "
                    "folder is read-only. Copy the folder to a place where you can write, and use "
                    "the copy"
                )
            if make and cls.format.is_private:  # SQLite's other files beside it get its mode
                with suppress(OSError):  # it is there, or SQLite says below what is wrong
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            uri = path.absolute().as_uri() + ("" if writable else "?immutable=1")
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
            version = _check_version(connection, path, file_format=cls.format)
            if writable:
                if version < cls.format.version and cls.format.is_private:
                    for each in (path, log, path.with_name(f"{path.name}-shm")):
                        with suppress(OSError):  # another's file, which is as that one wants it
                            each.chmod(0o600)
                _prepare(connection, file_format=cls.format)
            elif version < cls.format.version:
                raise cls.format.foreign(
                    f"the {cls.format.name} {path} is of version {version}. It must be "
                    f"upgraded to version {cls.format.version}, but its folder is read-only. "
                    "Copy the folder to a place where you can write, and use the copy"
                )
            return cls(path, connection)
        except (*_ERRORS, EarmarkError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, _ERRORS):
                raise _translated(path, error, file_format=cls.format) from error
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
        """One change of the file: all of it, or nothing where the block fails."""
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
        """Let all reads in the block see one moment, whatever other processes write."""
        with self.errors():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    @contextmanager
    def durable(self) -> Iterator[None]:
        """Let the changes in the block survive a power cut; each of them then takes longer."""
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
        except _ERRORS as error:
            raise _translated(self.path, error, file_format=self.format) from error


def _check_version(connection: sqlite3.Connection, path: Path, *, file_format: SqliteFormat) -> int:
    """The version of a file; for an empty file that of the format."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return file_format.version
    if application != file_format.application_id:
        raise file_format.foreign(
            f"{path} is an SQLite file, but not a {file_format.name} of earmark. Choose another"
        )
    if version != file_format.version and version not in file_format.upgrades:
        raise file_format.foreign(
            f"{path} is a {file_format.name} of version {version}; this earmark knows version "
            f"{file_format.version}. Update earmark, or take another file"
        )
    return version


def _prepare(connection: sqlite3.Connection, *, file_format: SqliteFormat) -> None:
    # readers do not wait for the writer; a power cut may undo the last changes, never the file
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # 64 MB: a quarter million rows; the default of 2 MB makes updates three times slower
    connection.execute("PRAGMA cache_size = -65536")
    if _version(connection) == file_format.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # another process may have done it meanwhile
    if version == 0:
        connection.execute(f"PRAGMA application_id = {file_format.application_id}")
        _run(connection, file_format.schema)
    else:
        for older in range(version, file_format.version):
            _run(connection, file_format.upgrades[older])
    connection.execute(f"PRAGMA user_version = {file_format.version}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements in the open transaction; executescript would end it."""
    for statement in statements.split(";"):
        connection.execute(statement)


def _translated(
    path: Path, error: sqlite3.Error | UnicodeDecodeError, *, file_format: SqliteFormat
) -> EarmarkError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if isinstance(error, UnicodeDecodeError) or code in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ):
        return file_format.damaged(f"the {file_format.name} {path} is damaged: {error}")
    return file_format.failed(
        f"cannot work on the {file_format.name} {path}: {_WORDS.get(code, str(error))}"
    )
