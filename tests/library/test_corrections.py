"""Corrections beat what was heard, in all that reads scores, and stay with the audio."""

from __future__ import annotations

import csv
import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from music_folder import scan_once, write_songs

from earmark.data.catalog.from_csv import read_csv
from earmark.errors import BadValue, LibraryError, NotScanned
from earmark.features import PRESETS
from earmark.library.corrections import as_catalog, correct, corrections
from earmark.library.database import Library
from earmark.library.playlists.expression import parse
from earmark.library.playlists.playlist import matching
from earmark.library.playlists.recordings import is_near
from earmark.library.settings import read_settings
from earmark.library.show import as_json
from earmark.library.song import ScanFailure, ScannedFile
from earmark.library.writing.tag_file import write_fields
from earmark.library.writing.write import plan_writing
from earmark.model_file import Card
from earmark.tagger import Tagger

SETTINGS = read_settings()
TAGS = ("jazz", "rock", "Hip-Hop", "female vocalists", "speech")
CARD = Card("known", TAGS, PRESETS["choi2016"], (0.1,) * 5, source="a test", licence="MIT")


@pytest.fixture
def known(library):
    """A library with two songs of which jazz and rock were heard."""
    model = library.add_model("0" * 64, CARD)
    for name, scores in (("a", (0.9, 0.1, 0.1, 0.1, 0)), ("b", (0.1, 0.9, 0.1, 0.1, 0))):
        song = ScannedFile(
            Path(f"/music/{name}.flac"), 1, 1, name.encode().ljust(32), 100.0, artist="Ann",
            scores=np.array(scores, dtype=np.float32),
        )  # fmt: skip
        library.put(model, song, embedding=np.ones(4, dtype=np.float32))
    return library


def song(library, name):
    return library.song(library.model(), Path(f"/music/{name}.flac"))


def say(library, name, tag, holds):
    return correct(library, library.model(), song(library, name), tag=tag, holds=holds)


def found_by(library, text):
    expression = parse(text, tags=TAGS, settings=SETTINGS)
    return [each.path.stem for each in matching(library, library.model(), expression)]


def test_a_correction_beats_what_was_heard_wherever_songs_are_read(known):
    before = song(known, "b").scores
    assert say(known, "b", "JAZZ", True) == "jazz"
    assert say(known, "b", "rock", False) == "rock"
    expected = before.copy()
    expected[:2] = 1, 0
    model = known.model()
    (number,) = (number for number, one in known.numbered(model) if one.path.stem == "b")
    for read in (song(known, "b"), *known.by_number(model, [number]), list(known.songs(model))[1]):
        assert read.scores.tolist() == expected.tolist()
        assert read.corrected == {0: True, 1: False}
    assert song(known, "a").corrected == {}
    assert found_by(known, "jazz") == ["b", "a"]  # a certainty comes first
    assert found_by(known, "rock") == []
    line = as_json(song(known, "b"), CARD)
    assert line["corrected"] == {"jazz": True, "rock": False}
    assert line["tags"][0]["tag"] == "jazz"


def test_what_is_forgotten_is_as_it_was_heard(known):
    before = song(known, "a").scores.tolist()
    say(known, "a", "jazz", False)
    say(known, "a", "jazz", True)  # the last word counts
    assert [one.holds for one in corrections(known, known.model())] == [True]
    say(known, "a", "jazz", None)
    assert song(known, "a").scores.tolist() == before
    assert list(corrections(known, known.model())) == []


def test_a_correction_holds_for_another_model_and_for_every_copy(known):
    """Under the name that the other model has for the tag; one that it lacks is kept for later."""
    say(known, "a", "female vocalists", True)
    say(known, "a", "rock", False)
    other = replace(CARD, name="other", tags=("hip hop", "female voice"), priors=(0.1, 0.1))
    second = known.add_model("1" * 64, other)
    for path in ("/music/a.flac", "/copies/a.flac"):
        copy = ScannedFile(
            Path(path), 1, 1, b"a".ljust(32), 100.0, scores=np.array((0.2, 0.3), np.float32)
        )
        known.put(second, copy, embedding=np.ones(4, dtype=np.float32))
    said = [(one.song.path, one.tag, one.holds) for one in corrections(known, second)]
    places = (Path("/copies/a.flac"), Path("/music/a.flac"))
    assert said == [(place, "female voice", True) for place in places]
    first = known.model("known")
    assert {one.tag for one in corrections(known, first)} == {"female vocalists", "rock"}


def test_two_encodings_are_one_recording_though_one_of_them_was_corrected(known):
    one = song(known, "a")
    other = replace(one, audio=b"other".ljust(32))
    assert is_near(one, other, 1.0)
    say(known, "a", "rock", True)
    assert is_near(song(known, "a"), other, 1.0)


def test_what_songs_cannot_carry_and_files_without_audio_are_refused(known):
    with pytest.raises(BadValue, match="no tag 'polka'; the tags are: jazz, rock"):
        say(known, "a", "polka", True)
    with pytest.raises(BadValue, match="no tag 'speech'"):
        say(known, "a", "speech", True)
    model = known.model()
    failed = ScannedFile(Path("/music/c.flac"), 1, 1, failure=ScanFailure("no_audio", "none"))
    known.put(model, failed)
    with pytest.raises(NotScanned, match=r"c\.flac could not be heard"):
        say(known, "c", "jazz", True)


def test_the_catalog_has_the_tags_that_count_after_the_corrections(known, tmp_path):
    assert as_catalog(known, known.model(), settings=SETTINGS) == b"id,path,tags,artist,split\n"
    say(known, "a", "Hip-Hop", True)
    say(known, "b", "rock", False)  # nothing is left of it
    text = as_catalog(known, known.model(), settings=SETTINGS).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["path"], row["tags"], row["artist"], row["split"]) for row in rows] == [
        ("/music/a.flac", "Hip-Hop|jazz", "Ann", ""), ("/music/b.flac", "|", "Ann", ""),
    ]  # fmt: skip
    (tmp_path / "corrections.csv").write_text(text)
    catalog = read_csv(tmp_path / "corrections.csv").catalog
    assert set(catalog.tags) == {"Hip-Hop", "jazz"}
    assert len(catalog) == 2


def test_a_catalog_of_names_with_odd_bytes_and_line_ends_is_read_again(known, tmp_path):
    model = known.model()
    path = Path("/music/\udcff.flac")  # a byte that is not UTF-8
    song = ScannedFile(
        path, 1, 1, b"odd".ljust(32), 100.0, artist="An\rn",
        scores=np.array((0.9, 0.1, 0.1, 0.1, 0), dtype=np.float32), warnings=(),
    )  # fmt: skip
    known.put(model, song, embedding=np.ones(4, dtype=np.float32))
    correct(known, model, song, tag="rock", holds=True)
    (tmp_path / "c.csv").write_bytes(as_catalog(known, model, settings=SETTINGS))
    (read,) = read_csv(tmp_path / "c.csv").catalog
    assert (read.path, set(read.tags)) == (r"/music/\udcff.flac", {"jazz", "rock"})
    assert read.artist.split() == ["An", "n"]


def test_corrections_survive_moves_new_tags_and_scans_and_are_what_is_written(tmp_path):
    music = tmp_path / "music"
    write_songs(music, 2)
    tagger = Tagger.load(tiny_model.write(tmp_path / "tiny.onnx"))
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        scan_once(library, tagger, music)
        model = library.model()
        heard = {one.path.name: one.scores.tolist() for one in library.songs(model)}
        first = library.song(model, music / "0.flac")
        correct(library, model, first, tag="country", holds=True)
        (music / "0.flac").rename(music / "moved.flac")
        write_fields(music / "moved.flac", {"title": ("Other",)})
        scan_once(library, tagger, music)
        moved = library.song(model, music / "moved.flac")
        column = model.card.tags.index("country")
        assert moved.corrected == {column: True}
        (plan,) = plan_writing(library, model, settings=SETTINGS, below=music / "moved.flac")
        assert plan.after["genre"][0] == "Country"
        # beneath, the row holds what was heard
        correct(library, model, moved, tag="country", holds=None)
        scores = library.song(model, music / "moved.flac").scores.tolist()
        assert scores == heard["0.flac"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_library_of_an_older_version_keeps_its_songs_and_can_be_corrected(tmp_path, version):
    path = tmp_path / "old.sqlite"
    with Library.open(path, make=True) as library:
        model = library.add_model("0" * 64, CARD)
        one = ScannedFile(
            Path("/music/a.flac"), 1, 1, bytes(32), 9.0, scores=np.zeros(5, dtype=np.float32)
        )
        library.put(model, one, embedding=np.ones(4, dtype=np.float32))
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE corrections")
    if version < 3:
        connection.execute("DROP TABLE playlists")
    if version < 2:
        connection.execute("ALTER TABLE songs DROP COLUMN warnings")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with Library.open(path) as library:
        say(library, "a", "jazz", True)
    with Library.open(path) as library:
        assert song(library, "a").scores.tolist() == [1, 0, 0, 0, 0]
        assert library.rows("PRAGMA user_version") == [(4,)]


def test_a_library_that_cannot_be_written_to_is_read_and_not_corrected(known, monkeypatch):
    say(known, "a", "rock", True)
    path = known.path
    known.close()
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with Library.open(path) as library:
        assert song(library, "a").scores[1] == 1
        with pytest.raises(LibraryError, match="read-only"):
            say(library, "a", "jazz", False)
