"""From audio to a store of spectrograms: every song of a catalog, in its order.

A unit of work is one song, so that a file that crashes the decoder fails alone. What stands is
whole shards: kill the run anywhere, start it again, and it goes on with the first missing shard.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from earmark import windows
from earmark.arrays import Float32Array
from earmark.audio import AUDIO_SUFFIXES, stream_audio
from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.store.format import (
    Row,
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
from earmark.engine import Outcome, map_units
from earmark.errors import BadStore, DataError, EarmarkError, MissingExtra, NoAudio, UnreadableAudio
from earmark.features import log_mel
from earmark.files import json_line
from earmark.folder_lock import disk_errors, only_run_in


def write_shards(
    catalog: Catalog,
    folder: str | Path,
    *,
    form: StoreFormat,
    audio: str | Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    retry: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> StoreIndex:
    """Write, or go on writing, the store of a catalog; returns its index.

    audio : folder with `<id>.<suffix>`, or with `audio/<id>.<suffix>` as `earmark data previews`
        makes it; a song that has no file there is looked for at its path of the catalog
    workers, ray : as of engine.map_units
    retry : make those shards again of which a song failed for another reason than having no audio
        file, or has one now
    progress : called with how many more songs are done

    A song without a clip has a row that says why. Raises BadStore where the folder holds another
    store, FolderInUse, and DataError where no song has audio or the disk says no.
    """
    _blas()  # what every song needs is missing once, not song by song
    folder = Path(folder)
    files = _AudioFiles(None if audio is None else Path(audio))
    with only_run_in(folder), disk_errors(folder):
        parts = list(_parts(catalog, form))
        if not any(files.of(song) for part in parts for song in part.songs()):
            raise DataError(f"not one of the {len(catalog)} songs has an audio file{files.where}")
        _check_folder(folder, parts)
        todo = [
            part
            for part in parts
            if not _is_done(folder, part) or (retry and _is_worth_it(folder, part, files))
        ]
        progress(sum(part.n_songs for part in parts) - sum(part.n_songs for part in todo))
        if todo:
            (folder / INDEX).unlink(missing_ok=True)  # the store is not whole until the end
        units = (_Unit(song, files.of(song)) for part in todo for song in part.songs())
        with closing(map_units(_Listener(form), units, workers=workers, ray=ray)) as outcomes:
            for part in todo:
                # a shard without its sidecar is not there, so no pair can be half old, half new
                (folder / f"{part.name}.parquet").unlink(missing_ok=True)
                rows = (_row(outcome, files) for outcome in islice(outcomes, part.n_songs))
                write_shard(folder, part.number, _told(rows, progress), card=part.card)
        names = [part.name for part in parts]
        index = make_index(folder, names, form=form, tags=catalog.tags)
        write_index(folder, index)
    return index


@dataclass(frozen=True)
class _Part:
    """One shard to be: so many songs of the catalog, from `first` on."""

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
    song: Song
    path: Path | None


@dataclass(frozen=True)
class _Listener:
    """The work on one song."""

    form: StoreFormat

    def __call__(self, unit: _Unit) -> StoredClip:
        if unit.path is None:
            raise NoAudio("no audio file")
        settings = self.form.features
        stream = _Counted(unit.path, settings.rate)
        [window] = windows.centre(stream, settings=settings)
        with _blas().limit(limits=1):  # sums of several threads differ in their last bits
            spectrogram = log_mel(window.samples, settings=settings)
        codes, offset, step = pack(spectrogram, dtype=self.form.dtype)
        seconds = stream.n_samples / settings.rate
        return StoredClip(codes, offset, step, crc32c(codes), seconds, stream.damaged_packets)


@lru_cache(maxsize=1)
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("threadpoolctl", "data") from error
    return ThreadpoolController().select(user_api="blas")


class _Counted:
    """The blocks of a file, counted as they pass."""

    def __init__(self, path: Path, rate: int) -> None:
        self.n_samples = self.damaged_packets = 0
        self._path, self._rate = path, rate

    def __iter__(self) -> Iterator[Float32Array]:
        stream = stream_audio(self._path, rate=self._rate)
        for block in stream:
            self.n_samples += block.size
            yield block
        self.damaged_packets = stream.damaged_packets


class _AudioFiles:
    """Where the audio of each song is."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.where = "" if folder is None else f" in {folder}"
        self._by_id: dict[str, Path] = {}
        if folder is None:
            return
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}")
        for place in (folder / "audio", folder):
            if not place.is_dir():
                continue
            for name in sorted(os.listdir(place)):  # noqa: PTH208 - a quarter million of names
                stem, dot, suffix = name.rpartition(".")
                if stem and not name.startswith(".") and dot + suffix.lower() in AUDIO_SUFFIXES:
                    self._by_id.setdefault(stem, place / name)

    def of(self, song: Song) -> Path | None:
        if song.id in self._by_id or not song.path:
            return self._by_id.get(song.id)
        path = Path(song.path) if self.folder is None else self.folder / song.path
        return path if os.path.isfile(path) else None  # noqa: PTH113 - also false for no rights

    def source(self, path: Path | None) -> str:
        """The same text wherever the folder is."""
        if path is None:
            return ""
        if self.folder is not None and path.is_relative_to(self.folder):
            path = path.relative_to(self.folder)
        return path.as_posix()


def _parts(catalog: Catalog, form: StoreFormat) -> Iterator[_Part]:
    songs = iter(catalog)
    for number, first in enumerate(range(0, len(catalog), form.clips_per_shard)):
        digest = hashlib.sha256()
        n_songs = 0
        for song in islice(songs, form.clips_per_shard):
            digest.update(json_line([song.id, song.split, song.path, song.tags]).encode() + b"\n")
            n_songs += 1
        card = shard_card(form, tags=catalog.tags, songs_sha256=digest.hexdigest())
        yield _Part(catalog, number, first, n_songs, card)


def _row(outcome: Outcome[_Unit, StoredClip], files: _AudioFiles) -> Row:
    song, path = outcome.unit.song, outcome.unit.path
    error = None if outcome.error is None else _in_words(outcome.error)
    return Row(song.id, song.split, song.tags, files.source(path), outcome.value, error)


def _told(rows: Iterable[Row], progress: Callable[[int], object]) -> Iterator[Row]:
    for row in rows:
        yield row
        progress(1)


def _in_words(error: EarmarkError) -> tuple[str, str]:
    # without the path, which stands in the row and is another one after the folder has moved
    return error.kind, error.reason if isinstance(error, UnreadableAudio) else str(error)


def _check_folder(folder: Path, parts: list[_Part]) -> None:
    if (folder / INDEX).exists():
        read_index(folder)  # for its version
    extra = set(shard_names(folder)) - {part.name for part in parts}
    if extra:
        raise BadStore(
            f"{folder} holds shards of a larger catalog ({', '.join(sorted(extra)[:3])}). "
            "Take another folder"
        )


def _is_done(folder: Path, part: _Part) -> bool:
    """Whether a shard stands; raises BadStore if it is one of another store."""
    sidecar, clips = folder / f"{part.name}.parquet", folder / f"{part.name}.npy"
    if not sidecar.exists() or not clips.exists():
        return False
    card = read_card(sidecar)
    if card != part.card:
        other = sorted(key for key in part.card if card.get(key) != part.card[key])
        raise BadStore(
            f"{sidecar} was made with other {' and '.join(other)} than this run asks for. Give the "
            "same catalog and options to go on with that store, or take another folder"
        )
    return True


def _is_worth_it(folder: Path, part: _Part, files: _AudioFiles) -> bool:
    """Whether a shard that stands may have more clips if it is made again."""
    kinds = read_sidecar(folder / f"{part.name}.parquet")[1]["error_kind"].to_pylist()
    return any(
        kind is not None and (kind != "no_audio" or files.of(song) is not None)
        for kind, song in zip(kinds, part.songs(), strict=True)
    )
