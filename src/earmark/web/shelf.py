"""A library behind the page: searched in memory, corrected, and made into lists that play on."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from earmark import tags as vocabulary
from earmark.arrays import Int64Array
from earmark.errors import NotScanned
from earmark.files import Json
from earmark.library.corrections import as_catalog, correct
from earmark.library.database import Library
from earmark.library.playlists.expression import KEYWORDS, parse
from earmark.library.playlists.playlist import PlaylistRequest, make_playlist
from earmark.library.playlists.similar import SimilarSong, similar_songs
from earmark.library.settings import TagRules, read_settings
from earmark.library.show import as_json, counting
from earmark.library.song import ScannedFile
from earmark.library.song_table import SongTable, least_scores
from earmark.tagger import Tagger
from earmark.web.errors import UnknownSong
from earmark.web.sound import media_type

Result = TypeVar("Result")
Numbered = tuple[int, ScannedFile]  # a song's id, and the song

_TAGS_OF_A_LINE = 4
# While a scan writes, all songs are read anew so seldom that it costs a tenth of the time.
_REST = 10.0
_PLAIN = re.compile(r"[\w&-]+( [\w&-]+)*")  # a tag that an expression names without quotes


class Shelf:
    """A library that is served. Its file is only read, but for corrections.

    The search has a thread of its own, whose connection sees when another process has written;
    lists are made in other threads, each with a connection of its own.
    """

    def __init__(self, path: Path, *, model: str | None = None) -> None:
        """Model : by name or the beginning of its sha256; by default the one used last"""
        self.path = path
        self.settings: TagRules = read_settings()
        self._secret = secrets.token_bytes(32)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        try:
            self._library: Library = self._thread.submit(Library.open, path).result()
            try:
                self.model = self._thread.submit(self._library.model, model).result()
                self._least = least_scores(self.model.card.tags, self.settings)
                self._thread.submit(self._load).result()
            except BaseException:
                self._thread.submit(self._library.close).result()
                raise
        except BaseException:
            self._thread.shutdown()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._thread.submit(self._library.close).result()
        self._thread.shutdown()

    # -- in the thread of the search --------------------------------------------------------

    async def search(self, expression: str, words: str, *, offset: int, limit: int) -> Json:
        """A part of the songs that fit, how many there are, and how many of them have each tag.

        Raises BadExpression.
        """

        def work() -> Json:
            table, places = self._found(expression, words)
            page = self._numbered(table, places[offset : offset + limit])
            counts = table.counts(places, least=self._least)
            return {
                "total": len(places),
                "seconds": round(float(table.seconds[places].sum()), 1),
                "songs": [self.line(number, song) for number, song in page],
                "counts": {
                    tag: int(n) for tag, n in zip(self.model.card.tags, counts, strict=True) if n
                },
            }

        return await self._in_thread(work)

    async def songs(self, expression: str, words: str, *, limit: int) -> list[ScannedFile]:
        """The first of the songs that fit."""

        def work() -> list[ScannedFile]:
            table, places = self._found(expression, words)
            return [song for _, song in self._numbered(table, places[:limit])]

        return await self._in_thread(work)

    async def about(self) -> Json:
        """What there is: how many songs, and the tags to look for, with their words."""

        def work() -> Json:
            table = self._fresh()
            n = np.count_nonzero(table.is_music)
            return {
                "songs": int(n),
                "seconds": round(float(table.seconds[table.is_music].sum()), 1),
                "model": self.model.card.name,
                "tags": [
                    {
                        "tag": tag,
                        "group": vocabulary.group(tag),
                        "meaning": vocabulary.meaning(tag),
                        "expression": self._word(tag),
                    }
                    for tag in self.model.card.tags
                    if vocabulary.group(tag) != "sound"
                ],
            }

        return await self._in_thread(work)

    async def song(self, number: int) -> Json:
        """All of one song: its line in `earmark library show --json`, and where its sound is."""
        return await self._in_thread(lambda: self._described(number))

    async def file(self, number: int, key: str) -> Path:
        """Where a song is that the library knows, for who was given its key."""
        if not hmac.compare_digest(self._key(number).encode(), key.encode("utf-8", "replace")):
            raise UnknownSong("this address is not of a song of this server. Open the page again")
        return (await self._in_thread(lambda: self._one(number))).path

    async def correct(self, number: int, *, tag: str, holds: bool | None) -> Json:
        """Say that a song carries a tag or not, or forget it; the song, as it is then."""

        def work() -> Json:
            song = self._one(number)
            correct(self._library, self.model, song, tag=tag, holds=holds)
            same = self._library.rows(
                "SELECT id FROM songs WHERE model = ? AND audio = ?", (self.model.id, song.audio)
            )
            for (copy,) in same:
                scores = self._one(copy).scores
                assert scores is not None  # it has the audio of a song that was heard
                self._table.correct(copy, scores=scores)
            return self._described(number)

        return await self._in_thread(work)

    async def corrections(self) -> bytes:
        """The corrected songs as a CSV catalog."""
        return await self._in_thread(
            lambda: as_catalog(self._library, self.model, settings=self.settings)
        )

    # -- in any thread ----------------------------------------------------------------------

    async def similar(self, song: str, *, n: int) -> list[tuple[int, SimilarSong]]:
        """The songs that sound most like one, best first.

        song : its id, or a path by which the library knows it; raises UnknownSong for another
        """

        def work(library: Library) -> list[tuple[int, SimilarSong]]:
            path = self._known(library, song)
            found = similar_songs(library, path, model=self.model, load=_never, n=n)
            return [(self._number(library, one.song), one) for one in found]

        return await asyncio.to_thread(self._opened, work)

    async def playlist(
        self, ask: Callable[[Callable[[str], Path]], PlaylistRequest]
    ) -> list[Numbered]:
        """The songs of a playlist.

        ask : makes the request, with a function from a song's id or path to its place
        """

        def work(library: Library) -> list[Numbered]:
            request = ask(lambda song: self._known(library, song))
            songs = make_playlist(
                library, request, model=self.model, settings=self.settings, load=_never
            )
            return [(self._number(library, song), song) for song in songs]

        return await asyncio.to_thread(self._opened, work)

    async def nearness(self, song: ScannedFile, others: list[ScannedFile]) -> list[float]:
        """How much songs of the library sound like one, each in [-1, 1]."""

        def work(library: Library) -> list[float]:
            first = library.vector(self.model, song.path)
            vectors = [library.vector(self.model, other.path) for other in others]
            return [
                -1.0 if first is None or vector is None else float(first @ vector)
                for vector in vectors
            ]

        return await asyncio.to_thread(self._opened, work)

    def line(self, number: int, song: ScannedFile) -> Json:
        """A song in a list."""
        counted = counting(song, self.model.card, settings=self.settings)
        # those that were compared with labels, where there are such
        measured = [tag for tag in counted if tag.calibrated or tag.reliability is not None]
        line = {
            "id": number,
            "path": str(song.path),
            "title": song.title or song.path.stem,
            "artist": song.artist,
            "album": song.album,
            "seconds": round(song.seconds, 3),
            "tags": [tag.name for tag in (measured or counted)[:_TAGS_OF_A_LINE]],
        }
        return line | ({"headline": song.headline} if song.headline else {})

    # ---------------------------------------------------------------------------------------

    def _opened(self, work: Callable[[Library], Result]) -> Result:
        with Library.open(self.path) as library:
            return work(library)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load(self) -> None:
        started = time.monotonic()
        self._version = self._data_version()
        self._table = SongTable.load(self._library, self.model)
        self._loaded = time.monotonic()
        self._load_seconds = self._loaded - started

    def _data_version(self) -> int:
        """It changes when another connection writes."""
        return int(self._library.rows("PRAGMA data_version")[0][0])

    def _fresh(self) -> SongTable:
        is_due = time.monotonic() - self._loaded >= _REST * self._load_seconds
        if is_due and self._data_version() != self._version:
            self._load()
        return self._table

    def _found(self, expression: str, words: str) -> tuple[SongTable, Int64Array]:
        tags = self.model.card.tags
        parsed = parse(expression, tags=tags, settings=self.settings) if expression else None
        table = self._fresh()
        return table, table.find(parsed, words=words)

    def _numbered(self, table: SongTable, places: Int64Array) -> list[Numbered]:
        """Songs that are still there."""
        numbers = table.numbers[places].tolist()
        found = ((n, self._library.by_number(self.model, [n])) for n in numbers)
        return [(number, songs[0]) for number, songs in found if songs]

    def _one(self, number: int) -> ScannedFile:
        songs = self._library.by_number(self.model, [number])
        if not songs or songs[0].failure is not None:
            raise UnknownSong(f"no song has the id {number}. A scan may have removed it; search")
        return songs[0]

    def _described(self, number: int) -> Json:
        song = self._one(number)
        audio = f"library/audio/{number}?key={self._key(number)}"
        more = {
            "id": number,
            "headline": song.headline,
            "type": media_type(song.path),
            "audio": audio,
            "opus": f"{audio}&as=opus",
        }
        return as_json(song, self.model.card) | {"title": song.title or song.path.stem} | more

    def _key(self, number: int) -> str:
        """What the address of a song's sound carries: an audio element cannot send a token."""
        return hmac.new(self._secret, str(number).encode(), hashlib.sha256).hexdigest()[:32]

    def _known(self, library: Library, song: str) -> Path:
        """The path of a song of the library, by its id or by any name of its file."""
        if song.isdecimal() and song.isascii():
            found = library.by_number(self.model, [int(song[:18])])
            path = found[0].path if found else None
        else:
            path = None if "\0" in song else library.known_path(self.model, song)
        if path is None or library.vector(self.model, path) is None:
            raise UnknownSong(f"{song} is not a song of the library. Give an id or a scanned path")
        return path

    def _number(self, library: Library, song: ScannedFile) -> int:
        number = library.number(self.model, song.path)
        assert number is not None  # it was read from there
        return number

    def _word(self, tag: str) -> str:
        """A tag as an expression names it."""
        is_plain = (
            _PLAIN.fullmatch(tag) is not None
            and not {*tag.casefold().split()} & {*KEYWORDS}
            and vocabulary.fold(tag) not in self.settings.words
        )
        return tag if is_plain else f'"{tag}"'


def _never() -> Tagger:
    """In place of a tagger: nothing but the library's own songs is ever heard."""
    raise NotScanned("only songs of the library have anything that is like them. Scan it first")


def normal(similarity: float) -> float:
    """A cosine as a similarity in [0, 1]; what points away is as unlike as can be."""
    return round(min(1.0, max(0.0, similarity)), 5)
