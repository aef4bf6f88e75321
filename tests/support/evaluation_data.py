"""Songs with known tags: as plain arrays, as sound in files with a catalog, and as a store."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.store.format import StoreFormat
from earmark.data.store.writer import write_shards
from earmark.evaluation.scores import ScoredSongs
from earmark.features import PRESETS
from earmark.model_file import Calibration, Card

TAGS = ("rock", "Jazz & <Blues>", "sad")


def scored(
    n_tracks: int = 200, *, seed: int = 0, knows: float = 1.0, tags=TAGS, **fields
) -> ScoredSongs:
    """A model that knows a little about songs that are nowhere; the labels keep to one seed."""
    labels = np.random.default_rng(99).random((n_tracks, len(tags))) < 0.3
    logits = np.random.default_rng(seed).normal(size=labels.shape) + knows * labels - 1
    card = Card(
        name=f"model <{seed}>",
        tags=tags,
        features=PRESETS["choi2016"],
        priors=(0.3,) * len(tags),
        source="a test",
        licence="MIT",
        calibration=Calibration((0.5,) * len(tags), (-0.2,) * len(tags)),
    )
    values = {
        "card": card,
        "source": {"model": card.name, "model_file": "m.onnx", "split": "test"},
        "tags": tags,
        "ids": tuple(f"song-{i} <i>" for i in range(n_tracks)),
        "labels": labels,
        "scores": card.scores(logits.astype(np.float32)),
        "raw": (1 / (1 + np.exp(-logits))).astype(np.float32),
        "only_model": (),
        "only_data": (),
        "n_unlabelled": 0,
        "spectrogram": lambda place: np.eye(96, 100, dtype=np.float32) * place,
    }
    return ScoredSongs(**(values | fields))


def write_song(path: Path, *, seed: int, seconds: float = 3.0, rate: int = 16_000) -> Path:
    """A chord under noise as a wav file."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in generator.uniform(80, 3000, 4))
    samples = 0.1 * tones + generator.uniform(0, 0.2) * generator.normal(size=time.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def songs(folder: Path, *, n: int = 8, tags=("Rock", "sad", "house", "no such tag")) -> Catalog:
    """A catalog of n test songs, one of another split and one whose tags nobody knows.

    Every second one is Rock, the first is sad, and none is house.
    """
    rows = [
        Song(
            id=f"s{i}",
            artist=f"artist {i}",
            split="train" if i == n else "test",
            path=f"audio/s{i}.wav",
            tags=None if i == n + 1 else ("Rock",) * (i % 2 == 0) + ("sad",) * (i == 0),
        )
        for i in range(n + 2)
    ]
    for i, row in enumerate(rows):
        write_song(folder / row.path, seed=i)
    return Catalog.from_songs(rows, tags=tags)


def csv_of(catalog: Catalog, path: Path) -> Path:
    """The same catalog as a list of one's own."""
    lines = ["id,path,tags,artist,split"]
    for song in catalog:
        tags = "" if song.tags is None else "|".join(song.tags) or "|"
        lines.append(f"{song.id},{song.path},{tags},{song.artist},{song.split}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def store(catalog: Catalog, folder: Path, *, audio: Path, features: str = "choi2016") -> Path:
    """The catalog's spectrograms."""
    write_shards(
        catalog, folder, store_format=StoreFormat(PRESETS[features]), audio=audio, workers=1
    )
    return folder
