"""What is asked of iTunes and Deezer, what is read from their replies, and the folder source."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import pytest
from music_service import MusicService, ServedSong, status, tone

from earmark.data.catalog.catalog import Song
from earmark.data.matching.hit import Hit
from earmark.data.matching.judge import search_term
from earmark.data.previews.decisions import decide
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.failures import RateLimited, RequestRefused, TransientFailure
from earmark.data.previews.http import HttpClient, HttpLimits
from earmark.data.previews.rate_limit import RatePolicy
from earmark.data.previews.sources import SourceChoice, open_source, read_reply
from earmark.data.previews.sources.source import FetchedAudio, Source
from earmark.errors import BadValue

LIMITS = HttpLimits(deadline=5, max_bytes=2**20)


def ask(source: Source, song: Song) -> bytes:
    async def run() -> bytes:
        async with network_of(source) as network:
            return await source.ask(song, client=network, limits=LIMITS)

    return asyncio.run(run())


def fetch(source: Source, hit: Hit, *, age: float = 0.0) -> FetchedAudio:
    async def run() -> FetchedAudio:
        async with network_of(source) as network:
            return await source.fetch(hit, age=age, client=network, limits=LIMITS)

    return asyncio.run(run())


def network_of(source: Source) -> HttpClient:
    return HttpClient(
        api_host=source.api_host, policy=RatePolicy(0, cooldown=0.05), reach=source.reach
    )


def itunes(endpoint: str, storefront: str = "US") -> Source:
    return open_source(SourceChoice("itunes", endpoint, storefront, accepted_terms=True))


def test_itunes_is_asked_for_songs_of_one_store_as_its_documentation_has_it() -> None:
    with MusicService([]) as service:
        ask(itunes(service.url, "de"), Song("a", "Air", "La Femme"))
    (asked,) = service.asked
    assert asked.path == "/search"
    assert asked.params == {
        "term": search_term("Air", "La Femme"),
        "media": "music",
        "entity": "song",
        "limit": "25",
        "country": "DE",
    }


def test_deezer_is_asked_by_its_one_query() -> None:
    with MusicService([]) as service:
        ask(open_source(SourceChoice("deezer", service.url)), Song("a", "Air", "La Femme"))
    assert service.asked[0].params == {"q": search_term("Air", "La Femme"), "limit": "25"}


@pytest.mark.parametrize(
    ("artist", "title"),
    [
        ("Simon & Garfunkel", "50% #1"),
        ("Florence + The Machine", "What? Why?"),
        ("Sigur Rós", "Ágætis byrjun / x=y;z"),
        ("坂本 龍一", "戦場のメリークリスマス"),
        ("Kesha", "Tik Tok\N{EM DASH}\N{SNOWMAN}"),
    ],
)
def test_names_with_signs_of_a_url_arrive_as_they_are(artist: str, title: str) -> None:
    with MusicService([ServedSong(7, artist, title)]) as service:
        source = itunes(service.url)
        reply = ask(source, Song("a", artist, title))
    assert service.asked[0].params["term"] == search_term(artist, title)
    assert [hit.source_id for hit in source.read(reply)] == ["7"]


def test_itunes_fields_become_a_hit() -> None:
    reply = {
        "resultCount": 1,
        "results": [
            {
                "kind": "song", "trackId": 12, "artistName": "Air", "trackName": "La Femme",
                "collectionName": "Moon Safari", "previewUrl": "http://x/y.m4a",
                "trackTimeMillis": 427000,
            }
        ],
    }  # fmt: skip
    assert read_reply("itunes", json.dumps(reply).encode()) == [
        Hit("Air", "La Femme", "Moon Safari", 427.0, "http://x/y.m4a", "12", "song")
    ]


def test_a_hit_of_itunes_may_lack_any_field() -> None:
    fields = {"trackTimeMillis": None, "previewUrl": "", "artistName": None}
    reply = json.dumps({"results": [{}, fields, "junk", None]}).encode()
    nothing = Hit("", "", "", None, None, "", "")
    assert read_reply("itunes", reply) == [nothing, nothing]


@pytest.mark.parametrize("source", ["itunes", "deezer"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in to the hotel's network</html>",
        b'{"resultCount": 1, "resul',
        b"[]",
        b"{}",
    ],
)
def test_a_reply_that_is_none_of_the_service_is_trouble_and_not_an_empty_result(
    source: str, body: bytes
) -> None:
    with pytest.raises(TransientFailure):
        read_reply(source, body)


def test_no_result_is_an_empty_list() -> None:
    assert read_reply("itunes", b'{"resultCount":0, "results": []}') == []
    assert read_reply("deezer", b'{"data":[],"total":0}') == []


def test_deezer_fields_become_a_hit_of_a_search_and_of_a_lookup() -> None:
    track = {
        "id": 3, "title": "La Femme", "duration": 427, "preview": "http://x/y.mp3?exp=1",
        "artist": {"name": "Air"}, "album": {"title": "Moon Safari"}, "type": "track",
    }  # fmt: skip
    hit = Hit("Air", "La Femme", "Moon Safari", 427.0, "http://x/y.mp3?exp=1", "3", "track")
    assert read_reply("deezer", json.dumps({"data": [track]}).encode()) == [hit]
    assert read_reply("deezer", json.dumps(track).encode()) == [hit]


def test_a_hit_of_deezer_may_lack_any_field() -> None:
    reply = json.dumps({"data": [{"id": 3, "preview": "", "artist": None}]}).encode()
    assert read_reply("deezer", reply) == [Hit("", "", "", None, None, "3", "")]


@pytest.mark.parametrize(
    ("code", "error"),
    [(4, RateLimited), (700, TransientFailure), (None, TransientFailure), (500, RequestRefused)],
)
def test_deezers_errors_come_under_http_200(code: int | None, error: type[Exception]) -> None:
    body = json.dumps({"error": {"code": code, "message": "m"}}).encode()
    with pytest.raises(error):
        read_reply("deezer", body)


def test_deezer_without_data_has_nothing() -> None:
    assert read_reply("deezer", b'{"error": {"code": 800, "message": "no data"}}') == []


def test_a_preview_is_fetched_from_where_the_reply_says() -> None:
    with MusicService([ServedSong(7, "Air", "La Femme")]) as service:
        source = itunes(service.url)
        (hit,) = source.read(ask(source, Song("a", "Air", "La Femme")))
        fetched = fetch(source, hit)
    assert fetched == FetchedAudio(tone(7), hit)


def test_a_link_of_deezer_that_has_run_out_is_looked_up_again() -> None:
    with MusicService([ServedSong(7, "Air", "La Femme")]) as service:
        service.expired_links = True
        source = open_source(SourceChoice("deezer", service.url))
        (hit,) = source.read(ask(source, Song("a", "Air", "La Femme")))
        fetched = fetch(source, hit)
    assert fetched.audio == tone(7)
    assert fetched.hit.preview_url != hit.preview_url
    assert [asked.path for asked in service.asked][1:] == [
        "/preview/7.mp3", "/track/7", "/preview/7.mp3",
    ]  # fmt: skip


def test_an_old_link_of_deezer_is_looked_up_before_it_is_tried() -> None:
    with MusicService([ServedSong(7, "Air", "La Femme")]) as service:
        source = open_source(SourceChoice("deezer", service.url))
        (hit,) = source.read(ask(source, Song("a", "Air", "La Femme")))
        assert fetch(source, hit, age=900).audio == tone(7)
    assert [asked.path for asked in service.asked][1:] == ["/track/7", "/preview/7.mp3"]


def test_links_of_itunes_do_not_age() -> None:
    with MusicService([ServedSong(7, "Air", "La Femme")]) as service:
        source = itunes(service.url)
        (hit,) = source.read(ask(source, Song("a", "Air", "La Femme")))
        assert fetch(source, hit, age=1e9).audio == tone(7)
    assert service.numbers("lookup") == {}


@pytest.mark.parametrize("name", ["itunes", "deezer"])
def test_a_preview_that_is_no_more_is_gone_only_after_a_lookup(name: str) -> None:
    with MusicService([ServedSong(7, "Air", "La Femme")]) as service:
        service.fault = lambda asked: status(404) if asked.kind == "preview" else None
        source = open_source(SourceChoice(name, service.url, accepted_terms=True))
        (hit,) = source.read(ask(source, Song("a", "Air", "La Femme")))
        with pytest.raises(RequestRefused, match="404") as caught:
            fetch(source, hit)
    assert caught.value.gone
    assert service.numbers("lookup") == {"7": 1}


def test_itunes_is_off_until_its_terms_are_accepted_and_says_what_they_say() -> None:
    with pytest.raises(BadValue, match=r"only be streamed.*not be downloaded.*--accept-terms"):
        open_source(SourceChoice("itunes"))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (SourceChoice("itunes", storefront="USA", accepted_terms=True), "two letters"),
        (SourceChoice("deezer", endpoint="api.deezer.com"), "http://"),
        (SourceChoice("napster"), "itunes, deezer, folder"),
        (SourceChoice("folder"), "folder of music"),
        (SourceChoice("folder", folder="/does/not/exist"), "/does/not/exist"),
    ],
)
def test_a_source_that_cannot_be_used_says_why(choice: SourceChoice, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        open_source(choice)


def test_the_services_keep_their_published_limits() -> None:
    deezer = open_source(SourceChoice("deezer"))
    assert itunes("").per_minute == 20
    assert deezer.per_minute <= 600
    assert deezer.link_seconds < 900  # type: ignore[attr-defined]
    assert itunes("").link_seconds == math.inf  # type: ignore[attr-defined]


# -- a folder


def found_in(folder: Path, song: Song) -> LedgerEntry:
    source = open_source(SourceChoice("folder", folder=str(folder)))
    entry = LedgerEntry(song.id, song.artist, song.title, song.seconds, song.path)
    return decide(entry, [StoredReply(song.id, 1.0, "folder", ask(source, song))])


def test_a_file_called_as_the_songs_id_is_the_song_whatever_its_names_are(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "TR1.wav").write_bytes(tone(1))
    entry = found_in(tmp_path, Song("TR1"))
    assert entry.state is State.MATCHED
    assert entry.hit is not None
    assert entry.hit.preview_url == str(tmp_path / "below" / "TR1.wav")


def test_a_file_at_the_path_of_the_catalog_is_the_song(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y.wav").write_bytes(tone(1))
    assert found_in(tmp_path, Song("TR1", path="x/y.wav")).state is State.MATCHED


def test_a_file_called_artist_and_title_is_judged(tmp_path: Path) -> None:
    (tmp_path / "AIR - la femme.wav").write_bytes(tone(1))
    assert found_in(tmp_path, Song("TR1", "Air", "La Femme")).state is State.MATCHED
    assert found_in(tmp_path, Song("TR2", "Air", "Alone")).state is State.NO_RESULT


def test_a_file_that_has_gone_since_is_gone(tmp_path: Path) -> None:
    (tmp_path / "TR1.wav").write_bytes(tone(1))
    hit = found_in(tmp_path, Song("TR1")).hit
    assert hit is not None
    (tmp_path / "TR1.wav").unlink()
    with pytest.raises(RequestRefused, match="is gone"):
        fetch(open_source(SourceChoice("folder", folder=str(tmp_path))), hit)


@pytest.mark.parametrize("path", ["../secret.wav", "{elsewhere}/secret.wav"])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (tmp_path / "secret.wav").write_bytes(tone(1))
    path = path.format(elsewhere=tmp_path)
    assert found_in(music, Song("TR1", path=path)).state is State.NO_RESULT
    hit = Hit("", "", "", None, str(music / path), "", "own file")  # as a ledger from elsewhere
    with pytest.raises(RequestRefused, match="is not below"):
        fetch(open_source(SourceChoice("folder", folder=str(music))), hit)


# -- a second question


@pytest.mark.parametrize("name", ["itunes", "deezer"])
def test_a_title_with_a_bracket_is_asked_for_without_it_where_it_finds_nothing(name: str) -> None:
    with MusicService([ServedSong(1, "Air", "La Femme")]) as service:
        source = open_source(SourceChoice(name, service.url, accepted_terms=True))
        reply = ask(source, Song("a", "Air", "La Femme (Beach Mix) [Bonus]"))
        assert [hit.title for hit in source.read(reply)] == ["La Femme"]
        assert [asked.subject for asked in service.asked] == [
            "Air La Femme Beach Mix",
            "Air La Femme",
        ]


def test_a_second_question_is_only_asked_where_it_is_another_and_the_first_found_nothing() -> None:
    with MusicService([ServedSong(1, "Air", "La Femme (Live)")]) as service:
        ask(itunes(service.url), Song("a", "Air", "La Femme (Live)"))
        ask(itunes(service.url), Song("b", "Air", "Alone"))
    assert len(service.asked) == 2


def test_what_a_second_question_finds_is_judged_by_the_whole_title() -> None:
    with MusicService([ServedSong(1, "Air", "La Femme")]) as service:
        body = ask(itunes(service.url), Song("a", "Air", "La Femme (Karaoke Version)"))
    entry = LedgerEntry("a", "Air", "La Femme (Karaoke Version)")
    assert decide(entry, [StoredReply("a", 1.0, "itunes", body)]).state is State.REJECTED
