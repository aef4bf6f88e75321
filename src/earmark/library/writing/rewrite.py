"""Safe changes of a file: made in a copy, which replaces the file when every check has passed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.errors import UnwritableTags
from earmark.files import atomic_path


@contextmanager
def unwritable_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into UnwritableTags, which says that the file is unchanged."""
    try:
        yield
    except OSError as error:
        raise UnwritableTags(path, f"{error.strerror or error}. The file is unchanged") from error


def rewrite(path: Path, make: Callable[[Path, Path], None], *, mtime_ns: int | None = None) -> None:
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
        with atomic_path(target) as copy:
            shutil.copy2(target, copy)  # with permissions and extended attributes
            make(target, copy)
            if hasattr(os, "chown"):
                with suppress(PermissionError):  # only root may give files away
                    os.chown(copy, before.st_uid, before.st_gid)
            if mtime_ns is not None:
                os.utime(copy, ns=(before.st_atime_ns, mtime_ns))
            now = target.stat()
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise UnwritableTags(path, "another program changed it at the same time. Try again")
