"""The spectrograms of a store: on the GPU, in memory, or read from disk by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.data.store.index import read_index
from earmark.data.store.reader import RESIDENT_SHARE, Store, free_memory, open_store
from earmark.errors import BadRecipe, BadStore
from earmark.remote import Address, place_of
from earmark.training.recipe import Held

_CLIPS_PER_COPY = 1000  # brought to the GPU at a time
_AHEAD, _THREADS = 4, 2  # batches read while the network is busy, and by how many threads
_GPU_SHARE = 0.6  # of the GPU's free memory that spectrograms may take; the network needs the rest


class Clips(Protocol):
    """Some clips of a store, numbered from 0.

    waited : seconds spent waiting for batches so far
    """

    waited: float

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        """Yield float32 (n, n_mels, n_frames), dB, on the device for each array of places."""


@dataclass(frozen=True, eq=False)
class ClipSource:
    """An open store, and where the spectrograms of its clips are held.

    note : for a person, where that is
    """

    store: Store
    device: torch.device
    on_gpu: bool
    note: str

    def clips(self, indices: Int64Array) -> Clips:
        """The clips with these places in the store."""
        if self.on_gpu:
            return _copy_to_gpu(self.store, indices, self.device)
        return _FromStore(self.store, indices, self.device)


def open_clips(path: str | os.PathLike[str], *, held: Held, device: torch.device) -> ClipSource:
    """Open a store, with its spectrograms where they fit best.

    Raises BadStore, also for labels that do not fit into memory, and BadRecipe where `held` names
    a place that the spectrograms do not fit into.
    """
    index = read_index(place_of(path))
    _check_labels(index.n_clips, len(index.tags))
    size = index.n_clips * index.format.clip_bytes
    room = {"memory": RESIDENT_SHARE * free_memory()}
    if device.type == "cuda":
        room["gpu"] = _GPU_SHARE * torch.cuda.mem_get_info(device)[0]
    if held == "gpu" and "gpu" not in room:
        raise BadRecipe(
            'data.held is "gpu", but torch finds no GPU on this machine. Set it to "auto"'
        )
    if held in room and size > room[held] > 0:
        raise BadRecipe(
            f"data.held is {held!r}, but {index.n_clips:,} clips take {size / 1e9:.1f} GB and "
            f'there is room for {room[held] / 1e9:.1f} GB. Set it to "auto"'
        )
    on_gpu = held == "gpu" or (held == "auto" and size <= room.get("gpu", 0))
    resident = {"memory": True, "auto": None}.get(held, False)
    store = open_store(path, resident=not on_gpu and resident)
    where = f"read from {store.folder if isinstance(store.folder, Address) else 'disk'} by threads"
    if on_gpu or store.resident:
        where = f"held {'on the GPU' if on_gpu else 'in memory'}"
    note = f"{index.n_clips:,} clips, {size / 1e6:,.0f} MB, are {where}"
    return ClipSource(store, device, on_gpu, note)


def _copy_to_gpu(store: Store, indices: Int64Array, device: torch.device) -> _OnGpu:
    parts = [
        torch.from_numpy(store.raw(indices[first : first + _CLIPS_PER_COPY])).to(device)
        for first in range(0, len(indices), _CLIPS_PER_COPY)
    ]
    codes = torch.cat(parts) if parts else torch.empty(0, device=device)
    offsets, steps = (
        torch.from_numpy(values[indices]).to(device)[:, None, None]
        for values in (store.offsets, store.steps)
    )
    return _OnGpu(codes, offsets, steps)


class _OnGpu:
    """Clips as they are stored, in the GPU's memory: decibels are codes * steps + offsets."""

    def __init__(self, codes: Tensor, offsets: Tensor, steps: Tensor) -> None:
        self.waited = 0.0
        self._codes, self._offsets, self._steps = codes, offsets, steps

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        for chosen in places:
            started = perf_counter()
            at = torch.from_numpy(chosen).to(self._codes.device)
            batch = self._codes[at].float() * self._steps[at] + self._offsets[at]
            self.waited += perf_counter() - started
            yield batch


class _FromStore:
    """Clips that threads read ahead, from memory or from disk."""

    def __init__(self, store: Store, indices: Int64Array, device: torch.device) -> None:
        self.waited = 0.0
        self._store, self._indices, self._device = store, indices, device

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        left = iter(places)
        reading: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="earmark-batch") as threads:
            try:
                while True:
                    while len(reading) <= _AHEAD and (chosen := next(left, None)) is not None:
                        reading.append(threads.submit(self._read, chosen))
                    if not reading:
                        return
                    started = perf_counter()
                    batch = reading.popleft().result()
                    self.waited += perf_counter() - started
                    yield batch.to(self._device, non_blocking=True)
            finally:
                for future in reading:
                    future.cancel()

    def _read(self, places: Int64Array) -> Tensor:
        clips = torch.from_numpy(self._store.log_mels(self._indices[places]))
        return clips.pin_memory() if self._device.type == "cuda" else clips


def _check_labels(n_clips: int, n_tags: int) -> None:
    size, free = n_clips * n_tags, free_memory()
    if 0 < free // 2 < size:
        raise BadStore(
            f"the labels of {n_clips:,} songs for {n_tags:,} tags take {size / 1e9:.1f} GB, and "
            f"only {free / 1e9:.1f} GB of memory are free. Make the catalog with fewer tags, or "
            "use a machine with more memory"
        )
