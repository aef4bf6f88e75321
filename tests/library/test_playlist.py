"""Playlists, their expressions, and songs that are alike, on rows with known scores."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import BadExpression, BadValue, NotScanned
from earmark.features import PRESETS
from earmark.files import sha256
from earmark.library.database import Library
from earmark.library.playlists.expression import parse
from earmark.library.playlists.m3u import Places, m3u8
from earmark.library.playlists.playlist import (
    Length,
    PlaylistRequest,
    journey,
    like,
    make_playlist,
    matching,
    take,
)
from earmark.library.playlists.recordings import Recordings, near_duplicates
from earmark.library.playlists.similar import Example, example_of, similar, similar_finder
from earmark.library.settings import read_settings
from earmark.library.song import ScannedFile
from earmark.model_file import Card
from earmark.signal_check import Doubt

TAGS = ("jazz", "rock", "Hip-Hop", "female vocalists", "Mellow", "sad", "80s", "drum and bass")
SETTINGS = read_settings()
CARD = Card("known", TAGS, PRESETS["choi2016"], (0.1,) * 8, source="a test", licence="MIT")


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        library.add_model("0" * 64, CARD)
        yield library


def add(library, name, *, scores=(), vector=(1.0, 0.0), audio=None, **facts):
    """A song at /music/<name>; scores are those of the first tags."""
    row = np.zeros(len(TAGS), dtype=np.float32)
    row[: len(scores)] = scores
    song = ScannedFile(
        Path("/music") / name, 1, 1, audio or name.encode().ljust(32), scores=row,
        **({"seconds": 100.0} | facts),
    )  # fmt: skip
    library.put(library.model(), song, embedding=np.array(vector, dtype=np.float32))
    return song.path


def example(library, name):
    """A song of the library with its embedding."""
    return example_of(library, library.model(), Path("/music") / name, load=pytest.fail)


def heard(vector):
    """A song that is not in the library, with its embedding."""
    song = ScannedFile(Path("/x.mp3"), 1, 1, b"x" * 32, 10.0, scores=np.full(len(TAGS), 0.5))
    return Example(song, np.array(vector, dtype=np.float32))


def taken(library, found, length):
    return take(found, length, recordings=Recordings(library, library.model()))


def expression(text, tags=TAGS):
    return parse(text, tags=tags, settings=SETTINGS)


def holds(text, **scores):
    """Whether an expression is true of one song."""
    row = [scores.get(tag.replace(" ", "_").replace("-", "_"), 0.0) for tag in TAGS]
    return bool(expression(text)(np.array([row], dtype=np.float32)).holds[0])


def names(songs):
    return [song.path.name for song in songs]


# Expressions


@pytest.mark.parametrize(
    ("text", "scores", "expected"),
    [
        ("jazz", {"jazz": 0.4}, True),
        ("jazz", {"jazz": 0.29}, False),
        ("JAZZ", {"jazz": 0.9}, True),
        ("jazz > .6", {"jazz": 0.6}, False),
        ("jazz >= 0.5", {"jazz": 0.5}, True),
        ("jazz < .5 and jazz <= .4", {"jazz": 0.4}, True),
        ("hip hop", {"Hip_Hop": 0.9}, True),
        ("Hip-Hop>.5", {"Hip_Hop": 0.9}, True),
        ("80s", {"80s": 0.9}, True),
        ("80s > .95", {"80s": 0.9}, False),
        ('"drum and bass"', {"drum_and_bass": 0.9}, True),
        ("not jazz", {"jazz": 0.9}, False),
        ("not not jazz", {"jazz": 0.9}, True),
        ("jazz and not vocal, calm > .6", {"jazz": 0.5, "Mellow": 0.7}, True),
        ("jazz and not vocal, calm > .6", {"jazz": 0.5, "Mellow": 0.6}, False),
        (
            "jazz and not vocal, calm > .6",
            {"jazz": 0.5, "Mellow": 0.7, "female_vocalists": 0.9},
            False,
        ),
        ("jazz or rock, sad", {"jazz": 0.9}, False),
        ("jazz or rock and sad", {"jazz": 0.9}, True),
        ("(jazz or rock) and sad", {"jazz": 0.9}, False),
        ("not (jazz, sad)", {"jazz": 0.9}, True),
        ("voice", {"female_vocalists": 0.9}, True),
        ("mood > .5", {"sad": 0.6}, True),
    ],
)
def test_an_expression_says_what_it_says(text, scores, expected):
    assert holds(text, **scores) is expected


@pytest.mark.parametrize(
    ("text", "position", "match"),
    [
        ("", 0, "the expression is empty"),
        ("jazz and", 8, "a tag is expected here, not the end"),
        ("jazz and or rock", 9, "a tag is expected here, not 'or'"),
        ("jazz rock", 0, "unknown tag 'jazz rock'"),
        ("jazz and vocl", 9, "did you mean vocal"),
        ("jazz > rock", 7, "a score from 0 to 1"),
        ("jazz > 60", 7, "a score from 0 to 1"),
        ("jazz > .6 rock", 10, "and, or, or a comma is missing"),
        ("(jazz and (rock or sad)", 0, "not closed"),
        ("jazz)", 4, "was not opened"),
        ('jazz, "rock', 6, "quote is not closed"),
        ("jazz,, rock", 5, "a tag is expected here, not ','"),
        ("drum and bass", 0, "unknown tag 'drum'"),
    ],
)
def test_an_error_says_where_and_what_to_do(text, position, match):
    with pytest.raises(BadExpression, match=match) as caught:
        expression(text)
    assert caught.value.position == position
    if text:
        assert str(caught.value).splitlines()[-1] == "  " + " " * position + "^"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "jazz" + ")" * 10_000,
        "(" * 10_000,
        "not " * 10_000 + "jazz",
        "jazz and (" * 10_000 + "jazz" + ")" * 10_000,
        "not (" * 10_000 + "jazz" + ")" * 10_000,
    ],
)
def test_an_expression_that_is_nested_without_end_is_refused(text):
    with pytest.raises(BadExpression, match="more than 50 brackets and nots around this") as caught:
        expression(text)
    assert len(str(caught.value)) < 500


def test_an_expression_may_be_long_and_fifty_deep():
    assert holds(" or ".join(["rock"] * 10_000 + ["jazz"]), jazz=0.9)
    assert not holds(", ".join(["jazz"] * 10_000 + ["rock"]), jazz=0.9)
    assert holds("(rock or " * 50 + "jazz" + ")" * 50, jazz=0.9)


def test_a_word_goes_before_a_tag_of_its_name_and_quotes_mean_the_tag():
    tags = ("Vocal", "female vocalists")
    sung = np.array([[0.0, 0.9]], dtype=np.float32)
    assert expression("vocal", tags=tags)(sung).holds[0]
    assert not expression('"vocal"', tags=tags)(sung).holds[0]


def test_a_word_whose_tags_the_model_does_not_know_says_so():
    with pytest.raises(BadExpression, match="'calm' means one of calm, calm mellow"):
        expression("calm", tags=("rock", "jazz"))


@settings(deadline=None)
@given(st.text(alphabet='jazrock andto(),<>=.6"', max_size=30))
def test_any_words_are_an_expression_or_an_error_with_a_place(text):
    try:
        match = expression(text)(np.full((2, len(TAGS)), 0.5, dtype=np.float32))
    except BadExpression as error:
        assert 0 <= error.position <= len(text)  # noqa: PT017 - both ends are right
    else:
        assert match.holds.shape == match.degree.shape == (2,)


SCORES = st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8)


@settings(deadline=None)
@given(SCORES)
def test_not_and_and_or_obey_their_laws(scores):
    row = np.array([scores], dtype=np.float32)
    pairs = (
        ("not (jazz and rock)", "not jazz or not rock"),
        ("jazz, rock", "rock and jazz"),
        ("not not sad > .5", "sad > .5"),
    )
    for one, other in pairs:
        a, b = expression(one)(row), expression(other)(row)
        assert a.holds == b.holds
        assert a.degree == pytest.approx(b.degree, abs=1e-6)


# Playlists


def test_the_best_answers_come_first_and_a_list_has_its_length(library):
    for i in range(50):
        add(library, f"{i:02}.mp3", scores=((i + 0.5) / 50,), artist=f"A{i % 4}", vector=one_hot(i))
    found = matching(library, library.model(), expression("jazz"))
    assert names(found) == [f"{i:02}.mp3" for i in reversed(range(20, 50))]
    assert len(taken(library, found, Length())) == 25
    assert names(taken(library, found, Length(songs=2))) == ["49.mp3", "48.mp3"]
    assert len(taken(library, found, Length(minutes=6))) == 3
    assert len(taken(library, found, Length(minutes=60))) == 30
    best = ["49.mp3", "48.mp3", "47.mp3", "46.mp3"]
    assert names(taken(library, found, Length(per_artist=1))) == best


def one_hot(i):
    return np.eye(50, dtype=np.float32)[i]


def test_the_same_audio_is_not_played_twice_and_missing_songs_not_at_all(library):
    add(library, "a.mp3", scores=(0.9,), audio=b"a" * 32)
    add(library, "copy.mp3", scores=(0.9,), audio=b"a" * 32)
    add(library, "gone.mp3", scores=(0.9,))
    library.mark_missing(library.model(), [b"/music/gone.mp3"])
    found = matching(library, library.model(), expression("jazz"))
    assert names(found) == ["a.mp3", "copy.mp3"]
    assert names(taken(library, found, Length())) == ["a.mp3"]


def test_a_recording_in_five_formats_comes_once_in_every_playlist(library):
    for i, name in enumerate(("a.flac", "a.mp3", "a.ogg", "a.wma", "a.m4a")):
        scores = (0.9, 0.3 + i / 100)
        add(library, name, scores=scores, vector=circle(i), seconds=100 + i / 4)
    add(library, "other.mp3", scores=(0.8,), vector=circle(40))
    add(library, "last.mp3", scores=(0.7,), vector=circle(90))
    model, settings = library.model(), SETTINGS
    assert len(near_duplicates(library, model)[0]) == 5
    requests = {
        ("a.flac", "other.mp3", "last.mp3"): PlaylistRequest("jazz"),
        ("other.mp3", "last.mp3"): PlaylistRequest(like=[Path("/music/a.ogg")]),
        ("last.mp3", "other.mp3", "a.flac"): PlaylistRequest(
            start=Path("/music/last.mp3"), end=Path("/music/a.flac"), length=Length(songs=7)
        ),
    }
    for expected, request in requests.items():
        made = make_playlist(library, request, model=model, settings=settings, load=pytest.fail)
        assert names(made) == list(expected)


def circle(degrees):
    return (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))


def test_songs_like_an_example_are_its_neighbours(library):
    for degrees in range(0, 180, 10):
        add(library, f"{degrees:03}.mp3", vector=circle(degrees), scores=(degrees / 180,))
    model = library.model()
    found = like(library, model, [heard(circle(72))], length=Length(songs=3))
    assert names(found) == ["070.mp3", "080.mp3", "060.mp3"]
    found = like(library, model, [heard(circle(72))], expression=expression("jazz > .6"))
    assert names(found)[0] == "110.mp3"
    found = like(library, model, [example(library, "070.mp3")], length=Length(songs=2))
    assert sorted(names(found)) == ["060.mp3", "080.mp3"]
    add(library, "copy of 070.mp3", vector=circle(70), audio=b"070.mp3".ljust(32))
    found = like(library, model, [example(library, "070.mp3")], length=Length(songs=2))
    assert sorted(names(found)) == ["060.mp3", "080.mp3"]


def test_songs_unlike_another_are_on_the_other_side(library):
    for degrees in range(0, 180, 10):
        scores = [degrees / 180] * len(TAGS)
        add(library, f"{degrees:03}.mp3", vector=circle(degrees), scores=scores)
    model, away = library.model(), [example(library, "060.mp3")]
    found = like(library, model, [example(library, "080.mp3")], unlike=away, length=Length(songs=2))
    assert names(found) == ["100.mp3", "090.mp3"]  # 98 degrees is the best direction
    found = like(library, model, [], unlike=away, expression=expression("jazz < .5"))
    assert names(found)[0] == "000.mp3"
    assert "060.mp3" not in names(found)
    with pytest.raises(BadValue, match="--unlike and --from make different playlists"):
        PlaylistRequest(unlike=[Path("a")], start=Path("b"), end=Path("c"))
    with pytest.raises(BadValue, match="needs an expression"):
        PlaylistRequest(unlike=[Path("a")])


def test_a_journey_goes_step_by_step_from_one_song_to_the_other(library):
    for degrees in range(0, 91, 5):
        artist = "Always" if degrees in (40, 45, 50) else f"A{degrees}"
        scores = [0.05 + degrees / 100] * len(TAGS)
        add(library, f"{degrees:02}.mp3", vector=circle(degrees), artist=artist, scores=scores)
    model, ends = library.model(), (Path("/music/00.mp3"), Path("/music/90.mp3"))
    path = journey(library, model, *ends, length=Length(songs=7))
    passed = [int(name[:2]) for name in names(path)]
    assert passed[0] == 0
    assert passed[-1] == 90
    assert passed == sorted(passed)
    assert len(passed) == 7
    assert max(np.diff(passed)) <= 25
    back = journey(library, model, *reversed(ends), length=Length(songs=7))
    assert names(back)[0] == "90.mp3"
    few = journey(library, model, *ends, length=Length(songs=15, per_artist=1))
    assert sum(song.artist == "Always" for song in few) == 1
    short = journey(library, model, *ends, length=Length(minutes=9))
    assert len(short) == 5
    assert sum(song.seconds for song in short) <= 540
    with pytest.raises(BadValue, match="name two different songs"):
        journey(library, model, ends[0], ends[0])
    with pytest.raises(NotScanned, match="scan it first"):
        journey(library, model, ends[0], Path("/music/none.mp3"))


def test_a_playlist_names_files_from_its_own_folder_or_in_full(library, tmp_path):
    songs = [
        ScannedFile(
            tmp_path / "music" / "a b.mp3", 1, 1, seconds=99.6, artist="Änna", title="One\nTwo"
        ),
        ScannedFile(tmp_path / "lists" / "#1 hit.mp3", 1, 1, seconds=10),
        ScannedFile(tmp_path / "music" / "line\nbreak.mp3", 1, 1),
    ]
    data, left_out = m3u8(songs, places=Places(tmp_path / "lists"))
    above = os.path.join("..", "music", "a b.mp3")  # noqa: PTH118 - as a player reads it
    assert data.decode().splitlines() == [
        "#EXTM3U", "#EXTINF:100,Änna - One Two", above,
        "#EXTINF:10,#1 hit", "./#1 hit.mp3",
    ]  # fmt: skip
    assert left_out == songs[2:]
    assert str(tmp_path / "music" / "a b.mp3") in m3u8(songs)[0].decode().splitlines()


@pytest.mark.parametrize("name", [" blank.mp3", "-dash.mp3", "#hash.mp3", "http:.mp3", "~/x.mp3"])
def test_a_name_that_a_player_could_mistake_begins_with_its_folder(tmp_path, name):
    assert Places(tmp_path).line(tmp_path / name) == f".{os.sep}{name}"
    assert Places(tmp_path).line(tmp_path / "plain.mp3") == "plain.mp3"


@pytest.mark.skipif(sys.platform == "win32", reason="links that Windows forbids")
def test_a_playlist_in_a_linked_folder_leads_to_its_songs(tmp_path):
    for folder in ("disk/a/lists", "disk/music/album", "home"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "disk" / "music" / "album" / "x.mp3").touch()
    (tmp_path / "home" / "lists").symlink_to(tmp_path / "disk" / "a" / "lists")
    (tmp_path / "home" / "music").symlink_to(tmp_path / "disk" / "music")
    for music in ("home", "disk"):
        song = tmp_path / music / "music" / "album" / "x.mp3"
        for lists in (tmp_path / "home" / "lists", tmp_path / "disk" / "a" / "lists"):
            assert (lists / Places(lists).line(song)).is_file()


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        (("/music", "/mnt/nas/songs"), "/mnt/nas/songs/a/b.mp3"),
        (("/music/", "/mnt/nas/songs/"), "/mnt/nas/songs/a/b.mp3"),
        (("/music", "M:\\Songs"), "M:\\Songs\\a\\b.mp3"),
        (("/music", ""), "/a/b.mp3"),
        (("/mus", "/x"), "/music/a/b.mp3"),
        (("/", "/x"), "/x/music/a/b.mp3"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of other systems")
def test_a_playlist_for_another_machine_names_its_folders(prefix, line):
    assert Places(Path("/lists"), prefix).line(Path("/music/a/b.mp3")) == line


def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path):
    song = ScannedFile(Path(os.fsdecode(b"/music/caf\xe9.mp3")), 1, 1, seconds=1)
    assert b"\n/music/caf\xe9.mp3\n" in m3u8([song])[0]


# Songs that are alike


def test_near_duplicates_are_named_and_songs_that_are_only_alike_are_not(library):
    scores = (0.5, 0.4, 0.3)
    add(library, "first.mp3", vector=circle(10), scores=scores)
    add(library, "again.ogg", vector=circle(11), scores=(0.51, 0.4, 0.3), seconds=100.4)
    add(library, "long.mp3", vector=circle(10), scores=scores, seconds=110)
    add(library, "other.mp3", vector=circle(10), scores=(0.8, 0.1, 0.1))
    add(library, "far.mp3", vector=circle(100), scores=scores)
    add(library, "copy.mp3", vector=circle(10), audio=b"first.mp3".ljust(32), scores=scores)
    model = library.model()
    found = similar(library, model, example(library, "first.mp3"), n=4, copies=True)
    assert {each.song.path.name: each.near_duplicate for each in found} == {
        "copy.mp3": True, "again.ogg": True, "long.mp3": False, "other.mp3": False,
    }  # fmt: skip
    (group,) = near_duplicates(library, model)
    assert sorted(names(group)) == ["again.ogg", "copy.mp3", "first.mp3"]
    found = similar(library, model, example(library, "again.ogg"))  # it does not lead its own list
    assert names(each.song for each in found) == ["long.mp3", "other.mp3", "far.mp3"]
    found = similar(library, model, example(library, "far.mp3"))
    assert len(found) == 3  # one of the three copies


def test_an_empty_library_has_nothing_alike(library):
    model = library.model()
    assert similar(library, model, heard((1, 0))) == []
    assert near_duplicates(library, model) == []
    assert like(library, model, [heard((1, 0))]) == []
    assert matching(library, model, expression("jazz")) == []


def test_a_server_finds_songs_alike_from_any_thread_once_the_library_is_closed(tmp_path):
    served = tmp_path / "model.onnx"
    served.write_bytes(b"a model")
    with Library.open(tmp_path / "served.sqlite", make=True) as library:
        library.add_model(sha256(served), CARD)
        add(library, "far.mp3", vector=(0.0, 1.0))
        add(library, "near.mp3", vector=(1.0, 0.1), artist="Someone", title="Near")
        find = similar_finder(library, library.model(), served=served)
    found = []
    thread = threading.Thread(target=lambda: found.extend(find(np.array([1, 0], np.float32))))
    thread.start()
    thread.join()
    assert [song["title"] for song in found] == ["Someone - Near", "far"]
    assert found[0]["similarity"] == pytest.approx(0.99504, abs=1e-4)


def test_a_server_with_another_model_than_the_librarys_is_refused(library, tmp_path):
    served = tmp_path / "model.onnx"
    served.write_bytes(b"another model")
    with pytest.raises(NotScanned, match="was scanned with known, not with"):
        similar_finder(library, library.model(), served=served)


def test_silence_and_noise_have_no_place_in_a_playlist_unless_they_are_asked_for(library):
    doubts = {"warnings": (Doubt("steady", "it sounds the same throughout"),)}
    add(library, "song", scores=[0.8], vector=[1, 0], warnings=())
    add(library, "old", scores=[0.7], vector=[0.9, 0.4])  # not judged, so not doubted
    hum = add(library, "hum", scores=[0.9], vector=[0.9, 0.1], **doubts)
    end = add(library, "end", vector=[0, 1], warnings=())
    model, jazz, one = library.model(), expression("jazz"), heard((1, 0))
    assert names(matching(library, model, jazz)) == ["song", "old"]
    assert names(matching(library, model, jazz, doubted=True)) == ["hum", "song", "old"]
    assert "hum" not in names(like(library, model, [one]))
    assert "hum" in names(like(library, model, [one], doubted=True))
    for doubted in (False, True):
        found = names(each.song for each in similar(library, model, one, doubted=doubted))
        assert ("hum" in found) is doubted
    song = Path("/music/song")
    assert "hum" not in names(journey(library, model, song, end, length=Length(4)))
    assert "hum" in names(journey(library, model, song, end, length=Length(4), doubted=True))
    assert names(journey(library, model, hum, end, length=Length(2))) == ["hum", "end"]  # named


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("hip hop", "Hip-Hop"),
        ("drum & bass", "drum and bass"),
        ("r&b", "rnb"),
        ("R&B", "rnb"),
        ("female voice", "female vocalists"),
        ('"synthpop"', "synth pop"),
        ("1980s", "80s"),
    ],
)
def test_an_expression_knows_the_other_names_of_a_tag(name, tag):
    names = ("rock", "Hip-Hop", "drum and bass", "rnb", "female vocalists", "synth pop", "80s")
    scores = np.zeros((1, len(names)), dtype=np.float32)
    scores[0, names.index(tag)] = 0.9
    assert expression(f"{name} > .5", tags=names)(scores).holds[0]
    assert not expression(f"{name} > .5", tags=names)(0.9 - scores).holds[0]
