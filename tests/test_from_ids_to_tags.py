"""The report's run, from ids to tags: the commands of docs/guides/cs2470.md, on a small world."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import soundfile
from music_service import Asked, MusicService, ServedSong, status

from earmark.tags import MSD_50

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "cs2470.md"
RATE = 12_000  # Hz
N = {"train": 30, "valid": 4, "test": 12}
JAZZ, METAL = MSD_50.index("jazz"), MSD_50.index("metal")
# What a small world changes of each command: another address, a network that learns in seconds.
CHANGES = {
    "previews": "--endpoint {url} --rate 0 --cooldown 0.05",
    "train": "--set model.widths=[8,8,8,8] --set model.units=8 "
    "--set loop.epochs=8 --set loop.batch=4 "
    "--set optimiser.rate=0.01 --set optimiser.name=adamw --set optimiser.schedule=one-cycle",
    "evaluate": "--json --replicates 100",
    "tag": "--json --top 50",
}


def commands(number: int) -> list[list[str]]:
    """The lines of one of the page's two blocks of commands, without `earmark`."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    block = blocks[number]
    lines = [shlex.split(line) for line in block.strip().splitlines()]
    assert all(words[0] == "earmark" for words in lines)
    return [words[1:] for words in lines]


def music(number: int, *, jazz: bool) -> np.ndarray:
    """Four seconds: "jazz" is two low notes, "metal" is noise."""
    random = np.random.default_rng(number)
    time = np.arange(4 * RATE) / RATE
    if jazz:
        notes = random.uniform(150, 400, size=2)
        return 0.2 * np.sin(2 * np.pi * notes[:, None] * time).sum(0)
    return 0.2 * random.normal(size=time.size)


@pytest.fixture
def world(tmp_path: Path) -> list[ServedSong]:
    """Id files, label arrays and names, as the Million Song split has them; and their songs."""
    (tmp_path / "splits").mkdir()
    names, songs = [], []
    for split, n in N.items():
        ids, labels = [], np.zeros((n, 50), dtype=bool)
        for place in range(n):
            number = len(songs)
            is_jazz = number % 2 == 0
            labels[place, JAZZ if is_jazz else METAL] = True
            ids.append(f"TRABCDE{number:011X}")
            artist, title = f"Artist {number // 3}", f"Song Number {number}"
            names.append(f"{ids[-1]}<SEP>SOQMMHC12AB0180CB8<SEP>{artist}<SEP>{title}\n")
            path = tmp_path / f"preview-{number}.wav"
            soundfile.write(path, music(number, jazz=is_jazz), RATE)
            songs.append(ServedSong(number, artist, title, audio=path))
        (tmp_path / "splits" / f"{split}_x_msd_id.txt").write_text("\n".join(ids) + "\n")
        np.save(tmp_path / "splits" / f"{split}_y.npy", labels)
    (tmp_path / "unique_tracks.txt").write_text("".join(names), encoding="utf-8")
    soundfile.write(tmp_path / "song.wav", music(999, jazz=True), RATE)
    return songs


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "earmark", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_commands_of_the_page_lead_from_ids_to_tags(world, tmp_path):
    def rejecting(asked: Asked):
        return status(403) if asked.number == 1 and crc32(asked.subject.encode()) % 7 == 0 else None

    said: dict[str, str] = {}
    with MusicService(world) as service:
        service.fault = rejecting
        for words in commands(0):
            name = words[1] if words[0] == "data" else words[0]
            more = CHANGES.get(name, "").format(url=service.url)
            said[name] = run([*words, *shlex.split(more)], tmp_path)
    result = json.loads(said["evaluate"])
    assert result["n_tracks"] == N["test"]
    assert result["roc_auc"]["macro"] > 0.9
    assert result["roc_auc"]["samples"] > 0.7
    assert {row["tag"] for row in result["per_tag"]} >= {"jazz", "metal"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    tags = {tag["tag"]: tag for tag in json.loads(said["tag"])["tags"]}
    assert tags["jazz"]["score"] > tags["metal"]["score"]
    history = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert len(history) == 8

    # and from the report's pairs, which hold neither ids nor splits
    elsewhere = tmp_path / "elsewhere"
    run(["data", "export", "store", "-o", str(elsewhere / "pairs"), "--to", "numpy"], tmp_path)
    for path in [*elsewhere.glob("pairs/*.csv"), *elsewhere.glob("pairs/*.json")]:
        path.unlink()
    training = next(words for words in commands(0) if words[0] == "train")
    few = f"{CHANGES['train']} --set loop.epochs=1"
    for words in (*commands(1), [*training, *shlex.split(few)]):
        run(words, elsewhere)
    assert len((elsewhere / "run" / "history.jsonl").read_text().splitlines()) == 1
