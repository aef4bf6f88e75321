"""Random batches from a store: python -m benchmarks.store_speed [--clips 4000] [--folder DIR]

Writes a store of random clips of 96 x 1366, and reads random batches of 64 from it: raw as training
on a GPU takes them, and as float32 dB; resident and from disk (which a warm page cache makes fast).
Beside it, what NumPy does with the same clips in one array, and with a memory map.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from earmark.data.store.format import (
    ShardRow,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    shard_card,
    write_shard,
)
from earmark.data.store.index import make_index, write_index
from earmark.data.store.reader import open_store
from earmark.features import PRESETS

BATCH = 64
BATCHES = 60


def rows(store_format: StoreFormat, first: int, n: int) -> Iterator[ShardRow]:
    rng = np.random.default_rng(first)
    noise = rng.uniform(-80, 20, store_format.clip_shape).astype(np.float32)
    for number in range(first, first + n):
        codes, offset, step = pack(np.roll(noise, number, axis=1), dtype=store_format.dtype)
        yield ShardRow(
            str(number), "train", ["rock"], "", StoredClip(codes, offset, step, crc32c(codes)), None
        )


def write_store(folder: Path, store_format: StoreFormat, n_clips: int) -> None:
    folder.mkdir(parents=True)
    card = shard_card(store_format, tags=["rock"], songs_sha256="")
    names = []
    for number, first in enumerate(range(0, n_clips, store_format.clips_per_shard)):
        n = min(store_format.clips_per_shard, n_clips - first)
        write_shard(folder, number, rows(store_format, first, n), card=card)
        names.append(f"shard-{number:05d}")
    write_index(folder, make_index(folder, names, store_format=store_format, tags=("rock",)))


def rate(read: Callable[[np.ndarray], object], n: int) -> list[float]:
    """Clips a second of each batch, after some to warm up."""
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(BATCHES + 5):
        indices = rng.integers(0, n, BATCH)
        started = time.perf_counter()
        read(indices)
        rates.append(BATCH / (time.perf_counter() - started))
    return rates[5:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4000)
    parser.add_argument("--folder", type=Path, help="where the store is written, and removed")
    arguments = parser.parse_args()
    for dtype in ("float16", "uint8"):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            store_format = StoreFormat(PRESETS["choi2016"], dtype)
            folder = Path(name) / "store"
            write_store(folder, store_format, arguments.clips)
            raw = np.zeros((BATCH, *store_format.clip_shape), dtype)
            decibels = np.zeros((BATCH, *store_format.clip_shape), np.float32)
            medians = {}
            for resident in (True, False):
                started = time.perf_counter()
                with open_store(folder, resident=resident) as store:
                    opened = time.perf_counter() - started
                    where = "resident" if resident else "on disk"
                    print(f"{dtype}, {where}: opened in {opened:.2f} s")
                    ways = {
                        "raw": partial(store.raw, out=raw),
                        "float32": partial(store.log_mels, out=decibels),
                    }
                    for way, read in ways.items():
                        rates = sorted(rate(read, len(store)))
                        medians[f"{where}, {way}"] = statistics.median(rates)
                        low, high = rates[len(rates) // 10], rates[-len(rates) // 10]
                        print(
                            f"  {way:<8} {statistics.median(rates):9,.0f} clips/s "
                            f"({low:,.0f} to {high:,.0f})",
                            flush=True,
                        )
            maps = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]

            def mapped(indices: np.ndarray, maps: list[np.ndarray] = maps) -> np.ndarray:
                return np.stack([maps[i // 1000][i % 1000] for i in indices])

            medians["numpy memory map, raw"] = statistics.median(rate(mapped, arguments.clips))
            print(f"  NumPy memory map and stack {medians['numpy memory map, raw']:,.0f} clips/s")
            print(json.dumps({"dtype": dtype, **{k: round(v) for k, v in medians.items()}}))


if __name__ == "__main__":
    main()
