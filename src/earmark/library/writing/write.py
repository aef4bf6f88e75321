"""Writing tags into music files: first the plan, then the change, with a journal to undo it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from earmark import engine
from earmark.arrays import Float32Array
from earmark.audio.packet_hash import audio_hash
from earmark.errors import EarmarkError, UnwritableTags
from earmark.files import sha256
from earmark.library.database import Library, LibraryModel
from earmark.library.settings import TagRules
from earmark.library.song import ScannedFile
from earmark.library.writing.albums import album_of, album_scores
from earmark.library.writing.delta import make_delta
from earmark.library.writing.fields import (
    FIELDS,
    GENRE,
    MOOD,
    Mode,
    Values,
    changed_fields,
    fields_from,
    said_by,
)
from earmark.library.writing.journal import JournalEntry, next_run, note, strike
from earmark.library.writing.rewrite import WritingRun, only_writer, rewrite
from earmark.library.writing.tag_file import read_fields, require_mutagen, write_fields
from earmark.results import rank_tags

_FEW_FILES = 200  # with fewer, one process reads all tags before others have started


@dataclass(frozen=True)
class TagChange:
    """What is to change in one file.

    before, after : values of the fields that change
    kept : genre and mood that the file has and that stay
    """

    song: ScannedFile
    before: Mapping[str, Values]
    after: Mapping[str, Values]
    kept: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True)
class UnwritableFile:
    """A file that cannot be written to, and why."""

    song: ScannedFile
    error: EarmarkError


@dataclass(frozen=True)
class _Compare:
    """The fields of a file that are to change: (before, after, what it has and keeps)."""

    mode: Mode
    settings: TagRules

    def __call__(
        self, unit: tuple[ScannedFile, dict[str, Values]]
    ) -> tuple[dict[str, Values], ...]:
        song, wanted = unit
        check_unchanged(song)
        before = read_fields(song.path, FIELDS)
        after = changed_fields(before, wanted, mode=self.mode, settings=self.settings)
        kept = {
            name: before[name]
            for name in (GENRE, MOOD)
            if name not in after and said_by(before[name], name, settings=self.settings)
        }
        return {name: before[name] for name in after}, after, kept


def plan_writing(
    library: Library,
    model: LibraryModel,
    *,
    settings: TagRules,
    mode: Mode = "fill",
    below: Path | None = None,
    only: Collection[Path] | None = None,
    doubted: bool = False,
    by_album: bool = False,
    everything: bool = False,
    workers: int | None = None,
) -> Iterator[TagChange | UnwritableFile]:
    """What writing would change, file by file; nothing is written.

    below : only the files of a folder, or one file
    only : only these files
    doubted : also what is not music, whose tags mean little
    by_album : the songs of an album get its genre, that of the mean of their scores
    everything : also files that have these values already, as changes of nothing

    Raises MissingExtra where mutagen is not installed.
    """
    require_mutagen()

    def heard(below: Path | None) -> Iterator[ScannedFile]:
        for song in library.songs(model, below=below, failed=False):
            if doubted or song.headline is None:
                yield song

    albums = album_scores(heard(None)) if by_album else {}
    songs = (song for song in heard(below) if only is None or song.path in only)
    first = list(islice(songs, _FEW_FILES))
    if len(first) < _FEW_FILES and workers is None:
        workers = 1

    def fields_of(scores: Float32Array) -> dict[str, Values]:
        tags = rank_tags(model.card, scores)
        return fields_from(tags, settings=settings, model=model.card.name, sha256=model.sha256)

    def units() -> Iterator[tuple[ScannedFile, dict[str, Values]]]:
        for song in chain(first, songs):
            assert song.scores is not None
            wanted = fields_of(song.scores)
            album = album_of(song)
            if album in albums:
                wanted[GENRE] = fields_of(albums[album])[GENRE]
            yield song, wanted

    for outcome in engine.map_units(_Compare(mode, settings), units(), workers=workers):
        song = outcome.unit[0]
        if outcome.error is not None:
            yield UnwritableFile(song, outcome.error)
            continue
        assert outcome.value is not None
        before, after, kept = outcome.value
        if after or everything:
            yield TagChange(song, before, after, kept)


def left_out(
    library: Library,
    model: LibraryModel,
    *,
    below: Path | None = None,
    only: Collection[Path] | None = None,
) -> Counter[str]:
    """How many songs a plan leaves out because they are not music, by the kind of sound."""
    songs = library.songs(model, below=below, failed=False)
    return Counter(
        song.kind
        for song in songs
        if song.headline is not None and (only is None or song.path in only)
    )


def write_tags(
    library: Library, planned: Iterable[TagChange | UnwritableFile], *, keep_mtime: bool = False
) -> Iterator[TagChange | UnwritableFile]:
    """Carry out a plan; yields each change, or why a file was not written. Undo: the journal.

    keep_mtime : keep the modification time of files

    Raises FolderInUse while another run writes with this library.
    """
    with only_writer(library) as writing:
        run = next_run(library)
        for change in planned:
            if isinstance(change, UnwritableFile) or not change.after:
                yield change
                continue
            try:
                _write_one(library, writing, change, run=run, keep_mtime=keep_mtime)
            except EarmarkError as error:
                yield UnwritableFile(change.song, error)
            else:
                yield change


def check_unchanged(song: ScannedFile) -> None:
    """Raise UnwritableTags if a file has changed since it was scanned."""
    try:
        status = song.path.stat()
    except OSError as error:
        raise UnwritableTags(song.path, f"{error.strerror}. Scan again") from error
    if (status.st_size, status.st_mtime_ns) != (song.size, song.mtime_ns):
        raise UnwritableTags(song.path, "it has changed since it was scanned. Scan again")


def _write_one(
    library: Library, writing: WritingRun, change: TagChange, *, run: int, keep_mtime: bool
) -> None:
    song = change.song
    check_unchanged(song)
    audio = song.audio
    assert audio is not None  # it was heard
    noted: list[JournalEntry] = []

    def make(file: Path, copy: Path) -> None:
        write_checked(file, copy, change.after)
        entry = JournalEntry(
            run, song.path, audio, song.mtime_ns, dict(change.before), dict(change.after),
            sha256(file), sha256(copy), make_delta(file, copy),
        )  # fmt: skip
        noted.append(note(library, entry))

    try:
        rewrite(writing, song.path, make, mtime_ns=song.mtime_ns if keep_mtime else None)
    except EarmarkError:
        with suppress(OSError):
            for entry in noted:  # after a kill it stays, and undo finds that nothing changed
                if sha256(song.path) != entry.after_sha256:
                    strike(library, entry)
        raise
    library.restat(song.path, size=song.size, mtime_ns=song.mtime_ns)


def write_checked(file: Path, copy: Path, values: Mapping[str, Values]) -> None:
    """Write fields into a copy of a file; see that they are there, and that the audio is the same.

    Raises UnwritableTags where it is not so: the file is damaged then.
    """
    write_fields(copy, values)
    if audio_hash(copy) != audio_hash(file):
        raise UnwritableTags(
            file, "writing its tags would change its audio: it is damaged. The file is unchanged"
        )
    try:
        found = read_fields(copy, values)
    except UnwritableTags:  # whose reason may name the copy
        found = {}
    if found != dict(values):
        raise UnwritableTags(
            file, "tags written into it cannot be read again: it is damaged. The file is unchanged"
        )
