"""A file is one song, by whatever name it is scanned or asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
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


@pytest.fixture
def stick(tmp_path):
    """A folder of a file system that folds case: here, or on an exFAT as USB sticks have it."""
    (tmp_path / "case").touch()
    if (tmp_path / "CASE").exists():
        yield tmp_path
        return
    tools = ("losetup", "mkfs.exfat", "mount.exfat-fuse", "umount")
    if sys.platform != "linux" or os.geteuid() or not all(map(shutil.which, tools)):
        pytest.skip("this file system tells upper from lower case, and no exFAT can be mounted")
    image, folder = tmp_path / "image", tmp_path / "stick"
    with image.open("wb") as file:
        file.truncate(40 << 20)
    folder.mkdir()
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    loop = ["losetup", "--find", "--show", image]
    found = subprocess.run(loop, capture_output=True, text=True)
    device = found.stdout.strip()
    mount = ["mount.exfat-fuse", device, folder]
    try:
        if found.returncode or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("exFAT cannot be mounted here")
        yield folder
    finally:
        subprocess.run(["umount", folder], capture_output=True)
        subprocess.run(["losetup", "--detach", device], capture_output=True)


def test_a_file_system_that_folds_case_has_one_song(library, tagger, stick):
    write_song(stick / "music" / "song.flac", pitch=300)
    scan_once(library, tagger, stick / "music")
    assert len(paths(library, below=stick / "MUSIC" / "Song.flac")) == 1
    (stick / "music" / "song.flac").rename(stick / "music" / "Song.flac")
    assert scan_once(library, tagger, stick / "MUSIC")[0].heard == 0
    assert paths(library) == [str(stick / "music" / "Song.flac")]
    assert scan_once(library, tagger, stick / "MUSIC", stick / "music")[0].unchanged == 1
    assert paths(library) == [str(stick / "music" / "Song.flac")]


MOUNTED_TWICE = """
import sys
from music_folder import scan_once
from earmark.library.database import Library
from earmark.tagger import Tagger

tagger = Tagger.load(sys.argv[1])
with Library.open("l.sqlite", make=True) as library:
    scan_once(library, tagger, "music")
    counts, opened = scan_once(library, tagger, "again", "music")
    print(counts.unchanged, len(opened))
    print(*(song.path.as_posix() for song in library.songs(library.model(), missing=None)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces")
def test_a_folder_that_is_mounted_twice_has_each_song_once(tmp_path, model):
    write_songs(tmp_path / "music", 2)
    (tmp_path / "again").mkdir()
    (tmp_path / "script.py").write_text(MOUNTED_TWICE)
    mount = 'mount --bind music again || exit 77; exec "$@"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", mount, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "script.py", model],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this user may not mount")
    assert done.returncode == 0, done.stderr
    songs = " ".join((tmp_path / "music" / f"{i}.flac").as_posix() for i in range(2))
    assert done.stdout == f"2 0\n{songs}\n"


def test_below_a_folder_is_what_is_in_it_and_not_beside_it(library, tagger, tmp_path):
    names = ("a/b/1.flac", "a/b.flac", "a/b!/2.flac", "a/b0/3.flac", "a/bc/4.flac")
    for pitch, name in enumerate(names):
        write_song(tmp_path / name, pitch=200 + 50 * pitch)
    scan_once(library, tagger, tmp_path)
    assert paths(library, below=tmp_path / "a" / "b") == [str(tmp_path / "a" / "b" / "1.flac")]
    assert len(paths(library, below=tmp_path / "a")) == len(paths(library, below=Path("/"))) == 5
