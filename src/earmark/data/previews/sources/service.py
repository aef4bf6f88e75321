"""What the two services on the web have in common: JSON replies, and links that run out."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin

from earmark.data.matching.judge import search_term
from earmark.data.previews.http import HttpClient, HttpLimits, Reply, RequestRefused, host_of
from earmark.data.previews.rate_limit import Trouble
from earmark.data.previews.sources import Asked, Fetched

if TYPE_CHECKING:
    from earmark.data.matching.judge import Hit

_GONE = (404, 410)
_MAX_REPLY = 8 * 2**20  # bytes; a reply of 25 hits has about 40,000


class WebSource(ABC):
    """A search service that speaks JSON over HTTP.

    endpoint : address before the paths of the API
    """

    ENDPOINT: ClassVar[str]
    name: ClassVar[str]
    per_minute: ClassVar[float]
    clip_seconds: ClassVar[float] = 30.0
    link_seconds: ClassVar[float] = math.inf  # how long a preview's link is good for

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    @property
    def api_host(self) -> str:
        """The "host:port" that is asked."""
        return host_of(self.endpoint)

    @abstractmethod
    def search_request(self, term: str) -> tuple[str, dict[str, str]]:
        """URL and parameters of a search."""

    @abstractmethod
    def lookup_request(self, source_id: str) -> tuple[str, dict[str, str]]:
        """URL and parameters of a question about one song of the service's own."""

    @abstractmethod
    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply, of a search or a lookup."""

    async def ask(self, song: Asked, *, network: HttpClient, limits: HttpLimits) -> bytes:
        """The raw reply to a search."""
        url, params = self.search_request(search_term(song.artist, song.title))
        return await self._ask(url, params, network, limits)

    async def fetch(
        self, hit: Hit, *, age: float, network: HttpClient, limits: HttpLimits
    ) -> Fetched:
        """The preview's bytes; looks the song up again where the link has or may have run out.

        Raises Refused(gone=True) for a preview that is no more.
        """
        if age <= self.link_seconds:
            # an expired link is refused in the way that a rejection is; only a new one tells
            gone = _GONE if math.isinf(self.link_seconds) else (403, *_GONE)
            try:
                return Fetched(await self._fetch(hit, network, limits, gone), hit)
            except RequestRefused as error:
                if not error.gone:
                    raise
        hit = await self._renew(hit, network, limits)
        return Fetched(await self._fetch(hit, network, limits, _GONE), hit)

    async def _ask(
        self, url: str, params: dict[str, str], network: HttpClient, limits: HttpLimits
    ) -> bytes:
        def read(reply: Reply) -> bytes:
            self.read(reply.body)  # raises where a service rejects in the body of a success
            return reply.body

        # a 404 of the service itself is a wrong address and no word about a song
        limits = HttpLimits(limits.deadline, _MAX_REPLY)
        return await network.get(url, params=params, limits=limits, read=read, gone=())

    async def _fetch(
        self, hit: Hit, network: HttpClient, limits: HttpLimits, gone: tuple[int, ...]
    ) -> bytes:
        try:
            url = urljoin(self.endpoint + "/", hit.preview_url or "")
        except ValueError as error:
            raise RequestRefused(
                f"{hit.preview_url!r} leads nowhere: {error}", gone=True
            ) from error
        return await network.get(url, limits=limits, read=lambda reply: reply.body, gone=gone)

    async def _renew(self, hit: Hit, network: HttpClient, limits: HttpLimits) -> Hit:
        url, params = self.lookup_request(hit.source_id)
        reply = await self._ask(url, params, network, limits)
        for found in self.read(reply):
            if found.source_id == hit.source_id and found.preview_url:
                return found
        raise RequestRefused(f"{self.name} no longer has a preview of {hit.source_id}", gone=True)


def parse(reply: bytes) -> dict[str, Any]:
    """The JSON object of a reply. Raises Trouble for half a reply, or the page of a proxy."""
    try:
        value = json.loads(reply)
    except ValueError as error:
        raise Trouble(f"the reply is no JSON: {reply[:60]!r}") from error
    if not isinstance(value, dict):
        raise Trouble(f"the reply is no JSON object: {reply[:60]!r}")
    return value


def text(value: Any) -> str:
    """A field as text; "" where it is missing."""
    return "" if value is None else str(value)


def number(value: Any) -> float | None:
    """A positive number, or None where the field is missing or no number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    return None
