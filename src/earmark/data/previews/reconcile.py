"""A ledger brought into line with the previews on the disk, which are the truth."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from earmark.data.previews.audio_check import CheckedPreview, inspect
from earmark.data.previews.entry import LedgerEntry, State
from earmark.data.previews.failures import BadContent
from earmark.data.previews.folder import REPLACED, ledger_path, preview_files
from earmark.data.previews.ledger import DamagedLedger, Ledger
from earmark.data.previews.options import Check
from earmark.folder_lock import disk_errors

FOUND = "found on the disk"  # the reason of a preview that no run has downloaded
_BATCH = 500  # entries in one transaction


def open_or_replace(folder: Path) -> tuple[Ledger, str]:
    """The ledger of a folder and ""; or a new one, and where the damaged one was moved to.

    Only under the lock. `reconcile` fills a new ledger from the files. Raises BadLedger for a
    ledger of another version, which stays as it is.
    """
    path = ledger_path(folder)
    try:
        ledger = Ledger.open(path, make=True)
        try:
            ledger.check()
        except DamagedLedger:
            ledger.close()
            raise
        return ledger, ""
    except DamagedLedger:
        pass
    moved_to = folder / f"ledger.damaged-{int(time.time())}.sqlite"
    with disk_errors(folder):
        path.replace(moved_to)
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    return Ledger.open(path, make=True), str(moved_to)


def reconcile(
    ledger: Ledger,
    folder: Path,
    *,
    check: Check = "full",
    on_checked: Callable[[int], None] | None = None,
) -> None:
    """Take over previews that the ledger does not know, and drop those that are gone or changed.

    A preview that is not whole is set aside, and its song is to be downloaded again. Only under
    the lock.

    on_checked : called with the number of previews checked so far
    """
    lost: list[LedgerEntry] = []
    with disk_errors(folder):
        files = preview_files(folder)
        to_check = dict(files)
        for entry in ledger.entries([State.DOWNLOADED]):
            path = files.get(entry.id)
            if path is None or path.name != entry.file:
                lost.append(entry.without_preview())
            elif path.stat().st_size == entry.size:
                del to_check[entry.id]
    ledger.put(lost)

    n_checked = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for batch in _batches(list(to_check.items())):
            previews = list(pool.map(lambda item: _inspected(item[1], check), batch))
            ledger.put(
                _reconciled(folder, ledger.get(song_id) or LedgerEntry(song_id), path, preview)
                for (song_id, path), preview in zip(batch, previews, strict=True)
            )
            n_checked += len(batch)
            if on_checked is not None:
                on_checked(n_checked)


def set_aside(folder: Path, path: Path) -> None:
    """Move a preview that cannot stay to `folder`/replaced, where nothing reads it."""
    with disk_errors(folder):
        (folder / REPLACED).mkdir(exist_ok=True)
        path.replace(folder / REPLACED / path.name)


def _reconciled(
    folder: Path, entry: LedgerEntry, path: Path, preview: CheckedPreview | None
) -> LedgerEntry:
    if preview is None:
        set_aside(folder, path)
        return entry.without_preview()
    return replace(entry, reason=entry.reason or FOUND).downloaded(preview)


def _inspected(path: Path, check: Check) -> CheckedPreview | None:
    try:
        return inspect(path, check=check)
    except BadContent:
        return None


def _batches(items: list[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
