"""The folder of previews: where its files lie, and that only one run works on it.

DIR/ledger.sqlite       what became of every song
DIR/audio/<id>.<ext>    the previews
DIR/replaced/           previews that a rematch found to be of another recording
DIR/lock                held by the run that works here
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from earmark import files
from earmark.errors import DataError, FolderInUse

LEDGER = "ledger.sqlite"
AUDIO = "audio"
REPLACED = "replaced"
_LOCK = "lock"


def ledger_path(folder: Path) -> Path:
    """Where the ledger of a folder is."""
    return folder / LEDGER


def audio_files(folder: Path) -> dict[str, Path]:
    """Song id -> preview, of all previews that stand under their final name.

    Of two files for one id the first in alphabetical order counts.
    """
    found: dict[str, Path] = {}
    try:
        names = sorted(os.listdir(folder / AUDIO))  # noqa: PTH208  # a quarter million of names
    except FileNotFoundError:
        return found
    for name in names:
        if not name.startswith(".") and "." in name:
            found.setdefault(name.rpartition(".")[0], folder / AUDIO / name)
    return found


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished files of runs that were killed; only under the lock."""
    for place in (folder / AUDIO, folder):
        for path in place.glob(".*.part"):
            path.unlink(missing_ok=True)


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is missing, for this run alone.

    The operating system lets go of the lock when the process ends, however it ends.
    Raises FolderInUse, or DataError where the folder cannot be written to.
    """
    with disk_errors(folder):
        (folder / AUDIO).mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("a+")
    with file:
        if not _lock(file):
            file.seek(0)
            raise FolderInUse(
                f"another run works on {folder} (process {file.read().strip() or 'unknown'}). "
                "Wait for it, stop it, or take another folder"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def reading_from(folder: Path) -> Iterator[None]:
    """Keep runs out of a folder while it is read; one that cannot be written to needs no lock."""
    if os.access(folder, os.W_OK):
        with working_on(folder):
            yield
    else:
        yield


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at `target` too: a link where the disk allows it, else a copy; atomically."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        os.link(source.resolve(), temporary)
    except OSError:  # another disk, or a file system without links
        with files.atomic_path(target) as copy:
            shutil.copyfile(source, copy)
        return
    try:
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # still there where both were one file already


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn the system's errors about files into ours, which say what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror or error}. Nothing is lost: make room or "
            "mend the rights of the folder, and run the same command again"
        ) from error


def _lock(file: IO[str]) -> bool:
    """Whether the lock is ours; also where the file system knows no locks: leases remain."""
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
