"""Imports into beets with earmark's plugin: damaged songs, kills, and system calls that fail."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tiny_model
from music_folder import write_song

from benchmarks.reliability.commands import Result, run, start
from benchmarks.reliability.disk import can_trace, injection
from benchmarks.reliability.works import fresh
from earmark.audio.packet_hash import audio_hash
from earmark.errors import UnreadableAudio
from earmark.files import sha256
from earmark.library.writing.tag_file import read_fields

_STEPS = (("import", "--quiet", "--noautotag", "album"), ("earmark",), ("write",))
_GOOD = ("0 good.flac", "1 good.mp3", "2 good.m4a", "3 good.flac", "4 good.mp3", "5 good.m4a")
_DAMAGED = ("6 cut.flac", "7 locked.m4a", "8 nothing.mp3")
_CONFIG = {
    "directory": "music",
    "library": "beets.db",
    "plugins": ["earmark"],
    "import": {"copy": True, "write": True, "duplicate_action": "remove"},
    "earmark": {"model": "tiny.onnx", "settings": "own.toml"},
}


def beets(folder: Path, sizes: argparse.Namespace) -> Result:
    """One of three commands is struck; then all run again, and every song is there and whole."""
    if importlib.util.find_spec("beets") is None:
        return {"well": True, "left_out": "beets is not installed"}
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    made, place = folder / "made", folder / "place"
    _make(made)
    n_kills, n_faults = sizes.kills, sizes.faults * can_trace()
    for number in range(n_kills + n_faults):
        with fresh(made, place):
            step = random_.randrange(len(_STEPS))
            for before in _STEPS[:step]:
                _beet(place, *before)
            if number < n_kills:
                counts[f"{_STEPS[step][0]}, killed"] += _kill(place, _STEPS[step], random_)
                what = "a kill"
            else:
                trace, what = injection(random_)
                code, told = _beet(place, *_STEPS[step], under=trace)
                counts[f"{_STEPS[step][0]}, exit code {code}"] += 1
                if "beetsplug" in told:
                    print(f"beets: {_STEPS[step]}, {what}: {told}", file=sys.stderr)
                    well = False
            wrong = []
            for words in _STEPS:
                code, told = _beet(place, *words)
                if code or "Traceback" in told:
                    wrong.append(f"{words[0]}: {code}: {told}")
            wrong += _wrong(place, made)
            if wrong:
                print(f"beets: {_STEPS[step]} after {what}: {wrong}", file=sys.stderr)
                well = False
    return {"well": well, "struck": counts}


def _make(folder: Path) -> None:
    """An album of songs, some of them damaged, and what beets needs to import it."""
    for number, name in enumerate((*_GOOD, *_DAMAGED)):
        tags = {"artist": "Anna", "album": "First", "title": Path(name).stem}
        write_song(folder / "album" / name, pitch=110 * (number + 2), seconds=5.0, **tags)
    cut, locked, nothing = (folder / "album" / name for name in _DAMAGED)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    locked.write_bytes(locked.read_bytes().replace(b"mp4a", b"drms"))
    nothing.write_bytes(bytes(1000))
    tiny_model.write(folder / "tiny.onnx")
    (folder / "own.toml").write_text("[group.genre]\nmin = 0\ntop = 2\n")
    (folder / "config.yaml").write_text(json.dumps(_CONFIG))  # JSON is YAML


def _beet(place: Path, *words: str, under: Sequence[str] = ()) -> tuple[int, str]:
    command = (sys.executable, "-m", "beets", *words)
    code, said, told = run(*command, under=under, env={"BEETSDIR": str(place)}, cwd=place)
    return code, said + told


def _kill(place: Path, words: Sequence[str], random_: random.Random) -> bool:
    """Kill a command at some moment; whether it was still there."""
    command = (sys.executable, "-m", "beets", *words)
    with start(*command, env={"BEETSDIR": str(place)}, cwd=place) as process:
        try:
            process.communicate(timeout=random_.uniform(0.5, 4.0))
            return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return True


def _wrong(place: Path, made: Path) -> list[str]:
    """What is wrong with a library of beets after all."""
    wrong = [
        f"{path.name}: an original was changed"
        for path in (made / "album").iterdir()
        if sha256(path) != sha256(place / "album" / path.name)
    ]
    with sqlite3.connect(place / "beets.db") as database:
        if database.execute("pragma integrity_check").fetchall() != [("ok",)]:
            wrong.append("the library is damaged")
    database.close()
    _, listed = _beet(place, "ls", "-f", "$title|$path")
    rows = [line.split("|") for line in listed.splitlines() if line.count("|") == 1]
    for name in _GOOD:
        paths = [place / path for title, path in rows if title == Path(name).stem]
        if len(paths) != 1:
            wrong.append(f"{name} has {len(paths)} rows")
            continue
        try:
            if audio_hash(paths[0]) != audio_hash(place / "album" / name):
                wrong.append(f"{name} has other audio")
        except UnreadableAudio as error:
            wrong.append(str(error))
            continue
        if not read_fields(paths[0], ["EARMARK_MODEL"])["EARMARK_MODEL"]:
            wrong.append(f"{name} has no fields")
    return wrong
