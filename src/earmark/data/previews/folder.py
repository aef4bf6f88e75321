"""A preview folder: where its files are, and the lock that keeps it to one run at a time.

DIR/ledger.sqlite       what became of every song
DIR/audio/<id>.<ext>    the previews
DIR/replaced/           previews that were set aside: not whole, or of another recording
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
from earmark.data.catalog.song_audio import files_by_id, files_in
from earmark.folder_lock import disk_errors, only_run_in

LEDGER = "ledger.sqlite"
AUDIO = "audio"
REPLACED = "replaced"
LOCK = "lock"


def ledger_path(folder: Path) -> Path:
    """The ledger of a folder."""
    return folder / LEDGER


def preview_files(folder: Path) -> dict[str, Path]:
    """Song id -> preview, of all previews under their final name."""
    return files_by_id(files_in(folder / AUDIO))


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished files of killed runs; only under the lock."""
    for place in (folder / AUDIO, folder):
        files.remove_unfinished(place)


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Hold a preview folder for this run alone; it is made where it is missing.

    Raises FolderInUse, or DataError where the folder cannot be written to.
    """
    with only_run_in(folder, lock=LOCK):
        with disk_errors(folder):
            (folder / AUDIO).mkdir(exist_ok=True)
        yield


@contextmanager
def reading_from(folder: Path) -> Iterator[None]:
    """Keep runs out of a folder while it is read; a read-only folder needs no lock."""
    if os.access(folder, os.W_OK):
        with working_on(folder):
            yield
    else:
        yield


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at `target` too, atomically: a link where the disk allows it, else a copy."""
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
