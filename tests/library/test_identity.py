"""A file is one song, by whatever name it is scanned or asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from music_folder import scan_once, songs, write_song, write_songs

from earmark.library import PlaylistRequest, make_playlist, plan_writing, read_settings
from earmark.library.playlists.playlist import Length
from earmark.library.playlists.recordings import near_duplicates

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links that Windows forbids")


@pytest.fixture
def disk(tmp_path):
    """A folder of three songs of different lengths, and a link to it: (disk, link)."""
    for i in range(3):
        song = tmp_path / "disk" / "music" / f"{i}.flac"
        write_song(song, pitch=110 * (i + 2), seconds=1 + 1.5 * i)
    (tmp_path / "Music").symlink_to(tmp_path / "disk" / "music")
    return tmp_path / "disk" / "music", tmp_path / "Music"


def paths(library, below=None):
    return [str(song.path) for song in library.songs(library.model(), below=below, missing=None)]


def test_a_folder_scanned_by_one_name_is_known_by_every_name(library, tagger, disk):
    real, link = disk
    for first, second in ((link, real), (real, link)):
        scan_once(library, tagger, first)
        counts, opened = scan_once(library, tagger, second)
        assert (counts.unchanged, opened, counts.gone) == (3, [], 0)
    kept = [str(real / f"{i}.flac") for i in range(3)]
    assert paths(library) == kept
    for name in (real, link, real / ".." / "music"):
        assert paths(library, below=name) == kept
        assert paths(library, below=name / "1.flac") == kept[1:2]
        assert library.known_path(library.model(), name / "1.flac") == real / "1.flac"
    assert library.known_path(library.model(), link / "none.flac") is None
    assert paths(library, below=real / "none.flac") == []


def test_a_file_with_several_names_is_one_song_and_no_copy_of_itself(library, tagger, disk):
    real, _ = disk
    (real / "a best").mkdir()
    (real / "a best" / "link.flac").symlink_to(real / "1.flac")
    os.link(real / "2.flac", real / "a best" / "hard.flac")
    assert scan_once(library, tagger, real)[0].heard == 3
    assert scan_once(library, tagger, real)[0].unchanged == 3
    # of two names without links the first; of a link and a name the name
    assert [Path(path).name for path in paths(library)] == ["0.flac", "1.flac", "2.flac"]
    model = library.model()
    for group in near_duplicates(library, model):
        assert len({song.path.stat().st_ino for song in group}) == len(group)
    assert library.known_path(model, real / "a best" / "link.flac") == real / "1.flac"
    assert library.known_path(model, real / "a best" / "hard.flac") == real / "2.flac"
    assert paths(library, below=real / "a best") == [str(real / f"{i}.flac") for i in (1, 2)]
    (real / "2.flac").unlink()  # the song is there by its other name
    counts, _ = scan_once(library, tagger, real)
    assert (counts.moved, counts.heard, counts.gone, counts.copies) == (1, 0, 0, 0)


def test_a_folder_that_may_be_entered_but_not_listed_is_scanned(library, tagger, disk, monkeypatch):
    real, _ = disk
    os.link(real / "2.flac", real / "again.flac")

    def refuse(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", refuse)
    assert scan_once(library, tagger, real)[0].heard == 3


def test_a_file_that_another_folder_holds_too_keeps_its_first_name(library, tagger, disk, tmp_path):
    real, _ = disk
    scan_once(library, tagger, real)
    (tmp_path / "snapshot").mkdir()
    for song in real.iterdir():
        os.link(song, tmp_path / "snapshot" / song.name)
    counts, opened = scan_once(library, tagger, tmp_path / "snapshot")
    assert (counts.unchanged, opened) == (3, [])
    assert len(paths(library)) == 3
    assert paths(library, below=tmp_path / "snapshot") == paths(library)


def test_links_that_are_the_only_names_keep_them(library, tagger, tmp_path):
    store = tmp_path / "music" / ".store"
    for name, song, pitch in (("x81", "Anna.flac", 300), ("x82", "Bob.flac", 400)):
        write_song(store / f"{name}.flac", pitch=pitch)
        (tmp_path / "music" / song).symlink_to(store / f"{name}.flac")
    scan_once(library, tagger, tmp_path / "music")
    assert sorted(songs(library)) == ["Anna.flac", "Bob.flac"]
    assert scan_once(library, tagger, tmp_path / "music")[0].unchanged == 2
    shown = paths(library, below=store / "x81.flac")
    assert [Path(path).name for path in shown] == ["Anna.flac"]


def test_a_song_with_a_row_for_each_name_is_left_with_one(library, tagger, disk):
    """As libraries have them that both names were scanned into before version 3."""
    real, link = disk
    scan_once(library, tagger, real)
    model = library.model()
    for name, song in songs(library).items():
        vector = library.vector(model, song.path)
        library.put(model, replaced(song, path=link / name), embedding=vector)
    gone = replaced(songs(library)["0.flac"], path=link / "gone.flac", audio=b"gone".ljust(32))
    library.put(model, gone, embedding=library.vector(model, link / "0.flac"))
    assert len(paths(library)) == 7
    counts, opened = scan_once(library, tagger, link)
    assert (counts.unchanged, counts.gone, opened) == (3, 1, [])
    assert sorted(songs(library)) == ["0.flac", "1.flac", "2.flac"]
    assert {str(song.path.parent) for song in songs(library, missing=None).values()} == {str(real)}


def replaced(song, **values):
    return type(song)(**(vars(song) | values))


def test_a_folder_that_became_a_link_keeps_its_songs(library, tagger, tmp_path):
    write_songs(tmp_path / "Music", 2)
    scan_once(library, tagger, tmp_path / "Music")
    (tmp_path / "disk").mkdir()
    (tmp_path / "Music").rename(tmp_path / "disk" / "music")
    (tmp_path / "Music").symlink_to(tmp_path / "disk" / "music")
    for folder in (tmp_path / "disk", tmp_path / "Music"):
        counts, opened = scan_once(library, tagger, folder)
        assert (counts.unchanged, counts.gone, opened) == (2, 0, [])
    assert len(paths(library)) == 2


def test_every_command_takes_any_name(library, tagger, disk):
    real, link = disk
    scan_once(library, tagger, link)
    model, settings = library.model(), read_settings()
    planned = plan_writing(library, model, settings=settings, below=link / "1.flac")
    assert [change.song.path for change in planned] == [real / "1.flac"]
    request = PlaylistRequest(start=link / "0.flac", end=link / "2.flac", length=Length(songs=3))
    made = make_playlist(library, request, model=model, settings=settings, load=pytest.fail)
    assert [song.path.name for song in made] == ["0.flac", "1.flac", "2.flac"]
    request = PlaylistRequest(like=[link / "0.flac"])
    made = make_playlist(library, request, model=model, settings=settings, load=pytest.fail)
    assert sorted(song.path.name for song in made) == ["1.flac", "2.flac"]


def test_a_file_system_that_folds_case_has_one_song(library, tagger, tmp_path):
    write_song(tmp_path / "music" / "song.flac", pitch=300)
    if not (tmp_path / "music" / "SONG.flac").exists():
        pytest.skip("this file system tells upper from lower case")
    scan_once(library, tagger, tmp_path / "music")
    assert len(paths(library, below=tmp_path / "MUSIC" / "Song.flac")) == 1
    (tmp_path / "music" / "song.flac").rename(tmp_path / "music" / "Song.flac")
    assert scan_once(library, tagger, tmp_path / "MUSIC")[0].unchanged == 1
    assert sorted(songs(library)) == ["Song.flac"]


def test_below_a_folder_is_what_is_in_it_and_not_beside_it(library, tagger, tmp_path):
    names = ("a/b/1.flac", "a/b.flac", "a/b!/2.flac", "a/b0/3.flac", "a/bc/4.flac")
    for pitch, name in enumerate(names):
        write_song(tmp_path / name, pitch=200 + 50 * pitch)
    scan_once(library, tagger, tmp_path)
    assert paths(library, below=tmp_path / "a" / "b") == [str(tmp_path / "a" / "b" / "1.flac")]
    assert len(paths(library, below=tmp_path / "a")) == len(paths(library, below=Path("/"))) == 5
