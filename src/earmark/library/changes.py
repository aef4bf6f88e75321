"""Differences between folders and the library, by path, size and time; no file is opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from earmark.audio import AUDIO_SUFFIXES
from earmark.audio.find import audio_files
from earmark.errors import BadValue
from earmark.library.database import Library, LibraryModel
from earmark.library.song import absolute

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
    """

    new: dict[Path, tuple[int, int]] = field(default_factory=dict)
    unchanged: int = 0
    found: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    failed: int = 0
    unsettled: int = 0
    unjudged: int = 0


def find_changes(
    library: Library,
    model: LibraryModel,
    folders: Iterable[str | Path],
    *,
    quick: bool = False,
    retry: bool = False,
    settle_seconds: float = 0.0,
) -> FolderChanges:
    """Compare folders with what the library knows of them, by path, size and time.

    quick : a song of which a few windows were heard counts as heard
    retry : also files that could not be heard before, or were not judged, though they have not
        changed
    settle_seconds : leave out what changed less than that ago: it may still be being written

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
    now = time.time_ns()
    # each path once, also where both a file and its folder are named
    for path in dict.fromkeys(audio_files(roots, suffixes=AUDIO_SUFFIXES)):
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
            if now - mtime_ns < settle_seconds * 1e9:
                n_unsettled += 1
            else:
                new[path] = size, mtime_ns
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
    return FolderChanges(new, n_unchanged, found, gone, n_failed, n_unsettled, n_unjudged)
