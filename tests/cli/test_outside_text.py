"""Names, tags and cards full of escape codes and markup: a terminal shows them and obeys none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import evaluation_data
import mutagen
import pytest
import tiny_model
from audio_files import tone, write_audio
from tiny_store import write_tiny_store

from earmark.data.catalog.catalog import Catalog, Song, write_catalog

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals of this kind", allow_module_level=True)

import terminal_screen

# what would set the title, clear the screen, draw a link, ring, turn the writing around, start a
# line, be markup and be a picture
EVIL = (
    "\x1b]0;owned\x07 \x1b[2J\x1b[31m \x1b]8;;http:x\x1b\\ \x9b5m \u202eback \u2066 one\ntwo\r"
    " [bold red]not bold[link=x] :cd:"
)
SHOWN = "[bold red]not bold[link=x] :cd:"
# what earmark itself sends: colours, and the bar that is drawn and erased
OWN = re.compile(rb"\x1b\[(\?25[lh]|0?m|[123]m|9[0-7]m|3[2-9](;\d+)*m|2K|\d*A|\d*G)")
HELD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song, a model, a library, a catalog and a store in which every text is EVIL."""
    home = tmp_path_factory.mktemp("home")
    (home / "music").mkdir()
    for number in range(2):
        song = home / "music" / f"{EVIL}{number}.flac"
        samples = tone(300 + 200 * number, seconds=1 + number, rate=22_050)
        write_audio(song, samples, codec="flac", rate=22_050)
        tags = mutagen.File(song)
        tags.update(dict.fromkeys(("artist", "title", "album", "genre"), EVIL))
        tags.save()
    (home / "music" / f"{EVIL}.mp3").write_bytes(b"no music")
    names = (EVIL, *(f"tag {number}" for number in range(9)))
    tiny_model.write(
        home / "evil.onnx", name=EVIL, tags=names, priors=(0.1,) * 10, source=EVIL, licence=EVIL,
        description=EVIL, training={"recipe": {"name": EVIL, "init": EVIL}, EVIL: EVIL},
    )  # fmt: skip
    songs = [
        Song("S1", artist=EVIL, title=EVIL, split="train", path=EVIL, tags=(EVIL,)),
        Song("S2", artist=EVIL, title=EVIL, split="test", tags=()),
    ]
    write_catalog(Catalog.from_songs(songs, tags=[EVIL]), home / "c.parquet")
    write_tiny_store(home / f"store{EVIL}")
    (home / f"store{EVIL}" / EVIL).write_bytes(b"foreign")
    (home / f"store{EVIL}" / "shard-00000.npy").write_bytes(b"damage")
    (home / "settings.toml").write_text(
        f"[names]\n{json.dumps(EVIL)} = {json.dumps('written ' + EVIL)}\n"
    )
    earmark(home, "library", "scan", "music", "--model", "evil.onnx")
    earmark(home, "library", "correct", f"music/{EVIL}1.flac", "tag 1")
    return home


def earmark(home: Path, *words: object) -> subprocess.CompletedProcess[bytes]:
    """A command whose answers go into a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "earmark", *map(str, words)],
        cwd=home, env=environment(home), capture_output=True, check=False,
    )  # fmt: skip


def environment(home: Path) -> dict[str, str]:
    own = {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1", "EARMARK_LIBRARY": f"{home}/l.sqlite"}
    return os.environ | own


SONG = f"music/{EVIL}0.flac"
COMMANDS = {
    "tag": ("tag", "music", "--model", "evil.onnx"),
    "tag as JSON": ("tag", "music", "--model", "evil.onnx", "--json"),
    "scan": ("library", "scan", "music", "--model", "evil.onnx", "--retry"),
    "show": ("library", "show"),
    "show one": ("library", "show", SONG),
    "show as CSV": ("library", "show", "--csv"),
    "show as JSON": ("library", "show", "--json"),
    "corrections": ("library", "corrections"),
    "corrections as CSV": ("library", "corrections", "--csv"),
    "similar": ("library", "similar", SONG, "--copies"),
    "playlist": ("library", "playlist", '"tag 1" or not "tag 1"'),
    "playlist of a misspelt tag": ("library", "playlist", f'"{EVIL.replace(chr(10), "")}x"'),
    "plan": ("library", "write", "--list", "--replace"),
    "write": ("library", "write", "--yes", "--list", "--replace", "--settings", "settings.toml"),
    "undo": ("library", "undo", "--yes"),
    "model": ("models", "info", "evil.onnx"),
    "model with its tags": ("models", "info", "evil.onnx", "--tags"),
    "catalog": ("data", "inspect", "c.parquet"),
    "song of a catalog": ("data", "inspect", "c.parquet", "S1"),
    "store": ("data", "verify", f"store{EVIL}"),
    "no such file": ("tag", EVIL),
    # Typer's own words, which escape what moves the cursor and leave what turns the writing around
    "no such option": ("tag", "--" + EVIL.replace("\u202e", "").replace("\u2066", "")),
    "no such command": (EVIL,),
}  # fmt: skip
SILENT = {"undo", "no such option"}  # which name nothing, or not all of it


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_shows_what_comes_from_outside_and_obeys_none_of_it(home, command):
    seen = terminal_screen.see(
        [sys.executable, "-m", "earmark", *COMMANDS[command]],
        columns=2000, cwd=home, env=environment(home),
    )  # fmt: skip
    written = seen.written.rstrip(b"\0")  # what terminal_screen itself sends
    assert b"Traceback" not in written, written.decode()
    left = OWN.sub(b"", written).decode()
    assert HELD.findall(left) == [], left
    assert (SHOWN in left) == (command not in SILENT), left


def test_a_pipe_gets_names_and_tags_exactly(home):
    tagged = earmark(home, "tag", "music", "--model", "evil.onnx", "--json", "--top", 10).stdout
    lines = [json.loads(line) for line in tagged.splitlines()]
    assert {line["path"] for line in lines} == {
        f"music/{EVIL}{end}" for end in ("0.flac", "1.flac", ".mp3")
    }
    assert all(tag["tag"] in (EVIL, *(f"tag {i}" for i in range(9)))
               for line in lines for tag in line.get("tags", ()))  # fmt: skip
    shown = earmark(home, "library", "show").stdout.decode()
    assert str(home / SONG) in shown
    assert earmark(home, "data", "inspect", "c.parquet", "S1").stdout.decode().count(EVIL) == 4


def test_the_tables_of_an_evaluation_show_tags_as_they_are(home, tmp_path):
    """An evaluation hears every song: only its tables are of interest here."""
    (tmp_path / "audio").mkdir()
    rows = [
        Song(f"s{i}", split="test", path=f"audio/s{i}.wav", tags=(EVIL,) * (i % 2))
        for i in range(4)
    ]
    for i, song in enumerate(rows):
        evaluation_data.write_song(tmp_path / song.path, seed=i)
    catalog = Catalog.from_songs(rows, tags=[EVIL])
    write_catalog(catalog, tmp_path / "songs.parquet")
    seen = terminal_screen.see(
        [sys.executable, "-m", "earmark", "evaluate", home / "evil.onnx", "--catalog",
         "songs.parquet", "--replicates", 2, "--workers", 1],
        columns=2000, cwd=tmp_path, env=environment(home),
    )  # fmt: skip
    left = OWN.sub(b"", seen.written.rstrip(b"\0")).decode()
    assert HELD.findall(left) == [], left
    assert SHOWN in left, left
