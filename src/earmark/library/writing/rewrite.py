"""Safe changes of a file: made in a copy, which replaces the file when every check has passed.

One run at a time writes with a library. Its lock names the copy that it is making, so that the next
run deletes the copy of a killed one, and no other file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from earmark.errors import UnreadableAudio, UnwritableTags
from earmark.files import atomic_path, is_temporary
from earmark.folder_lock import only_run_with, say_who
from earmark.library.database import Library


@dataclass(frozen=True)
class WritingRun:
    """The one run that changes music files with a library.

    lock : the lock's file: who has it, and the copy that is being made
    """

    lock: IO[str]

    def begin(self, copy: Path) -> None:
        """Note a copy before it is made."""
        say_who(self.lock, json.dumps(str(copy)))


@contextmanager
def only_writer(library: Library) -> Iterator[WritingRun]:
    """Be the one run that writes with a library; delete the copy that a killed run left.

    Raises FolderInUse while another run writes, DataError where the lock cannot be made.
    """
    lock = library.path.with_name(f".{library.path.name}.lock")
    with only_run_with(lock, work_on=library.path, advice="Wait until it ends") as file:
        file.readline()  # who it was
        left = file.readline()
        with suppress(OSError, ValueError):
            copy = Path(json.loads(left))
            if is_temporary(copy) and not copy.is_symlink():
                copy.unlink()
        say_who(file)
        yield WritingRun(file)


@contextmanager
def unwritable_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into UnwritableTags, which says that the file is unchanged."""
    try:
        yield
    except OSError as error:
        raise UnwritableTags(
            path, f"{error.strerror or error}. The file is unchanged. Check the disk"
        ) from error


def rewrite(
    run: WritingRun,
    path: Path,
    make: Callable[[Path, Path], None],
    *,
    mtime_ns: int | None = None,
) -> None:
    """Replace a file by what `make(file, copy)` makes of the copy; permissions and owner stay.

    make : called with the file and with a copy of it in the same folder; may raise
    mtime_ns : the modification time of the new file; by default now

    Raises UnwritableTags where the disk fails or the file changes meanwhile; it is then unchanged.
    For a link, the file that it leads to is replaced.
    """
    with unwritable_errors(path):
        target = Path(os.path.realpath(path))
        before = target.stat()
        if not os.access(target, os.W_OK):
            raise UnwritableTags(path, "it is read-only. Change its permissions first")
        with atomic_path(target, keep_suffix=True) as copy:
            run.begin(copy)
            shutil.copy2(target, copy)  # with permissions and extended attributes
            try:
                make(target, copy)
            except (UnwritableTags, UnreadableAudio) as error:
                raise UnwritableTags(path, error.reason) from error  # the copy's name says nothing
            if hasattr(os, "chown"):
                with suppress(PermissionError):  # only root may give files away
                    os.chown(copy, before.st_uid, before.st_gid)
            if mtime_ns is not None:
                os.utime(copy, ns=(before.st_atime_ns, mtime_ns))
            now = target.stat()
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise UnwritableTags(path, "another program changed it at the same time. Try again")
