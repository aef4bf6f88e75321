"""A search result: one song as a source names it. The rules read it, and a ledger keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One search result of any source, as the source names it.

    seconds : duration of the whole song, not of its preview; None where the source does not say
    preview_url : None where the song has no preview
    source_id : the source's own id of the song, as text
    kind : what the source calls it, such as "song"; "" where it does not say
    """

    artist: str
    title: str
    album: str
    seconds: float | None
    preview_url: str | None
    source_id: str
    kind: str
