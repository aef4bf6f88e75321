"""The import of a store: spectrograms made elsewhere, in the formats that `exporting` writes."""

from __future__ import annotations

import csv
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.catalog.schema import is_id, is_split
from earmark.data.catalog.splits import By, split_songs, split_validation
from earmark.data.store.exporting import ABOUT, LABELS, SONGS, SPECTRUM
from earmark.data.store.format import (
    DType,
    ShardRow,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    shard_card,
    shard_name,
    shard_names,
    write_shard,
)
from earmark.data.store.index import StoreIndex, make_index, write_index
from earmark.errors import BadCatalog, BadStore, BadValue, FeatureMismatch
from earmark.features import LogMel, preset
from earmark.files import parse_json
from earmark.folder_lock import disk_errors, only_run_in
from earmark.tags import MSD_50

_TARS = (".tar", ".tar.gz", ".tgz")
_LARGEST_JSON = 1 << 20  # bytes of one clip's description
_MOST_WAITING = 1000  # halves of pairs in memory


@dataclass(frozen=True)
class NewSplits:
    """Splits that are drawn for the songs of an import, in place of those in its files.

    validation, test : shares of the songs; without `test`, songs that are in test stay there, and
        `validation` is a share of the others
    by : "artist" keeps the songs of an artist together, where the files name artists
    """

    validation: float = 0.0
    test: float | None = None
    by: By = "song"
    seed: int = 0


def import_store(
    source: str | Path,
    folder: str | Path,
    *,
    features: str | None = None,
    dtype: DType = "float16",
    splits: NewSplits | None = None,
) -> StoreIndex:
    """Write a new store from all tars or pairs in the folder `source`; returns its index.

    features : the preset that made them, where no about.json names it. Labels then have the 50
        columns of the Million Song Dataset, and the id of a clip is its place.
    splits : None keeps the splits that the files have, if any

    Raises BadStore for files that do not fit together and for a folder that holds a store, and
    BadValue for splits that cannot be drawn.
    """
    source, folder = Path(source), Path(folder)
    if not source.is_dir():
        raise BadStore(f"{source} is not a folder of tars or of pairs of arrays. Give one")
    settings, tags = _read_about(source, features)
    store_format = StoreFormat(settings, dtype)
    split_of = None if splits is None else _drawn(source, tags, store_format, splits)
    songs = chain(_from_tars(source, store_format), _from_pairs(source, tags))
    rows = _rows(songs, store_format, tags, split_of)
    card = shard_card(store_format, tags=tags, songs_sha256="")
    with only_run_in(folder), disk_errors(folder):
        if shard_names(folder):
            raise BadStore(f"{folder} already holds shards. Take another folder")
        names: list[str] = []
        for row in rows:  # the first of each shard
            shard = chain([row], islice(rows, store_format.clips_per_shard - 1))
            write_shard(folder, len(names), shard, card=card)
            names.append(shard_name(len(names)))
        if not names:
            raise BadStore(f"{source} holds no *.tar, no *.tar.gz and no *{SPECTRUM}. Give another")
        index = make_index(folder, names, store_format=store_format, tags=tags)
        write_index(folder, index)
    return index


@dataclass(frozen=True, eq=False)
class _ForeignClip:
    """A clip and its song, as a tar or a pair of arrays gives them.

    log_mel : None in a listing, which reads no spectrograms
    """

    id: str
    split: str
    artist: str
    tags: list[str] | None
    source: Path
    log_mel: npt.NDArray[Any] | None


def _drawn(
    source: Path, tags: tuple[str, ...], store_format: StoreFormat, splits: NewSplits
) -> dict[str, str]:
    """{id: split}, from a first reading of the files that leaves their spectrograms out."""
    listed = chain(_from_tars(source, store_format, listing=True), _from_pairs(source, tags))
    try:
        catalog = Catalog.from_songs(
            (
                Song(song.id, artist=song.artist, split=song.split, tags=_in_order(song.tags, tags))
                for song in listed
            ),
            tags=tags,
        )
    except BadCatalog as error:
        raise BadStore(f"{source}: {error}. Correct it there") from error
    if splits.test is None:
        catalog = split_validation(
            catalog, by=splits.by, fraction=splits.validation, seed=splits.seed
        )
    else:
        fractions = (1 - splits.validation - splits.test, splits.validation, splits.test)
        catalog = split_songs(catalog, by=splits.by, fractions=fractions, seed=splits.seed)
    return dict(zip(catalog.ids, catalog.splits, strict=True))


def _in_order(of_one: list[str] | None, tags: tuple[str, ...]) -> tuple[str, ...] | None:
    """Tags in the order of the vocabulary; unknown ones stay, for an error to name them."""
    if of_one is None:
        return None
    return (*(tag for tag in tags if tag in of_one), *(tag for tag in of_one if tag not in tags))


def _rows(
    songs: Iterator[_ForeignClip],
    store_format: StoreFormat,
    tags: tuple[str, ...],
    split_of: dict[str, str] | None,
) -> Iterator[ShardRow]:
    ids: set[str] = set()
    for song in songs:
        assert song.log_mel is not None
        if not is_id(song.id) or song.id in ids:
            raise BadStore(
                f"{song.source}: the id {song.id!r} cannot be a file name, or is there twice. "
                "Give each song its own"
            )
        split = song.split if split_of is None else split_of[song.id]
        if not is_split(split):
            raise BadStore(
                f"{song.source}: the split of {song.id} is {split!r}; it must be train, valid, "
                "test, a fold number or empty"
            )
        if not set(tags).issuperset(song.tags or ()):
            raise BadStore(
                f"{song.source}: {song.id} has tags that {ABOUT} should list, and does not: "
                f"{song.tags}"
            )
        log_mel = song.log_mel.squeeze()
        if log_mel.shape != store_format.clip_shape or not np.issubdtype(
            log_mel.dtype, np.floating
        ):
            raise BadStore(
                f"{song.source}: {song.id} is {song.log_mel.dtype} {song.log_mel.shape}; the "
                f"features {store_format.features.name} give float32 {store_format.clip_shape}"
            )
        if not np.isfinite(log_mel).all() or np.abs(log_mel).max() > np.finfo(np.float16).max:
            raise BadStore(f"{song.source}: {song.id} holds values that cannot be dB. Leave it out")
        ids.add(song.id)
        codes, offset, step = pack(
            np.ascontiguousarray(log_mel, np.float32), dtype=store_format.dtype
        )
        clip = StoredClip(codes, offset, step, crc32c(codes))
        of_song = _in_order(song.tags, tags)
        yield ShardRow(song.id, split, of_song, song.source.name, clip, None)


def _read_about(source: Path, features: str | None) -> tuple[LogMel, tuple[str, ...]]:
    path = source / ABOUT
    if not path.exists():
        if features is None:
            raise BadValue(
                f"{source} has no {ABOUT}: name with --features how its spectrograms were made"
            )
        return preset(features), MSD_50
    try:
        about = parse_json(path.read_bytes())
        settings, tags = LogMel.from_dict(about["features"]), tuple(about["tags"])
    except (OSError, ValueError, KeyError, TypeError, FeatureMismatch) as error:
        raise BadStore(f"{path} is damaged: it should hold features and tags ({error})") from error
    if features is not None:
        preset(features).require(settings, what=str(path))
    return settings, tags


def _from_tars(
    source: Path, store_format: StoreFormat, *, listing: bool = False
) -> Iterator[_ForeignClip]:
    for path in sorted(path for path in source.iterdir() if path.name.endswith(_TARS)):
        try:
            with tarfile.open(path) as tar:
                yield from _members(path, tar, store_format, listing=listing)
        except (
            tarfile.TarError, ValueError, KeyError, TypeError, EOFError, OSError, zlib.error,
            AttributeError, MemoryError,
        ) as error:  # fmt: skip
            raise BadStore(
                f"{path} is damaged, or not packed as WebDataset does ({error}). Pack it again"
            ) from error


def _members(
    path: Path, tar: tarfile.TarFile, store_format: StoreFormat, *, listing: bool
) -> Iterator[_ForeignClip]:
    """The pairs of a tar, `<key>.npy` and `<key>.json` in either order, as WebDataset names them.

    A key ends at the first dot of a file's name; dots in the names of folders belong to it.
    """
    # float64, and NumPy's header
    largest = store_format.clip_shape[0] * store_format.clip_shape[1] * 8 + 65536
    waiting: dict[str, dict[str, Any]] = {}
    for member in tar:
        folder, _, file_name = member.name.removeprefix("./").rpartition("/")
        stem, _, suffix = file_name.partition(".")
        if suffix not in ("npy", "json") or not stem or not member.isfile():
            continue  # a folder, a link, or what others keep beside
        if member.size > (largest if suffix == "npy" else _LARGEST_JSON):
            raise BadStore(
                f"{path}: {member.name} has {member.size} bytes, too many for one clip. "
                "Leave it out"
            )
        file = tar.extractfile(member)
        assert file is not None
        pair = waiting.setdefault(f"{folder}/{stem}", {})
        if suffix in pair:
            raise BadStore(f"{path}: {member.name} is there twice. Leave one out")
        if suffix == "json":
            pair[suffix] = parse_json(file.read())
        elif listing:
            pair[suffix] = None
        else:
            pair[suffix] = np.load(io.BytesIO(file.read()), allow_pickle=False)
        if len(pair) == 2:
            del waiting[f"{folder}/{stem}"]
            yield _clip(path, stem, pair["json"], pair["npy"])
        elif len(waiting) > _MOST_WAITING:
            break
    if waiting:
        names = ", ".join(key.removeprefix("/") for key in sorted(waiting)[:3])
        raise BadStore(
            f"{path}: {names} have no partner, .npy or .json, near them. Pack each pair side by "
            "side, as `tar --sort=name` does"
        )


def _clip(path: Path, stem: str, about: Any, log_mel: npt.NDArray[Any] | None) -> _ForeignClip:
    song_id, tags = about.get("id", stem), about.get("tags")
    texts = (song_id, split := about.get("split", ""), artist := about.get("artist", ""))
    if not all(isinstance(text, str) for text in (*texts, *(tags or ()))):
        raise ValueError(f"{stem}.json holds numbers where texts belong")
    return _ForeignClip(song_id, split, artist, tags, path, log_mel)


def _from_pairs(source: Path, tags: tuple[str, ...]) -> Iterator[_ForeignClip]:
    for path in sorted(source.glob(f"*{SPECTRUM}"), key=_first_clip):
        stem = path.name.removesuffix(SPECTRUM)
        try:
            # mapped: the files of the report are larger than the memory of many machines
            spectra = np.load(path, mmap_mode="r", allow_pickle=False)
            labels = np.load(source / (stem + LABELS), allow_pickle=False)
            songs = _songs_of(source / (stem + SONGS), _first_clip(path), len(spectra))
        except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
            raise BadStore(
                f"{path} and {stem}{LABELS} cannot be read: {error}. Make them again"
            ) from error
        if labels.shape != (len(spectra), len(tags)) or len(songs) != len(spectra):
            raise BadStore(
                f"{path} has {len(spectra)} clips, {stem}{LABELS} labels {labels.shape} and "
                f"{stem}{SONGS} {len(songs)} songs; there are {len(tags)} tags. "
                "Give files of the same songs"
            )
        for song, spectrum, row in zip(songs, spectra, labels, strict=True):
            is_labelled = song.get("labelled", "1") == "1"
            on = [tag for tag, mark in zip(tags, row, strict=True) if mark] if is_labelled else None
            yield _ForeignClip(
                song["id"], song.get("split", ""), song.get("artist", ""), on, path, spectrum
            )


def _first_clip(path: Path) -> int:
    """x0 of x0-x1_spectrum.npy, which gives the order of the files; 0 where there is none."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def _songs_of(path: Path, first: int, n: int) -> list[dict[str, str]]:
    """The columns id, split, artist and labelled of each clip; without the file, ids are places."""
    if not path.exists():
        return [{"id": str(first + place)} for place in range(n)]
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        if "id" not in header:
            raise ValueError(f"{path.name} has no column id, but {', '.join(header) or 'nothing'}")
        return [dict(zip(header, row, strict=True)) for row in rows]
