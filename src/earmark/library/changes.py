"""Differences between folders and the library, by path, size and time; no file is opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from earmark.audio import AUDIO_SUFFIXES
from earmark.audio.find import Choice, Skipped, audio_files
from earmark.errors import BadValue
from earmark.library.database import Library, LibraryModel
from earmark.library.song import absolute

SETTLE_SECONDS = 5.0  # a file that changed less than that ago may still be being written
NOWHERE = (-1, -1)  # size and time of a file whose status could not be read


@dataclass(frozen=True)
class FolderChanges:
    """What a scan has to do.

    new : files to hear, in order, each with its (size, mtime_ns) as the comparison saw it
    unchanged : how many are as they were when they were heard
    found : files that were missing and are there again, unchanged
    gone : files that were there and are not now
    failed : how many could not be heard before and have not changed since
    unsettled : how many wait for the next scan, because they changed a moment ago
    unjudged : how many of the unchanged were heard and not judged (Song.warnings)
    skipped : what the folders hold besides (audio.find)
    """

    new: dict[Path, tuple[int, int]] = field(default_factory=dict)
    unchanged: int = 0
    found: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    failed: int = 0
    unsettled: int = 0
    unjudged: int = 0
    skipped: Skipped = field(default_factory=Skipped)


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

    quick : a song of which a few windows were heard counts as heard
    retry : also files that could not be heard before, or were not judged, though they have not
        changed
    choice : which files of the folders are left out
    rest : leave out what it does not call at rest: it may still be being written

    Raises BadValue for a folder that does not exist: its disk may only be disconnected.
    """
    roots = [absolute(folder) for folder in folders]
    known: dict[bytes, tuple[int, int, bool, bool, bool, bool]] = {}
    for root in roots:
        if not os.path.exists(root):  # noqa: PTH110 - exists() raises for what it cannot look at
            raise BadValue(
                f"{root} does not exist. Check the name, and that its disk is connected; the "
                "library keeps what it knows of the songs there"
            )
        known |= library.states(model, root)
    new: dict[Path, tuple[int, int]] = {}
    found: list[bytes] = []
    unreadable: list[bytes] = []
    n_unchanged = n_failed = n_unsettled = n_unjudged = 0
    skipped = Skipped()
    songs = audio_files(
        roots, suffixes=AUDIO_SUFFIXES, choice=choice, skipped=skipped, known=frozenset(known)
    )
    # each path once, also where both a file and its folder are named
    for path in dict.fromkeys(songs):
        name = os.fsencode(path)
        before = known.pop(name, None)
        try:
            status = path.stat()
            size, mtime_ns = status.st_size, status.st_mtime_ns
            is_readable = not stat.S_ISDIR(status.st_mode)
        except OSError:
            size, mtime_ns = NOWHERE  # the scan opens it and reports why it cannot be read
            is_readable = False
        if not is_readable:  # it was a folder, or a link to one: its songs are not thereby gone
            unreadable.append(name + os.sep.encode())
        if before is None or before[:2] != (size, mtime_ns):
            if rest is None or rest.is_at_rest(path, (size, mtime_ns)):
                new[path] = size, mtime_ns
            else:
                n_unsettled += 1
            continue
        _, _, has_failed, is_quick, is_missing, is_judged = before
        if is_missing:
            found.append(name)
        if has_failed and not retry:
            n_failed += 1
        elif has_failed or (is_quick and not quick) or (retry and not is_judged):
            new[path] = size, mtime_ns
        else:
            n_unchanged += 1
            n_unjudged += not is_judged
    gone = [
        name
        for name, state in known.items()
        if not state[4]
        and not any(name.startswith(place) for place in unreadable)
        and not os.path.lexists(os.fsdecode(name))  # it may have come in the meantime
    ]
    return FolderChanges(new, n_unchanged, found, gone, n_failed, n_unsettled, n_unjudged, skipped)
