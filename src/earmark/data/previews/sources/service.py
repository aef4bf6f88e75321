"""What the two web services have in common: JSON replies, and preview links that run out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin

from earmark.data.matching.judge import search_term, shorter_term
from earmark.data.previews.entry import MAX_REPLY
from earmark.data.previews.failures import RequestRefused, TransientFailure
from earmark.data.previews.http import HttpClient, HttpLimits, Reply, host_of
from earmark.data.previews.reach import Reach
from earmark.data.previews.sources.source import FetchedAudio, WantedSong
from earmark.files import parse_json

if TYPE_CHECKING:
    from earmark.data.matching.hit import Hit

_GONE = (404, 410)


class WebSource(ABC):
    """A search service that speaks JSON over HTTP.

    endpoint : address in front of the paths of the API
    HOSTS : domains of the service, with those of its previews
    """

    ENDPOINT: ClassVar[str]
    HOSTS: ClassVar[tuple[str, ...]]
    name: ClassVar[str]
    per_minute: ClassVar[float]
    clip_seconds: ClassVar[float] = 30.0
    link_seconds: ClassVar[float] = math.inf  # after which a preview's link may have run out

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    @property
    def api_host(self) -> str:
        """The "host:port" of the service."""
        return host_of(self.endpoint)

    @property
    def reach(self) -> Reach:
        """The service's own hosts, and the endpoint where the user gave another."""
        given = "" if self.endpoint == self.ENDPOINT else self.endpoint
        return Reach(self.HOSTS, given)

    @abstractmethod
    def search_request(self, term: str) -> tuple[str, dict[str, str]]:
        """URL and parameters of a search."""

    @abstractmethod
    def lookup_request(self, source_id: str) -> tuple[str, dict[str, str]]:
        """URL and parameters for one song, by the service's own id."""

    @abstractmethod
    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply, of a search or a lookup."""

    async def ask(self, song: WantedSong, *, client: HttpClient, limits: HttpLimits) -> bytes:
        """The raw reply to a search, or to one with fewer words where that has no hit."""
        term = search_term(song.artist, song.title)
        reply = await self._ask(*self.search_request(term), client, limits)
        shorter = shorter_term(song.artist, song.title)
        if shorter == term or self.read(reply):
            return reply
        return await self._ask(*self.search_request(shorter), client, limits)

    async def fetch(
        self, hit: Hit, *, age: float, client: HttpClient, limits: HttpLimits
    ) -> FetchedAudio:
        """The preview's bytes; looks the song up again where its link has or may have run out.

        Raises RequestRefused(gone=True) where the preview no longer exists.
        """
        if age <= self.link_seconds:
            # a host refuses an expired link with the status of a rate limit; only a new link tells
            gone = _GONE if math.isinf(self.link_seconds) else (403, *_GONE)
            try:
                return FetchedAudio(await self._fetch(hit, client, limits, gone), hit)
            except RequestRefused as error:
                if not error.gone:
                    raise
        hit = await self._renew(hit, client, limits)
        return FetchedAudio(await self._fetch(hit, client, limits, _GONE), hit)

    async def _ask(
        self, url: str, params: dict[str, str], client: HttpClient, limits: HttpLimits
    ) -> bytes:
        def read(reply: Reply) -> bytes:
            self.read(reply.body)  # raises where a service rejects in the body of a success
            return reply.body

        # a 404 of the service itself means a wrong address, and says nothing about the song
        limits = HttpLimits(limits.deadline, MAX_REPLY)
        return await client.get(url, params=params, limits=limits, read=read, gone=())

    async def _fetch(
        self, hit: Hit, client: HttpClient, limits: HttpLimits, gone: tuple[int, ...]
    ) -> bytes:
        try:
            url = urljoin(self.endpoint + "/", hit.preview_url or "")
        except ValueError as error:
            raise RequestRefused(
                f"{hit.preview_url!r} cannot be requested: {error}", gone=True
            ) from error
        return await client.get(url, limits=limits, read=lambda reply: reply.body, gone=gone)

    async def _renew(self, hit: Hit, client: HttpClient, limits: HttpLimits) -> Hit:
        url, params = self.lookup_request(hit.source_id)
        reply = await self._ask(url, params, client, limits)
        for found in self.read(reply):
            if found.source_id == hit.source_id and found.preview_url:
                return found
        raise RequestRefused(f"{self.name} no longer has a preview of {hit.source_id}", gone=True)


def parse(reply: bytes) -> dict[str, Any]:
    """The JSON object of a reply. Raises TransientFailure for half a reply or a proxy's page."""
    try:
        value = parse_json(reply)
    except ValueError as error:
        raise TransientFailure(f"the reply is not JSON: {reply[:60]!r}") from error
    if not isinstance(value, dict):
        raise TransientFailure(f"the reply is not a JSON object: {reply[:60]!r}")
    return value


def text(value: Any) -> str:
    """A field as text; "" where it is missing."""
    return "" if value is None else str(value)


def number(value: Any) -> float | None:
    """A positive number; None where the field is missing or anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    return None
