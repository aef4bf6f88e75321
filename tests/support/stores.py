"""Little folders of audio, catalogs of them, and stores: what the tests of shards start from."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.store.format import DType, StoreFormat
from earmark.features import LogMel

TINY = LogMel(
    "tiny", rate=8_000, n_fft=256, hop=250, n_mels=16, f_max=4_000.0, window_samples=8_000
)
TAGS = ("rock", "jazz", "sad")


def write_wav(path: Path, *, seed: int, seconds: float = 1.5, rate: int = 8_000) -> None:
    """Noise that fades in, so that no two files and no two moments are alike."""
    n = round(seconds * rate)
    samples = np.random.default_rng(seed).normal(0, 0.2, n) * np.linspace(0.01, 1, n)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, n, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def song(number: int) -> Song:
    """The number-th song: splits and tags in turn, and every fifth one not labelled."""
    tags = None if number % 5 == 4 else tuple(TAGS[i] for i in range(3) if number >> i & 1)
    return Song(f"S{number:03d}", split=("train", "valid", "test")[number % 3], tags=tags)


def catalog(n: int) -> Catalog:
    """The first n songs."""
    return Catalog.from_songs([song(number) for number in range(n)], tags=TAGS)


def write_audio(folder: Path, n: int, *, missing: Sequence[int] = ()) -> None:
    """`audio/<id>.wav` of the first n songs, as `earmark data previews` would leave it."""
    for number in range(n):
        if number not in missing:
            write_wav(folder / "audio" / f"{song(number).id}.wav", seed=number)


def tiny_format(dtype: DType = "float16", clips_per_shard: int = 4) -> StoreFormat:
    """A store format whose clips are 16 x 33."""
    return StoreFormat(TINY, dtype, clips_per_shard)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a store, but its lock."""
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"
    }
