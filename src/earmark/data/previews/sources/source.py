"""What a source of previews is: it finds a song's hits and fetches the audio of a hit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from earmark.data.matching.hit import Hit
    from earmark.data.previews.http import HttpClient, HttpLimits
    from earmark.data.previews.reach import Reach


@dataclass(frozen=True)
class FetchedAudio:
    """The audio of a hit: its bytes, or a file of this machine that stays where it is.

    hit : the hit as it is now; its link may be a new one
    """

    audio: bytes | Path
    hit: Hit


class WantedSong(Protocol):
    """What a source needs to know of a song: a catalog's Song and a LedgerEntry both have it."""

    @property
    def id(self) -> str:
        """Its id in the catalog."""

    @property
    def artist(self) -> str:
        """Empty where not known."""

    @property
    def title(self) -> str:
        """Empty where not known."""

    @property
    def path(self) -> str:
        """Of its audio; empty where the catalog has none."""


class Source(Protocol):
    """What a run needs of a source; `client` is for the sources on the network."""

    @property
    def name(self) -> str:
        """As in `--source`, and beside every stored reply."""

    @property
    def api_host(self) -> str:
        """The "host:port" of the service; "" for none."""

    @property
    def reach(self) -> Reach:
        """Which addresses its requests may go to."""

    @property
    def per_minute(self) -> float:
        """Requests a minute that the service allows; 0 for no limit."""

    @property
    def clip_seconds(self) -> float | None:
        """Length of its clips, unless the song is shorter; None for whole songs."""

    async def ask(self, song: WantedSong, *, client: HttpClient, limits: HttpLimits) -> bytes:
        """The raw reply about a song."""

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of a raw reply. Raises TransientFailure for anything but such a reply."""

    async def fetch(
        self, hit: Hit, *, age: float, client: HttpClient, limits: HttpLimits
    ) -> FetchedAudio:
        """The audio of a hit that was found `age` seconds ago."""
