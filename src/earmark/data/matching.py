"""Is this search result the recording that was asked for?"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Decision = Literal["accept", "review", "reject"]


@dataclass(frozen=True)
class Hit:
    """One search result of any source, as the source names it.

    seconds : duration of the whole song, not of its preview; None where the source is silent
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


@dataclass(frozen=True)
class Verdict:
    """What became of a comparison: score in [0, 1], reason in words."""

    decision: Decision
    score: float
    reason: str


def judge(*, artist: str, title: str, hit: Hit, seconds: float | None = None) -> Verdict:
    """Compare the song that was asked for with one search result."""
    if not artist.strip() or not title.strip():
        return Verdict("reject", 0.0, "the song has no artist or no title")
    if normalise(artist) == normalise(hit.artist) and normalise(title) == normalise(hit.title):
        if seconds is not None and hit.seconds is not None and abs(seconds - hit.seconds) > 10:
            return Verdict("review", 0.6, "the durations differ")
        return Verdict("accept", 1.0, "artist and title agree")
    return Verdict("reject", 0.0, "artist or title differ")


def best(
    hits: Iterable[Hit], *, artist: str, title: str, seconds: float | None = None
) -> tuple[Hit | None, Verdict]:
    """The best of a reply and its verdict; (None, reject) for an empty reply."""
    order = {"accept": 2, "review": 1, "reject": 0}
    chosen: Hit | None = None
    verdict = Verdict("reject", 0.0, "the reply holds no song")
    rank: tuple[int, bool, float] = (-1, False, 0.0)
    for hit in hits:
        found = judge(artist=artist, title=title, seconds=seconds, hit=hit)
        new = (order[found.decision], bool(hit.preview_url), found.score)
        if new > rank:
            chosen, verdict, rank = hit, found, new
    return chosen, verdict


def normalise(text: str) -> str:
    """Text as it is compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def search_term(artist: str, title: str) -> str:
    """What to ask a service for."""
    return f"{artist} {title}".strip()
