"""The beets plugin with real beets, importing a real little library."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tiny_model
from mediafile import MediaFile
from music_folder import write_silence, write_song

from earmark.library.settings import read_settings
from earmark.library.writing.tag_file import read_fields
from earmark.results import rank_tags
from earmark.tagger import Tagger
from earmark.tags import fold, group


@pytest.fixture
def home(tmp_path, model):
    """A folder with album/, what beets needs to import it, and settings that take two genres."""
    album = {"artist": "Anna", "album": "First"}
    write_song(tmp_path / "album" / "one.flac", pitch=300, title="One", **album)
    write_song(tmp_path / "album" / "two.mp3", pitch=500, title="Two", genre="Polka", **album)
    write_song(tmp_path / "album" / "three.m4a", pitch=700, title="Three", **album)
    (tmp_path / "own.toml").write_text(
        "[group.genre]\nmin = 0\ntop = 2\n[group.mood]\nmin = 0\ntop = 1\n"
    )
    write_config(tmp_path, model)
    return tmp_path


def write_config(home, model, **earmark):
    options = {"model": str(model), "settings": str(home / "own.toml")} | earmark
    config = {
        "directory": str(home / "music"),
        "library": str(home / "beets.db"),
        "plugins": ["earmark"],
        "import": {"copy": True, "write": True},
        "earmark": options,
    }
    (home / "config.yaml").write_text(json.dumps(config))  # JSON is YAML


def beet(home, *words):
    done = subprocess.run(
        [sys.executable, "-m", "beets", *words],
        capture_output=True, text=True, timeout=120, env={**os.environ, "BEETSDIR": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def imported(home):
    return {path.name: path for path in (home / "music").rglob("*") if path.is_file()}


def heard(model, path, group, n):
    tags = Tagger.load(model).tag(path).tags
    return [tag.tag for tag in tags if tag.group == group][:n]


def test_an_import_fills_genres_and_moods_and_leaves_what_is_there(home, model):
    done = beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    assert "error" not in done.stderr.lower(), done.stderr
    files = imported(home)
    assert len(files) == 3
    for path in files.values():  # an import as it is leaves files alone, as beets promises
        assert read_fields(path, ["EARMARK_MODEL"]) == {"EARMARK_MODEL": ()}
    beet(home, "write")
    for name, path in files.items():
        source = next((home / "album").glob(f"*{path.suffix}"))
        genres = [genre.casefold() for genre in MediaFile(path).genres]
        expected = ["polka"] if name.endswith("mp3") else heard(model, source, "genre", 2)
        assert [genre.replace("r&b", "rnb") for genre in genres] == [e.casefold() for e in expected]
        fields = read_fields(path, ["mood", "EARMARK_MODEL", "EARMARK_SCORES"])
        moods = heard(model, source, "mood", 1)
        assert [m.casefold().replace("-", "") for m in fields["mood"]] == [
            m.casefold() for m in moods
        ]
        assert fields["EARMARK_MODEL"][0].startswith("tiny ")
        assert fields["EARMARK_SCORES"]
        assert read_fields(source, ["mood"]) == {"mood": ()}  # a copy was written
    listed = beet(home, "ls", "-f", "$title: $genres; $moods").stdout
    assert "Two: Polka; " in listed


def test_the_command_hears_items_again_in_another_mode(home, model):
    write_config(home, model, auto=False)
    beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    files = imported(home)
    assert all(not read_fields(path, ["EARMARK_MODEL"])["EARMARK_MODEL"] for path in files.values())
    write_config(home, model, auto=False, mode="merge", quick=True)
    beet(home, "earmark", "title:Two")
    (mp3,) = (path for path in files.values() if path.suffix == ".mp3")
    assert MediaFile(mp3).genres[0] == "Polka"
    assert len(MediaFile(mp3).genres) == 3
    once = mp3.read_bytes()
    beet(home, "earmark", "title:Two")
    assert mp3.read_bytes() == once
    assert not read_fields(next(p for p in files.values() if p.suffix == ".flac"), ["mood"])["mood"]


def test_a_song_that_cannot_be_heard_is_imported_all_the_same(home):
    bad = home / "album" / "three.m4a"
    bad.write_bytes(bad.read_bytes().replace(b"mp4a", b"drms"))
    done = beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    assert "DRM" in done.stderr
    assert len(imported(home)) == 3


def test_whatever_goes_wrong_with_a_song_stops_no_import(home):
    broken = "import earmark.inference as i\ndef hear(*_, **__): raise MemoryError\ni.hear = hear\n"
    (home / "sitecustomize.py").write_text(broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(home), *sys.path]))
        done = beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    for name in ("one.flac", "two.mp3", "three.m4a"):
        assert f"{name}: this needs more memory than one file may take" in done.stderr
    assert len(imported(home)) == 3


def test_a_model_that_is_not_there_is_one_line(home):
    write_config(home, "no-such-model")
    done = subprocess.run(
        [sys.executable, "-m", "beets", "import", "-qA", str(home / "album")],
        capture_output=True, text=True, timeout=120, env={**os.environ, "BEETSDIR": str(home)},
    )  # fmt: skip
    assert done.returncode != 0
    assert "no model 'no-such-model'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_plugin_wrote_is_what_earmark_would_write(home, model, tmp_path):
    from music_folder import scan_once

    from earmark.library.database import Library
    from earmark.library.settings import read_settings
    from earmark.library.writing.write import plan_writing

    beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    beet(home, "write")
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        scan_once(library, Tagger.load(model), home / "music")
        settings = read_settings(home / "own.toml")
        found = list(plan_writing(library, library.model(), settings=settings))
        assert [dict(change.after) for change in found] == []


def test_silence_gets_no_genre_and_a_line_that_says_why(home):
    write_silence(home / "album" / "none.flac")
    done = beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    assert done.stderr.count("none.flac: This is silence; no genre is set") == 1
    assert "none.flac" in done.stderr
    listed = beet(home, "ls", "-f", "$title|$genres|$moods").stdout.splitlines()
    found = {title: (genres, moods) for title, genres, moods in (x.split("|") for x in listed)}
    assert found.pop("") == ("", "")
    assert all(genres and moods for genres, moods in found.values())
    assert len(found) == 3


def test_speech_gets_no_genre_and_a_line_that_says_speech(home, tmp_path):
    write_config(home, tiny_model.write_hearing(tmp_path / "speech.onnx", "speech"))
    done = beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    assert done.stderr.count("This is speech; no genre is set") == 3
    listed = beet(home, "ls", "-f", "$genres|$moods").stdout.splitlines()
    assert sorted(listed) == ["Polka|", "|", "|"]  # what the files had


def test_the_songs_of_an_album_get_the_genre_of_their_mean(home, model):
    write_config(home, model, by="album")
    beet(home, "import", "--quiet", "--noautotag", str(home / "album"))
    tagger = Tagger.load(model)
    heard = [tagger.tag(path) for path in (home / "album").iterdir()]
    names = tagger.card.tags
    mean = np.mean([[each[name].score for name in names] for each in heard], axis=0)
    best = [tag.tag for tag in rank_tags(tagger.card, mean.astype(np.float32))]
    listed = beet(home, "ls", "-f", "$title|$genres").stdout.split("\n")[:3]
    genres = {title: names.casefold() for title, names in (line.split("|") for line in listed)}
    assert genres["Two"] == "polka"
    assert genres["One"] == genres["Three"]
    expected = [tag for tag in best if group(tag) == "genre"][:2]
    written = [fold(name) for name in genres["One"].split("; ")]
    assert sorted(written) == sorted(fold(read_settings().name(tag)) for tag in expected)
