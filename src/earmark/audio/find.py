"""Finds the audio files that paths on the command line mean: files, and files below folders."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from earmark import audio
from earmark.audio.content import Content, content
from earmark.counted import counted
from earmark.errors import UnreadableAudio
from earmark.remote import Place, place_of

# What may hold music alone, or a film; such files are opened to see, as are those without a suffix.
FILM_SUFFIXES = frozenset(
    {
        ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".ogv", ".ogx", ".vob", ".webm", ".wmv",
    }
)  # fmt: skip
# Folders with thumbnails and deleted files, which Synology, QNAP and Windows keep among one's own.
SYSTEM_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "#snapshot", "@Recycle", "$RECYCLE.BIN", "System Volume Information"}
)
# An empty file of one of these names says that a folder, and all below it, holds no music of one's
# own (Android, Navidrome). Lines in it are patterns, as of Choice.exclude.
_MARKERS = (".nomedia", ".ndignore")
_SUFFIX = re.compile(r"\.(?!\d+$)[A-Za-z0-9]{1,8}")  # "1. Intro" and "Mr. Blue Sky" have none
_MOST_MARKER_BYTES = 1 << 16


@dataclass(frozen=True)
class Choice:
    """Which files below a folder are left out.

    exclude : patterns such as "*.live.*" or "Audiobooks": of the name of a file or a folder, or,
        with a slash, of its path below the folder that was named
    longest : seconds; files that are longer by their header are left out
    """

    exclude: tuple[str, ...] = ()
    longest: float | None = None


@dataclass
class Skipped:
    """What was left out below folders, counted by reason.

    files : video, unknown (no audio that FFmpeg knows), excluded, too long
    folders : excluded, or the name of the folder, or of the marker in it
    """

    files: dict[str, int] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything was left out."""
        return bool(self.files or self.folders)

    def file(self, reason: str) -> None:
        """One more file."""
        self.files[reason] = self.files.get(reason, 0) + 1

    def folder(self, reason: str) -> None:
        """One more folder."""
        self.folders[reason] = self.folders.get(reason, 0) + 1

    def lines(self) -> list[str]:
        """In words, such as "12 files skipped: 9 video, 3 unknown"; [] where nothing was."""
        return [
            f"{counted(sum(counts.values()), noun)} skipped: "
            + ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
            for noun, counts in (("file", self.files), ("folder", self.folders))
            if counts
        ]


def audio_files(
    paths: Iterable[str | Path],
    *,
    suffixes: Collection[str],
    choice: Choice = Choice(),
    skipped: Skipped | None = None,
    known: Collection[bytes] = (),
) -> Iterator[Place]:
    """Each named file, and each file below a named folder that holds audio, in order.

    suffixes : that say audio, in lower case with the dot
    skipped : counts what is left out
    known : files that were found before, as the file system names them; they are not opened

    A file that is given by its name is yielded whatever its suffix, even if it does not exist: the
    error comes from opening it. For the same reason folders that cannot be listed and broken links
    below a folder are yielded, and addresses, which nobody asks before. Folders are searched in
    alphabetical order; hidden entries are left out, and a folder that links lead back to is entered
    once. A path that is given twice is yielded once. Files that may hold a film, or have no suffix,
    are opened: those with audio alone count.
    """
    names = audio_names(paths, suffixes=suffixes, choice=choice, skipped=skipped, known=known)
    return map(place_of, names)


def audio_names(
    paths: Iterable[str | Path],
    *,
    suffixes: Collection[str],
    choice: Choice = Choice(),
    skipped: Skipped | None = None,
    known: Collection[bytes] = (),
) -> Iterator[str]:
    """The files of audio_files as strings, for those who look at 50,000: a Path takes longer."""
    given: set[str] = set()
    skipped = Skipped() if skipped is None else skipped
    for path in map(str, map(place_of, paths)):
        if not os.path.isdir(path):  # noqa: PTH112 - is_dir() raises for what it cannot look at
            files: Iterable[str] = [path]
        else:
            files = _Walk(path, suffixes, choice, skipped, known).files()
        start = os.path.abspath(path)  # noqa: PTH100 - absolute() keeps the ".." in it
        for file in files:
            place = start + file[len(path) :]
            if place not in given:
                given.add(place)
                yield file


class _Place(NamedTuple):
    """A path still to visit; the patterns that hold there, with the folder that they begin at."""

    path: str
    is_folder: bool
    patterns: tuple[tuple[str, str], ...]


@dataclass
class _Walk:
    root: str
    suffixes: Collection[str]
    choice: Choice
    skipped: Skipped
    known: Collection[bytes]

    def files(self) -> Iterator[str]:
        seen: set[tuple[int, int]] = set()  # folders
        patterns = tuple((self.root, pattern) for pattern in self.choice.exclude)
        rest = [_Place(self.root, True, patterns)]  # the next one last
        while rest:
            place = rest.pop()
            if not place.is_folder:
                if self._is_wanted(place.path):
                    yield place.path
                continue
            try:
                status = os.stat(place.path)  # noqa: PTH116 - a Path would be made for it
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                rest += reversed(list(self._entries(place)))
            except OSError:
                yield place.path  # opening it raises an error that says why

    def _entries(self, place: _Place) -> Iterator[_Place]:
        """What is to be visited in a folder, sorted."""
        with os.scandir(place.path) as listed:
            entries = sorted(listed, key=attrgetter("name"))
        patterns = place.patterns
        for marker in [entry.name for entry in entries if entry.name in _MARKERS]:
            lines = _marker_lines(Path(place.path, marker))
            if not lines and place.path != self.root:  # the root was asked for by its name
                self.skipped.folder(marker)
                return
            patterns += tuple((place.path, line) for line in lines)
        for entry in entries:
            name, path = entry.name, entry.path
            if name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
                is_link_to_nothing = entry.is_symlink() and not Path(path).exists()
            except OSError:
                yield _Place(path, False, patterns)
                continue
            if is_folder and name in SYSTEM_FOLDERS:
                self.skipped.folder(name)
            elif not is_folder and not is_link_to_nothing and not self._may_be_audio(name):
                continue
            elif any(_matches(Path(path), root, pattern) for root, pattern in patterns):
                (self.skipped.folder if is_folder else self.skipped.file)("excluded")
            else:
                yield _Place(path, is_folder, patterns)

    def _may_be_audio(self, name: str) -> bool:
        suffix = _suffix(name)
        return suffix in self.suffixes or _may_be_film(suffix)

    def _is_wanted(self, name: str) -> bool:
        """Whether a file counts by what is in it; one that cannot be opened does."""
        may_be_film = _suffix(name) not in self.suffixes
        if not may_be_film and self.choice.longest is None:
            return True
        if self.known and os.fsencode(name) in self.known:
            return True
        path = Path(name)
        try:
            status = path.stat()
            if may_be_film:
                held = _content(path, status.st_size, status.st_mtime_ns)
                if held != "audio":
                    self.skipped.file(held)
                    return False
            if self.choice.longest is not None:
                seconds = _seconds(path, status.st_size, status.st_mtime_ns)
                if seconds is not None and seconds > self.choice.longest:
                    self.skipped.file("too long")
                    return False
        except (OSError, UnreadableAudio):
            pass
        return True


def _suffix(name: str) -> str:
    """The suffix of a name or path, in lower case, as Path.suffix has it."""
    return os.path.splitext(name)[1].lower().removesuffix(".")  # noqa: PTH122 - no Path is made


def _may_be_film(suffix: str) -> bool:
    return suffix in FILM_SUFFIXES or not _SUFFIX.fullmatch(suffix)


def _matches(path: Path, root: str, pattern: str) -> bool:
    """Whether a pattern names an entry below `root`."""
    pattern = pattern.removesuffix("/")
    if "/" not in pattern:
        return fnmatch(path.name, pattern)
    return fnmatch(path.relative_to(root).as_posix(), pattern.removeprefix("/"))


def _marker_lines(path: Path) -> list[str]:
    """The patterns in a marker; none in an empty one, and in one that cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MOST_MARKER_BYTES).splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and line[0] not in "#!"]


# size and time are part of the key: what has changed is looked at again
@lru_cache(maxsize=1 << 16)
def _content(path: Path, size: int, mtime_ns: int) -> Content:  # noqa: ARG001
    return content(path)


@lru_cache(maxsize=1 << 16)
def _seconds(path: Path, size: int, mtime_ns: int) -> float | None:  # noqa: ARG001
    return audio.probe(path).duration
