"""What a scan takes from folders and what it leaves out; files that are not what they seem."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest
from audio_files import music, write_audio, write_hours_of_silence, write_silent_film
from music_folder import scan_once, songs, write_song

from earmark.audio.find import Choice
from earmark.library import changes
from earmark.library.database import Library
from earmark.library.scan import watch_folders


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "data" / "library.sqlite", make=True) as library:
        yield library


def test_a_watched_file_whose_clock_is_ahead_is_heard_when_two_looks_agree(
    library, tagger, folder, monkeypatch
):
    monkeypatch.setattr(changes, "SETTLE_SECONDS", 0.2)
    in_three_hours = time.time() + 3 * 3600
    watching = watch_folders(library, [folder], tagger=tagger, every_seconds=0.05)
    for song in folder.iterdir():
        os.utime(song, (in_three_hours, in_three_hours))
    assert next(watching).heard == 3


def test_a_file_is_at_rest_once_it_has_been_the_same_for_some_seconds(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    rest, song = changes.Rest(), Path("song.mp3")
    ahead = time.time_ns() + 3_600_000_000_000
    assert rest.is_at_rest(song, (5, time.time_ns() - 6_000_000_000))  # by its own time
    for size, seconds, is_at_rest in (
        (1, 0, False), (1, 4, False), (2, 4, False), (2, 4, False), (2, 2, True), (3, 9, False),
    ):  # fmt: skip
        clock[0] += seconds
        assert rest.is_at_rest(song, (size, ahead)) == is_at_rest


def test_what_folders_hold_besides_songs_is_counted(library, tagger, folder):
    write_silent_film(folder / "film.mp4")
    (folder / "noise").write_bytes(b"no audio at all" * 100)
    write_song(folder / "@eaDir" / "thumb.flac", pitch=440)
    write_song(folder / "live" / "1.flac", pitch=1234)
    write_song(folder / "long.flac", pitch=440, seconds=120)
    choice = Choice(exclude=("live",), longest=60)
    found, _ = scan_once(library, tagger, folder, choice=choice)
    assert found.heard == 3
    assert found.skipped.files == {"video": 1, "unknown": 1, "too long": 1}
    assert found.skipped.folders == {"@eaDir": 1, "excluded": 1}
    found, _ = scan_once(library, tagger, folder)
    assert (found.heard, found.unchanged) == (2, 3)  # what was left out is heard when it is not
    assert found.gone == 0
    found, _ = scan_once(library, tagger, folder, choice=choice)
    assert found.gone == 0  # it is there, and stays in the library


def test_the_length_of_a_song_is_what_was_heard_where_its_header_is_absurd(
    library, tagger, tmp_path
):
    song = write_audio(tmp_path / "song.mka", music(3), codec="aac")
    content = bytearray(song.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Duration, in ms
    content[at : at + 8] = struct.pack(">d", 2.6e16)
    song.write_bytes(content)
    scan_once(library, tagger, tmp_path, quick=True)
    [row] = songs(library).values()
    assert row.seconds == pytest.approx(3, abs=0.1)


def test_a_song_that_was_cut_short_says_so_in_its_row(library, tagger, tmp_path):
    song = write_audio(tmp_path / "song.flac", music(20), codec="flac")
    song.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
    for quick in (True, False):
        scan_once(library, tagger, tmp_path, quick=quick)
        [row] = songs(library).values()
        assert [one.kind for one in row.warnings] == ["cut_short"]
        assert row.headline is None


def test_hours_in_a_few_bytes_are_a_row_that_says_so_unless_they_are_asked_for(
    library, tagger, tmp_path
):
    write_hours_of_silence(tmp_path / "long.flac", hours=1.2)
    assert scan_once(library, tagger, tmp_path)[0].failed == 1
    [row] = songs(library).values()
    assert "--no-limits" in row.failure.message
    again, _ = scan_once(library, tagger, tmp_path, quick=True, retry=True, limits=False)
    assert again.heard == 1
