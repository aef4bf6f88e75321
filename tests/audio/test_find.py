"""From names on the command line to audio files."""

from __future__ import annotations

from pathlib import Path

from earmark.audio.find import audio_files

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


def test_what_is_named_twice_comes_once(tmp_path, monkeypatch):
    (tmp_path / "songs").mkdir()
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / "songs" / name).touch()
    monkeypatch.chdir(tmp_path)
    named = ["songs/b.mp3", "songs", tmp_path / "songs", "songs/../songs/a.mp3", "songs/b.mp3"]
    found = list(audio_files(named, suffixes=SUFFIXES))
    assert found == [Path("songs/b.mp3"), Path("songs/a.mp3")]
