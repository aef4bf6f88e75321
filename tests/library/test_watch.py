"""`scan --watch` while files vanish, change and turn: it ends up knowing what is there."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from music_folder import scan_once, write_song, write_songs

from earmark.library.database import Library
from earmark.library.scan import ScanOptions, watch_folders

AN_HOUR_AGO = time.time() - 3600


class _Enough(Exception):
    """The watcher has looked often enough."""


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own on Windows")
def test_a_watcher_survives_what_happens_to_a_folder(library, tagger, tmp_path, monkeypatch):
    music, away = tmp_path / "music", tmp_path / "away"
    write_songs(music / "a", 5)
    write_songs(music / "b", 2)
    one, two = tmp_path / "one", tmp_path / "two"
    write_song(one / "x.flac", pitch=2500)
    write_song(two / "x.flac", pitch=3500, seconds=2)
    link = music / "link"

    def rest():
        """Files count when their time of change is past."""
        for folder in (music, one, two):
            for path in folder.rglob("*.flac"):
                if not path.is_symlink():
                    os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO - path.stat().st_size))

    def turn(target: Path | str):
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    steps = [
        lambda: (music / "a/0.flac").unlink(),
        lambda: write_song(music / "a/1.flac", pitch=900, seconds=1.5),
        lambda: (music / "a/2.flac").write_bytes(b"no music any more"),
        lambda: turn(one),
        lambda: turn(two),
        lambda: turn(music),  # a circle
        lambda: turn("nowhere"),
        lambda: (music / "a/3.flac").unlink(),
        lambda: (music / "a/3.flac").mkdir(),
        lambda: (music / "a/4.flac").rename(music / "b/moved.flac"),
        lambda: music.rename(away),
        lambda: None,
        lambda: away.rename(music),
        lambda: shutil.move(music / "b", tmp_path / "b"),
        lambda: shutil.move(tmp_path / "b", music / "b"),
        lambda: turn(one),
        lambda: write_song(music / "late/new.flac", pitch=1200),
        lambda: os.truncate(music / "late/new.flac", 3000),
        lambda: [(music / f"more{n}.flac").symlink_to("a/1.flac") for n in range(3)],
        lambda: [write_song(music / f"soon/{n}.flac", pitch=400 + 90 * n) for n in range(3)],
        lambda: None,
        lambda: None,
    ]
    left = iter(steps)

    def happen(_: float) -> None:
        step = next(left, None)
        if step is None:
            raise _Enough
        step()
        rest()

    def vanish(song) -> None:
        """A file vanishes, another changes, between the walk and its turn."""
        if song.path.name == "0.flac" and song.path.parent.name == "soon":
            (music / "soon/1.flac").unlink(missing_ok=True)

    rest()
    monkeypatch.setattr("earmark.library.scan.time.sleep", happen)
    options = ScanOptions(workers=1)
    with pytest.raises(_Enough):
        for _ in watch_folders(
            library, [music], tagger=tagger, every_seconds=1, options=options, on_song=vanish
        ):
            pass
    monkeypatch.undo()

    def known(which: Library) -> dict[Path, object]:
        return {
            song.path: (song.audio, song.failure and song.failure.kind, round(song.seconds, 3))
            for song in which.songs(which.model(), missing=False)
        }

    with Library.open(tmp_path / "fresh.sqlite", make=True) as fresh:
        scan_once(fresh, tagger, music)
        assert known(library) == known(fresh)
        assert len(known(fresh)) >= 8
