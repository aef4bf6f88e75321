"""Where previews come from: iTunes, Deezer, or a folder of one's own.

A source asks for a song and keeps the raw reply, reads hits from a raw reply (at any later time,
without the network), and fetches the audio of a hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.data.matching.judge import Hit
    from earmark.data.previews.http import HttpClient, HttpLimits

NAMES = ("itunes", "deezer", "folder")

ITUNES_TERMS = (
    "Apple's terms for the iTunes Search API allow its previews for one purpose: to promote the "
    'store\'s content, "and not for entertainment purposes"; they "can only be streamed, they may '
    'not be downloaded, saved, cached". Whether your use is covered (your own agreement with '
    "Apple, or a law that permits research) is for you to know. "
    "See https://developer.apple.com/library/archive/documentation/AudioVideo/Conceptual/"
    "iTuneSearchAPI and https://affiliate.itunes.apple.com/resources/blog/song-previews/."
)


@dataclass(frozen=True)
class Fetched:
    """The audio of a hit: its bytes, or a file of this machine that stays where it is.

    hit : the hit as it is now; its link may have been renewed on the way
    """

    audio: bytes | Path
    hit: Hit


class Asked(Protocol):
    """What a source needs to know of a song; a Song and a ledger's Entry both do."""

    @property
    def id(self) -> str:
        """Of the catalog."""

    @property
    def artist(self) -> str:
        """Empty where not known."""

    @property
    def title(self) -> str:
        """Empty where not known."""

    @property
    def path(self) -> str:
        """Of its audio, where the catalog names one."""


class Source(Protocol):
    """What the downloader asks of a source; `network` is there for those who need one."""

    @property
    def name(self) -> str:
        """As in `--source`, and beside every stored reply."""

    @property
    def api_host(self) -> str:
        """The "host:port" that is asked; "" for none."""

    @property
    def per_minute(self) -> float:
        """Requests a minute that the service bears; 0 where there is no limit."""

    @property
    def clip_seconds(self) -> float | None:
        """Length of its clips where the song is not shorter, None where they are whole songs."""

    async def ask(self, song: Asked, *, network: HttpClient, limits: HttpLimits) -> bytes:
        """The raw reply about a song."""

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply. Raises Trouble where it is no reply of this service."""

    async def fetch(
        self, hit: Hit, *, age: float, network: HttpClient, limits: HttpLimits
    ) -> Fetched:
        """The audio of a hit that was found `age` seconds ago."""


@dataclass(frozen=True)
class Choice:
    """Which source, and how it is reached.

    name : one of NAMES
    endpoint : address that stands in for the service's own, as in "http://127.0.0.1:8000"
    storefront : iTunes: the store's country, two letters
    folder : where the audio of the source "folder" lies
    accepted_terms : iTunes: that the user knows ITUNES_TERMS and answers for the use
    """

    name: str
    endpoint: str = ""
    storefront: str = "US"
    folder: str = ""
    accepted_terms: bool = False


def open_source(choice: Choice) -> Source:
    """The source that was chosen. Raises BadValue."""
    from earmark.data.previews.sources.deezer import Deezer
    from earmark.data.previews.sources.folder import Folder
    from earmark.data.previews.sources.itunes import ITunes

    if choice.endpoint and not choice.endpoint.startswith(("http://", "https://")):
        raise BadValue(
            f"endpoint {choice.endpoint!r} is no address: it begins with http:// or https://"
        )
    if choice.name == "itunes":
        if not choice.accepted_terms:
            raise BadValue(
                f"the source itunes is off until you accept its terms. {ITUNES_TERMS} "
                "To accept: --accept-terms, or EARMARK_ACCEPT_ITUNES_TERMS=1"
            )
        storefront = choice.storefront
        if not (len(storefront) == 2 and storefront.isascii() and storefront.isalpha()):
            raise BadValue(f"storefront {storefront!r}; it is a country of two letters, as in US")
        return ITunes(choice.endpoint or ITunes.ENDPOINT, storefront=storefront.upper())
    if choice.name == "deezer":
        return Deezer(choice.endpoint or Deezer.ENDPOINT)
    if choice.name == "folder":
        return Folder(choice.folder)
    raise BadValue(f"no source is called {choice.name!r}; there are {', '.join(NAMES)}")


def read_reply(source: str, reply: bytes) -> list[Hit]:
    """The hits of a stored reply of the source of that name, without asking anybody."""
    from earmark.data.previews.sources.deezer import read_deezer
    from earmark.data.previews.sources.folder import read_folder
    from earmark.data.previews.sources.itunes import read_itunes

    readers = {"itunes": read_itunes, "deezer": read_deezer, "folder": read_folder}
    if source not in readers:
        raise BadValue(f"a reply of an unknown source {source!r}; update earmark")
    return readers[source](reply)
