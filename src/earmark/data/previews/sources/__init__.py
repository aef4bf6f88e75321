"""The sources of previews: iTunes, Deezer, or a folder of the user's own music.

A source returns the raw reply about a song, reads the hits of a raw reply (also much later, without
the network), and fetches the audio of a hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.data.matching.hit import Hit
    from earmark.data.previews.sources.source import Source

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
class SourceChoice:
    """The source to use, and how to reach it.

    name : one of NAMES
    endpoint : address to use in place of the service's own, such as "http://127.0.0.1:8000"
    storefront : iTunes: the store's country, two letters
    folder : the audio of the source "folder"
    accepted_terms : iTunes: the user knows ITUNES_TERMS and answers for the use
    """

    name: str
    endpoint: str = ""
    storefront: str = "US"
    folder: str = ""
    accepted_terms: bool = False


def open_source(choice: SourceChoice) -> Source:
    """The chosen source. Raises BadValue where it cannot be used like this."""
    from earmark.data.previews.sources.deezer import Deezer
    from earmark.data.previews.sources.folder import Folder
    from earmark.data.previews.sources.itunes import ITunes

    if choice.endpoint and not choice.endpoint.startswith(("http://", "https://")):
        raise BadValue(f"endpoint {choice.endpoint!r} should begin with http:// or https://")
    if choice.name == "itunes":
        if not choice.accepted_terms:
            raise BadValue(
                f"the source itunes is off until you accept its terms. {ITUNES_TERMS} "
                "To accept: --accept-terms, or EARMARK_ACCEPT_ITUNES_TERMS=1"
            )
        storefront = choice.storefront
        if not (len(storefront) == 2 and storefront.isascii() and storefront.isalpha()):
            raise BadValue(
                f"storefront {storefront!r} should be a country of two letters, such as US"
            )
        return ITunes(choice.endpoint or ITunes.ENDPOINT, storefront=storefront.upper())
    if choice.name == "deezer":
        return Deezer(choice.endpoint or Deezer.ENDPOINT)
    if choice.name == "folder":
        return Folder(choice.folder)
    raise BadValue(f"unknown source {choice.name!r}; choose one of {', '.join(NAMES)}")


def read_reply(source: str, reply: bytes) -> list[Hit]:
    """The hits of a stored reply of the source of that name; needs no network."""
    from earmark.data.previews.sources.deezer import read_deezer
    from earmark.data.previews.sources.folder import read_folder
    from earmark.data.previews.sources.itunes import read_itunes

    readers = {"itunes": read_itunes, "deezer": read_deezer, "folder": read_folder}
    if source not in readers:
        raise BadValue(f"a stored reply is from the unknown source {source!r}. Update earmark")
    return readers[source](reply)
