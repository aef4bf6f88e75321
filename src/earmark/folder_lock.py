"""A folder that one run at a time may write to, and what the disk may say while it does."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from earmark.errors import DataError, FolderInUse


@contextmanager
def only_run_in(folder: Path, *, lock: str = ".lock") -> Iterator[None]:
    """Hold a folder, which is made where it is missing, and clear what killed runs left half done.

    The system lets go of the lock when the process ends, however it ends. Raises FolderInUse, or
    DataError where the folder cannot be written to.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / lock).open("a+")
    with file:
        if not _lock(file):
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


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn the system's errors about files into ours, which say what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror or error}. What is finished is safe: make "
            "room or mend the rights of the folder, and run the same command again"
        ) from error


def _lock(file: IO[str]) -> bool:
    """Whether the lock is ours; also where the file system knows no locks."""
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
