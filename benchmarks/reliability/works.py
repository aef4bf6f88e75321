"""The long commands that are killed and whose disk fails, and what each leaves when it is done."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiny_model
from music_folder import write_songs
from stores import bytes_of, catalog, write_audio
from tiny_recipe import MODEL_TOML
from tiny_store import write_tiny_store

from benchmarks.reliability.commands import EARMARK, is_fault, run
from earmark.data.catalog.catalog import write_catalog
from earmark.files import sha256

RECIPE = f"""{MODEL_TOML}
[loop]
epochs = 30
batch = 8
precision = "f32"
checkpoint_minutes = 0
"""
_TIMES = ("seconds", "clips_a_second", "waiting")  # of a line of a history


@dataclass(frozen=True)
class Work:
    """A long command, and what it leaves when it is done.

    make : fills an empty folder
    command : its words, for a folder
    result : of a folder; what must be the same
    done_before : what it says where there is nothing left to do, with an exit code above 0
    """

    make: Callable[[Path], None]
    command: Callable[[Path], list[object]]
    result: Callable[[Path], object]
    done_before: str = "\0"

    def finish(self, place: Path, expected: object, *, after: str) -> bool:
        """Whether the work, run to its end, has its result; else says what is wrong."""
        code, _, told = run(*self.command(place))
        same = self.result(place) == expected
        if (code == 0 or self.done_before in told) and same and not is_fault(told):
            return True
        print(f"after {after}: {code}, same {same}: {told[-2000:]}", file=sys.stderr)
        return False


def _make_music(folder: Path) -> None:
    write_songs(folder / "music", 8)
    tiny_model.write(folder / "tiny.onnx")


def _scan(folder: Path) -> list[object]:
    model, library = folder / "tiny.onnx", folder / "l.sqlite"
    return [
        *EARMARK, "library", "scan", folder / "music", "--model", model, "--library", library
    ]  # fmt: skip


def _write(folder: Path) -> list[object]:
    library = folder / "l.sqlite"
    return [*EARMARK, "library", "write", "--replace", "--yes", "--library", library]


def _undo(folder: Path) -> list[object]:
    return [*EARMARK, "library", "undo", "1", "--yes", "--library", folder / "l.sqlite"]


def _make_scanned(folder: Path) -> None:
    _make_music(folder)
    assert run(*_scan(folder))[0] == 0


def _make_written(folder: Path) -> None:
    _make_scanned(folder)
    assert run(*_write(folder))[0] == 0


def _heard(folder: Path) -> object:
    words = ("library", "show", "--json", "--library", folder / "l.sqlite")
    return [json.loads(line) | {"path": ""} for line in run(*EARMARK, *words)[1].splitlines()]


def _songs(folder: Path) -> object:
    return {path.name: sha256(path) for path in (folder / "music").iterdir()}


def make_catalog(folder: Path) -> None:
    """A catalog of 24 songs, and their audio."""
    write_audio(folder, 24)
    write_catalog(catalog(24), folder / "catalog.parquet")


def shards(folder: Path, *where: object) -> list[object]:
    """`data shards` of that catalog."""
    return [
        *EARMARK, "data", "shards", folder / "catalog.parquet", "-o", folder / "store", "--audio",
        folder, "--features", "choi2016", "--clips-per-shard", 4, *where,
    ]  # fmt: skip


def store_bytes(folder: Path) -> object:
    """All files of the store."""
    return bytes_of(folder / "store")


def make_training(folder: Path) -> None:
    """A store and a recipe."""
    write_tiny_store(folder / "store", n=80)
    (folder / "recipe.toml").write_text(RECIPE)


def train(folder: Path) -> list[object]:
    """The words after `python -m` that train, or go on."""
    words = ["earmark", "train", folder / "recipe.toml", "--store", folder / "store"]
    return [*words, "-o", folder / "run", "--resume"]


def learned(folder: Path) -> object:
    """The weights of a run, bit by bit, and its history without its times."""
    weights = {}
    for name in ("best.npz", "last.npz"):
        with np.load(folder / "run" / name) as arrays:
            found = {key: arrays[key].tobytes() for key in arrays.files if key != "facts"}
        weights[name] = found
    lines = (folder / "run" / "history.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    return weights, [{k: v for k, v in line.items() if k not in _TIMES} for line in history]


WORKS = {
    "library scan": Work(_make_music, _scan, _heard),
    "library write": Work(_make_scanned, _write, _songs),
    "library undo": Work(_make_written, _undo, _songs, done_before="there is no run"),
    "data shards": Work(make_catalog, lambda folder: shards(folder, "--workers", 2), store_bytes),
    "train": Work(make_training, lambda folder: [sys.executable, "-m", *train(folder)], learned),
}


@contextmanager
def fresh(made: Path, folder: Path) -> Iterator[Path]:
    """What was made, at the same place each time, for some paths are absolute."""
    shutil.copytree(made, folder, symlinks=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def undisturbed(work: Work, folder: Path) -> tuple[Path, object, float]:
    """(what the work begins with, its result, its seconds)"""
    place, made = folder / "place", folder / "made"
    place.mkdir(parents=True)
    work.make(place)
    shutil.copytree(place, made, symlinks=True)
    started = time.monotonic()
    code, _, told = run(*work.command(place))
    assert code == 0, told
    seconds, result = time.monotonic() - started, work.result(place)
    shutil.rmtree(place)
    return made, result, seconds
