"""What a person sees on a terminal: answers, and one bar below them that leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import evaluation_data
import pytest
import stores
import tiny_model
from audio_files import tone, write_audio
from music_service import MusicService, ServedSong

from earmark.data.catalog.catalog import Catalog, Song, write_catalog

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals of this kind", allow_module_level=True)

import terminal_screen
from terminal_screen import Seen

WIDTHS = pytest.mark.parametrize(
    ("columns", "colour"), [(80, {}), (120, {"NO_COLOR": "1"})], ids=["80", "120-no-colour"]
)
SEVERAL = pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
# what a bar is made of, and what it is called
OF_A_BAR = re.compile(r"[━╸╺]|\d+/\d+|\d:\d\d:\d\d|tagging|hearing|spectrograms|previews|draws of")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Music, of which one file is empty; one song alone; and a model."""
    home = tmp_path_factory.mktemp("home")
    for name in ("one/0.flac", "several/0.flac", "several/1.flac", "several/2.flac"):
        (home / name).parent.mkdir(exist_ok=True)
        write_audio(home / name, tone(300, seconds=1, rate=22_050), codec="flac", rate=22_050)
    (home / "several/empty.mp3").touch()
    tiny_model.write(home / "tiny.onnx")
    return home


def see(home: Path, *words: object, columns: int = 80, colour: dict[str, str], **how) -> Seen:
    environment = {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    environment.pop("COLUMNS", None)
    return terminal_screen.see(
        [sys.executable, "-m", "earmark", *words],
        columns=columns, cwd=home, env=environment | colour, **how,
    )  # fmt: skip


def bar_was_alone_and_is_gone(seen: Seen, words: str) -> None:
    assert seen.bars, "no bar was ever seen"
    assert not seen.crowds
    for line in seen.bars:
        # the whole line, or as much of it as one reading brought
        assert re.fullmatch(rf"({words}) [━╸╺ ]+(\d+(/(\d+.*)?)?)?", line)
    assert [line for line in seen.lines if OF_A_BAR.search(line)] == []
    assert seen.cursor


@WIDTHS
@SEVERAL
def test_tag(home, columns, colour, several):
    folder = "several" if several else "one"
    seen = see(home, "tag", folder, "--model", "tiny.onnx", columns=columns, colour=colour)
    bar_was_alone_and_is_gone(seen, "tagging")
    titles = [line for line in seen.lines if line.endswith("  0:01")]
    assert titles == [f"{folder}/{number}.flac  0:01" for number in range(3 if several else 1)]
    assert seen.code == (3 if several else 0)
    said = [line for line in seen.lines if "could not be tagged" in line]
    assert said == (["1 of 4 files could not be tagged"] if several else [])
    assert sum("error: cannot read several/empty.mp3" in line for line in seen.lines) == several


@WIDTHS
@SEVERAL
def test_library_scan(home, tmp_path, columns, colour, several):
    folder = "several" if several else "one"
    library = tmp_path / "library.sqlite"
    seen = see(
        home, "library", "scan", folder, "--model", "tiny.onnx", "--library", library,
        columns=columns, colour=colour,
    )  # fmt: skip
    bar_was_alone_and_is_gone(seen, "hearing")
    assert seen.code == (3 if several else 0)
    text = "".join(line.ljust(columns) for line in seen.lines)
    assert ("3 songs: 3 new" if several else "1 song: 1 new") in text
    assert text.count("1 file could not be heard") == several
    assert text.count("empty.mp3") == several


@WIDTHS
@SEVERAL
def test_data_shards(tmp_path, columns, colour, several):
    n = 3 if several else 1
    stores.write_audio(tmp_path, n)
    if several:
        (tmp_path / "audio" / "S002.wav").write_text("no music")
    write_catalog(stores.catalog(n), tmp_path / "catalog.parquet")
    seen = see(
        tmp_path, "data", "shards", "catalog.parquet", "-o", "store", "--audio", ".",
        "--features", "choi2016", "--workers", 1, columns=columns, colour=colour,
    )  # fmt: skip
    bar_was_alone_and_is_gone(seen, "spectrograms")
    text = "".join(line.ljust(columns) for line in seen.lines)
    assert text.count("error: audio/S002.wav") == several
    assert f"store: {n - several} clip{'s' if several else ''} in 1 shard;" in text
    assert text.count("1 file could not be used") == several
    assert seen.code == (3 if several else 0)


@WIDTHS
def test_evaluate(tmp_path, columns, colour):
    evaluation_data.csv_of(evaluation_data.songs(tmp_path), tmp_path / "songs.csv")
    tiny_model.write(tmp_path / "tiny.onnx")
    (tmp_path / "audio/gone.wav").unlink(missing_ok=True)
    seen = see(
        tmp_path, "evaluate", "tiny.onnx", "--catalog", "songs.csv", "--replicates", 5,
        "--workers", 1, columns=columns, colour=colour,
    )  # fmt: skip
    bar_was_alone_and_is_gone(seen, "hearing with tiny|5 draws of 8 songs for the intervals")
    assert seen.lines[0] == "tiny on 8 songs of test, 2 tags"
    assert seen.code == 0


@WIDTHS
@SEVERAL
def test_data_previews(tmp_path, columns, colour, several):
    n = 5 if several else 1
    songs = [Song(f"TR{i}", f"Artist{i}", f"Title{i}") for i in range(n)]
    write_catalog(Catalog.from_songs(songs, tags=[]), tmp_path / "catalog.parquet")
    with MusicService([ServedSong(i, f"Artist{i}", f"Title{i}") for i in range(n)]) as service:
        if several:
            service.fault = lambda asked: (
                (lambda connection, _: connection.send(200, b"no audio"))
                if asked.kind == "preview" and asked.subject == "0"
                else None
            )
        seen = see(
            tmp_path, "data", "previews", "catalog.parquet", "-o", "out", "--source", "itunes",
            "--accept-terms", "--endpoint", service.url, "--rate", 0, "--cooldown", 0.05,
            columns=columns, colour=colour,
        )  # fmt: skip
    bar_was_alone_and_is_gone(seen, "previews")
    assert seen.lines[several].split()[:2] == ["downloaded", str(n - several)]
    assert seen.code == (3 if several else 0)
    assert sum("failed" in line and "1" in line for line in seen.lines) == several


def test_answers_in_a_pipe_are_whole_and_the_bar_stays_on_the_terminal(home, tmp_path):
    with (tmp_path / "answers").open("wb") as file:
        seen = see(home, "tag", "several", "--model", "tiny.onnx", "--json", colour={}, stdout=file)
    bar_was_alone_and_is_gone(seen, "tagging")
    answers = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    assert [Path(answer["path"]).name for answer in answers] == [
        "0.flac", "1.flac", "2.flac", "empty.mp3",
    ]  # fmt: skip
    assert list(filter(None, seen.lines)) == ["1 of 4 files could not be tagged"]


def test_words_in_a_file_are_plain_lines_and_the_terminal_shows_answers_only(home, tmp_path):
    with (tmp_path / "words").open("wb") as file:
        seen = see(home, "tag", "several", "--model", "tiny.onnx", colour={}, stderr=file)
    assert not seen.bars
    assert next(line for line in seen.lines if line.endswith("  0:01")) == "several/0.flac  0:01"
    words = (tmp_path / "words").read_text()
    assert "\x1b" not in words
    assert words.splitlines()[-1] == "1 of 4 files could not be tagged"


def test_a_terminal_that_cannot_move_its_cursor_gets_no_bar(home):
    seen = see(home, "tag", "one", "--model", "tiny.onnx", colour={"TERM": "dumb"})
    assert not seen.bars
    assert seen.lines[0] == "one/0.flac  0:01"


def test_a_terminal_narrower_than_the_bar_is_left_clean(home):
    seen = see(home, "tag", "several", "--model", "tiny.onnx", columns=30, colour={})
    assert [line for line in seen.lines if OF_A_BAR.search(line)] == []
    titles = [line for line in seen.lines if line.endswith("  0:01")]
    assert len(titles) == 3


def test_a_kill_takes_the_bar_away_and_gives_the_cursor_back(home):
    (home / "many").mkdir()
    for number in range(200):
        (home / "many" / f"{number:03}.flac").symlink_to(home / "one" / "0.flac")
    seen = see(
        home, "tag", "many", "--model", "tiny.onnx", "--workers", 2, colour={}, columns=120,
        kill_at="005.flac",
    )  # fmt: skip
    assert seen.code == 143
    bar_was_alone_and_is_gone(seen, "tagging")
    assert not any("199.flac" in line for line in seen.lines)
