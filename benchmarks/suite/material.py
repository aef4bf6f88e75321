"""The music that is measured on: real clips where they lie beside the checkout, or made here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
CLIPS = SHARED / "q4" / "audio"
RATE = 44_100  # Hz
SHORTEST = 29.0  # seconds of a clip that counts as one of 30
# As shops and collections have them.
ENCODINGS: dict[str, tuple[str, int | None]] = {
    "m4a": ("aac", 256_000),
    "mp3": ("libmp3lame", 192_000),
    "flac": ("flac", None),
}
BRICK = 10  # seconds of the MP3 that long songs are built of


@dataclass(frozen=True)
class Material:
    """Files of one format and length.

    name : as the tables have it; seconds : of each file
    files : different ones; more are links to them
    """

    name: str
    seconds: float
    files: tuple[Path, ...]

    def paths(self, n: int, folder: Path) -> list[Path]:
        """n files with names of their own: hard links to these, round and round."""
        links = folder / "links" / self.files[0].parent.name
        links.mkdir(parents=True, exist_ok=True)
        paths = []
        for number in range(n):
            source = self.files[number % len(self.files)]
            path = links / f"{number:06}{source.suffix}"
            if not path.exists():
                os.link(source, path)
            paths.append(path)
        return paths


def clips(folder: Path, kind: str, n: int) -> Material:
    """n clips of 30 s, 44.1 kHz, stereo; they are made once and kept in the folder."""
    home = folder / f"clips-{kind}"
    paths = [home / f"{number:03}.{kind}" for number in range(n)]
    _make(paths, lambda: _music(n), kind)
    return Material(f"{kind} clips of 30 s", 30.0, tuple(paths))


def songs(folder: Path, kind: str, n: int, *, seconds: int) -> Material:
    """n songs: clips one after the other, each song beginning with another one."""
    home = folder / f"songs-{kind}"
    paths = [home / f"{number:03}.{kind}" for number in range(n)]

    def make() -> list[np.ndarray]:
        whole = np.concatenate(_music(max(n, 8)), axis=1)
        turns = (np.roll(whole, -30 * RATE * number, axis=1) for number in range(n))
        return [np.resize(turn.T, (seconds * RATE, 2)).T for turn in turns]

    _make(paths, make, kind)
    return Material(f"{kind} songs of {seconds // 60} min", float(seconds), tuple(paths))


def long_song(folder: Path, *, seconds: int) -> Path:
    """An MP3 of any length at 32 kbit/s, mono: the same ten seconds again and again.

    MP3 frames stand alone, so a file written twice over is a song played twice.
    """
    path = folder / "long" / f"{seconds}.mp3"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        brick = path.with_name("brick.mp3")
        bare = {"write_xing": "0", "id3v2_version": "0"}  # frames and nothing else
        sound = _music(1)[0][:1, : BRICK * RATE]
        _encode(brick, sound, codec="libmp3lame", bit_rate=32_000, rate=24_000, options=bare)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for _ in range(seconds // BRICK):
                file.write(brick.read_bytes())
        part.replace(path)
    return path


def is_real() -> bool:
    """Whether real clips lie beside the checkout."""
    return CLIPS.is_dir()


def _make(paths: Sequence[Path], music: Callable[[], list[np.ndarray]], kind: str) -> None:
    if all(path.exists() for path in paths):
        return
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    codec, bit_rate = ENCODINGS[kind]
    for path, samples in zip(paths, music(), strict=True):
        _encode(path, samples, codec=codec, bit_rate=bit_rate)


def _music(n: int) -> list[np.ndarray]:
    """n clips, each float32 (2, n_samples) at RATE."""
    if not is_real():
        from examples import make_music as example

        return [example.make_song(30.0, seed=seed) for seed in range(n)]
    found = sorted(CLIPS.iterdir())
    decoded = (_decode(path) for path in found)
    long = (samples for samples in decoded if samples.shape[1] >= SHORTEST * RATE)
    return list(islice(long, n))


def _decode(path: Path) -> np.ndarray:
    resampler = av.AudioResampler("fltp", "stereo", RATE)
    with av.open(str(path)) as container:
        frames = chain(container.decode(audio=0), [None])
        parts = [part.to_ndarray() for frame in frames for part in resampler.resample(frame)]
    return np.concatenate(parts, axis=1)[:, : 30 * RATE]


def _encode(
    path: Path,
    samples: np.ndarray,
    *,
    codec: str,
    bit_rate: int | None,
    rate: int = RATE,
    options: dict[str, str] | None = None,
) -> None:
    """samples : float32 (1 or 2, n) at RATE; rate : Hz of the file."""
    layout = "mono" if len(samples) == 1 else "stereo"
    part = path.with_name(f"part-{path.name}")
    with av.open(str(part), "w", options=options or {}) as container:
        more: dict[str, Any] = {} if bit_rate is None else {"bit_rate": bit_rate}
        stream = container.add_stream(codec, rate=rate, layout=layout, **more)
        for start in range(0, samples.shape[1], RATE):
            second = np.ascontiguousarray(samples[:, start : start + RATE], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(second, "fltp", layout)
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    part.replace(path)
