"""Spectrograms at hand: on the GPU, in memory, or read from disk by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.data.store.index import read_index
from earmark.data.store.reader import RESIDENT_SHARE, Store, free_memory, open_store
from earmark.errors import BadRecipe, BadStore
from earmark.training.seeds import generator

Held = Literal["auto", "gpu", "memory", "disk"]

_AT_ONCE = 1000  # clips brought to the GPU at a time
_AHEAD, _THREADS = 4, 2  # batches made ready while the network is busy, and by how many
_GPU_SHARE = 0.6  # of the GPU's free memory that spectrograms may take; the network needs the rest


class Clips(Protocol):
    """Some clips of a store, numbered from 0.

    waited : seconds that somebody has waited for a batch so far
    """

    waited: float

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        """Yield float32 (n, n_mels, n_frames), dB, on the device for each array of places."""


class ClipSource:
    """A store, opened where it fits best, and words that say where that is.

    Raises BadStore, also for labels that do not fit into memory, and BadRecipe for clips that are
    asked to be where they do not fit.
    """

    def __init__(self, path: str | Path, *, held: Held, device: torch.device) -> None:
        index = read_index(Path(path))
        _check_labels(index.n_clips, len(index.tags))
        size = index.n_clips * index.format.clip_bytes
        rooms = {"memory": RESIDENT_SHARE * free_memory()}
        if device.type == "cuda":
            rooms["gpu"] = _GPU_SHARE * torch.cuda.mem_get_info(device)[0]
        if held == "gpu" and "gpu" not in rooms:
            raise BadRecipe('data.held is "gpu", but this machine has none that torch can use')
        if held in rooms and size > rooms[held] > 0:
            raise BadRecipe(
                f"data.held is {held!r}, but {index.n_clips:,} clips take {size / 1e9:.1f} GB and "
                f'there is room for {rooms[held] / 1e9:.1f}. Say "auto" for the best that fits'
            )
        self.on_gpu = held == "gpu" or (held == "auto" and size <= rooms.get("gpu", 0))
        wanted = {"memory": True, "auto": None}
        self.store: Store = open_store(path, resident=not self.on_gpu and wanted.get(held, False))
        self.device = device
        where = "read from disk by threads"
        if self.on_gpu or self.store.resident:
            where = f"held {'on the GPU' if self.on_gpu else 'in memory'}"
        self.words = f"{index.n_clips:,} clips, {size / 1e6:,.0f} MB, are {where}"

    def clips(self, indices: Int64Array) -> Clips:
        """Some of its clips."""
        if self.on_gpu:
            return _OnGpu(self.store, indices, self.device)
        return _FromStore(self.store, indices, self.device)


class _OnGpu:
    """Clips as they are stored, in the GPU's memory."""

    def __init__(self, store: Store, indices: Int64Array, device: torch.device) -> None:
        self.waited = 0.0
        parts = [
            torch.from_numpy(store.raw(indices[first : first + _AT_ONCE])).to(device)
            for first in range(0, len(indices), _AT_ONCE)
        ]
        self._raw = torch.cat(parts) if parts else torch.empty(0, device=device)
        self._offsets, self._steps = (
            torch.from_numpy(values[indices]).to(device)[:, None, None]
            for values in (store.offsets, store.steps)
        )

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        for chosen in places:
            started = perf_counter()
            at = torch.from_numpy(chosen).to(self._raw.device)
            batch = self._raw[at].float() * self._steps[at] + self._offsets[at]
            self.waited += perf_counter() - started
            yield batch


class _FromStore:
    """Clips that threads make ready, from memory or from disk."""

    def __init__(self, store: Store, indices: Int64Array, device: torch.device) -> None:
        self.waited = 0.0
        self._store, self._indices, self._device = store, indices, device

    def batches(self, places: Sequence[Int64Array]) -> Generator[Tensor, None, None]:
        todo = iter(places)
        reading: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="earmark-batch") as threads:
            try:
                while True:
                    while len(reading) <= _AHEAD and (chosen := next(todo, None)) is not None:
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


def shuffled(
    n: int, *, batch: int, seed: int, epoch: int, part: int = 0, parts: int = 1
) -> list[Int64Array]:
    """The places of each step of an epoch, in an order that seed and epoch decide.

    batch : over all parts; what does not fill one at the end is left for another epoch's order
    part, parts : this process's share of each batch: the shares of all are the batch
    """
    batch = min(batch, n - n % parts)
    order = generator(seed, "order", epoch).permutation(n)
    return [order[first + part : first + batch : parts] for first in range(0, n - batch + 1, batch)]


def in_order(n: int, *, batch: int) -> list[Int64Array]:
    """All places, batch by batch."""
    return [np.arange(first, min(first + batch, n)) for first in range(0, n, batch)]


def _check_labels(n_clips: int, n_tags: int) -> None:
    size, free = n_clips * n_tags, free_memory()
    if 0 < free // 2 < size:
        raise BadStore(
            f"the labels of {n_clips:,} songs for {n_tags:,} tags take {size / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free. Keep fewer tags when the catalog is made, or "
            "use a machine with more memory"
        )
