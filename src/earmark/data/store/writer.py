"""The writer of a store: a spectrogram of every song of a catalog, in the order of the catalog.

A unit of work is one song, so that a file that crashes the decoder fails alone. Only whole shards
are kept: kill the run anywhere, start it again, and it goes on with the first missing shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from earmark import windows
from earmark.audio import AUDIO_SUFFIXES
from earmark.audio.budget import deadline, memory
from earmark.audio.find import FILM_SUFFIXES
from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.song_audio import SongAudio, files_in
from earmark.data.store.format import (
    ShardRow,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    read_card,
    read_sidecar,
    shard_card,
    shard_name,
    shard_names,
    write_shard,
)
from earmark.data.store.index import INDEX, StoreIndex, make_index, read_index, write_index
from earmark.data.store.verify import damaged_shards
from earmark.engine import Outcome, map_units
from earmark.errors import BadStore, DataError, EarmarkError, MissingExtra, NoAudio, UnreadableAudio
from earmark.features import log_mel
from earmark.files import json_line
from earmark.folder_lock import disk_errors, only_run_in

# A file that has a song's id for its name is that song's audio, be it a film.
_SUFFIXES = AUDIO_SUFFIXES | FILM_SUFFIXES


def write_shards(
    catalog: Catalog,
    folder: str | Path,
    *,
    store_format: StoreFormat,
    audio: str | Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    retry: bool = False,
    limits: bool = True,
    repair: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> StoreIndex:
    """Write, or go on writing, the store of a catalog; returns its index.

    audio : folder with `<id>.<suffix>`, or with `audio/<id>.<suffix>` as `earmark data previews`
        makes it; a song without such a file is looked for at the path that the catalog gives
    workers, ray : as of engine.map_units
    retry : make shards again that have a song which failed, except where it still has no audio
        file
    limits : refuse a file that costs too much for the music in it; False hears it all the same
    repair : read every shard that is there, as `verify_store` does, and make damaged ones again
    progress : called with how many more songs are done

    A song without a clip has a row that says why. Raises BadStore where the folder holds another
    store, FolderInUse, and DataError where no song has audio or the folder cannot be written to.
    """
    _blas()  # a missing library is reported once, and not for each song
    folder, audio_folder = Path(folder), None if audio is None else Path(audio)
    files = _song_audio(audio_folder)
    with only_run_in(folder), disk_errors(folder):
        shards = list(_plan(catalog, store_format))
        if not any(files.of(song.id, song.path) for song in catalog):
            where = "" if audio_folder is None else f" in {audio_folder}"
            raise DataError(
                f"none of the {len(catalog)} songs has an audio file{where}. Check the "
                "audio folder, or the paths in the catalog"
            )
        _check_folder(folder, shards, repair=repair)
        if repair:
            _drop_damaged(folder, shards, store_format, catalog.tags, workers)
        todo = [
            shard
            for shard in shards
            if not _is_done(folder, shard) or (retry and _can_gain(folder, shard, files))
        ]
        progress(sum(shard.n_songs for shard in shards) - sum(shard.n_songs for shard in todo))
        if todo:
            (folder / INDEX).unlink(missing_ok=True)  # the store is unfinished until the end
        units = (
            _unit(song, files.of(song.id, song.path), audio_folder)
            for shard in todo
            for song in shard.songs()
        )
        with closing(
            map_units(
                _MakeClip(store_format, limits=limits),
                units,
                workers=workers,
                ray=ray,
                deadline=deadline(limits=limits),
                memory=memory(limits=limits),
            )
        ) as outcomes:
            for shard in todo:
                # a shard counts only with its sidecar, so no pair can be half old and half new
                (folder / f"{shard.name}.parquet").unlink(missing_ok=True)
                rows = (_row(outcome) for outcome in islice(outcomes, shard.n_songs))
                write_shard(folder, shard.number, _counted(rows, progress), card=shard.card)
        names = [shard.name for shard in shards]
        index = make_index(folder, names, store_format=store_format, tags=catalog.tags)
        write_index(folder, index)
    return index


@dataclass(frozen=True)
class _PlannedShard:
    """A shard to be written: `n_songs` songs of the catalog, from `first` on."""

    catalog: Catalog
    number: int
    first: int
    n_songs: int
    card: dict[str, object]

    @property
    def name(self) -> str:
        return shard_name(self.number)

    def songs(self) -> Iterator[Song]:
        return (self.catalog[row] for row in range(self.first, self.first + self.n_songs))


@dataclass(frozen=True)
class _Unit:
    """One song, and its audio.

    path : absolute, since a worker on another machine has another working folder
    source : the path as the row holds it
    """

    song: Song
    path: Path | None
    source: str


@dataclass(frozen=True)
class _MakeClip:
    """The work on one song: from its audio to its clip."""

    format: StoreFormat
    limits: bool

    def __call__(self, unit: _Unit) -> StoredClip:
        if unit.path is None:
            raise NoAudio("no audio file")
        settings = self.format.features
        track = windows.Track(
            unit.path, target_rate=settings.rate, with_unrest=False, limits=self.limits
        )
        [window] = windows.centre_of(track, settings=settings)
        with _blas().limit(limits=1):  # sums of several threads differ in their last bits
            spectrogram = log_mel(window.samples, settings=settings)
        codes, offset, step = pack(spectrogram, dtype=self.format.dtype)
        seconds = track.n_samples / settings.rate
        return StoredClip(codes, offset, step, crc32c(codes), seconds, track.damaged_packets)


@lru_cache(maxsize=1)
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("threadpoolctl", "data") from error
    return ThreadpoolController().select(user_api="blas")


def _song_audio(folder: Path | None) -> SongAudio:
    """The audio of the songs: in an audio folder, or in one that `earmark data previews` made."""
    if folder is None:
        return SongAudio([])
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. Check the name")
    places = (folder / "audio", folder)
    files = (file for place in places for file in files_in(place, suffixes=_SUFFIXES))
    return SongAudio(files, root=folder)


def _unit(song: Song, path: Path | None, folder: Path | None) -> _Unit:
    if path is None:
        return _Unit(song, None, "")
    # in the row, the same text wherever the folder is
    inside = folder is not None and path.is_relative_to(folder)
    source = path.relative_to(folder) if folder is not None and inside else path
    return _Unit(song, path.absolute(), source.as_posix())


def _plan(catalog: Catalog, store_format: StoreFormat) -> Iterator[_PlannedShard]:
    songs = iter(catalog)
    for number, first in enumerate(range(0, len(catalog), store_format.clips_per_shard)):
        digest = hashlib.sha256()
        n_songs = 0
        for song in islice(songs, store_format.clips_per_shard):
            digest.update(json_line([song.id, song.split, song.path, song.tags]).encode() + b"\n")
            n_songs += 1
        card = shard_card(store_format, tags=catalog.tags, songs_sha256=digest.hexdigest())
        yield _PlannedShard(catalog, number, first, n_songs, card)


def _row(outcome: Outcome[_Unit, StoredClip]) -> ShardRow:
    song, source = outcome.unit.song, outcome.unit.source
    error = None if outcome.error is None else _in_words(outcome.error)
    return ShardRow(song.id, song.split, song.tags, source, outcome.value, error)


def _counted(rows: Iterable[ShardRow], progress: Callable[[int], object]) -> Iterator[ShardRow]:
    for row in rows:
        yield row
        progress(1)


def _in_words(error: EarmarkError) -> tuple[str, str]:
    # without the path: the row has it, and it changes when the folder moves
    return error.kind, error.reason if isinstance(error, UnreadableAudio) else str(error)


def _drop_damaged(
    folder: Path,
    shards: list[_PlannedShard],
    store_format: StoreFormat,
    tags: tuple[str, ...],
    workers: int | None,
) -> None:
    """Delete the sidecars of damaged shards: without its sidecar a shard is not done."""
    there = [shard for shard in shards if (folder / f"{shard.name}.parquet").exists()]
    damaged = damaged_shards(
        folder,
        [shard.name for shard in there],
        store_format=store_format,
        tags=tags,
        workers=workers,
    )
    for shard in there:
        if shard.name not in damaged:
            _is_done(folder, shard)  # before anything is deleted: this is the same store
    for name in damaged:
        (folder / f"{name}.parquet").unlink()


def _check_folder(folder: Path, shards: list[_PlannedShard], *, repair: bool) -> None:
    if (folder / INDEX).exists() and not repair:
        read_index(folder)  # for its version
    extra = set(shard_names(folder)) - {shard.name for shard in shards}
    if extra:
        raise BadStore(
            f"{folder} holds shards of a larger catalog ({', '.join(sorted(extra)[:3])}). "
            "Take another folder"
        )


def _is_done(folder: Path, shard: _PlannedShard) -> bool:
    """Whether a shard is finished. Raises BadStore if it is a shard of another store."""
    sidecar, clips = folder / f"{shard.name}.parquet", folder / f"{shard.name}.npy"
    if not sidecar.exists() or not clips.exists():
        return False
    card = read_card(sidecar)
    if card != shard.card:
        other = sorted(key for key in shard.card if card.get(key) != shard.card[key])
        raise BadStore(
            f"{sidecar} was made with other {' and '.join(other)} than this run asks for. Give the "
            "same catalog and options to go on with that store, or take another folder"
        )
    return True


def _can_gain(folder: Path, shard: _PlannedShard, files: SongAudio) -> bool:
    """Whether a finished shard may get more clips if it is made again."""
    kinds = read_sidecar(folder / f"{shard.name}.parquet")[1]["error_kind"].to_pylist()
    if len(kinds) != shard.n_songs:
        return True  # it is damaged
    return any(
        kind is not None and (kind != "no_audio" or files.of(song.id, song.path) is not None)
        for kind, song in zip(kinds, shard.songs(), strict=True)
    )
