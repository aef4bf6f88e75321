"""The iTunes Search API as a source.

https://developer.apple.com/library/archive/documentation/AudioVideo/Conceptual/iTuneSearchAPI
Apple allows about 20 calls a minute; above that it answers with 429, or with 403 and no body.
"""

from __future__ import annotations

from typing import ClassVar

from earmark.data.matching.hit import Hit
from earmark.data.previews.failures import TransientFailure
from earmark.data.previews.sources.service import WebSource, number, parse, text

_HITS = 25


class ITunes(WebSource):
    """Previews of about 30 s in AAC, from the store of one country."""

    ENDPOINT: ClassVar[str] = "https://itunes.apple.com"
    HOSTS: ClassVar[tuple[str, ...]] = ("apple.com", "mzstatic.com")
    name: ClassVar[str] = "itunes"
    per_minute: ClassVar[float] = 20.0

    def __init__(self, endpoint: str = ENDPOINT, *, storefront: str = "US") -> None:
        super().__init__(endpoint)
        self.storefront = storefront

    def search_request(self, term: str) -> tuple[str, dict[str, str]]:
        """GET /search?term=...&media=music&entity=song&limit=25&country=US."""
        return f"{self.endpoint}/search", {
            "term": term,
            "media": "music",
            "entity": "song",
            "limit": str(_HITS),
            "country": self.storefront,
        }

    def lookup_request(self, source_id: str) -> tuple[str, dict[str, str]]:
        """GET /lookup?id=...&country=US."""
        return f"{self.endpoint}/lookup", {"id": source_id, "country": self.storefront}

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply."""
        return read_itunes(reply)


def read_itunes(reply: bytes) -> list[Hit]:
    """The songs of a raw reply; any field of any of them may be missing."""
    results = parse(reply).get("results")
    if not isinstance(results, list):
        raise TransientFailure(f"an iTunes reply without results: {reply[:60]!r}")
    hits = []
    for result in results:
        if not isinstance(result, dict):
            continue
        milliseconds = number(result.get("trackTimeMillis"))
        hits.append(
            Hit(
                artist=text(result.get("artistName")),
                title=text(result.get("trackName")),
                album=text(result.get("collectionName")),
                seconds=None if milliseconds is None else milliseconds / 1000,
                preview_url=text(result.get("previewUrl")) or None,
                source_id=text(result.get("trackId")),
                kind=text(result.get("kind")),
            )
        )
    return hits
