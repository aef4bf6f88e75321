"""`earmark tag` as scripts and people meet it: a real process, its output and its exit code."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
from audio_files import (
    music,
    tone,
    write_audio,
    write_hours_of_silence,
    write_silent_film,
)


def earmark(*words, stdin=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "earmark", *map(str, words)],
        capture_output=True, timeout=120, input=stdin,
        env={**os.environ, "COLUMNS": "120", **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    (folder / "album").mkdir()
    for name, codec in (
        ("album/one.flac", "flac"),
        ("album/two.wav", "pcm_s16le"),
        ("three.mp3", "mp3"),
    ):
        pitch = tone(55 * len(name), seconds=2, rate=22_050)
        write_audio(folder / name, pitch, codec=codec, rate=22_050)
    (folder / "notes.txt").write_text("not music")
    return folder


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_folder_is_tagged_file_by_file_as_json_lines(model, folder):
    done = earmark("tag", folder, "--model", model, "--json", "--top", "4")
    assert done.returncode == 0
    names = [os.path.relpath(line["path"], folder) for line in lines(done)]
    assert names == ["album/one.flac", "album/two.wav", "three.mp3"]
    for line in lines(done):
        assert line["model"] == "tiny"
        assert line["seconds"] == pytest.approx(2, abs=0.1)
        assert len(line["tags"]) == 4
        assert line["tags"][0].keys() >= {"tag", "score", "lift"}


def test_bad_files_have_their_lines_and_the_exit_code_is_three(model, folder, tmp_path):
    (tmp_path / "empty.mp3").touch()
    named = [
        tmp_path / "empty.mp3",
        folder / "notes.txt",
        tmp_path / "missing.mp3",
        folder / "three.mp3",
    ]
    done = earmark("tag", *named, "--model", model, "--json")
    assert done.returncode == 3
    assert [line["path"] for line in lines(done)] == list(map(str, named))
    for line in lines(done)[:3]:
        assert line["error"]["kind"] == "unreadable_audio"
        assert line["error"]["message"]
    assert "tags" in lines(done)[3]
    assert b"3 of 4 files" in done.stderr


def test_one_bad_file_is_one_error_and_no_sum(model, tmp_path):
    (tmp_path / "empty.mp3").touch()
    done = earmark("tag", tmp_path / "empty.mp3", "--model", model)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert b"the file is empty" in done.stderr


def test_a_file_that_is_named_beside_its_folder_is_tagged_once(model, folder):
    done = earmark("tag", folder / "three.mp3", folder, "--model", model, "--json")
    names = [os.path.relpath(line["path"], folder) for line in lines(done)]
    assert names == ["three.mp3", "album/one.flac", "album/two.wav"]


def test_silence_is_called_silence(model, tmp_path):
    path = write_audio(tmp_path / "a.wav", tone(440, level=0), codec="pcm_s16le")
    done = earmark("tag", path, "--model", model)
    assert done.returncode == 0
    assert b"warning: " in done.stderr
    assert b"it is silent" in done.stderr
    assert b"This is silence" in done.stdout
    (line,) = lines(earmark("tag", path, "--model", model, "--json"))
    assert line["warnings"][0]["kind"] == "silent"


def test_speech_is_called_speech_and_its_tags_are_shown_below(tmp_path):
    hears_speech = tiny_model.write_hearing(tmp_path / "tiny.onnx", "speech")
    path = write_audio(tmp_path / "a.wav", music(3), codec="pcm_s16le")
    done = earmark("tag", path, "--model", hears_speech)
    assert done.stdout.splitlines()[0].endswith(b"a.wav  0:03  This is speech")
    assert b"it is speech, not music" in done.stderr
    assert b"not sure of the genre" not in done.stdout
    (line,) = lines(earmark("tag", path, "--model", hears_speech, "--json", "--top", "99"))
    assert (line["kind"], line["first_genre"]) == ("speech", None)
    assert len(line["tags"]) == 50


def test_a_person_sees_a_table_and_errors_apart(model, folder):
    done = earmark(
        "tag", folder / "three.mp3", folder / "notes.txt", "--model", model, "--top", "2"
    )
    assert done.returncode == 3
    assert b"three.mp3  0:02" in done.stdout
    assert b"lift" in done.stdout
    assert b"\x1b[" not in done.stdout
    assert b"notes.txt" not in done.stdout
    assert b"error: cannot read" in done.stderr
    assert b"notes.txt" in done.stderr


def test_a_dash_reads_the_list_from_stdin_by_lines_or_by_nul(model, folder):
    names = [str(folder / "three.mp3"), str(folder / "album" / "one.flac")]
    for separator in ("\n", "\r\n", "\0"):
        done = earmark("tag", "-", "--model", model, "--json", stdin=separator.join(names).encode())
        assert [line["path"] for line in lines(done)] == names, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_names_of_odd_bytes_pass_through(model, folder, tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9 \n#%.flac"
    shutil.copyfile(folder / "album" / "one.flac", odd)
    done = earmark("tag", tmp_path, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert os.fsencode(lines(done)[0]["path"]) == odd
    assert earmark("tag", tmp_path, "--model", model).returncode == 0


def test_a_taggram_is_a_picture_and_a_table(model, folder, tmp_path):
    done = earmark(
        "tag", folder / "three.mp3", "--model", model, "--taggram", tmp_path / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "three.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["seconds", "rock"]
    assert len(rows[0]) == 51
    assert all(0 <= float(score) <= 1 for row in rows[1:] for score in row[1:])
    assert (tmp_path / "out" / "three.png").read_bytes().startswith(b"\x89PNG")


def test_two_workers_give_the_bytes_of_one(model, folder):
    alone, together = (
        earmark("tag", folder, "--model", model, "--json", "--workers", n).stdout for n in (1, 2)
    )
    assert [line["path"] for line in map(json.loads, alone.splitlines())] == [
        line["path"] for line in map(json.loads, together.splitlines())
    ]
    for one, two in zip(alone.splitlines(), together.splitlines(), strict=True):
        for mine, theirs in zip(json.loads(one)["tags"], json.loads(two)["tags"], strict=True):
            assert mine["tag"] == theirs["tag"]
            assert mine["score"] == pytest.approx(theirs["score"], abs=2e-5)


def test_without_a_model_the_shipped_one_is_used(folder):
    done = earmark("tag", folder, "--json", "--top", "130")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["model"] for line in lines} == {"earmark"}
    # all its columns but the seven kinds of sound
    assert all(len(line["tags"]) == 123 for line in lines)


def test_a_model_that_is_not_here_is_one_line_that_says_how_to_get_it(folder):
    done = earmark("tag", folder, "--model", "choi2016")
    assert done.returncode == 1
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert b"earmark models pull choi2016" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tag",), 2, b"Missing argument"),
        (("tag", "x.mp3", "--rank", "best"), 2, b"evidence"),
        (("tag", "x.mp3", "--top", "0"), 2, b"top"),
        (("sing",), 2, b"No such command"),
        (("tag", "x.mp3", "--model", "no-such-model"), 1, b"choi2016"),
    ],
)
def test_wrong_usage_is_answered_with_what_is_right(words, code, said):
    done = earmark(*words)
    assert done.returncode == code
    assert said in done.stderr


def test_a_folder_without_music_is_an_error(model, tmp_path):
    done = earmark("tag", tmp_path, "--model", model)
    assert done.returncode == 1
    assert b"no audio files" in done.stderr


def test_a_reader_that_leaves_early_is_no_disaster(model, folder):
    done = subprocess.run(
        f"'{sys.executable}' -m earmark tag {folder} {folder} --model {model} --json | head -n 1",
        shell=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 1
    assert b"Traceback" not in done.stderr


def test_doctor_says_what_is_in_use_and_how_fast_it_is(model, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path / "none.sqlite"))
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    found = json.loads(earmark("doctor", "--model", model, "--json").stdout)
    advice = {line["about"]: line for line in found["advice"]}
    assert advice["library"]["verdict"] == "note"
    assert "earmark library scan" in advice["library"]["message"]
    assert "ORT_DISABLE_TELEMETRY in your environment" in advice["privacy"]["message"]
    assert "tiny, " in advice["model"]["message"]
    assert found["model"]["name"] == "tiny"
    assert found["model"]["runtime"] == "onnxruntime"
    assert found["speed"]["network_ms"] > 0
    shipped = earmark("doctor")
    assert shipped.returncode == 0
    assert b"earmark.onnx" in shipped.stdout
    assert re.search(rb"^(well|problem) +speed +\d+ ms for a clip", shipped.stdout, re.MULTILINE)


def test_help_and_version_answer():
    assert b"listens to music" in earmark("--help").stdout
    assert earmark("--version").stdout.startswith(b"earmark 0.")


def test_what_a_folder_holds_besides_is_said_on_stderr_and_stdout_is_songs_alone(
    model, folder, tmp_path
):
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    write_silent_film(mixed / "film.mp4")
    write_hours_of_silence(mixed / "hours.flac", hours=1.2)
    (mixed / "album" / "unknown").write_bytes(bytes(1000))
    words = ("--model", model, "--json", "--center", "--exclude", "*.wav")
    done = earmark("tag", mixed, *words, "--longest", "60")
    assert done.returncode == 0
    assert [Path(line["path"]).name for line in lines(done)] == ["one.flac", "three.mp3"]
    assert b"4 files skipped: 1 excluded, 1 too long, 1 unknown, 1 video" in done.stderr
    done = earmark("tag", mixed / "hours.flac", *words)
    assert done.returncode == 3
    assert "--no-limits" in lines(done)[0]["error"]["message"]
    done = earmark("tag", mixed / "hours.flac", *words, "--no-limits")
    assert lines(done)[0]["seconds"] == pytest.approx(1.2 * 3600, rel=0.05)


def test_a_song_that_was_cut_short_is_tagged_with_a_warning(model, tmp_path):
    whole = write_audio(tmp_path / "song.mp3", music(8), codec="libmp3lame")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = earmark("tag", whole, "--model", model)
    assert done.returncode == 0
    assert b"song.mp3: it is cut short: 0:04 of 0:08" in done.stderr
    [line] = lines(earmark("tag", whole, "--model", model, "--json"))
    assert {"kind": "cut_short", "message": "it is cut short: 0:04 of 0:08"} in line["warnings"]


def test_names_as_long_as_they_can_be_get_their_taggrams(model, folder, tmp_path):
    pytest.importorskip("matplotlib")
    songs = tmp_path / "songs"
    songs.mkdir()
    for name in ("a" * 251, "\u97f3" * 80 + "1", "\u97f3" * 80 + "2"):
        shutil.copy(folder / "three.mp3", songs / f"{name}.mp3")
    done = earmark("tag", songs, "--model", model, "--json", "--taggram", tmp_path / "grams")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "grams").iterdir())) == 6


def test_a_taggram_that_cannot_be_written_is_a_line_and_the_others_are_written(
    model, folder, tmp_path
):
    pytest.importorskip("matplotlib")
    (tmp_path / "one.csv").mkdir()  # in the way
    done = earmark("tag", folder, "--model", model, "--json", "--taggram", tmp_path)
    assert done.returncode == 3
    assert b"the tags over time of" in done.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == {"two.png", "three.png"}
