"""From names on the command line to audio files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from audio_files import tone, write_audio, write_png, write_silent_film

from earmark.audio import AUDIO_SUFFIXES, load_audio
from earmark.audio.find import Choice, Skipped, audio_files
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
    real = os.stat

    def refuse(path, **options):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
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


def found(folder, **options):
    skipped = Skipped()
    paths = audio_files([folder], suffixes=SUFFIXES, skipped=skipped, **options)
    return [path.relative_to(folder).as_posix() for path in paths], skipped


def test_a_film_suffix_and_none_are_heard_where_they_hold_audio_alone(tmp_path):
    song = tone(440)
    for name, container in (
        ("a.mp4", "mp4"), ("b.webm", "webm"), ("c.mkv", "matroska"), ("d.mov", "mov"),
        ("e.3gp", "3gp"), ("f.ogx", "ogg"), ("01. Mr. Song", "mp3"), ("song", "wav"),
    ):  # fmt: skip
        codec = {"mp3": "libmp3lame", "wav": "pcm_s16le", "ogg": "flac"}.get(container, "aac")
        if container == "webm":
            codec = "libopus"
        write_audio(
            tmp_path / name, song, codec=codec, container=container,
            encoded_rate=48_000 if codec == "libopus" else None,
        )  # fmt: skip
    write_silent_film(tmp_path / "film.mp4")
    (tmp_path / "README").write_text("words, and no music")
    (tmp_path / "broken.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(500))
    (tmp_path / "notes.txt").write_text("not asked")
    names, skipped = found(tmp_path)
    assert names == [
        "01. Mr. Song", "a.mp4", "b.webm", "c.mkv", "d.mov", "e.3gp", "f.ogx", "song",
    ]  # fmt: skip
    assert skipped.lines() == ["3 files skipped: 2 unknown, 1 video"]


def test_an_audio_book_with_a_cover_in_an_mp4_is_no_film(tmp_path):
    mutagen = pytest.importorskip("mutagen.mp4")
    path = write_audio(tmp_path / "song.mp4", tone(440), codec="aac")
    file = mutagen.MP4(path)
    file["covr"] = [mutagen.MP4Cover(write_png(tmp_path / "x.png").read_bytes(), 14)]
    file.save()
    assert found(tmp_path) == (["song.mp4"], Skipped())


def test_a_file_with_drm_is_given_so_that_it_gets_its_line(tmp_path):
    song = write_audio(tmp_path / "song.m4a", tone(440), codec="aac")
    content = song.read_bytes().replace(b"mp4a", b"drms")
    song.rename(tmp_path / "song.m4p").write_bytes(content)
    [path] = audio_files([tmp_path], suffixes=AUDIO_SUFFIXES)
    with pytest.raises(UnreadableAudio, match="DRM"):
        load_audio(path, rate=8_000)


@pytest.fixture
def tree(tmp_path):
    for name in (
        "a/1.mp3", "a/live/2.mp3", "b/.nomedia", "b/3.mp3", "b/c/4.mp3", "d/.ndignore", "d/5.mp3",
        "d/6 (live).mp3", "@eaDir/7.mp3", "e/#recycle/8.mp3", "e/9.mp3",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_markers_and_the_folders_of_systems_are_left_out_and_counted(tree):
    names, skipped = found(tree)
    assert names == ["a/1.mp3", "a/live/2.mp3", "e/9.mp3"]
    assert skipped.folders == {".nomedia": 1, ".ndignore": 1, "@eaDir": 1, "#recycle": 1}
    assert skipped.lines() == ["4 folders skipped: 1 #recycle, 1 .ndignore, 1 .nomedia, 1 @eaDir"]


def test_a_folder_that_is_named_is_searched_whatever_marks_it(tree):
    assert found(tree / "b")[0] == ["3.mp3", "c/4.mp3"]
    assert found(tree / "@eaDir")[0] == ["7.mp3"]


def test_the_lines_of_a_marker_are_patterns(tree):
    (tree / "d" / ".ndignore").write_text("# those from concerts\n*(live)*\n")
    names, skipped = found(tree)
    assert "d/5.mp3" in names
    assert "d/6 (live).mp3" not in names
    assert skipped.files == {"excluded": 1}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["live"], ["a/1.mp3", "e/9.mp3"]),
        (["a/*"], ["e/9.mp3"]),
        (["/a/live/"], ["a/1.mp3", "e/9.mp3"]),
        (["[12].mp3", "e"], []),
        (["*.flac"], ["a/1.mp3", "a/live/2.mp3", "e/9.mp3"]),
    ],
)
def test_patterns_exclude_names_and_with_a_slash_paths(tree, patterns, left):
    assert found(tree, choice=Choice(exclude=tuple(patterns)))[0] == left


def test_longer_files_are_left_out_by_their_headers(tmp_path):
    for seconds in (1, 3):
        write_audio(tmp_path / f"{seconds}.mp3", tone(440, seconds=seconds), codec="libmp3lame")
    (tmp_path / "damaged.mp3").write_bytes(b"no music" * 100)
    names, skipped = found(tmp_path, choice=Choice(longest=2))
    assert names == ["1.mp3", "damaged.mp3"]
    assert skipped.lines() == ["1 file skipped: 1 too long"]


def test_what_was_found_before_is_not_opened_again(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_bytes(b"anything")
    monkeypatch.setattr("earmark.audio.find.content", lambda _: pytest.fail("it was opened"))
    names, _ = found(tmp_path, known={os.fsencode(tmp_path / "film.mp4")})
    assert names == ["film.mp4"]
