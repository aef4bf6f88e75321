"""Is this search result the recording that was asked for?

A result is accepted when artist, song and version agree and nothing else speaks against it, given
up for review when a question is open, and rejected when it is another artist, song or recording.
A duration, where both sides know it, can answer open questions and can raise its own.

Where it fails: two acts of one name are one; a later recording under an unchanged title is taken
for the first unless durations tell; a live album whose name does not say so passes; names in
another script (Кино, Kino) or spelt out (!!!, Chk Chk Chk) are not recognised.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from earmark.data.matching.artists import compare_artists, lead
from earmark.data.matching.evidence import ACCEPT, AGAINST, OPEN, REVIEW, SLIGHT, Evidence
from earmark.data.matching.qualifiers import read_qualifier
from earmark.data.matching.text import normalise
from earmark.data.matching.titles import TitleParts, split_title
from earmark.data.matching.versions import compare_songs, compare_versions, same_words

__all__ = [
    "Hit",
    "TitleParts",
    "Verdict",
    "best",
    "judge",
    "normalise",
    "search_term",
    "split_title",
]

Decision = Literal["accept", "review", "reject"]

CONFIRMS = 2.0  # seconds: durations this close answer an open question
SAME_SECONDS, SAME_SHARE = 5.0, 0.02  # durations of one recording: gaps and fades between releases
EDIT_SHARE = 0.1  # beyond this an edit is no longer likely

# What the name of an album says of every recording on it.
_ALBUMS = (
    (re.compile(r"\bkaraoke\b|\bsing along\b|\bbacking tracks?\b"), "karaoke"),
    (re.compile(r"\btributes?\b|\bmade famous\b|\bin the style of\b|\boriginally perf"), "cover"),
    (
        re.compile(
            r"\blive (?:at|in|from|on|songs?|recordings?|album|sessions?|tour|and acoustic|\d)"
            r"|(?<!long )(?<!we )(?<!to )\blive$|\bin concert\b|\bunplugged(?:$| in| at| \d)"
            r"|\b(?:en|ao) vivo\b|\bbbc sessions\b"
        ),
        "live",
    ),
    (re.compile(r"\bdj mix\b|\bmixed by\b"), "mixed"),
    (re.compile(r"\bremix(?:es|ed)\b"), "remix"),
    (re.compile(r"\bdemos\b"), "demo"),
    (re.compile(r"\binstrumentals\b"), "instrumental"),
)
_NOT_A_SONG = re.compile(r"video|podcast|book|ringtone|movie|episode", re.IGNORECASE)


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
    """Compare the song that was asked for with one search result.

    seconds : duration of the whole song; None (or nothing above 0) where it is not known
    """
    if not normalise(artist) or not normalise(title):
        return Verdict("reject", 0.0, "the song has no artist or no title to compare")
    if not normalise(hit.artist) or not normalise(hit.title):
        return Verdict("reject", 0.0, "the hit has no artist or no title to compare")
    if _NOT_A_SONG.search(hit.kind):
        return Verdict("reject", 0.0, f"the hit is no song but a {hit.kind}")
    wanted, found = split_title(title), split_title(hit.title)
    findings: list[Evidence] = []

    def against(finding: Evidence | None) -> bool:
        if finding:
            findings.append(finding)
        return finding is not None and finding.left <= AGAINST

    guests, hit_guests = wanted.featured, found.featured
    if against(compare_artists(artist, hit.artist, wanted_guests=guests, hit_guests=hit_guests)):
        return _conclude(findings)
    album_kinds = _album_kinds(hit.album)
    if not same_words(wanted, found):
        if against(compare_songs(wanted, found)):
            return _conclude(findings)
        if against(compare_versions(wanted, found, album_kinds=album_kinds)):
            return _conclude(findings)
    against(_compare_album(f"{artist} {title}", wanted, hit, album_kinds))
    difference = _seconds_apart(seconds, hit.seconds)
    if difference is not None and seconds is not None:
        against(_compare_seconds(difference, seconds))
        if difference <= CONFIRMS:
            findings = [_confirmed(finding) for finding in findings]
    return _conclude(findings)


def best(
    hits: Iterable[Hit], *, artist: str, title: str, seconds: float | None = None
) -> tuple[Hit | None, Verdict]:
    """The best hit of a reply and its verdict; (None, reject) for an empty reply.

    Of equal decisions one with a preview wins, then the better score, then the closer duration,
    then the one that the service put first.
    """
    order = {"accept": 2, "review": 1, "reject": 0}
    chosen: Hit | None = None
    verdict = Verdict("reject", 0.0, "the reply holds no song")
    rank: tuple[int, bool, float, float] | None = None
    for hit in hits:
        judged = judge(artist=artist, title=title, seconds=seconds, hit=hit)
        apart = _seconds_apart(seconds, hit.seconds)
        closeness = -math.inf if apart is None else -apart
        new = (order[judged.decision], bool(hit.preview_url), judged.score, closeness)
        if rank is None or new > rank:
            chosen, verdict, rank = hit, judged, new
    return chosen, verdict


def search_term(artist: str, title: str) -> str:
    """What to ask a service for: the leading artist, the song, and its version if it has one.

    Empty only if artist and title are blank.
    """
    parts = split_title(title)
    words = [_plain(lead(artist)), _plain(parts.base), *map(_plain, parts.version)]
    return " ".join(" ".join(words).split())


def _plain(text: str) -> str:
    """Text without brackets and MSD's underscores, unless it is made of them."""
    plain = re.sub(r"[_()\[\]{}【】]", " ", text).strip()
    return plain or text.strip()


def _conclude(findings: list[Evidence]) -> Verdict:
    score = math.prod(finding.left for finding in findings)
    reason = "; ".join(finding.words for finding in findings) or "artist, title and version agree"
    if score >= ACCEPT:
        return Verdict("accept", score, reason)
    return Verdict("review" if score >= REVIEW else "reject", score, reason)


def _album_kinds(album: str) -> frozenset[str]:
    name = normalise(album)
    return frozenset(kind for pattern, kind in _ALBUMS if pattern.search(name))


def _compare_album(
    asked: str, wanted: TitleParts, hit: Hit, album_kinds: frozenset[str]
) -> Evidence | None:
    """What the album says that neither the song asked for nor the hit's title says."""
    said = album_kinds - _album_kinds(asked)
    if "karaoke" in said and not _kinds(wanted) & {"karaoke", "cover"}:
        return Evidence(AGAINST, f"the album is {hit.album!r}")
    if said and not _kinds(wanted):
        return Evidence(OPEN, f"the album is {hit.album!r}")
    return None


def _kinds(parts: TitleParts) -> frozenset[str]:
    return frozenset[str]().union(*(q.kinds for t in parts.version if (q := read_qualifier(t))))


def _seconds_apart(seconds: float | None, hit_seconds: float | None) -> float | None:
    """None where a duration is missing or makes no sense."""
    if seconds is None or hit_seconds is None:
        return None
    if not (0 < seconds < math.inf and 0 < hit_seconds < math.inf):
        return None
    return abs(seconds - hit_seconds)


def _confirmed(finding: Evidence) -> Evidence:
    """An open question, answered by durations that agree."""
    if finding.left != OPEN:
        return finding
    return Evidence(SLIGHT, f"{finding.words}, but the durations agree")


def _compare_seconds(difference: float, seconds: float) -> Evidence | None:
    if difference <= max(SAME_SECONDS, SAME_SHARE * seconds):
        return None
    words = f"it is {difference:.0f} s longer or shorter"
    return Evidence(OPEN if difference <= EDIT_SHARE * seconds else AGAINST, words)
