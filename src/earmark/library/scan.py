"""Scans of folders: new files are heard, moved ones recognised, missing ones marked."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from earmark.audio.find import Choice, Skipped
from earmark.files import sha256
from earmark.library.changes import NOWHERE, FolderChanges, Rest, find_changes
from earmark.library.database import Library, LibraryModel
from earmark.library.hearing import FileContent, ReadFile
from earmark.library.song import ScanFailure, ScannedFile
from earmark.library.writing.tag_file import require_mutagen
from earmark.tagger import Tagger, map_files

OnSong = Callable[[ScannedFile], object]  # called with each song that was opened, in order
# called with how many songs there are to hear; gives what to call with how many more are done
Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]


@dataclass(frozen=True)
class ScanOptions:
    """How folders are scanned.

    workers : processes; None is one for each core, and only this one for a few files
    quick : hear three windows of each song instead of every second
    retry : try again what could not be heard before, and hear what was not judged
        (ScannedFile.warnings)
    limits : refuse a file that costs too much for the music in it; False hears it all the same
    choice : which files of the folders are left out
    """

    workers: int | None = None
    quick: bool = False
    retry: bool = False
    limits: bool = True
    choice: Choice = field(default_factory=Choice)


@dataclass(frozen=True)
class ScanCounts:
    """What became of the files of one scan.

    heard : were heard
    known : had moved, are copies, or only their tags had changed: they were not heard again
    unchanged : were not opened
    failed : could not be heard, now or before
    gone : no longer exist, here or elsewhere
    unsettled : changed a moment ago and wait for the next scan
    doubted : of those that were heard or known, are not music
    unjudged : of the unchanged, were heard by a version that did not judge that
    forgotten : left the library, because their files are gone
    kinds : how many of the doubted are speech, silence, noise and other (signal_check.Kind)
    skipped : files and folders that were left out (audio.find)
    new : of the heard, were not in the library, by their path or their audio
    moved : have another path than before; mostly known, and so not heard again
    retagged : of the known, are where they were, with the same audio: their tags or time changed
    copies : of the known, have the audio of another file that is still there
    failed_before : of the failed, could not be heard before and were not tried now
    """

    heard: int
    known: int
    unchanged: int
    failed: int
    gone: int
    unsettled: int
    doubted: int
    unjudged: int
    forgotten: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=Skipped)
    new: int = 0
    moved: int = 0
    retagged: int = 0
    copies: int = 0
    failed_before: int = 0

    @property
    def heard_again(self) -> int:
        """Of the heard: are where they were, with other audio, or had not been heard whole."""
        moved_known = self.known - self.retagged - self.copies
        return self.heard - self.new - (self.moved - moved_known)


def scan_folders(
    library: Library,
    folders: Sequence[str | Path],
    *,
    tagger: Tagger,
    options: ScanOptions = ScanOptions(),
    forget: bool = False,
    on_song: OnSong = lambda _: None,
    progress: Progress = lambda _: nullcontext(lambda _: None),
) -> ScanCounts:
    """Hear what is new in folders; each song is in the library as soon as it was heard.

    forget : delete the songs whose files are gone, below other folders too

    Raises BadValue for a folder that does not exist, MissingExtra without mutagen.
    """
    model = _model_of(library, tagger)
    changes = _changes(library, folders, model=model, options=options)
    with progress(len(changes.new)) as advance:

        def report(song: ScannedFile) -> None:
            advance(1)
            on_song(song)

        counts = _scan(
            library, changes, tagger=tagger, model=model, options=options, on_song=report
        )
    return replace(counts, forgotten=library.forget_missing(model)) if forget else counts


def watch_folders(
    library: Library,
    folders: Sequence[str | Path],
    *,
    tagger: Tagger,
    every_seconds: float,
    options: ScanOptions = ScanOptions(),
    on_song: OnSong = lambda _: None,
) -> Iterator[ScanCounts]:
    """Scan again and again, without end; yields the counts of each scan that found something.

    It lists the folders each time and does not wait for the system's notice: that works on every
    file system, network shares too, and costs about a second for 50,000 files.
    """
    model = _model_of(library, tagger)
    rest = Rest()
    while True:
        # a folder whose disk is disconnected is left out until it is back
        there = [folder for folder in folders if _is_there(folder)]
        changes = _changes(library, there, model=model, options=options, rest=rest)
        if changes:
            yield _scan(
                library, changes, tagger=tagger, model=model, options=options, on_song=on_song
            )
        options = replace(options, retry=False)
        time.sleep(every_seconds)


def _model_of(library: Library, tagger: Tagger) -> LibraryModel:
    return library.add_model(sha256(tagger.model.path), tagger.card)


def _changes(
    library: Library,
    folders: Sequence[str | Path],
    *,
    model: LibraryModel,
    options: ScanOptions,
    rest: Rest | None = None,
) -> FolderChanges:
    require_mutagen()
    return find_changes(
        library, model, folders,
        quick=options.quick, retry=options.retry, choice=options.choice, rest=rest,
    )  # fmt: skip


def _scan(
    library: Library,
    changes: FolderChanges,
    *,
    tagger: Tagger,
    model: LibraryModel,
    options: ScanOptions,
    on_song: OnSong,
) -> ScanCounts:
    library.rename(model, changes.renamed, doubles=changes.doubles)
    read_file = ReadFile(
        options.quick, library.audios(model, quick=options.quick), limits=options.limits
    )
    tally = _Tally()
    for outcome in map_files(
        read_file,
        list(changes.new),
        tagger=tagger,
        workers=options.workers,
        limits=options.limits,
    ):
        if outcome.error is not None:
            # with the size and time from before it was opened, so that the next scan hears what has
            # changed since, and what was gone with its disk
            place = changes.new[outcome.unit] if _is_there(outcome.unit) else NOWHERE
            failure = ScanFailure(outcome.error.kind, str(outcome.error))
            song = ScannedFile(outcome.unit, *place, failure=failure)
            library.put(model, song)
            was_known = False
        else:
            assert outcome.value is not None
            song, was_known = _keep(library, model, outcome.value, quick=options.quick)
        tally.add(song, was_known=was_known, is_new=song.path not in changes.changed)
        on_song(song)
    library.mark_found(model, changes.found)
    return tally.counts(changes, left=library.mark_missing(model, changes.gone))


@dataclass
class _Tally:
    """Counts the songs of a scan as they come.

    new_heard, new_known : audio of files with new paths that were heard, or whose audio was known
    """

    heard: int = 0
    known: int = 0
    failed: int = 0
    new_heard: Counter[bytes] = field(default_factory=Counter)
    new_known: Counter[bytes] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, song: ScannedFile, *, was_known: bool, is_new: bool) -> None:
        """Count a song that was opened; is_new : no song had its path."""
        if song.headline is not None:
            self.kinds[song.kind] += 1
        if song.failure is not None:
            self.failed += 1
            return
        self.known += was_known
        self.heard += not was_known
        assert song.audio is not None  # it was read
        if is_new:
            (self.new_known if was_known else self.new_heard)[song.audio] += 1

    def counts(self, changes: FolderChanges, *, left: Iterable[bytes]) -> ScanCounts:
        """What became of all files; left : audio of gone files that is there under another path."""
        gone = Counter(left)
        moved_known = (self.new_known & gone).total()
        moved_heard = (self.new_heard & (gone - self.new_known)).total()
        copies = self.new_known.total() - moved_known
        return ScanCounts(
            heard=self.heard,
            known=self.known,
            unchanged=changes.unchanged,
            failed=self.failed + changes.failed,
            gone=len(changes.gone) - moved_known - moved_heard,
            unsettled=changes.unsettled,
            doubted=self.kinds.total(),
            unjudged=changes.unjudged,
            kinds=dict(self.kinds.most_common()),
            new=self.new_heard.total() - moved_heard,
            moved=moved_known + moved_heard,
            retagged=self.known - moved_known - copies,
            copies=copies,
            failed_before=changes.failed,
            skipped=changes.skipped,
        )


def _is_there(path: str | Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - exists() raises for what it cannot look at


_TAKEN_AWAY = ScanFailure(
    "not_scanned", "another scan has just deleted what was known of its audio. Scan again"
)


def _keep(
    library: Library, model: LibraryModel, content: FileContent, *, quick: bool
) -> tuple[ScannedFile, bool]:
    """The row of one file, written; and whether its audio was known before."""
    song = content.song
    if content.embedding is not None:
        library.put(model, song, embedding=content.embedding)
        return song, False
    assert song.audio is not None
    known = library.heard(model, song.audio, quick=quick)
    if known is None:  # another scan has just deleted it
        song = replace(song, size=NOWHERE[0], audio=None, failure=_TAKEN_AWAY)
        library.put(model, song)
        return song, False
    other, embedding = known
    song = replace(
        song,
        seconds=other.seconds,
        quick=other.quick,
        damaged_packets=other.damaged_packets,
        scores=other.scores,
        warnings=other.warnings,
    )
    library.put(model, song, embedding=embedding)
    return song, True
