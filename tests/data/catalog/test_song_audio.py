"""Which audio file is a song's: the one called by its id, else the one at the catalog's path."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from earmark.data.catalog.song_audio import SongAudio, files_by_id, files_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.ogg", "a.mp3", "a.flac", ".hidden.mp3", "notes.txt", "no_suffix", "x.y.MP3"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.mp3").touch()
    return tmp_path


def test_the_files_of_a_folder_come_in_alphabetical_order(folder: Path) -> None:
    names = [file.name for file in files_in(folder, suffixes={".mp3", ".ogg", ".flac"})]
    assert names == [".hidden.mp3", "a.flac", "a.mp3", "b.ogg", "x.y.MP3"]
    assert len(list(files_in(folder))) == 8
    assert list(files_in(folder / "nowhere")) == []
    assert list(files_in(folder / "a.mp3")) == []


def test_an_id_is_a_name_without_its_last_suffix_and_the_first_file_counts(folder: Path) -> None:
    found = files_by_id(files_in(folder))
    assert {song_id: file.name for song_id, file in found.items()} == {
        "a": "a.flac", "b": "b.ogg", "notes": "notes.txt", "x.y": "x.y.MP3",
    }  # fmt: skip


def test_the_id_comes_before_the_path_and_a_path_is_below_the_root(folder: Path) -> None:
    audio = SongAudio(files_in(folder), root=folder)
    assert audio.of("a", "below/c.mp3") == folder / "a.flac"
    assert audio.of("other", "below/c.mp3") == folder / "below/c.mp3"
    assert audio.of("other", str(folder / "b.ogg")) == folder / "b.ogg"
    assert audio.of("other", "below/none.mp3") is None
    assert audio.of("other", "below") is None
    assert audio.of("other", "") is None


def test_ten_million_files_take_a_gigabyte_and_not_four() -> None:
    n = 20_000
    names = [f"TR{number:012}.m4a" for number in range(n)]
    tracemalloc.start()
    audio = SongAudio(Path("/music/audio") / name for name in names)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert audio.of("TR000000000007", "") == Path("/music/audio/TR000000000007.m4a")
    assert taken < 200 * n
