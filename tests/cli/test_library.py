"""`earmark library` as scripts and people meet it: a real process, its output and its exit code."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_model
import typer
from music_folder import write_silence, write_song, write_songs

from earmark.cli import COMMANDS, Commands, app
from earmark.library.writing.tag_file import read_fields, write_fields


@pytest.fixture(scope="module")
def home(tmp_path_factory, model):
    """A folder with music/ and a library that has scanned it; each song has a length of its own."""
    home = tmp_path_factory.mktemp("home")
    for i in range(4):
        song = home / "music" / f"{i}.flac"
        write_song(song, pitch=110 * (i + 2), seconds=1 + 1.5 * i, artist="Some", title=f"T{i}")
    write_song(home / "music" / "long.mp3", pitch=600, seconds=8, artist="Long", title="Song")
    (home / "music" / "empty.mp3").touch()
    done = earmark(home, "scan", home / "music", "--model", model, "--json")
    assert done.returncode == 3, done.stderr
    assert lines(done)[-1]["heard"] == 5
    return home


def earmark(home, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "earmark", "library", *map(str, words)],
        capture_output=True, timeout=120,
        env={
            **os.environ, "COLUMNS": "120", "EARMARK_LIBRARY": str(home / "library.sqlite"),
            **environment,
        },
    )  # fmt: skip


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_scan_says_what_became_of_every_file(home, model):
    done = earmark(home, "scan", home / "music", "--model", model)
    assert done.returncode == 0  # nothing failed this time
    assert done.stdout == b""
    assert b"5 songs: 5 unchanged\n" in done.stderr
    assert b"1 file could not be heard before and did not change" in done.stderr
    again = lines(earmark(home, "scan", home / "music", "--model", model, "--json", "--retry"))
    assert [line["error"]["kind"] for line in again if "error" in line] == ["unreadable_audio"]
    assert again[-1] == {
        "heard": 0, "known": 0, "unchanged": 5, "failed": 1, "gone": 0, "unsettled": 0,
        "doubted": 0, "unjudged": 0, "forgotten": 0, "kinds": {},
        "new": 0, "moved": 0, "retagged": 0, "copies": 0, "failed_before": 0,
        "skipped": {"files": {}, "folders": {}},
    }  # fmt: skip


def test_a_scan_tells_new_moved_copied_retagged_changed_and_gone(tmp_path, model):
    music = tmp_path / "music"
    write_songs(music, 6)
    assert b"6 songs: 6 new\n" in earmark(tmp_path, "scan", music, "--model", model).stderr
    write_song(music / "new.flac", pitch=999)
    (music / "0.flac").rename(music / "moved.flac")
    shutil.copyfile(music / "1.flac", music / "copy.flac")
    write_fields(music / "2.flac", {"title": ("Other",)})
    write_song(music / "3.flac", pitch=888)
    (music / "4.flac").unlink()
    (music / "empty.mp3").touch()
    done = earmark(tmp_path, "scan", music, "--model", model, "--json")
    assert done.returncode == 3
    assert (
        b"7 songs: 1 new, 1 heard again, 1 moved, 1 changed, but not its audio, 1 a copy of "
        b"another song, 2 unchanged, 1 gone\n1 file could not be heard; "
    ) in done.stderr
    counts = lines(done)[-1]
    assert counts.pop("skipped") == {"files": {}, "folders": {}}
    counts = {name: number for name, number in counts.items() if number}
    assert counts == {
        "heard": 2, "known": 3, "unchanged": 2, "failed": 1, "gone": 1,
        "new": 1, "moved": 1, "retagged": 1, "copies": 1,
    }  # fmt: skip


def test_show_gives_lines_a_table_and_the_failures(home):
    shown = lines(earmark(home, "show", "--json"))
    assert [os.path.basename(line["path"]) for line in shown] == [  # noqa: PTH119 - of text
        "0.flac", "1.flac", "2.flac", "3.flac", "empty.mp3", "long.mp3",
    ]  # fmt: skip
    assert shown[0].keys() == {
        "path", "seconds", "model", "kind", "first_genre", "tags", "artist", "title",
    }  # fmt: skip
    assert len(shown[0]["tags"]) == 5
    assert "error" in shown[4]
    failed = earmark(home, "show", "--failed")
    assert b"the file is empty" in failed.stdout
    assert len(failed.stdout.splitlines()) == 1
    assert failed.stdout.count(b"empty.mp3") == 1
    rows = list(csv.DictReader(io.StringIO(earmark(home, "show", "--csv").stdout.decode())))
    assert len(rows) == 5
    assert len(rows[0]) == 57
    assert rows[0]["warnings"] == ""
    assert all(0 <= float(row["rock"]) <= 1 for row in rows)
    one = earmark(home, "show", home / "music" / "long.mp3")
    assert b"long.mp3  0:08" in one.stdout
    assert b"lift" in one.stdout


@pytest.mark.parametrize("words", [
    ("show", "--csv", "--json"),
    ("show", "--csv", "--failed"),
    ("show", "--tag", "jazz", "--failed"),
    ("show", "--tag", "jazz", "--missing"),
    ("corrections", "--csv", "--json"),
    ("playlist", "jazz", "--saved"),
    ("playlist", "-o", "jazz.m3u8", "--saved", "--forget", "it"),
    ("playlist", "--save", "it", "--forget", "it"),
])  # fmt: skip
def test_of_two_options_that_contradict_each_other_none_wins_silently(home, words):
    done = earmark(home, *words)
    assert (done.returncode, done.stdout) == (1, b"")
    option = next(word for word in reversed(words) if word.startswith("--"))
    assert option.encode() in done.stderr


def test_show_finds_songs_with_a_tag_the_surest_first(home):
    rows = list(csv.DictReader(io.StringIO(earmark(home, "show", "--csv").stdout.decode())))
    scores = sorted((float(row["jazz"]) for row in rows), reverse=True)
    shown = lines(
        earmark(home, "show", "--tag", "jazz", "--min", scores[2] - 1e-4, "--json", "--top", 50)
    )
    heard = [next(t["score"] for t in line["tags"] if t["tag"] == "jazz") for line in shown]
    assert heard == pytest.approx(scores[:3], abs=1e-4)


def test_write_shows_a_plan_and_does_nothing_until_told(home, tmp_path):
    (tmp_path / "own.toml").write_text("[group.genre]\nmin = 0\ntop = 2\n")
    own = ("--settings", tmp_path / "own.toml")
    song = home / "music" / "long.mp3"
    before = song.read_bytes()
    done = earmark(home, "write", song, *own)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"1 file would change, 0 need no change\ngenre: in 1 file: ")
    assert b"Nothing was written; to write, add --yes; to see each file, --list" in done.stderr
    done = earmark(home, "write", song, *own, "--list")
    assert done.stdout.startswith(os.fsencode(song) + b"\n    genre: empty -> ")
    (tmp_path / "only.txt").write_bytes(os.fsencode(song) + b"\n")
    only = lines(earmark(home, "write", *own, "--only", tmp_path / "only.txt", "--json"))
    assert [line["path"] for line in only] == [str(song)]
    (tmp_path / "only.txt").write_text(f"{song}\n{tmp_path / 'other.mp3'}\n")
    done = earmark(home, "write", *own, "--only", tmp_path / "only.txt")
    assert done.returncode == 1
    assert b"1 of the 2 paths in the list are not in the library" in done.stderr
    assert song.read_bytes() == before
    (line,) = lines(earmark(home, "write", song, *own, "--json", "--yes", "--keep-mtime"))
    assert line["written"] is True
    assert list(read_fields(song, ["genre"])["genre"]) == line["changes"]["genre"]["after"]
    done = earmark(home, "write", song, *own, "--by", "album")
    assert done.stdout.startswith(b"0 files would change, 1 need no change\n")
    (run,) = lines(earmark(home, "undo", "--list", "--json"))
    assert run["files"] == 1
    assert earmark(home, "undo").stdout.decode().strip() == str(song)
    assert song.read_bytes() != before
    done = earmark(home, "undo", "--yes", "--json")
    assert lines(done) == [{"path": str(song), "outcome": "restored"}]
    assert song.read_bytes() == before
    assert earmark(home, "undo").returncode == 1
    assert earmark(home, "write", "--merge", "--replace").returncode == 1


def test_playlists_go_to_stdout_or_beside_the_music(home, tmp_path):
    done = earmark(home, "playlist", "jazz >= 0", "--songs", 2)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode().splitlines()
    assert printed[0] == "#EXTM3U"
    assert all(os.path.isfile(path) for path in printed[2::2])  # noqa: PTH113 - of text
    song, other = home / "music" / "0.flac", home / "music" / "long.mp3"
    listed = home / "music" / "like.m3u8"
    assert earmark(home, "playlist", "--like", song, "-o", listed).returncode == 0
    found = listed.read_text(encoding="utf-8").splitlines()
    assert sorted(found[2::2]) == ["1.flac", "2.flac", "3.flac", "long.mp3"]
    done = earmark(home, "playlist", "--from", song, "--to", other, "--songs", 4, "--json")
    assert [line["path"] for line in lines(done)][::3] == [str(song), str(other)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("playlist",), 1, b"a playlist needs an expression"),
        (("playlist", "jazz andd rock"), 1, b"^"),
        (("playlist", "jazz > .999999"), 1, b"loosen the expression"),
        (("playlist", "--from", "a.mp3"), 1, b"--from and --to"),
        (("playlist", "jazz", "--save", "x"), 1, b"name that with -o FILE"),
        (("playlist", "--like", "none.mp3"), 1, b"no such file"),
        (("similar",), 1, b"give one song"),
        (("similar", "https://host/song.mp3"), 1, b"this is an address, and earmark hears files"),
        (("scan", "https://host/music"), 1, b"is an address; give a folder"),
        (("show", "--min", ".5"), 1, b"name it with --tag"),
        (("show", "nowhere.mp3"), 1, b"scan it first"),
        (("write", "nowhere.mp3"), 1, b"scan it first"),
        (("show", "--model", "other"), 1, b"there are: tiny"),
        (("scan",), 2, b"Missing argument"),
    ],
)
def test_wrong_usage_is_answered_with_what_is_right(home, model, words, code, said):
    if "none.mp3" in words or "address" in str(said):
        words = (*words, "--model", str(model))
    done = earmark(home, *words)
    assert done.returncode == code, done.stderr
    assert said.lower() in done.stderr.lower()
    assert b"Traceback" not in done.stderr


def test_similar_hears_a_song_that_was_never_scanned(home, model, tmp_path):
    stray = write_song(tmp_path / "stray.flac", pitch=220, seconds=1)
    other = tiny_model.write(tmp_path / "other.onnx", seed=1)
    done = earmark(home, "similar", stray, EARMARK_MODEL=str(other))
    assert done.returncode == 1
    assert b"is not the model that the library was scanned with" in done.stderr
    done = earmark(home, "similar", stray, "--json", "--model", model)
    assert done.returncode == 0, done.stderr
    assert len(lines(done)) == 4  # without 0.flac, which it is a copy of
    assert not any(line["path"].endswith("0.flac") for line in lines(done))
    done = earmark(home, "similar", stray, "--json", "--model", model, "--copies")
    assert len(lines(done)) == 5
    assert lines(done)[0]["path"].endswith("0.flac")
    assert lines(done)[0]["near_duplicate"] is True
    assert lines(done)[0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_a_title_with_a_carriage_return_is_one_line_of_a_table(tmp_path, model):
    song = write_song(tmp_path / "music" / "a.flac", pitch=300, title="One\rTwo", artist="A")
    write_song(tmp_path / "music" / "b.flac", pitch=300, title='Three, "Four"', artist="B")
    earmark(tmp_path, "scan", song.parent, "--model", model)
    done = earmark(tmp_path, "show", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [row["title"] for row in rows] == ["One\rTwo", 'Three, "Four"']
    assert [row["kind"] for row in rows] == ["music", "music"]


def test_a_saved_playlist_follows_the_library(home, tmp_path, model):
    own = tmp_path / "music"
    shutil.copytree(home / "music", own)
    (own / "empty.mp3").unlink()
    earmark(tmp_path, "scan", own, "--model", model)
    listed = tmp_path / "lists" / "like.m3u8"
    like = ("playlist", "--like", own / "0.flac", "-o", listed, "--save", "like it")
    assert earmark(tmp_path, *like).returncode == 0
    names = listed.read_text(encoding="utf-8").splitlines()[2::2]
    assert sorted(names) == [
        f"../music/{name}" for name in ("1.flac", "2.flac", "3.flac", "long.mp3")
    ]
    everything = ("playlist", "rock >= 0", "-o", tmp_path / "all.m3u8", "--save", "all")
    assert earmark(tmp_path, *everything, "--prefix", own, "M:\\music").returncode == 0
    assert "M:\\music\\0.flac" in (tmp_path / "all.m3u8").read_text(encoding="utf-8")

    before = listed.stat()
    (own / "0.flac").rename(own / "zero.flac")  # an example that has moved
    (own / "1.flac").unlink()
    write_song(own / "new.flac", pitch=900, seconds=6.9)
    done = earmark(tmp_path, "scan", own, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert [line for line in lines(done) if "playlist" in line] == [
        {"playlist": "all", "file": str(tmp_path / "all.m3u8"), "songs": 5, "changed": True},
        {"playlist": "like it", "file": str(listed), "songs": 4, "changed": True},
    ]
    assert b"like it: 4 songs, made anew: " in done.stderr
    names = listed.read_text(encoding="utf-8").splitlines()[2::2]
    assert sorted(names) == [
        f"../music/{name}" for name in ("2.flac", "3.flac", "long.mp3", "new.flac")
    ]
    assert listed.stat().st_mtime_ns > before.st_mtime_ns

    (own / "zero.flac").unlink()
    done = earmark(tmp_path, "scan", own, "--model", model)
    assert done.returncode == 3
    assert b"error: the saved playlist like it: cannot read" in done.stderr
    assert listed.read_text(encoding="utf-8").splitlines()[2::2] == names  # as it was
    assert earmark(tmp_path, "playlist", "--forget", "like it").returncode == 0
    (line,) = lines(earmark(tmp_path, "playlist", "--saved", "--json"))
    assert (line["playlist"], line["songs"], line["changed"]) == ("all", 4, False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_no_types_of_python(name):
    def helps(command):
        yield command.get_help(command.context_class(command))
        for each in getattr(command, "commands", {}).values():
            yield from helps(each)

    group = typer.main.get_command(app)
    assert isinstance(group, Commands)
    for text in helps(group.get_command(None, name)):
        assert "list[" not in text


def test_without_a_library_one_line_says_how_to_make_one(tmp_path):
    done = earmark(tmp_path, "show")
    assert done.returncode == 1
    assert b"earmark library scan" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_default_settings_are_printed():
    done = subprocess.run(
        [sys.executable, "-m", "earmark", "library", "settings"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "[group.genre]" in done.stdout


@contextlib.contextmanager
def watcher(tmp_path, model):
    """A process that scans tmp_path / "music" each second; gone at the end, however that comes."""
    with subprocess.Popen(
        [
            sys.executable, "-m", "earmark", "library", "scan", tmp_path / "music", "--model",
            model, "--library", tmp_path / "library.sqlite", "--watch", "--every", "1", "--json",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_a_watcher_hears_what_comes_until_ctrl_c(tmp_path, model):
    write_songs(tmp_path / "music", 1)
    with watcher(tmp_path, model) as process:
        assert json.loads(process.stdout.readline())["path"].endswith("0.flac")
        assert json.loads(process.stdout.readline())["heard"] == 1
        new = write_song(tmp_path / "new.flac", pitch=500)
        os.utime(new, (time.time() - 60,) * 2)
        new.rename(tmp_path / "music" / "new.flac")  # seen whole and old, or not at all
        assert json.loads(process.stdout.readline())["path"].endswith("new.flac")
        counts = json.loads(process.stdout.readline())
        assert counts["heard"] == counts["new"] == 1
        time.strptime(counts["at"], "%Y-%m-%d %H:%M:%S")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_silence_is_said_to_be_silence_by_every_command(tmp_path, model):
    write_songs(tmp_path / "music", 1)
    write_silence(tmp_path / "music" / "none.flac")
    done = earmark(tmp_path, "scan", tmp_path / "music", "--model", model)
    assert done.returncode == 0, done.stderr
    assert b"none.flac: it is silent: its tags mean nothing" in done.stderr
    assert b"1 of them is not music: 1 silence. It gets no genre" in done.stderr
    shown = earmark(tmp_path, "show").stdout.decode().splitlines()
    assert shown[0].startswith(str(tmp_path / "music" / "0.flac"))
    assert "This is silence" not in shown[0]
    assert shown[1] == f"{tmp_path / 'music' / 'none.flac'}  0:01  This is silence"
    (line,) = lines(earmark(tmp_path, "show", "--doubted", "--json"))
    assert [one["kind"] for one in line["warnings"]] == ["silent"]
    rows = list(csv.DictReader(io.StringIO(earmark(tmp_path, "show", "--csv").stdout.decode())))
    assert [row["warnings"] for row in rows] == ["", "silent"]
    assert [row["kind"] for row in rows] == ["music", "silence"]
    one = earmark(tmp_path, "show", tmp_path / "music" / "none.flac")
    assert b"none.flac  0:01  This is silence" in one.stdout
    assert b"its tags mean nothing" in one.stderr
    (tmp_path / "own.toml").write_text("[group.genre]\nmin = 0\ntop = 2\n")
    write = ("write", "--settings", tmp_path / "own.toml", "--json")
    done = earmark(tmp_path, *write)
    assert [os.path.basename(line["path"]) for line in lines(done)] == ["0.flac"]  # noqa: PTH119
    assert b"not music: 1 file (silence 1), skipped; --doubted writes to them" in done.stderr
    assert len(lines(earmark(tmp_path, *write, "--doubted"))) == 2
    playlist = ("playlist", "rock >= 0")
    assert b"none.flac" not in earmark(tmp_path, *playlist).stdout
    assert b"none.flac" in earmark(tmp_path, *playlist, "--doubted").stdout


def test_what_a_model_hears_as_speech_is_counted_shown_and_left_alone(tmp_path):
    hears_speech = tiny_model.write_hearing(tmp_path / "tiny.onnx", "speech")
    write_songs(tmp_path / "music", 2)
    write_silence(tmp_path / "music" / "none.flac")
    done = earmark(tmp_path, "scan", tmp_path / "music", "--model", hears_speech, "--json")
    assert lines(done)[-1]["kinds"] == {"speech": 2, "silence": 1}
    assert b"3 of them are not music: 2 speech, 1 silence. They get" in done.stderr
    (line, *_, silent) = lines(earmark(tmp_path, "show", "--json", "--top", 99))
    assert (line["kind"], line["first_genre"], silent["kind"]) == ("speech", None, "silence")
    assert len(line["tags"]) == 50
    assert b"0.flac  0:01  This is speech" in earmark(tmp_path, "show").stdout
    rows = list(csv.DictReader(io.StringIO(earmark(tmp_path, "show", "--csv").stdout.decode())))
    assert [row["kind"] for row in rows] == ["speech", "speech", "silence"]
    assert lines(earmark(tmp_path, "write", "--json")) == []
    assert len(lines(earmark(tmp_path, "write", "--json", "--doubted"))) == 3
    assert earmark(tmp_path, "playlist", "rock >= 0").returncode == 1
    asked = earmark(tmp_path, "playlist", "speech > .9", "--doubted").stdout
    assert asked.count(b".flac") >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="links that Windows does not allow")
def test_bad_links_get_their_lines_and_a_watcher_lives_on(tmp_path, model):
    write_songs(tmp_path / "music", 1)
    bad = {"circle": "circle", "inside": "0.flac/inner", "long": "x" * 300}
    for name, target in bad.items():
        (tmp_path / "music" / name).symlink_to(target)
    tagged = subprocess.run(
        [sys.executable, "-m", "earmark", "tag", tmp_path / "music", "--model", model, "--json"],
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert tagged.returncode == 3
    assert ["error" in line for line in lines(tagged)] == [False, True, True, True]
    with watcher(tmp_path, model) as process:
        rows = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert [os.path.basename(row["path"]) for row in rows[:4]] == ["0.flac", *bad]  # noqa: PTH119
        assert all("a broken link" in row["error"]["message"] for row in rows[1:4])
        assert (rows[4]["heard"], rows[4]["failed"]) == (1, 3)
        (tmp_path / "music" / "late").symlink_to("late")
        assert json.loads(process.stdout.readline())["path"].endswith("late")
        assert json.loads(process.stdout.readline())["failed"] == 4
        process.terminate()
        assert process.wait(timeout=60) == 143


def test_a_person_corrects_a_tag_and_takes_it_back(home):
    song = home / "music" / "0.flac"
    done = earmark(home, "correct", song, "Hip Hop")
    assert done.returncode == 0, done.stderr
    assert b"Hip-Hop: yes (1.00)" in done.stderr
    assert earmark(home, "correct", song, "rock", "--not").returncode == 0
    (shown,) = lines(earmark(home, "show", song, "--json"))
    assert shown["corrected"] == {"rock": False, "Hip-Hop": True}
    assert shown["tags"][0]["tag"] == "Hip-Hop"
    listed = lines(earmark(home, "corrections", "--json"))
    assert {(line["tag"], line["holds"]) for line in listed} == {("rock", False), ("Hip-Hop", True)}
    (row,) = csv.DictReader(io.StringIO(earmark(home, "corrections", "--csv").stdout.decode()))
    assert row["path"] == str(song)
    assert row["tags"].split("|")[0] == "Hip-Hop"
    for tag in ("hip-hop", "rock"):
        assert earmark(home, "correct", song, tag, "--forget").returncode == 0
    done = earmark(home, "corrections")
    assert (done.stdout, done.stderr) == (b"", b"0 corrections\n")
    for words, message in (
        ((song, "polka"), b"no tag 'polka'"),
        ((home / "library.sqlite", "rock"), b"is not in the library"),
        ((song, "rock", "--not", "--forget"), b"give one of them"),
    ):
        done = earmark(home, "correct", *words)
        assert done.returncode == 1
        assert message in done.stderr


def test_where_says_which_file_the_library_is(home, tmp_path):
    done = earmark(home, "where", EARMARK_LIBRARY=str(tmp_path / "own.sqlite"))
    assert (done.returncode, done.stdout.decode()) == (0, f"{tmp_path / 'own.sqlite'}\n")
    assert b"earmark library scan DIR" in done.stderr
    done = earmark(home, "where")
    assert Path(done.stdout.decode().strip()).exists()
    assert done.stderr == b""
