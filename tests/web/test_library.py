"""A library on the server, as its page and players use it: real files, over a real socket."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import requests
import tiny_model
from audio_files import music, write_audio
from music_folder import scan_once, write_song
from pydantic import BaseModel, ConfigDict
from web_server import Process, serving

from earmark.errors import BadLibrary, NotScanned
from earmark.features import PRESETS
from earmark.library.database import Library
from earmark.library.song import ScanFailure, ScannedFile
from earmark.model_file import Card
from earmark.tagger import Tagger
from earmark.web.access import Access
from earmark.web.shelf import Shelf
from earmark.words import SOUNDS

TAGS = ("jazz", "rock", "calm", "drum and bass", "happy", SOUNDS[0].tag)
CARD = Card("known", TAGS, PRESETS["choi2016"], (0.1,) * 6, source="a test", licence="MIT")
SECONDS = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


def put(library, path, *, scores, vector, **facts):
    model = library.model()
    row = np.zeros(len(TAGS), dtype=np.float32)
    row[: len(scores)] = scores
    audio = hashlib.sha256(os.fsencode(path)).digest()
    size = path.stat().st_size if path.exists() else 1
    song = ScannedFile(path, size, 1, audio, **({"seconds": 100.0} | facts), scores=row)
    library.put(model, song, embedding=np.array(vector, dtype=np.float32))
    return library.number(model, path)


@pytest.fixture
def shelf(tmp_path):
    """Four songs between jazz and rock, of which the first two are real files."""
    folder = tmp_path / "music"
    flac = write_song(folder / "Blue.flac", pitch=220, seconds=SECONDS, artist="Ann", title="Blue")
    wav = write_song(folder / "Grey.wav", pitch=330, seconds=SECONDS)
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        model = library.add_model("0" * 64, CARD)
        put(library, flac, scores=(0.9, 0.1, 0.8), vector=(1, 0, 0), artist="Ann", title="Blue",
            warnings=())  # fmt: skip
        put(library, wav, scores=(0.7, 0.2, 0.1), vector=(0.9, 0.4, 0), warnings=())
        put(library, folder / "gone.mp3", scores=(0.1, 0.6), vector=(0.4, 0.9, 0))
        put(library, folder / "Red.mp3", scores=(0, 0.9, 0, 0.9), vector=(0, 1, 0), artist="Bob")
        failed = ScannedFile(folder / "bad.mp3", 1, 1, failure=ScanFailure("no_audio", "none"))
        library.put(model, failed)
    with Shelf(tmp_path / "library.sqlite") as shelf:
        yield shelf


@pytest.fixture
def server(model, shelf):
    with serving(model, shelf=shelf) as server:
        yield server


def get(server, path, **params):
    return requests.get(server.url + path, params=params, timeout=60)


def names(answer):
    assert answer.status_code == 200, answer.text
    return [Path(song["path"]).stem for song in answer.json()["songs"]]


def number_of(server, name):
    songs = get(server, "/api/library/songs").json()["songs"]
    return next(song["id"] for song in songs if Path(song["path"]).stem == name)


def test_the_library_is_searched_by_what_is_heard_and_by_names_with_counts_for_each_tag(server):
    about = get(server, "/api/library").json()
    assert (about["songs"], about["seconds"], about["model"]) == (4, 400.0, "known")
    assert [tag["expression"] for tag in about["tags"]] == [
        "jazz", "rock", '"calm"', '"drum and bass"', "happy",
    ]  # fmt: skip
    every = get(server, "/api/library/songs").json()
    assert (every["total"], every["seconds"]) == (4, 400.0)
    assert every["counts"] == {"jazz": 2, "rock": 2, "calm": 1, "drum and bass": 1}
    jazz = get(server, "/api/library/songs", expression="jazz")
    assert names(jazz) == ["Blue", "Grey"]
    assert jazz.json()["counts"] == {"jazz": 2, "calm": 1}
    assert jazz.json()["songs"][0]["tags"] == ["jazz", "calm"]
    assert names(get(server, "/api/library/songs", words="ANN blue")) == ["Blue"]
    assert names(get(server, "/api/library/songs", expression="rock", words="bob")) == ["Red"]
    page = get(server, "/api/library/songs", limit=2, offset=2)
    assert (page.json()["total"], len(names(page))) == (4, 2)
    wrong = get(server, "/api/library/songs", expression="jazz and (")
    assert wrong.status_code == 422
    assert wrong.json()["error"]["kind"] == "bad_expression"


def test_the_count_of_a_tag_is_how_many_songs_remain_when_it_is_asked_for_too(server):
    words = {tag["tag"]: tag["expression"] for tag in get(server, "/api/library").json()["tags"]}
    for start in ("jazz", "not jazz", "rock or calm"):
        counts = get(server, "/api/library/songs", expression=start).json()["counts"]
        for tag, word in words.items():
            narrower = get(server, "/api/library/songs", expression=f"{start}, {word}").json()
            assert narrower["total"] == counts.get(tag, 0)


def test_a_song_is_played_in_ranges_from_its_own_file(server, shelf, tmp_path):
    song = get(server, f"/api/library/songs/{number_of(server, 'Blue')}").json()
    content = (tmp_path / "music" / "Blue.flac").read_bytes()
    whole = requests.get(f"{server.url}/{song['audio']}", timeout=60)
    assert whole.content == content
    assert whole.headers["content-type"] == "audio/flac"
    assert whole.headers["accept-ranges"] == "bytes"
    part = requests.get(
        f"{server.url}/{song['audio']}", headers={"Range": "bytes=100-199"}, timeout=60
    )
    assert (part.status_code, part.content) == (206, content[100:200])
    beyond = requests.get(
        f"{server.url}/{song['audio']}", headers={"Range": f"bytes={len(content)}-"}, timeout=60
    )
    assert beyond.status_code == 416


def test_nothing_is_played_but_what_the_library_knows(server, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    number = number_of(server, "Blue")
    audio = get(server, f"/api/library/songs/{number}").json()["audio"]
    other = number_of(server, "Grey")
    for path in (
        f"library/audio/{number}",
        f"library/audio/{number}?key=",
        audio.replace(f"/{number}?", f"/{other}?"),  # the key of another song
        audio.replace("/audio/", "/audio/..%2f"),
        f"library/audio/{secret}?key=a",
        f"library/audio/%2fetc%2fpasswd?key={audio[-32:]}",
    ):
        answer = requests.get(f"{server.url}/{path}", timeout=60)
        assert answer.status_code in (404, 422), path
        assert b"secret" not in answer.content
    for beyond in (2**63, "9" * 400, "9" * 5000):  # of what a database counts to
        assert get(server, f"/api/library/songs/{beyond}").status_code == 422
        said = {"tag": "jazz", "holds": True}
        address = f"{server.url}/api/library/songs/{beyond}/corrections"
        assert requests.post(address, json=said, timeout=60).status_code == 422
    assert get(server, f"/api/library/songs/{2**63 - 1}").status_code == 404
    for path in (secret, "/etc/passwd", "../secret.txt", "99", "\0", "9" * 4000):
        for route in ("similar", "mix", "journey"):
            ask = {"similar": {"song": path}, "mix": {"like": path},
                   "journey": {"from": path, "to": str(number)}}[route]  # fmt: skip
            answer = get(server, f"/api/library/{route}", **ask)
            assert answer.status_code == 404, (route, path)
            assert answer.json()["error"]["kind"] == "unknown_song"
    failed = get(server, "/api/library/similar", song=str(tmp_path / "music" / "bad.mp3"))
    assert failed.status_code == 404
    gone = get(server, f"/api/library/songs/{number_of(server, 'gone')}").json()
    answer = requests.get(f"{server.url}/{gone['audio']}", timeout=60)
    assert answer.status_code == 404
    assert "Scan again" in answer.json()["error"]["message"]


def test_what_no_browser_plays_comes_as_opus_and_can_be_sought_in(server):
    song = get(server, f"/api/library/songs/{number_of(server, 'Grey')}").json()
    answer = requests.get(f"{server.url}/{song['opus']}", timeout=60)
    assert answer.headers["content-type"] == "audio/ogg"
    with av.open(io.BytesIO(answer.content)) as file:
        assert file.streams.audio[0].codec_context.name in ("opus", "libopus")
        assert file.duration / 1e6 == pytest.approx(SECONDS, abs=0.05)
    part = requests.get(f"{server.url}/{song['opus']}", headers={"Range": "bytes=0-3"}, timeout=60)
    assert (part.status_code, part.content) == (206, b"OggS")


def test_a_file_that_is_no_sound_any_more_is_not_converted(server, tmp_path):
    (tmp_path / "music" / "Grey.wav").write_text("#EXTM3U\nhttp://127.0.0.1:1/other.mp3\n")
    song = get(server, f"/api/library/songs/{number_of(server, 'Grey')}").json()
    answer = requests.get(f"{server.url}/{song['opus']}", timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"]["kind"] == "cannot_convert"


def correct(server, number, tag, holds, **headers):
    return requests.post(
        f"{server.url}/api/library/songs/{number}/corrections",
        json={"tag": tag, "holds": holds}, headers=headers, timeout=60,
    )  # fmt: skip


def test_a_correction_shows_at_once_and_is_exported_and_forgotten(server, shelf, tmp_path):
    number = number_of(server, "Red")
    song = correct(server, number, "jazz", True).json()
    assert song["corrected"] == {"jazz": True}
    assert song["tags"][0]["tag"] == "jazz"
    assert names(get(server, "/api/library/songs", expression="jazz")) == ["Red", "Blue", "Grey"]
    correct(server, number, "rock", False)
    assert names(get(server, "/api/library/songs", expression="rock")) == ["gone"]
    with Library.open(shelf.path) as library:  # and elsewhere
        kept = library.song(library.model(), tmp_path / "music" / "Red.mp3")
        assert kept is not None
        assert kept.scores is not None
        assert kept.scores[:2].tolist() == [1, 0]
    (row,) = csv.DictReader(io.StringIO(get(server, "/api/library/corrections.csv").text))
    assert row["path"] == str(tmp_path / "music" / "Red.mp3")
    assert row["tags"].split("|") == ["jazz", "drum and bass"]
    for tag in ("jazz", "rock"):
        song = correct(server, number, tag, None).json()
    assert "corrected" not in song
    assert names(get(server, "/api/library/songs", expression="rock")) == ["Red", "gone"]
    assert correct(server, number, "polka", True).status_code == 422
    assert correct(server, 99, "jazz", True).status_code == 404
    assert correct(server, number, "jazz", "maybe").status_code == 422
    assert correct(server, number, "jazz", True, Origin="http://evil.example").status_code == 403


def test_what_another_process_changes_is_seen(server, shelf, tmp_path, monkeypatch):
    assert get(server, "/api/library/songs").json()["total"] == 4
    monkeypatch.setattr("earmark.web.shelf._REST", 0.0)
    with Library.open(shelf.path) as library:
        put(library, tmp_path / "music" / "new.mp3", scores=(0.99,), vector=(0, 0, 1))
    assert names(get(server, "/api/library/songs", expression="jazz"))[0] == "new"
    with Library.open(shelf.path) as library:
        library.mark_missing(library.model(), [os.fsencode(tmp_path / "music" / "new.mp3")])
    assert get(server, "/api/library/songs").json()["total"] == 4


def test_similar_journey_and_mix_take_ids_and_paths_and_answer_in_json_and_m3u(server, tmp_path):
    folder = tmp_path / "music"
    blue, red = number_of(server, "Blue"), number_of(server, "Red")
    by_id = get(server, "/api/library/similar", song=blue)
    assert names(by_id) == ["Grey", "gone", "Red"]
    assert by_id.json()["songs"][0]["similarity"] == pytest.approx(0.9138, abs=1e-3)
    shutil.copytree(folder, tmp_path / "else")
    (tmp_path / "link").symlink_to(folder)
    by_path = get(server, "/api/library/similar", song=str(tmp_path / "link" / "Blue.flac"))
    assert by_path.json() == by_id.json()
    journey = {"from": blue, "to": str(folder / "Red.mp3"), "songs": 4}
    assert names(get(server, "/api/library/journey", **journey)) == ["Blue", "Grey", "gone", "Red"]
    same = get(server, "/api/library/journey", **{"from": blue, "to": blue})
    assert same.status_code == 422
    mix = get(server, "/api/library/mix", like=[blue, red], expression="not jazz")
    assert names(mix) == ["gone"]
    assert names(get(server, "/api/library/mix", expression="jazz", songs=1)) == ["Blue"]
    assert get(server, "/api/library/mix").status_code == 422
    playlist = get(server, "/api/library/journey", **journey, format="m3u")
    assert playlist.headers["content-type"] == "audio/x-mpegurl; charset=utf-8"
    listed = playlist.content.decode().splitlines()
    assert listed[:3] == ["#EXTM3U", "#EXTINF:100,Ann - Blue", str(folder / "Blue.flac")]
    assert len(listed) == 9
    saved = get(server, "/api/library/songs", expression="rock", format="m3u").text.splitlines()
    assert saved[2::2] == [str(folder / "Red.mp3"), str(folder / "gone.mp3")]


class Child(BaseModel):
    """The fields of OpenSubsonic's Child that we send; it requires the first three.

    https://opensubsonic.netlify.app/docs/responses/child
    """

    model_config = ConfigDict(strict=True, extra="forbid")
    id: str
    isDir: bool
    title: str
    album: str | None = None
    artist: str | None = None
    size: int
    contentType: str
    suffix: str
    duration: int
    path: str
    type: str
    mediaType: str
    isVideo: bool


class SonicMatch(BaseModel):
    """https://opensubsonic.netlify.app/docs/responses/sonicmatch"""

    model_config = ConfigDict(strict=True, extra="forbid")
    entry: Child
    similarity: float


class SonicAnswer(BaseModel):
    """https://opensubsonic.netlify.app/docs/endpoints/getsonicsimilartracks"""

    model_config = ConfigDict(strict=True, extra="forbid")
    status: str
    version: str
    type: str
    serverVersion: str
    openSubsonic: bool
    sonicMatch: list[SonicMatch]


def rest(server, name, **params):
    answer = get(server, f"/rest/{name}", **{"f": "json", "v": "1.16.1", "c": "test"} | params)
    return answer.json()["subsonic-response"]


def test_opensubsonic_players_get_similar_songs_and_ways_in_the_shapes_of_their_specification(
    server,
):
    listed = rest(server, "getOpenSubsonicExtensions")["openSubsonicExtensions"]
    assert {"name": "sonicSimilarity", "versions": [1]} in listed
    blue, red = str(number_of(server, "Blue")), str(number_of(server, "Red"))
    found = SonicAnswer.model_validate(rest(server, "getSonicSimilarTracks.view", id=blue))
    assert (found.status, found.openSubsonic) == ("ok", True)
    assert [Path(one.entry.path).stem for one in found.sonicMatch] == ["Grey", "gone", "Red"]
    likeness = [one.similarity for one in found.sonicMatch]
    assert likeness == sorted(likeness, reverse=True)
    assert all(0 <= one <= 1 for one in likeness)
    few = SonicAnswer.model_validate(rest(server, "getSonicSimilarTracks", id=blue, count=1))
    assert len(few.sonicMatch) == 1
    way = SonicAnswer.model_validate(
        rest(server, "findSonicPath", startSongId=blue, endSongId=red, count=3)
    )
    assert [way.sonicMatch[0].entry.id, way.sonicMatch[-1].entry.id] == [blue, red]
    assert len(way.sonicMatch) == 3
    assert way.sonicMatch[0].similarity == pytest.approx(1, abs=1e-4)
    assert way.sonicMatch[-1].similarity == pytest.approx(0, abs=1e-3)
    for code, name, params in (
        (10, "getSonicSimilarTracks", {}),
        (70, "getSonicSimilarTracks", {"id": "99"}),
        (70, "getSonicSimilarTracks", {"id": "/etc/passwd"}),
        (0, "findSonicPath", {"startSongId": blue, "endSongId": blue}),
        (0, "getAlbum", {}),
    ):
        answer = rest(server, name, **params)
        assert (answer["status"], answer["error"]["code"]) == ("failed", code)


def test_everything_but_the_sound_itself_asks_for_the_token(model, shelf):
    with serving(model, shelf=shelf, access=Access("secret")) as server:
        for path in ("", "/songs", "/songs/1", "/similar?song=1", "/corrections.csv"):
            assert get(server, f"/api/library{path}").status_code == 401
        assert correct(server, 1, "jazz", True).status_code == 401
        token = {"Authorization": "Bearer secret"}
        song = requests.get(f"{server.url}/api/library/songs/1", headers=token, timeout=60).json()
        assert requests.get(f"{server.url}/{song['audio']}", timeout=60).status_code == 200
        assert get(server, "/library/audio/1").status_code == 404
        assert get(server, "/rest/getOpenSubsonicExtensions").status_code == 200
        refused = get(server, "/rest/ping")
        assert (refused.status_code, refused.json()["subsonic-response"]["status"]) == (
            401, "failed",
        )  # fmt: skip
        salted = hashlib.md5(b"secretsalt").hexdigest()
        for good in (
            {"apiKey": "secret"}, {"p": "secret"}, {"p": "enc:" + b"secret".hex()},
            {"t": salted, "s": "salt"},
        ):  # fmt: skip
            assert get(server, "/rest/ping", **good).status_code == 200, good
        for bad in (
            {"apiKey": "other"}, {"p": "enc:zz"}, {"t": "", "s": "salt"}, {"t": salted, "s": "x"},
            {"t": hashlib.md5(b"secret").hexdigest()}, {"apiKey": ""},
        ):  # fmt: skip
            assert get(server, "/rest/ping", **bad).status_code == 401, bad


def test_without_a_library_nothing_of_it_is_served(model):
    with serving(model) as server:
        for path in ("/library", "/api/library", "/library/audio/1", "/rest/ping"):
            assert get(server, path).status_code == 404
        assert 'id="to-library" hidden' in get(server, "/").text


def test_the_command_serves_the_users_own_library_or_another(model, tmp_path, monkeypatch):
    song = write_audio(tmp_path / "a.flac", music(2), codec="flac")
    with Library.open(tmp_path / "own.sqlite", make=True) as library:
        scan_once(library, Tagger.load(model), song)
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path / "own.sqlite"))
    with Process(model, "--library") as server:
        assert get(server, "/api/library/songs").json()["total"] == 1
        assert 'id="to-library">' in get(server, "/").text
        assert get(server, "/library").status_code == 200


def test_a_library_without_songs_is_refused_and_closed(tmp_path):
    Library.open(tmp_path / "empty.sqlite", make=True).close()
    with pytest.raises(NotScanned, match="earmark library scan"):
        Shelf(tmp_path / "empty.sqlite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.sqlite"]
    with pytest.raises(BadLibrary, match="there is no library"):
        Shelf(tmp_path / "none.sqlite")
