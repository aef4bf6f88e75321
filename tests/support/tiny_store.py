"""A real store of small spectrograms in which tags can be heard, made in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earmark.data.store.format import (
    DType,
    ShardRow,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    shard_card,
    write_shard,
)
from earmark.data.store.index import make_index, write_index
from earmark.features import LogMel

# 16 mels and 32 frames a clip
TINY = LogMel("tiny", rate=8000, n_mels=16, f_max=4000.0, window_samples=31 * 256)
TAGS = ("low", "high", "early", "loud")


def write_tiny_store(
    folder: Path,
    *,
    n: int = 48,
    splits: Sequence[str] = ("train", "train", "train", "valid"),
    tags: Sequence[str] = TAGS,
    unlabelled: Sequence[int] = (),
    features: LogMel = TINY,
    dtype: DType = "float16",
    seed: int = 0,
) -> Path:
    """n songs, whose splits go round; each carries any of the first four tags, audibly."""
    random = np.random.default_rng(seed)
    store_format = StoreFormat(features, dtype, clips_per_shard=20)
    names = []
    for number, first in enumerate(range(0, n, store_format.clips_per_shard)):
        rows = [
            _row(
                place, splits[place % len(splits)], tags, place in unlabelled, store_format, random
            )
            for place in range(first, min(first + store_format.clips_per_shard, n))
        ]
        card = shard_card(store_format, tags=tags, songs_sha256=f"{number:064}")
        write_shard(folder, number, rows, card=card)
        names.append(f"shard-{number:05d}")
    write_index(folder, make_index(folder, names, store_format=store_format, tags=tuple(tags)))
    return folder


def _row(
    place: int,
    split: str,
    tags: Sequence[str],
    unlabelled: bool,
    store_format: StoreFormat,
    random: np.random.Generator,
) -> ShardRow:
    carries = random.random(len(tags)) < 0.4
    x = random.normal(-40, 6, store_format.clip_shape).astype(np.float32)
    mels, frames = store_format.clip_shape
    heard = dict(zip(tags, carries.tolist(), strict=True))
    x[: mels // 2] += 12.0 * heard.get("low", False)
    x[mels // 2 :] += 12.0 * heard.get("high", False)
    x[:, : frames // 2] += 12.0 * heard.get("early", False)
    x += 12.0 * heard.get("loud", False)
    codes, offset, step = pack(x, dtype=store_format.dtype)
    clip = StoredClip(codes, offset, step, crc32c(codes), seconds=30.0)
    names = None if unlabelled else [tag for tag in tags if heard[tag]]
    return ShardRow(f"song{place:04}", split, names, f"{place}.mp3", clip, None)
