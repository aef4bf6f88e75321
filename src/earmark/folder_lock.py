"""The lock that keeps a folder to one run at a time, and the errors of writing to it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from earmark.errors import DataError, FolderInUse

_A_LOOK = 0.05  # seconds; much longer than `is_free` takes


@contextmanager
def only_run_in(folder: Path, *, lock: str = ".lock") -> Iterator[None]:
    """Lock a folder, which is made where it is missing; delete unfinished files of killed runs.

    The system ends the lock when the process ends, however it ends. Raises FolderInUse, or
    DataError where the folder cannot be written to.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / lock).open("a+")
    with file:
        if not _locked_soon(file):
            file.seek(0)
            raise FolderInUse(
                f"another run works on {folder} (process {file.read().strip() or 'unknown'}). "
                "Wait until it ends, or take another folder"
            )
        with disk_errors(folder):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            for leftover in folder.glob(".*.part"):
                leftover.unlink()
        yield


def is_free(folder: Path, *, lock: str = ".lock") -> bool:
    """Whether no run holds the lock on a folder; False where that cannot be told."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with (folder / lock).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which ends with the file
    except OSError:
        return False
    return True


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn an OSError into a DataError that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror or error}. Finished work is safe: free some "
            "space or change the permissions of the folder, and run the same command again"
        ) from error


def _locked_soon(file: IO[str]) -> bool:
    if _lock(file):
        return True
    time.sleep(_A_LOOK)  # it may only be `is_free` that looks at it
    return _lock(file)


def _lock(file: IO[str]) -> bool:
    """Whether we have the lock now; True also on a file system without locks."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
    return True
