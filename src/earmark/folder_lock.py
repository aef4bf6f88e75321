"""The lock that keeps a folder or a file to one run at a time, and the errors of writing to it."""

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
from earmark.files import remove_unfinished

_A_LOOK = 0.05  # seconds; much longer than `is_free` takes
_LOCKED_BYTE = 1 << 30  # on Windows, which locks parts of files


@contextmanager
def only_run_in(folder: Path, *, lock: str = ".lock") -> Iterator[None]:
    """Lock a folder, which is made where it is missing; delete unfinished files of killed runs.

    The system ends the lock when the process ends, however it ends. Raises FolderInUse, or
    DataError where the folder cannot be written to.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    advice = "Wait until it ends, or take another folder"
    with only_run_with(folder / lock, work_on=folder, advice=advice) as file:
        with disk_errors(folder):
            say_who(file)
            remove_unfinished(folder)
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
def only_run_with(lock: Path, *, work_on: Path, advice: str) -> Iterator[IO[str]]:
    """Hold the lock of a folder or file; yields the lock's file, which says who has it.

    Until say_who is called, it holds what the last run wrote. Raises as only_run_in does.

    work_on : what the lock stands for, named in messages
    advice : what to do while another run has it
    """
    with disk_errors(work_on):
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    with file:
        held = _locked_soon(file)
        file.seek(0)
        if not held:
            raise FolderInUse(
                f"another run works on {work_on} (process {file.readline().strip() or 'unknown'}). "
                f"{advice}"
            )
        yield file


def say_who(file: IO[str], *lines: str) -> None:
    """Write into a lock's file which process has it and since when, and lines of one's own."""
    since = time.strftime("%H:%M:%S on %d %B", time.localtime())
    file.seek(0)  # written over, not emptied first: another run may read it at any moment
    file.write("\n".join((f"{os.getpid()}, since {since}", *lines, "")))
    file.truncate()
    file.flush()


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

        # a byte far behind the text: what is locked there cannot be read by other runs
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
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
