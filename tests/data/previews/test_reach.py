"""Which addresses a download asks: a reply may name any."""

from __future__ import annotations

import asyncio
import json
import socket

import anyio
import httpx2
import pytest
from music_service import Fault, MusicService, ServedSong, status

from earmark.data.matching.hit import Hit
from earmark.data.previews.failures import RequestRefused
from earmark.data.previews.http import HttpClient, HttpLimits, host_of
from earmark.data.previews.rate_limit import RatePolicy
from earmark.data.previews.reach import Reach, is_public
from earmark.data.previews.sources import SourceChoice, open_source

APPLE = Reach(("apple.com", "mzstatic.com"))


def get(url: str, reach: Reach, *, api_host: str = "itunes.apple.com") -> bytes:
    async def run() -> bytes:
        async with HttpClient(api_host=api_host, policy=RatePolicy(0, 0.05), reach=reach) as client:
            return await client.get(
                url, limits=HttpLimits(5, 10_000), read=lambda reply: reply.body
            )

    return asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "http://audio-ssl.itunes.apple.com/a.m4a",  # not encrypted
        "https://audio-ssl.itunes.apple.com:8443/a.m4a",
        "https://127.0.0.1/a.m4a",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a.m4a",
        "https://example.org/a.m4a",
        "https://notapple.com/a.m4a",
        "https://apple.com.example.org/a.m4a",
        "https://apple.com@example.org/a.m4a",
        "file:///etc/passwd",
    ],
)
def test_only_https_to_the_hosts_of_a_source_is_asked(url: str) -> None:
    with pytest.raises(RequestRefused, match="cannot be requested") as caught:
        get(url, APPLE)
    assert caught.value.gone


@pytest.mark.parametrize("host", ["itunes.apple.com", "audio-ssl.itunes.apple.com", "apple.com"])
def test_the_hosts_of_a_source_may_be_asked(host: str) -> None:
    request = httpx2.Request("GET", f"https://{host}/a.m4a")
    asyncio.run(APPLE.guard(request))
    assert "trace" in request.extensions


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("17.253.144.10", True), ("2620:149:af0::10", True), ("64:ff9b::11fd:900a", True),
        ("127.0.0.1", False), ("0.0.0.0", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1%eth0", False), ("fd00::1", False), ("ff02::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False),
    ],
)  # fmt: skip
def test_public_is_what_belongs_to_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_to_this_machine_is_left_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = anyio.connect_tcp

    async def as_its_dns_says(remote_host: str, remote_port: int, **_: object) -> object:
        assert (remote_host, remote_port) == ("audio-ssl.itunes.apple.com", 443)
        return await connect("127.0.0.1", service.getsockname()[1])

    monkeypatch.setattr(anyio, "connect_tcp", as_its_dns_says)
    with socket.create_server(("127.0.0.1", 0)) as service:
        with pytest.raises(RequestRefused, match=r"127\.0\.0\.1, which is not public"):
            get("https://audio-ssl.itunes.apple.com/search?term=x", APPLE)
        connection, _ = service.accept()
        with connection:
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/", "http://127.0.0.1:{other}/search?term=x", "https://example.org/"],
)
def test_a_redirect_leads_no_further_than_an_address(target: str) -> None:
    with MusicService([]) as other, MusicService([]) as service:
        to = target.format(other=other.port)
        service.fault = lambda _: status(302, Location=to)
        with pytest.raises(RequestRefused, match="asks nothing else than http://127"):
            get(f"{service.url}/search?term=x", Reach(endpoint=service.url))
    assert other.asked == []


def test_a_redirect_within_the_endpoint_is_followed() -> None:
    def once(asked: object) -> Fault | None:
        return status(302, Location="/search?term=y") if len(service.asked) == 1 else None

    with MusicService([]) as service:
        service.fault = once
        body = get(f"{service.url}/search?term=x", Reach(endpoint=service.url))
    assert json.loads(body)["resultCount"] == 0


@pytest.mark.parametrize("name", ["itunes", "deezer"])
def test_an_endpoint_opens_its_own_host_and_no_other(name: str) -> None:
    with MusicService([ServedSong(1, "Air", "La Femme")]) as own, MusicService([]) as other:
        source = open_source(SourceChoice(name, own.url, accepted_terms=True))
        url = f"{other.url}/preview/1.mp3"
        hit = Hit("Air", "La Femme", "", 200.0, url, "1", "song")

        async def run() -> bytes:
            client = HttpClient(
                api_host=source.api_host, policy=RatePolicy(0, 0.05), reach=source.reach
            )
            async with client:
                found = await source.fetch(hit, age=0, client=client, limits=HttpLimits(5, 10**5))
            assert isinstance(found.audio, bytes)
            assert found.hit.preview_url != url  # the song was looked up again
            return found.audio

        assert asyncio.run(run())[:4] == b"RIFF"
    assert other.asked == []


@pytest.mark.parametrize("name", ["itunes", "deezer"])
def test_without_an_endpoint_a_service_opens_no_address_of_this_machine(name: str) -> None:
    source = open_source(SourceChoice(name, accepted_terms=True))
    with MusicService([]) as service, pytest.raises(RequestRefused):
        get(f"{service.url}/search?q=x", source.reach, api_host=host_of(service.url))
    assert service.asked == []
