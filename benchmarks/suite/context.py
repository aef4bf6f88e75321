"""What a run has to do with: sizes, models, music, and what of the peers is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import limit, material
from benchmarks.suite.material import Material
from benchmarks.suite.watching import Watched, watched
from earmark import files, model_file, windows, zoo
from earmark.errors import ModelNotFound

LIKE_FOR_LIKE = "choi2016"  # the network that the original way runs, at its full size
MUSICNN = "musicnn-msd"  # a tagger that many use, as a model file of ours
ESSENTIA_MUSICNN = f"essentia, {MUSICNN}"  # the same network behind Essentia's spectrogram
PEERS = ("original", "researcher", "essentia", ESSENTIA_MUSICNN, MUSICNN)  # in the tables' order


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The slow ways get fewer clips than earmark: rates compare."""

    rounds: int = 3
    clips: int = 64
    different: int = 8  # files; the rest are links to them
    formats: tuple[str, ...] = ("m4a", "mp3", "flac")
    song_formats: tuple[str, ...] = ("m4a", "mp3")
    song_seconds: int = 240
    batch: int = 8  # of a training step
    growth: tuple[int, ...] = (10, 100, 1000)  # clips
    long: tuple[int, ...] = (10, 60, 600, 3600, 36_000)  # seconds of one song
    library_songs: int = 48  # of three to four minutes
    library_files: int = 50_000  # that a library knows
    ray_units: int = 1000
    plain_in: tuple[str, ...] = ("tags", "shards", "scores", "startup")  # where the plain ways run


# Every stage and every way once: the plain ways take seconds to import what they need.
TINY = Sizes(
    rounds=1, clips=4, different=2, formats=("mp3",), song_formats=(), batch=1, growth=(2,),
    long=(10,), library_songs=2, library_files=20, ray_units=20, plain_in=("tags",),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A model file that is measured."""

    name: str
    path: Path
    flop: float  # of one window
    sha256: str
    features: str

    def windows_of(self, seconds: float) -> int:
        """How many windows the network hears of a track."""
        features = model_file.read_card(self.path).features
        samples = np.zeros(round(seconds * features.rate), np.float32)
        return sum(1 for _ in windows.whole([samples], settings=features))


@dataclass(frozen=True)
class Context:
    """One run of the benchmarks.

    work : folder of music, links and stores, kept for the next run
    """

    work: Path
    sizes: Sizes
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", *words]

    def watched(self, *words: str, stdin: str = "", answers: int | None = None) -> Watched:
        command = self.command(*words)
        return watched(command, stdin=stdin, answers=answers, environment=self.environment)

    def clips(self, kind: str) -> Material:
        return material.clips(self.work, kind, self.sizes.different)

    def songs(self, kind: str) -> Material:
        seconds = self.sizes.song_seconds
        return material.songs(self.work, kind, self.sizes.different // 2, seconds=seconds)

    @cached_property
    def models(self) -> dict[str, Model]:
        """The shipped model; the original network and musicnn where their weights are here."""
        names = (zoo.SHIPPED, LIKE_FOR_LIKE, MUSICNN)
        return {name: model for name in names if (model := _model(name, self.work)) is not None}

    def missing(self, way: str, kind: str = "") -> str | None:
        """Why a way cannot run here."""
        if "essentia" in way and find_spec("essentia") is None:
            return "essentia is not installed: pip install -r benchmarks/peers.txt"
        if MUSICNN in way and MUSICNN not in self.models:
            return f"its weights are not here: earmark models pull {MUSICNN}"
        if way == "original" and kind == "m4a" and not self._has_ffmpeg:
            return "librosa reads no m4a without the ffmpeg command"
        return None

    @cached_property
    def _has_ffmpeg(self) -> bool:
        path = self.environment.get("PATH", os.environ.get("PATH", ""))
        return shutil.which("ffmpeg", path=path) is not None


def make_context(work: Path, sizes: Sizes) -> Context:
    """A context whose commands find the ffmpeg of imageio-ffmpeg where the system has none."""
    work.mkdir(parents=True, exist_ok=True)
    context = Context(work.resolve(), sizes, {"EARMARK_PUBLISHED": "", "EARMARK_MODEL": ""})
    if shutil.which("ffmpeg") is None and find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        link = context.work / "bin" / "ffmpeg"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
        path = f"{link.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        context = replace(context, environment={**context.environment, "PATH": path})
    return context


def _model(name: str, work: Path) -> Model | None:
    path = next(_found(name, work), None)
    if path is None:
        return None
    features = model_file.read_card(path).features.name
    return Model(name, path, limit.flop_of_a_window(path), files.sha256(path), features)


def _found(name: str, work: Path) -> Iterator[Path]:
    """Where a model lies; converted from weights beside the checkout where it lies nowhere."""
    try:
        yield zoo.resolve(name)
    except ModelNotFound:
        origin, path = zoo.PUBLISHED[name], work / f"{name}.onnx"
        weights = material.SHARED / "published" / origin.file
        if not path.exists() and weights.exists():
            words = ["models", "import", origin.kind, str(weights), "--name", name, "-o", str(path)]
            subprocess.run([sys.executable, "-m", "earmark", *words], check=True)
        if path.exists():
            yield path


def as_json(context: Context) -> dict[str, Any]:
    """What of a context the numbers depend on."""
    return {
        "sizes": {name: value for name, value in vars(context.sizes).items() if name != "rounds"},
        "music": "clips of 4Q" if material.is_real() else "made by examples/make_music.py",
        "models": {
            model.name: {"sha256": model.sha256, "gflop": round(model.flop / 1e9, 2)}
            for model in context.models.values()
        },
    }
