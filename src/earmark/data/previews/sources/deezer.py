"""The Deezer API as a source.

https://developers.deezer.com/api: 50 requests in 5 seconds; above that it answers with HTTP 200 and
{"error": {"code": 4}}. The link of a preview runs out 900 s after the reply.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

from earmark.data.matching.hit import Hit
from earmark.data.previews.failures import RateLimited, RequestRefused, TransientFailure
from earmark.data.previews.sources.service import WebSource, number, parse, text

_HITS = 25
_QUOTA, _NO_DATA, _BUSY = 4, 800, 700  # https://developers.deezer.com/api/errors


class Deezer(WebSource):
    """Previews of 30 s in MP3."""

    ENDPOINT: ClassVar[str] = "https://api.deezer.com"
    HOSTS: ClassVar[tuple[str, ...]] = ("deezer.com", "dzcdn.net")
    name: ClassVar[str] = "deezer"
    per_minute: ClassVar[float] = 500.0  # of 600 that are allowed
    link_seconds: ClassVar[float] = 840.0  # of 900: a minute for clocks and slow transfers

    def search_request(self, term: str) -> tuple[str, dict[str, str]]:
        """GET /search?q=...&limit=25."""
        return f"{self.endpoint}/search", {"q": term, "limit": str(_HITS)}

    def lookup_request(self, source_id: str) -> tuple[str, dict[str, str]]:
        """GET /track/ID."""
        return f"{self.endpoint}/track/{quote(source_id, safe='')}", {}

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply."""
        return read_deezer(reply)


def read_deezer(reply: bytes) -> list[Hit]:
    """The songs of a raw reply to a search, or the one of a lookup."""
    value = parse(reply)
    if "error" in value:
        return _read_error(value["error"])
    results = value.get("data", [value] if "id" in value else None)
    if not isinstance(results, list):
        raise TransientFailure(f"a Deezer reply without data: {reply[:60]!r}")
    return [_hit(result) for result in results if isinstance(result, dict)]


def _read_error(error: Any) -> list[Hit]:
    code = error.get("code") if isinstance(error, dict) else None
    message = (
        f"Deezer error {code}: {text(error.get('message')) if isinstance(error, dict) else ''}"
    )
    if code == _QUOTA:
        raise RateLimited(message)
    if code == _NO_DATA:
        return []
    if code == _BUSY or code is None:
        raise TransientFailure(message)
    raise RequestRefused(message)


def _hit(result: dict[str, Any]) -> Hit:
    artist, album = result.get("artist"), result.get("album")
    return Hit(
        artist=text(artist.get("name")) if isinstance(artist, dict) else "",
        title=text(result.get("title")),
        album=text(album.get("title")) if isinstance(album, dict) else "",
        seconds=number(result.get("duration")),
        preview_url=text(result.get("preview")) or None,
        source_id=text(result.get("id")),
        kind=text(result.get("type")),
    )
