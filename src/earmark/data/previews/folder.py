"""The folder of previews: where its files lie, and that only one run works on it.

DIR/ledger.sqlite       what became of every song
DIR/audio/<id>.<ext>    the previews
DIR/replaced/           previews that a rematch found to be of another recording
DIR/lock                held by the run that works here
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark import files
from earmark.folder_lock import disk_errors, only_run_in

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
    with only_run_in(folder, lock=_LOCK):
        with disk_errors(folder):
            (folder / AUDIO).mkdir(exist_ok=True)
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
