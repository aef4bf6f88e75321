"""A music service on loopback that speaks iTunes and Deezer, and misbehaves as it is told to.

with MusicService(songs) as service:
    service.fault = lambda asked: reject(403) if asked.number == 1 else None
    download(endpoint=service.url)

Its search is its own: a song is found when all words of the term are in its artist and title.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
import socket
import struct
import threading
import time
import wave
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

_HITS = 25


@dataclass(frozen=True)
class ServedSong:
    """A song of the service; `audio` by default is a short tone that no other song has."""

    id: int
    artist: str
    title: str
    seconds: float | None = 200.0
    audio: bytes | Path | None = None
    album: str = "An Album"
    without: frozenset[str] = frozenset()  # names of fields that its JSON lacks

    @property
    def body(self) -> bytes:
        if isinstance(self.audio, Path):
            return self.audio.read_bytes()
        return tone(self.id) if self.audio is None else self.audio


@dataclass(frozen=True)
class Asked:
    """One request. number : of this kind about this subject, from 1."""

    kind: str  # "search", "lookup", "preview"
    subject: str  # the term, or the song's id here
    number: int
    path: str
    params: dict[str, str] = field(hash=False)
    at: float
    headers: dict[str, str] = field(hash=False, repr=False, default_factory=dict)


Fault = Callable[["Connection", bytes], None]


class MusicService:
    """The service; `url` is its address, `asked` what it was asked, `fault` how it misbehaves.

    fault : from a request to the way to fail it, None to answer properly
    expired_links : Deezer's search gives links that have run out, its lookup good ones
    decoys : songs that stand before the right one in every reply to a search
    """

    def __init__(self, songs: Iterable[ServedSong], *, decoys: Iterable[ServedSong] = ()) -> None:
        self.songs = {song.id: song for song in songs}
        self.decoys = {song.id: song for song in decoys}
        self.fault: Callable[[Asked], Fault | None] = lambda _: None
        self.expired_links = False
        self.keep_log = True
        self.asked: list[Asked] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.connections: set[Connection] = set()
        self._words: dict[str, set[int]] = {}
        for song in self.songs.values():
            for word in _words(f"{song.artist} {song.title}"):
                self._words.setdefault(word, set()).add(song.id)
        self._exact = {f"{song.artist} {song.title}": song.id for song in self.songs.values()}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def numbers(self, kind: str) -> dict[str, int]:
        """Subject -> how often it was asked for."""
        return {subject: n for (of_kind, subject), n in self.counts.items() if of_kind == kind}

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        # one may have been taken a moment ago
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        while self.connections:
            for connection in list(self.connections):
                connection.transport.abort()
            await asyncio.sleep(0.01)

    # -- what it says -------------------------------------------------------------------------

    def answer(self, connection: Connection, target: str, headers: dict[str, str]) -> None:
        path, query = urlsplit(target)[2:4]
        params = {
            name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()
        }
        parts = unquote(path).strip("/").split("/")
        kind, subject = {
            "search": ("search", params.get("term", params.get("q", ""))),
            "lookup": ("lookup", params.get("id", "")),
            "track": ("lookup", parts[-1]),
            "preview": ("preview", parts[-1].partition(".")[0]),
        }.get(parts[0], ("", path))
        self.counts[kind, subject] += 1
        n = self.counts[kind, subject]
        asked = Asked(kind, subject, n, path, params, time.monotonic(), headers)
        if self.keep_log:
            self.asked.append(asked)
        status, body = self._reply(kind, subject, parts[0], params)
        fault = self.fault(asked)
        if fault is None:
            connection.send(status, body)
        else:
            fault(connection, body)

    def _reply(
        self, kind: str, subject: str, first: str, params: dict[str, str]
    ) -> tuple[int, bytes]:
        if kind == "preview":
            song = self.songs.get(int(subject)) or self.decoys.get(int(subject))
            if song is None:
                return 404, b""
            if float(params.get("exp", "inf")) < time.time():
                return 403, b"<html>Access Denied</html>"
            return 200, song.body
        deezer = "q" in params or first == "track"
        if kind == "lookup":
            found = [self.songs[int(subject)]] if int(subject) in self.songs else []
            if deezer and not found:
                return 200, b'{"error":{"type":"DataException","message":"no data","code":800}}'
        elif kind == "search":
            found = [*self.decoys.values(), *self._find(subject)]
        else:
            return 404, b"<html>no such page</html>"
        if deezer:
            age = -60.0 if self.expired_links and kind == "search" else 900.0
            data = [self._deezer(song, age) for song in found]
            return 200, _json(data[0] if kind == "lookup" else {"data": data, "total": len(data)})
        results = [self._itunes(song) for song in found]
        return 200, b"\n\n\n" + _json({"resultCount": len(results), "results": results})

    def _find(self, term: str) -> list[ServedSong]:
        if term in self._exact:
            return [self.songs[self._exact[term]]]
        postings = sorted((self._words.get(word, set()) for word in _words(term)), key=len)
        found = set.intersection(*postings) if postings else set()
        return [self.songs[number] for number in sorted(found)[:_HITS]]

    def _itunes(self, song: ServedSong) -> dict[str, Any]:
        value = {
            "wrapperType": "track",
            "kind": "song",
            "trackId": song.id,
            "artistName": song.artist,
            "trackName": song.title,
            "collectionName": song.album,
            "previewUrl": f"{self.url}/preview/{song.id}.m4a",
            "trackTimeMillis": None if song.seconds is None else round(song.seconds * 1000),
        }
        return {
            name: content
            for name, content in value.items()
            if name not in song.without and content is not None
        }

    def _deezer(self, song: ServedSong, age: float) -> dict[str, Any]:
        value = {
            "id": song.id,
            "title": song.title,
            "duration": None if song.seconds is None else round(song.seconds),
            "preview": f"{self.url}/preview/{song.id}.mp3?exp={time.time() + age:.0f}",
            "artist": {"name": song.artist, "type": "artist"},
            "album": {"title": song.album, "type": "album"},
            "type": "track",
        }
        return {name: content for name, content in value.items() if name not in song.without}


class Connection(asyncio.Protocol):
    """One connection; answers request after request."""

    def __init__(self, service: MusicService) -> None:
        self.service = service
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.service.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            named = (line.partition(": ") for line in lines)
            headers = {name.lower(): value for name, _, value in named}
            self.service.answer(self, first.split(" ", 2)[1], headers)

    def send(self, status: int, body: bytes, *, keep: int | None = None, **headers: object) -> None:
        """A reply with its length; `keep` sends only so many bytes of it and hangs up."""
        lines = [f"HTTP/1.1 {status} whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body[:keep])
        if keep is not None:
            self.transport.close()


# -- ways to fail ---------------------------------------------------------------------------------


def status(code: int, body: bytes = b"", **headers: Any) -> Fault:
    """Nothing but a status: 403 with an empty body is how iTunes rejects."""
    return lambda connection, _: connection.send(code, body, **headers)


def says(body: bytes) -> Fault:
    """Another body under HTTP 200: the page of a proxy, an error in Deezer's way."""
    return lambda connection, _: connection.send(200, body)


def quota() -> Fault:
    """Deezer's way to reject."""
    error = {"type": "Exception", "message": "Quota limit exceeded", "code": 4}
    return says(_json({"error": error}))


def cut(share: float, *, announced: bool) -> Fault:
    """A body that ends early; without its length nothing in HTTP tells."""

    def fail(connection: Connection, body: bytes) -> None:
        n_bytes = int(share * len(body))
        if announced:
            connection.send(200, body, keep=n_bytes)
        else:
            connection.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            connection.transport.write(body[:n_bytes])
            connection.transport.close()

    return fail


def reset(connection: Connection, body: bytes) -> None:
    """The connection is torn down in the middle of a reply."""
    linger = struct.pack("ii", 1, 0)
    connection.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, linger
    )
    connection.transport.abort()


def hang(connection: Connection, body: bytes) -> None:
    """Nothing, for ever."""


def drip(connection: Connection, body: bytes) -> None:
    """The right reply, one byte at a time."""
    loop = asyncio.get_running_loop()
    connection.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())

    def one(at: int) -> None:
        if at < len(body) and not connection.transport.is_closing():
            connection.transport.write(body[at : at + 1])
            loop.call_later(0.02, one, at + 1)

    one(0)


def endless(connection: Connection, body: bytes) -> None:
    """Audio without a length and without an end, as fast as it is taken."""
    loop = asyncio.get_running_loop()
    connection.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)

    def more() -> None:
        if not connection.transport.is_closing():
            if connection.transport.get_write_buffer_size() < 2**20:
                connection.transport.write(body.ljust(2**16, b"\0"))
            loop.call_later(0.001, more)

    more()


def tone(number: int, *, seconds: float = 0.3, rate: int = 8000) -> bytes:
    """A WAV file with a tone; no two numbers have the same bytes."""
    step = 2 * math.pi * (200 + number % 3000) / rate
    samples = array("h", (round(9000 * math.sin(step * t)) for t in range(int(seconds * rate))))
    samples[0], samples[1] = number & 0x7FFF, number >> 15 & 0x7FFF
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
