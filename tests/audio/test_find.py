"""From names on the command line to audio files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from earmark.audio.find import audio_files
from earmark.audio.opening import opened_file
from earmark.errors import UnreadableAudio

SUFFIXES = {".mp3", ".flac"}


def test_folders_are_walked_in_order_and_only_for_audio(tmp_path):
    for name in ("b/2.mp3", "b/10.FLAC", "a.mp3", "b/notes.txt", "b/.hidden.mp3", ".git/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(p.relative_to(tmp_path)) for p in audio_files([tmp_path], suffixes=SUFFIXES)]
    assert found == ["a.mp3", "b/10.FLAC", "b/2.mp3"]


def test_a_named_file_is_taken_whatever_it_is_called_and_if_it_is_not_there(tmp_path):
    (tmp_path / "notes.txt").touch()
    named = [tmp_path / "notes.txt", tmp_path / "missing.mp3"]
    assert list(audio_files(named, suffixes=SUFFIXES)) == named


def test_a_folder_that_links_to_itself_is_entered_once(tmp_path):
    (tmp_path / "song.mp3").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert list(audio_files([tmp_path], suffixes=SUFFIXES)) == [tmp_path / "song.mp3"]


def test_a_folder_that_cannot_be_read_is_not_lost(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "song.mp3").touch()
    real = Path.stat

    def refuse(self, **options):
        if self.name == "locked":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    found = list(audio_files([tmp_path], suffixes=SUFFIXES))
    assert found == [tmp_path / "locked", tmp_path / "song.mp3"]


@pytest.fixture
def messy(tmp_path):
    """A song among entries that cannot be looked at; and what a walk gives, in order."""
    folder = tmp_path / "messy"
    folder.mkdir()
    (folder / "song.mp3").touch()
    for name, target in (
        ("a self", "a self"), ("b circle", "c circle"), ("c circle", "b circle"),
        ("d inside", "song.mp3/inner"), ("e long", "x" * 300), ("f gone", "nowhere"),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
    (folder / "g \udcff").symlink_to("nowhere.jpg")  # a name that is no UTF-8
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)  # rmtree gives up in deep folders


@pytest.mark.skipif(sys.platform == "win32", reason="links and names that Windows does not allow")
def test_each_entry_that_cannot_be_looked_at_is_given_and_the_rest_too(messy):
    found = list(audio_files([messy], suffixes=SUFFIXES))
    assert [path.name[:8] for path in found] == [
        "a self", "b circle", "c circle", "d inside", "e long", "f gone", "g \udcff", "song.mp3",
    ]  # fmt: skip
    for path in found[:-1]:
        with pytest.raises(UnreadableAudio, match="a broken link"), opened_file(path):
            pass
    assert list(audio_files(found, suffixes=SUFFIXES)) == found  # and named, too


@pytest.mark.skipif(sys.platform == "win32", reason="links and names that Windows does not allow")
def test_folders_are_walked_to_any_depth_that_a_path_can_name(messy):
    deep = messy / "deep"
    deep.mkdir()
    for _ in range(1500):
        deep = deep / "d"
        deep.mkdir()
    (deep / "low.mp3").touch()
    at = os.open(messy, os.O_RDONLY)
    for _ in range(25):  # beyond what any path can be
        os.mkdir("x" * 200, dir_fd=at)
        above, at = at, os.open("x" * 200, os.O_RDONLY, dir_fd=at)
        os.close(above)
    os.close(at)
    found = list(audio_files([messy], suffixes=SUFFIXES))
    assert deep / "low.mp3" in found
    assert found[-1].name == "x" * 200
    with pytest.raises(UnreadableAudio, match="too long"), opened_file(found[-1]):
        pass


def test_what_is_named_twice_comes_once(tmp_path, monkeypatch):
    (tmp_path / "songs").mkdir()
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / "songs" / name).touch()
    monkeypatch.chdir(tmp_path)
    named = ["songs/b.mp3", "songs", tmp_path / "songs", "songs/../songs/a.mp3", "songs/b.mp3"]
    found = list(audio_files(named, suffixes=SUFFIXES))
    assert found == [Path("songs/b.mp3"), Path("songs/a.mp3")]
