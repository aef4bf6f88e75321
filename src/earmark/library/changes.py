"""Differences between folders and the library, by path, size and time; no file is opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.audio import AUDIO_SUFFIXES
from earmark.audio.find import Choice, Skipped, audio_names
from earmark.errors import BadValue
from earmark.library.database import FileState, Library, LibraryModel
from earmark.library.identity import FileId, absolute, file_id, file_id_of, is_real, real, spelled
from earmark.remote import looks_remote

SETTLE_SECONDS = 5.0  # a file that changed less than that ago may still be being written
NOWHERE = (-1, -1)  # size and time of a file whose status could not be read
_SEP = os.sep.encode()

Rows = dict[bytes, FileState]  # what the library knows, by path


@dataclass
class FolderChanges:
    """What a scan has to do.

    new : files to hear, in order, each with its (size, mtime_ns) as the comparison saw it
    changed : those of the new that have a row: they have changed, or are to be heard again
    unchanged : how many are as they were when they were heard
    found : files that were missing and are there again, unchanged
    gone : files that were there and are not now
    renamed : (old, new) path of rows whose file has a better name
    doubles : rows of files that have another row
    failed : how many could not be heard before and have not changed since
    unsettled : how many wait for the next scan, because they changed a moment ago
    unjudged : how many of the unchanged were heard and not judged (ScannedFile.warnings)
    skipped : what the folders hold besides (audio.find)
    """

    new: dict[Path, tuple[int, int]] = field(default_factory=dict)
    changed: set[Path] = field(default_factory=set)
    unchanged: int = 0
    found: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    renamed: list[tuple[bytes, bytes]] = field(default_factory=list)
    doubles: list[bytes] = field(default_factory=list)
    failed: int = 0
    unsettled: int = 0
    unjudged: int = 0
    skipped: Skipped = field(default_factory=Skipped)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.new or self.found or self.gone or self.renamed or self.doubles)


class Rest:
    """Which files are at rest: they have been the same for SETTLE_SECONDS.

    By their time, or, where a clock is ahead, by what earlier looks have seen.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}  # state, when it was first seen

    def is_at_rest(self, path: Path, state: tuple[int, int]) -> bool:
        """Whether a file that is new, or has changed, will probably stay as it is.

        state : its size, and its time in nanoseconds
        """
        _, mtime_ns = state
        if mtime_ns + SETTLE_SECONDS * 1e9 <= time.time_ns():
            self._seen.pop(path, None)
            return True
        now = time.monotonic()
        before, since = self._seen.get(path, (state, now))
        if before != state:
            since = now
        self._seen[path] = state, since
        return now - since >= SETTLE_SECONDS


@dataclass(slots=True)
class _File:
    """A file that the walk found, by one name or several."""

    size: int
    mtime_ns: int
    is_readable: bool
    names: list[bytes]


def find_changes(
    library: Library,
    model: LibraryModel,
    folders: Iterable[str | Path],
    *,
    quick: bool = False,
    retry: bool = False,
    choice: Choice = Choice(),
    rest: Rest | None = None,
) -> FolderChanges:
    """Compare folders with what the library knows of them, by path, size and time.

    A file with several names is one file (library.identity), and has the name of its row.

    quick : a song of which a few windows were heard counts as heard
    retry : also files that could not be heard before, or were not judged, though they have not
        changed
    choice : which files of the folders are left out
    rest : leave out what it does not call at rest: it may still be being written

    Raises BadValue for a folder that does not exist: its disk may only be disconnected.
    """
    given = []
    for folder in folders:
        given.append(absolute(folder))
        if os.path.exists(folder):  # noqa: PTH110 - exists() raises for what it cannot look at
            continue
        if looks_remote(folder):
            raise BadValue(f"{folder} is an address; give a folder on this machine")
        raise BadValue(
            f"{given[-1]} does not exist. Check the name, and that its disk is connected; the "
            "library keeps what it knows of the songs there"
        )
    roots = [spelled(real(folder)) for folder in given]
    changes = FolderChanges()
    rows = library.states(model)
    for folder, root in zip(given, roots, strict=True):
        if folder != root:
            _rename_below(folder, root, rows=rows, changes=changes)
    files = _walk(roots, choice=choice, skipped=changes.skipped, known=frozenset(rows))
    walked = {name for file in files for name in file.names}
    others = [name for name in rows if name not in walked]
    _add_names_of_rows(files, others, rows=rows)
    for file in files:
        name = file.names[0]
        if len(file.names) > 1:
            name = _best_name(file.names, rows)
            _join_rows(file, name, rows=rows, changes=changes)
        before = rows.get(name)
        if before is None or (before.size, before.mtime_ns) != (file.size, file.mtime_ns):
            path = Path(os.fsdecode(name))
            if rest is not None and not rest.is_at_rest(path, (file.size, file.mtime_ns)):
                changes.unsettled += 1
                continue
        else:
            if before.missing:
                changes.found.append(name)
            if before.failed and not retry:
                changes.failed += 1
                continue
            if not before.failed and (quick or not before.quick) and (before.judged or not retry):
                changes.unchanged += 1
                changes.unjudged += not before.judged
                continue
        path = Path(os.fsdecode(name))
        changes.new[path] = file.size, file.mtime_ns
        if before is not None:
            changes.changed.add(path)
    changes.gone = _gone(others, files, roots, rows=rows)
    return changes


def _walk(
    roots: Sequence[Path], *, choice: Choice, skipped: Skipped, known: frozenset[bytes]
) -> list[_File]:
    """The audio files below folders, in order."""
    files: list[_File] = []
    by_id: dict[FileId, _File] = {}
    songs = audio_names(roots, suffixes=AUDIO_SUFFIXES, choice=choice, skipped=skipped, known=known)
    for song in songs:
        name, same = os.fsencode(song), None
        try:
            status = os.stat(song)  # noqa: PTH116 - a Path would be made for each of 50,000
        except OSError:  # the scan opens it and reports why it cannot be read
            file = _File(*NOWHERE, False, [name])
        else:
            is_readable = not stat.S_ISDIR(status.st_mode)
            file = _File(status.st_size, status.st_mtime_ns, is_readable, [name])
            same = file_id(status)
        if same is not None and same in by_id:
            by_id[same].names.append(name)
            continue
        files.append(file)
        if same is not None:
            by_id[same] = file
    return files


def _add_names_of_rows(files: Iterable[_File], others: Sequence[bytes], *, rows: Rows) -> None:
    """Give files also the names that only the library has for them, from another scan.

    others : the names that the walk did not find
    """
    by_state: dict[tuple[int, int], list[_File]] = {}
    if others:
        for file in files:
            by_state.setdefault((file.size, file.mtime_ns), []).append(file)
    by_id: dict[tuple[int, int], dict[FileId | None, _File]] = {}
    for name in others:
        state = rows[name].size, rows[name].mtime_ns
        if state not in by_state:
            continue
        # as its folder spells it: exFAT under FUSE numbers a file anew for each case of its name
        same = file_id_of(spelled(Path(os.fsdecode(name))))
        if same is None:
            continue
        if state not in by_id:  # few files share size and time; theirs alone are looked at again
            by_id[state] = {file_id_of(file.names[0]): file for file in by_state[state]}
        if same in by_id[state]:
            by_id[state][same].names.append(name)


def _best_name(names: Sequence[bytes], rows: Rows) -> bytes:
    """The name of a file with several: one without links, as its folder spells it, of a row."""
    return min(names, key=lambda name: (not is_real(name), not _is_listed(name), name not in rows))


def _is_listed(name: bytes) -> bool:
    """Whether a folder spells the name of a file in it so: some take other case for the same."""
    folder, last = os.path.split(name)
    try:
        return last in os.listdir(folder)  # noqa: PTH208 - of bytes
    except OSError:  # it may be entered, but not listed
        return False


def _join_rows(file: _File, name: bytes, *, rows: Rows, changes: FolderChanges) -> None:
    """Have one row for a file of several names, under the best of them."""
    known = [each for each in file.names if each in rows]
    if not known:
        return
    kept = name if name in known else known[0]
    if kept != name:
        changes.renamed.append((kept, name))
        rows[name] = rows[kept]
    changes.doubles += [each for each in known if each != kept]


def _rename_below(folder: Path, root: Path, *, rows: Rows, changes: FolderChanges) -> None:
    """Give rows below a folder that is reached through a link their paths without it."""
    start, real_start = os.fsencode(folder), os.fsencode(root)
    for name in [each for each in rows if each == start or each.startswith(start + _SEP)]:
        real_name = real_start + name.removeprefix(start)
        row = rows.pop(name)
        if real_name in rows:
            changes.doubles.append(name)
        else:
            changes.renamed.append((name, real_name))
            rows[real_name] = row


def _gone(
    others: Iterable[bytes], files: Iterable[_File], roots: Iterable[Path], *, rows: Rows
) -> list[bytes]:
    """The rows below folders whose files were there before and are not now.

    others : the names that the walk did not find
    """
    # what was a folder, or a link to one: its songs are not thereby gone
    unreadable = tuple(file.names[0] + _SEP for file in files if not file.is_readable)
    starts = {os.fsencode(root) for root in roots}
    inside = tuple(start.rstrip(_SEP) + _SEP for start in starts)
    return [
        name
        for name in others
        if not rows[name].missing
        and (name in starts or name.startswith(inside))
        and not name.startswith(unreadable)
        # it may have come in the meantime; where a folder is now, no file is
        and (not os.path.lexists(name) or os.path.isdir(name))  # noqa: PTH112 - of bytes
    ]
