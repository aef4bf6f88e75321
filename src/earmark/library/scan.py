"""Hear what is new in folders, follow what has moved, note what is gone; once or for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from earmark.files import sha256
from earmark.library.changes import NOWHERE, Survey, survey
from earmark.library.database import Library, LibraryModel
from earmark.library.hearing import Hear, Heard
from earmark.library.song import ScanFailure, ScannedFile
from earmark.library.writing.tag_file import require_mutagen
from earmark.tagger import Tagger, map_files

SETTLE_SECONDS = 5.0  # a watched file that changed less than that ago may still be written


@dataclass(frozen=True)
class ScanOptions:
    """How folders are scanned.

    workers : processes; None is one for each core, and none but this one for a few files
    quick : hear three windows of each song instead of every second
    retry : try again what could not be heard before, and hear what was not judged (Song.warnings)
    """

    workers: int | None = None
    quick: bool = False
    retry: bool = False


@dataclass(frozen=True)
class Counts:
    """What became of the files of one scan.

    heard : were heard; known : had moved, or only their tags had changed; unchanged : were not
    opened; failed : could not be heard, now or before; gone : are no longer there; unsettled :
    changed a moment ago and wait for the next scan; doubted : of those that were heard or known,
    are silence or noise; unjudged : of the unchanged, were heard before that was judged
    """

    heard: int
    known: int
    unchanged: int
    failed: int
    gone: int
    unsettled: int
    doubted: int
    unjudged: int


def use_model(library: Library, tagger: Tagger) -> LibraryModel:
    """The library's name for a loaded model."""
    return library.add_model(sha256(tagger.model.path), tagger.card)


def look(
    library: Library,
    folders: Sequence[str | Path],
    *,
    model: LibraryModel,
    options: ScanOptions = ScanOptions(),
    settle_seconds: float = 0.0,
) -> Survey:
    """What a scan of these folders has to do. Raises MissingExtra where it cannot be done."""
    require_mutagen()
    return survey(
        library, model, folders,
        quick=options.quick, retry=options.retry, settle_seconds=settle_seconds,
    )  # fmt: skip


def scan(
    library: Library,
    found: Survey,
    *,
    tagger: Tagger,
    model: LibraryModel,
    options: ScanOptions = ScanOptions(),
    report: Callable[[ScannedFile], None] = lambda _: None,
) -> Counts:
    """Hear what a survey found to be new; each song is in the library as soon as it was heard.

    report : called with each song that was opened, in order, failures among them
    """
    hear = Hear(options.quick, library.audios(model, quick=options.quick))
    n_heard = n_known = n_failed = n_doubted = 0
    for outcome in map_files(hear, list(found.new), tagger=tagger, workers=options.workers):
        if outcome.error is not None:
            # with the size and time from before it was opened, so that the next scan takes up what
            # has changed since, and what is gone with its disk
            place = found.new[outcome.unit] if _is_there(outcome.unit) else NOWHERE
            failure = ScanFailure(outcome.error.kind, str(outcome.error))
            song = ScannedFile(outcome.unit, *place, failure=failure)
            library.put(model, song)
            was_known = False
        else:
            assert outcome.value is not None
            song, was_known = _keep(library, model, outcome.value, quick=options.quick)
        n_failed += song.failure is not None
        n_known += was_known
        n_doubted += song.headline is not None
        n_heard += song.failure is None and not was_known
        report(song)
    library.mark_found(model, found.found)
    library.mark_missing(model, found.gone)
    return Counts(
        heard=n_heard,
        known=n_known,
        unchanged=found.unchanged,
        failed=n_failed + found.failed,
        gone=len(found.gone),
        unsettled=found.unsettled,
        doubted=n_doubted,
        unjudged=found.unjudged,
    )


def watch(
    library: Library,
    folders: Sequence[str | Path],
    *,
    tagger: Tagger,
    model: LibraryModel,
    every_seconds: float,
    options: ScanOptions = ScanOptions(),
    report: Callable[[ScannedFile], None] = lambda _: None,
) -> Iterator[Counts]:
    """Scan again and again, for ever; yields the counts of each scan that found something to do.

    It asks the disk and does not wait to be told: that works on every file system, network shares
    among them, and costs a second or so for 50,000 files.
    """
    while True:
        there = [folder for folder in folders if _is_there(folder)]  # a disk may go and come
        found = look(library, there, model=model, options=options, settle_seconds=SETTLE_SECONDS)
        if found.new or found.gone or found.found:
            yield scan(library, found, tagger=tagger, model=model, options=options, report=report)
        options = replace(options, retry=False)
        time.sleep(every_seconds)


def _is_there(path: str | Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - exists() raises for what it cannot look at


_TAKEN_AWAY = ScanFailure(
    "not_scanned", "its audio was known until another scan forgot it. The next scan hears it"
)


def _keep(
    library: Library, model: LibraryModel, heard: Heard, *, quick: bool
) -> tuple[ScannedFile, bool]:
    """The row of one file, written; and whether its audio was known before."""
    song = heard.song
    if heard.embedding is not None:
        library.put(model, song, embedding=heard.embedding)
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
