"""Files are the truth: bring a ledger into line with the previews that stand on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from earmark.data.previews.audio_check import Preview, inspect
from earmark.data.previews.folder import REPLACED, audio_files, ledger_path
from earmark.data.previews.http import BadContent
from earmark.data.previews.ledger import DamagedLedger, Ledger, LedgerEntry, State
from earmark.data.previews.options import Check
from earmark.folder_lock import disk_errors

_BATCH = 500


def open_sound(folder: Path) -> tuple[Ledger, str]:
    """The ledger of a folder and "", or a new one and where the damaged one was put.

    Only under the lock. What a new ledger lacks `reconcile` takes from the files. Raises
    BadLedger for a ledger of another version, which is not touched.
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
    aside = folder / f"ledger.damaged-{int(time.time())}.sqlite"
    with disk_errors(folder):
        path.replace(aside)
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    return Ledger.open(path, make=True), str(aside)


def reconcile(
    ledger: Ledger,
    folder: Path,
    *,
    check: Check = "full",
    on_checked: Callable[[int], None] | None = None,
) -> None:
    """Take up previews that the ledger does not know, and drop those that are gone or changed.

    A preview that is not whole is set aside, and its song taken up again. Only under the lock.

    on_checked : called with the number of previews checked so far
    """
    files = audio_files(folder)
    doubtful = dict(files)
    lost: list[LedgerEntry] = []
    for entry in ledger.entries([State.DOWNLOADED]):
        path = files.get(entry.id)
        if path is None or path.name != entry.file:
            lost.append(undone(entry))
        elif path.stat().st_size == entry.size:
            del doubtful[entry.id]
    ledger.put(lost)

    n_checked = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for batch in _batches(list(doubtful.items())):
            clips = list(pool.map(lambda item: _look(item[1], check), batch))
            ledger.put(
                _settled(folder, ledger.get(song_id) or LedgerEntry(song_id), path, clip)
                for (song_id, path), clip in zip(batch, clips, strict=True)
            )
            n_checked += len(batch)
            if on_checked is not None:
                on_checked(n_checked)


def downloaded(entry: LedgerEntry, clip: Preview) -> LedgerEntry:
    """The song with its preview."""
    return replace(
        entry,
        state=State.DOWNLOADED,
        retry_at=None,
        changed_at=time.time(),
        file=clip.name,
        sha256=clip.sha256,
        size=clip.size,
        clip_seconds=clip.seconds,
    )


def undone(entry: LedgerEntry) -> LedgerEntry:
    """The song without its preview: matched if it was, else as if nothing were known."""
    return replace(
        entry,
        state=State.PENDING if entry.hit is None else State.MATCHED,
        changed_at=time.time(),
        file=None,
        sha256=None,
        size=None,
        clip_seconds=None,
    )


def set_aside(folder: Path, path: Path) -> None:
    """Move a preview that cannot stay to `folder`/replaced, where nothing reads it."""
    with disk_errors(folder):
        (folder / REPLACED).mkdir(exist_ok=True)
        path.replace(folder / REPLACED / path.name)


def _settled(folder: Path, entry: LedgerEntry, path: Path, clip: Preview | None) -> LedgerEntry:
    if clip is None:
        set_aside(folder, path)
        return undone(entry)
    return downloaded(replace(entry, reason=entry.reason or "found on the disk"), clip)


def _look(path: Path, check: Check) -> Preview | None:
    try:
        return inspect(path, check=check)
    except BadContent:
        return None


def _batches(items: list[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
