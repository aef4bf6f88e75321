"""A scan hears each song once, whatever happens to the files and to itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from audio_files import FORMATS, music, write_format
from music_folder import scan_once, songs, write_silence, write_song, write_songs

from earmark.audio.packet_hash import audio_hash
from earmark.errors import BadLibrary, BadValue, NotScanned
from earmark.inference import Options
from earmark.library.database import FORM, Library
from earmark.library.embeddings import unit
from earmark.library.playlists.saved import saved_playlists
from earmark.library.scan import ScanOptions, scan_folders, watch_folders
from earmark.library.writing.tag_file import write_fields
from earmark.tagger import Tagger


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "data" / "library.sqlite", make=True) as library:
        yield library


DETAILS = {"new", "moved", "retagged", "copies", "failed_before"}  # of the other counts


def counted(counts):
    """Those of a scan's counts that are not zero, without details."""
    return {name: n for name, n in vars(counts).items() if n and name not in DETAILS}


def detailed(counts):
    """The details of a scan's counts that are not zero."""
    return {name: n for name, n in vars(counts).items() if n and name in DETAILS}


def test_a_scan_keeps_what_the_tagger_hears(library, tagger, folder):
    counts, opened = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 3}
    assert [song.path.name for song in opened] == ["0.flac", "1.flac", "2.flac"]
    stored = songs(library)["1.flac"]
    expected = {tag.tag: tag.score for tag in tagger.tag(folder / "1.flac").tags}
    np.testing.assert_allclose(stored.scores, [expected[tag] for tag in tagger.tags], atol=1e-3)
    assert (stored.artist, stored.title, stored.seconds) == ("Artist 1", "T1", pytest.approx(1.0))
    vector = library.vector(library.model(), folder / "1.flac")
    np.testing.assert_allclose(vector, unit(tagger.embed(folder / "1.flac")), atol=1e-4)


def test_a_second_scan_opens_nothing(library, tagger, folder):
    scan_once(library, tagger, folder)
    counts, opened = scan_once(library, tagger, folder)
    assert counted(counts) == {"unchanged": 3}
    assert opened == []


def test_only_what_is_new_or_changed_is_heard(library, tagger, folder):
    scan_once(library, tagger, folder)
    write_song(folder / "0.flac", pitch=777)
    write_song(folder / "new" / "3.mp3", pitch=500)
    counts, opened = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 2, "unchanged": 2}
    assert [song.path.name for song in opened] == ["0.flac", "3.mp3"]


def test_a_file_that_is_named_twice_is_one_row_and_counts_once(library, tagger, folder):
    twice = [folder / "1.flac", folder, folder / "." / "1.flac", folder / ".." / "music"]
    assert counted(scan_once(library, tagger, *twice)[0]) == {"heard": 3}
    assert counted(scan_once(library, tagger, *twice)[0]) == {"unchanged": 3}
    (folder / "1.flac").unlink()
    assert counted(scan_once(library, tagger, folder, folder)[0]) == {"unchanged": 2, "gone": 1}
    assert len(songs(library, missing=None)) == 3


def test_a_moved_file_keeps_what_was_heard(library, tagger, folder):
    scan_once(library, tagger, folder)
    before = songs(library)["2.flac"]
    (folder / "album").mkdir()
    (folder / "2.flac").rename(folder / "album" / "two.flac")
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {"known": 1, "unchanged": 2}
    assert detailed(counts) == {"moved": 1}
    after = songs(library, missing=None)
    assert sorted(after) == ["0.flac", "1.flac", "two.flac"]
    np.testing.assert_array_equal(after["two.flac"].scores, before.scores)
    assert library.vector(library.model(), folder / "album" / "two.flac") is not None


def test_a_file_moved_and_tagged_anew_by_another_program_is_not_heard_again(
    library, tagger, folder
):
    scan_once(library, tagger, folder)
    (folder / "2.flac").rename(folder / "renamed.flac")
    write_fields(folder / "renamed.flac", {"artist": ("Somebody Else",)})
    write_fields(folder / "1.flac", {"title": ("New Title",)})
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {"known": 2, "unchanged": 1}
    assert detailed(counts) == {"moved": 1, "retagged": 1}
    after = songs(library)
    assert after["renamed.flac"].artist == "Somebody Else"
    assert after["1.flac"].title == "New Title"
    assert after["1.flac"].scores is not None
    assert library.vector(library.model(), folder / "1.flac") is not None


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_audio_of_every_format_is_the_same_whatever_its_tags(tmp_path, name):
    path = write_format(tmp_path, name, music(1))
    before = audio_hash(path)
    if name not in ("raw.aac", "aac.mka"):  # these hold no tags that mutagen writes
        write_fields(path, {"genre": ("Jazz",) * 500, "artist": ("Anna",)})
    assert audio_hash(path) == before
    other = write_format(tmp_path, name, music(1, seed=1))
    assert audio_hash(other) != before


def test_a_deleted_file_is_missing_and_comes_back_unheard(library, tagger, folder):
    scan_once(library, tagger, folder)
    shutil.move(folder / "1.flac", folder.parent / "kept.flac")
    assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 2, "gone": 1}
    assert sorted(songs(library)) == ["0.flac", "2.flac"]
    assert sorted(songs(library, missing=True)) == ["1.flac"]
    assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 2}
    shutil.move(folder.parent / "kept.flac", folder / "1.flac")
    assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 3}
    assert sorted(songs(library)) == ["0.flac", "1.flac", "2.flac"]


def test_a_disk_that_is_not_there_loses_nothing(library, tagger, folder):
    scan_once(library, tagger, folder)
    folder.rename(folder.with_name("unplugged"))
    with pytest.raises(BadValue, match="keeps what it knows of the songs there"):
        scan_once(library, tagger, folder)
    folder.mkdir()  # the empty mount point
    assert counted(scan_once(library, tagger, folder)[0]) == {"gone": 3}
    folder.rmdir()
    folder.with_name("unplugged").rename(folder)
    assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 3}


def test_missing_songs_are_forgotten_on_request_only(library, tagger, folder):
    scan_once(library, tagger, folder)
    (folder / "1.flac").unlink()
    scan_once(library, tagger, folder)
    assert library.forget_missing(library.model()) == 1
    assert sorted(songs(library, missing=None)) == ["0.flac", "2.flac"]
    assert library.index(library.model()).numbers.size == 2


def test_bad_files_are_rows_with_reasons_and_wait_until_they_change(library, tagger, folder):
    (folder / "empty.mp3").touch()
    (folder / "words.mp3").write_text("these are the words of a song\n" * 100)
    (folder / "cut.flac").write_bytes((folder / "0.flac").read_bytes()[:20])
    protected = write_song(folder / "protected.m4a", pitch=300)
    protected.write_bytes(protected.read_bytes().replace(b"mp4a", b"drms"))
    (folder / "nowhere.mp3").symlink_to(folder / "no such file")
    counts, opened = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 3, "failed": 5}
    reasons = {song.path.name: song.failure for song in opened if song.failure}
    assert {failure.kind for failure in reasons.values()} == {"unreadable_audio"}
    assert "empty" in reasons["empty.mp3"].message
    assert "protected" in reasons["protected.m4a"].message
    stored = songs(library, failed=True)
    assert {name: song.failure for name, song in stored.items()} == reasons

    counts, opened = scan_once(library, tagger, folder)
    assert counted(counts) == {"unchanged": 3, "failed": 5}
    assert opened == []
    shutil.copyfile(folder / "0.flac", folder / "cut.flac")
    counts, opened = scan_once(library, tagger, folder, retry=True)
    assert counted(counts) == {"known": 1, "unchanged": 3, "failed": 4}
    assert len(opened) == 5


def test_a_file_that_changes_while_it_is_read_fails_and_is_heard_next_time(library, model, folder):
    class Meddler(Tagger):
        def listen(self, source, **options):
            heard = super().listen(source, **options)
            if Path(source).name == "1.flac":
                with Path(source).open("ab") as file:
                    file.write(b"\0" * 100)
            return heard

    counts, opened = scan_once(library, Meddler(Tagger.load(model).model), folder)
    assert counted(counts) == {"heard": 2, "failed": 1}
    assert "changed while it was being read" in opened[1].failure.message
    counts, _ = scan_once(library, Tagger.load(model), folder)
    assert counted(counts) == {"heard": 1, "unchanged": 2}


def test_a_disk_that_goes_during_a_scan_is_heard_when_it_is_back(library, model, folder):
    away = folder.with_name("unplugged")

    class Unplugger(Tagger):
        def listen(self, source, **options):
            heard = super().listen(source, **options)
            if Path(source).name == "1.flac":
                folder.rename(away)
            return heard

    counts, _ = scan_once(library, Unplugger(Tagger.load(model).model), folder)
    assert counted(counts) == {"heard": 1, "failed": 2}
    away.rename(folder)
    counts, _ = scan_once(library, Tagger.load(model), folder)
    assert counted(counts) == {"heard": 2, "unchanged": 1}


def test_links_that_lead_in_circles_are_walked_once(library, tagger, folder):
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "album").mkdir()
    (folder / "album" / "up").symlink_to("..", target_is_directory=True)
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 3}


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_names_of_odd_bytes_are_kept_to_the_byte(library, tagger, folder):
    odd = os.fsencode(folder) + b"/caf\xe9 \n'%.flac"
    shutil.copyfile(folder / "0.flac", odd)
    os.truncate(os.fsencode(folder / "1.flac"), 20)
    (folder / "1.flac").rename(os.fsdecode(os.fsencode(folder) + b"/bad\xff.flac"))
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 3, "failed": 1}
    kept = [os.fsencode(song.path) for song in songs(library).values()]
    assert odd in kept
    assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 3, "failed": 1}


def test_a_scan_that_is_killed_goes_on_where_it_was(tmp_path, model):
    write_songs(tmp_path / "music", 12)
    path = tmp_path / "library.sqlite"
    command = [
        sys.executable, "-m", "earmark", "library", "scan", str(tmp_path / "music"), "--model",
        str(model), "--library", str(path), "--workers", "1", "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        heard = [json.loads(process.stdout.readline())["path"] for _ in range(3)]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    with Library.open(path) as library:
        kept = [str(song.path) for song in library.songs(library.model())]
        assert set(heard) <= set(kept)
        assert library.index(library.model()).numbers.size == len(kept)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["heard"] == 12 - len(kept)
    assert lines[-1]["unchanged"] == len(kept)
    assert not {line["path"] for line in lines[:-1]} & set(kept)


def test_another_model_hears_everything_anew_beside_the_first(library, tagger, folder, tmp_path):
    scan_once(library, tagger, folder)
    other = Tagger.load(tiny_model.write(tmp_path / "other.onnx", seed=1, name="other"))
    assert counted(scan_once(library, other, folder)[0]) == {"heard": 3}
    assert library.model().card.name == "other"
    first, second = (songs(library, library.model(name))["0.flac"] for name in ("tiny", "other"))
    assert not np.allclose(first.scores, second.scores)
    with pytest.raises(NotScanned, match="there are: other, tiny"):
        library.model("unknown")


def test_a_quick_scan_hears_three_windows_and_a_whole_one_then_hears_the_rest(
    library, tagger, tmp_path
):
    long = write_song(tmp_path / "music" / "long.flac", pitch=440, seconds=120)
    write_song(tmp_path / "music" / "short.flac", pitch=440, seconds=2)
    heard = tagger.listen(long, options=Options(spread=3))
    expected = {"heard": 2, "doubted": 1, "kinds": {"noise": 1}}  # for two minutes are one tone
    np.testing.assert_allclose(heard.starts / 12_000, [20 - 14.56, 60 - 14.56, 100 - 14.56])
    assert counted(scan_once(library, tagger, long.parent, quick=True)[0]) == expected
    assert songs(library)["long.flac"].seconds == pytest.approx(120, abs=0.1)
    assert counted(scan_once(library, tagger, long.parent, quick=True)[0]) == {"unchanged": 2}
    assert counted(scan_once(library, tagger, long.parent)[0]) == expected
    assert counted(scan_once(library, tagger, long.parent, quick=True)[0]) == {"unchanged": 2}


def test_two_workers_keep_what_one_keeps(tmp_path, tagger):
    write_songs(tmp_path / "music", 4)
    found = []
    for workers in (1, 2):
        with Library.open(tmp_path / f"{workers}.sqlite", make=True) as library:
            options = ScanOptions(workers=workers)
            scan_folders(library, [tmp_path / "music"], tagger=tagger, options=options)
            found.append(songs(library))
    for name, song in found[0].items():
        np.testing.assert_allclose(song.scores, found[1][name].scores, atol=1e-3)
        assert song.audio == found[1][name].audio


def test_a_watcher_hears_what_comes_and_waits_for_what_is_being_written(
    library, tagger, folder, monkeypatch
):
    an_hour_ago = time.time() - 3600
    for song in folder.iterdir():
        os.utime(song, (an_hour_ago, an_hour_ago))
    watching = watch_folders(library, [folder], tagger=tagger, every_seconds=0.05)
    assert counted(next(watching)) == {"heard": 3}
    fresh = write_song(folder / "new.flac", pitch=1000)
    os.utime(write_song(folder / "old.flac", pitch=2000), (an_hour_ago, an_hour_ago))
    assert counted(next(watching)) == {"heard": 1, "unchanged": 3, "unsettled": 1}
    os.utime(fresh, (an_hour_ago, an_hour_ago))
    assert counted(next(watching)) == {"heard": 1, "unchanged": 4}
    folder.rename(folder.with_name("unplugged"))  # waits for the disk to come back
    folder.with_name("unplugged").rename(folder)
    (folder / "new.flac").unlink()
    assert counted(next(watching)) == {"unchanged": 4, "gone": 1}


def test_a_library_of_another_kind_or_version_is_refused(tmp_path):
    with pytest.raises(BadLibrary, match="earmark library scan"):
        Library.open(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("this is no database, but a long enough text " * 50)
    with pytest.raises(BadLibrary, match="damaged"):
        Library.open(tmp_path / "text.sqlite")
    with Library.open(tmp_path / "new.sqlite", make=True) as library, pytest.raises(NotScanned):
        library.model()
    connection = sqlite3.connect(tmp_path / "new.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BadLibrary, match="version 99"):
        Library.open(tmp_path / "new.sqlite")


def test_silence_is_kept_as_silence_wherever_it_moves(library, tagger, folder):
    write_silence(folder / "none.flac")
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {"heard": 4, "doubted": 1, "kinds": {"silence": 1}}
    found = songs(library)
    assert found["none.flac"].headline == "This is silence"
    assert [one.kind for one in found["none.flac"].warnings] == ["silent"]
    assert found["0.flac"].warnings == ()
    (folder / "none.flac").rename(folder / "elsewhere.flac")
    counts, _ = scan_once(library, tagger, folder)
    assert counted(counts) == {
        "known": 1, "unchanged": 3, "doubted": 1, "kinds": {"silence": 1},
    }  # fmt: skip
    assert songs(library)["elsewhere.flac"].headline == "This is silence"


def as_version_1(path):
    """Make of a library what earmark wrote before it judged songs."""
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE songs DROP COLUMN warnings")
    connection.execute("DROP TABLE playlists")
    connection.execute("DROP TABLE corrections")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("PRAGMA journal_mode = DELETE")  # one file
    connection.close()


def test_a_library_of_version_1_keeps_its_songs_and_has_them_judged_when_asked(
    tmp_path, tagger, folder
):
    write_silence(folder / "none.flac")
    path = tmp_path / "old.sqlite"
    with Library.open(path, make=True) as library:
        scan_once(library, tagger, folder)
        before = {name: song.scores.tolist() for name, song in songs(library).items()}
    as_version_1(path)
    with Library.open(path) as library:
        found = songs(library)
        assert {name: song.scores.tolist() for name, song in found.items()} == before
        assert {(song.warnings, song.headline) for song in found.values()} == {(None, None)}
        counts, _ = scan_once(library, tagger, folder)
        assert counted(counts) == {"unchanged": 4, "unjudged": 4}
        (folder / "0.flac").rename(folder / "9.flac")  # heard again: its audio was not judged
        counts, _ = scan_once(library, tagger, folder)
        assert counted(counts) == {"heard": 1, "unchanged": 3, "unjudged": 3}
        counts, _ = scan_once(library, tagger, folder, retry=True)
        assert counted(counts) == {
            "heard": 3, "unchanged": 1, "doubted": 1, "kinds": {"silence": 1},
        }  # fmt: skip
    with Library.open(path) as library:  # which is of the newest version now
        assert songs(library)["none.flac"].headline == "This is silence"
        assert library.rows("PRAGMA user_version") == [(FORM.version,)]
    with Library.open(tmp_path / "new.sqlite", make=True) as new, Library.open(path) as old:
        columns = "SELECT name, type FROM pragma_table_info('songs')"
        assert old.rows(columns) == new.rows(columns)


def test_a_library_of_version_1_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "old.sqlite"
    Library.open(path, make=True).close()
    as_version_1(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(BadLibrary, match=r"is of version 1.*Copy the folder to a place"):
        Library.open(path)
    assert path.read_bytes() == before


def test_a_library_of_version_2_keeps_its_songs_and_can_save_playlists(tmp_path, tagger, folder):
    path = tmp_path / "old.sqlite"
    with Library.open(path, make=True) as library:
        scan_once(library, tagger, folder)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE playlists")
    connection.execute("DROP TABLE corrections")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with Library.open(path) as library:
        assert counted(scan_once(library, tagger, folder)[0]) == {"unchanged": 3}
        assert saved_playlists(library) == []
        assert library.rows("PRAGMA user_version") == [(FORM.version,)]
    with Library.open(tmp_path / "new.sqlite", make=True) as new, Library.open(path) as old:
        tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
        assert old.rows(tables) == new.rows(tables)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_library_is_readable_by_its_owner_alone(tmp_path, tagger, folder):
    old, path = os.umask(0), tmp_path / "new.sqlite"
    try:
        with Library.open(path, make=True) as library:
            scan_once(library, tagger, folder)
            found = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("new*")}
            assert found == dict.fromkeys(("new.sqlite", "new.sqlite-wal", "new.sqlite-shm"), 0o600)
        path.chmod(0o644)  # its owner may give it to others
        Library.open(path, make=True).close()
        assert path.stat().st_mode & 0o777 == 0o644
        as_version_1(path)  # whose files were as the umask made them
        Library.open(path).close()
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


def test_processes_that_bring_a_library_to_the_next_version_at_once_do_it_once(tmp_path):
    path = tmp_path / "old.sqlite"
    Library.open(path, make=True).close()
    as_version_1(path)
    script = "import sys; from earmark.library.database import Library; Library.open(sys.argv[1])"
    opening = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in opening] == [0] * 4
    with Library.open(path) as library:
        assert library.rows("PRAGMA user_version") == [(FORM.version,)]
