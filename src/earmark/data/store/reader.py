"""The reader of a store: its columns, and clips by their index.

Batches come at memory speed where the store is resident, else from several reads at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.data.catalog.schema import marks
from earmark.data.store.format import (
    REPAIR,
    Codes,
    StoreFormat,
    cannot_read,
    check_is_file,
    npy_header,
    read_sidecar,
)
from earmark.data.store.index import INDEX, Shard, StoreIndex, read_index
from earmark.data.store.rows import row_problems
from earmark.engine import cpu_count
from earmark.errors import BadStore, BadValue
from earmark.features import LogMel
from earmark.parquet_file import load_pyarrow
from earmark.remote import Address, Place, place_of, size_of

if TYPE_CHECKING:
    import pyarrow as pa

READERS = 8  # reads at once where the store stays on disk: a disk is fast with some in its queue
REMOTE_READERS = 32  # where it is at an address: each read waits for a server
RESIDENT_SHARE = 0.5  # of the free memory; a larger store stays on disk

_MOST_PART = 1 << 24  # bytes of one request, which are in memory twice for a moment

Indices = npt.NDArray[np.integer[Any]] | Sequence[int]


@dataclass(frozen=True)
class FailedSong:
    """A song of the store that has no clip.

    source : the audio file, relative to the audio folder; "" where there is none
    kind, reason : of the error
    """

    id: str
    source: str
    kind: str
    reason: str


class Store:
    """The clips of a store and what is known of each, in the order of the catalog.

    n is the number of songs with a clip. Threads may share a store.

    format : what all clips have in common; settings : of their log-mel spectrograms
    tags : the vocabulary, in the order of the columns of `labels`
    ids, splits : n each
    labels : bool (n, n_tags); labelled : bool (n,), False where the labels are not known
    seconds : float64 (n,), of audio in each file; NaN where not known
    offsets, steps : float32 (n,); dB = offset + step * raw
    failures : the songs without a clip
    resident : whether the clips are in memory
    """

    def __init__(self, folder: Place, index: StoreIndex, *, resident: bool | None) -> None:
        self.folder = folder
        self.format = index.format
        self.tags = index.tags
        readers = REMOTE_READERS if isinstance(folder, Address) else READERS
        self._threads = ThreadPoolExecutor(max(cpu_count(), readers), "earmark-store")
        tables = list(self._threads.map(lambda shard: _sidecar(folder, shard, index), index.shards))
        rows = load_pyarrow().concat_tables(tables).combine_chunks()
        failed = rows.filter(rows["clip"].is_null())
        columns = ["id", "source", "error_kind", "error"]
        self.failures = tuple(
            FailedSong(*row.values()) for row in failed.select(columns).to_pylist()
        )

        clips = rows.filter(rows["clip"].is_valid())
        self.ids: list[str] = clips["id"].to_pylist()
        self.splits = _shared(clips["split"])
        self.labels = np.zeros((len(self.ids), len(self.tags)), dtype=bool)
        self.labels[marks(clips["tags"], self.tags)] = True
        self.labelled: npt.NDArray[np.bool_] = clips["tags"].is_valid().to_numpy()
        self.seconds: npt.NDArray[np.float64] = clips["seconds"].to_numpy()
        self.offsets: Float32Array = clips["offset"].to_numpy()
        self.steps: Float32Array = clips["step"].to_numpy()

        self._files = list(
            self._threads.map(lambda shard: _clips_file(folder, shard, index.format), index.shards)
        )
        self._first = np.cumsum([0, *(shard.clips for shard in index.shards)])  # clip of each file
        self._header = len(npy_header(0, index.format))
        self._data: Codes | None = None
        n_bytes = len(self) * index.format.clip_bytes
        if resident is None:
            resident = n_bytes <= RESIDENT_SHARE * free_memory()
        self.resident = resident
        self._n_threads = cpu_count() if resident else readers
        if resident:
            data = np.empty((len(self), *index.format.clip_shape), index.format.dtype)
            list(self._threads.map(lambda number: self._load(number, data), range(len(tables))))
            self._data = data

    @property
    def settings(self) -> LogMel:
        """How the spectrograms were made."""
        return self.format.features

    @property
    def sha256(self) -> str:
        """The SHA-256 of the index, which holds those of all sidecars: it tells stores apart."""
        return hashlib.sha256((self.folder / INDEX).read_bytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def indices(self, split: str) -> npt.NDArray[np.int64]:
        """int64 (k,): the clips of one split."""
        return np.flatnonzero(np.array(self.splits, dtype=object) == split)

    def raw(self, indices: Indices, *, out: Codes | None = None) -> Codes:
        """Clips as they are stored, for conversion elsewhere; the fastest way.

        indices : (k,), each in 0..n-1, in any order and also more than once
        out : where they go, if given: contiguous, of the result's shape and dtype
        returns : float16 or uint8 (k, n_mels, n_frames); dB = offsets + steps * raw
        """
        places = self._checked(indices)
        clips = self._target(len(places), self.format.dtype, out)
        self._in_parts(len(places), lambda part: self._gather(places[part], clips[part]))
        return clips

    def log_mels(self, indices: Indices, *, out: Float32Array | None = None) -> Float32Array:
        """Clips in dB.

        indices : (k,), each in 0..n-1, in any order and also more than once
        out : where they go, if given, which is faster: contiguous, of the result's shape and dtype
        returns : float32 (k, n_mels, n_frames)
        """
        places = self._checked(indices)
        clips = self._target(len(places), "float32", out)

        def convert(part: slice) -> None:
            read = np.empty(self.format.clip_shape, self.format.dtype)
            for row in range(part.start, part.stop):  # one by one, so that it stays in the cache
                place = int(places[row])
                codes = self._clip(place, read)
                if self.format.dtype == "float16":
                    widen(codes, out=clips[row])
                else:
                    np.multiply(codes, self.steps[place], out=clips[row])
                    clips[row] += self.offsets[place]

        self._in_parts(len(places), convert)
        return clips

    def close(self) -> None:
        """Let go of threads and memory."""
        self._threads.shutdown()
        self._data = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, indices: Indices) -> npt.NDArray[np.int64]:
        places = np.asarray(indices)
        if places.ndim != 1 or (places.size and not np.issubdtype(places.dtype, np.integer)):
            raise BadValue(
                f"indices must be one row of whole numbers, not {places.dtype} {places.shape}"
            )
        if places.size and (places.min() < 0 or places.max() >= len(self)):
            raise BadValue(
                f"indices go from {places.min()} to {places.max()}; the store has {len(self)} clips"
            )
        return places.astype(np.int64)

    def _target(self, n: int, dtype: str, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        shape = (n, *self.format.clip_shape)
        if out is None:
            return np.empty(shape, dtype)
        if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise BadValue(f"out is {out.dtype} {out.shape}; it must be contiguous {dtype} {shape}")
        return out

    def _in_parts(self, n: int, work: Callable[[slice], None]) -> None:
        """work(part) for equal parts of range(n), each in a thread."""
        ends = np.linspace(0, n, min(n, self._n_threads) + 1).astype(int)
        parts = [slice(int(first), int(end)) for first, end in pairwise(ends)]
        list(self._threads.map(work, parts))

    def _gather(self, places: npt.NDArray[np.int64], out: Codes) -> None:
        if self._data is not None:
            # mode="clip" only because NumPy buffers `out` without it; the indices are checked
            np.take(self._data, places, axis=0, out=out, mode="clip")
            return
        for row, place in enumerate(places):
            self._clip(int(place), out[row])

    def _clip(self, place: int, read: Codes) -> Codes:
        """One clip, which is read into `read` where the store is not resident."""
        if self._data is not None:
            clip: Codes = self._data[place]
            return clip
        number = int(np.searchsorted(self._first, place, side="right")) - 1
        first = (place - int(self._first[number])) * self.format.clip_bytes
        _read(self._files[number], self._header + first, read)
        return read

    def _load(self, number: int, data: Codes) -> None:
        _read(
            self._files[number], self._header, data[self._first[number] : self._first[number + 1]]
        )


def open_store(path: str | os.PathLike[str], *, resident: bool | None = None) -> Store:
    """Open a finished store, in a folder or at an address such as s3://bucket/store.

    resident : whether its clips are read into memory; by default where they fit into half of what
        is free

    Raises BadStore for a folder that is not a store, is not finished, lacks a file, or is of
    another version. `verify_store` reads every clip, which this does not.
    """
    folder = place_of(path)
    return Store(folder, read_index(folder), resident=resident)


def widen(halves: Codes, *, out: Float32Array) -> None:
    """float16 to float32, exact for finite values, five times as fast as NumPy's own.

    Moves exponent and mantissa into place, and then corrects the exponent's bias (15 to 127) by a
    multiplication, which also is right for subnormal numbers.
    """
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    bits <<= 13
    bits &= np.int32(-0x70002000)  # 0x8FFFE000: the sign, and what was moved
    out *= np.float32(2.0**112)


def free_memory() -> int:
    """Bytes of memory that this process may take from what is free; 0 where it is not known."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    free = next((int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line), 0)
    try:
        group = Path("/sys/fs/cgroup")  # of a container
        limit = int((group / "memory.max").read_text())
        return min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # none, or "max"
        return free


def _shared(column: pa.ChunkedArray) -> list[str]:
    """The texts of a column with few different ones, each of them one object in memory."""
    texts: list[str] = []
    for chunk in column.dictionary_encode().chunks:
        words = chunk.dictionary.to_pylist()
        texts += map(words.__getitem__, chunk.indices.to_pylist())
    return texts


def _sidecar(folder: Place, shard: Shard, index: StoreIndex) -> pa.Table:
    path = folder / f"{shard.name}.parquet"
    card, table = read_sidecar(path)
    if StoreFormat.from_dict(card) != index.format or tuple(card["tags"]) != index.tags:
        raise BadStore(f"{path} has other settings than the store. See `earmark data verify`")
    if table.num_rows != shard.songs or table.num_rows - table["clip"].null_count != shard.clips:
        raise BadStore(
            f"{path} does not have the rows that the index lists. See `earmark data verify`"
        )
    problem = next(row_problems(table, tags=index.tags, dtype=index.format.dtype), None)
    if problem is not None:
        raise BadStore(f"{path} is damaged: {problem}. See `earmark data verify`")
    return table


def _clips_file(folder: Place, shard: Shard, store_format: StoreFormat) -> Place:
    path = folder / f"{shard.name}.npy"
    header = npy_header(shard.clips, store_format)
    try:
        check_is_file(path)
        fits = size_of(path) == len(header) + shard.clips * store_format.clip_bytes
        if fits and isinstance(path, Address):
            fits = path.read_part(0, len(header)) == header
        elif fits:
            with path.open("rb") as file:
                fits = file.read(len(header)) == header
    except OSError as error:
        raise cannot_read(path, error) from error
    if not fits:
        raise BadStore(
            f"{path} is damaged: it should hold {shard.clips} clips of {store_format.dtype}. "
            f"{REPAIR}"
        )
    return path


def _read(path: Place, start: int, out: Codes) -> None:
    view = out.reshape(-1).view(np.uint8).data
    try:
        if isinstance(path, Address):
            _read_parts(path, start, view)
            return
        # a descriptor of its own for each read, so that threads do not move each other's place
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while view:
                n = file.readinto(view)
                if not n:
                    raise _too_short(path)
                view = view[n:]
    except OSError as error:
        raise cannot_read(path, error) from error


def _read_parts(address: Address, start: int, view: memoryview) -> None:
    while view:
        part = address.read_part(start, start + min(len(view), _MOST_PART))
        if not part:
            raise _too_short(address)
        view[: len(part)] = part
        start, view = start + len(part), view[len(part) :]


def _too_short(path: Place) -> BadStore:
    return BadStore(f"{path} is damaged: it ends too early. {REPAIR}")
