"""The judge: is this search result the recording that the catalog means?

A result is accepted when artist, song and version agree and nothing else speaks against it; it
goes to review when a question is open; it is rejected when it is another artist, song or recording.
Durations, where both sides give one, can answer an open question and can raise one.

Known limits: two acts with the same name count as one; a later recording under the same title
counts as the first, unless the durations differ; a live album whose name does not contain "live"
is accepted; names in another script (Кино, Kino) or spelt out (!!!, Chk Chk Chk) do not match.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from earmark.data.matching.artists import compare_artists, lead
from earmark.data.matching.evidence import ACCEPT, AGAINST, OPEN, REVIEW, SLIGHT, Evidence
from earmark.data.matching.hit import Hit
from earmark.data.matching.qualifiers import read_qualifier
from earmark.data.matching.text import normalise
from earmark.data.matching.titles import TitleParts, split_title
from earmark.data.matching.versions import compare_songs, compare_versions, same_words

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
class Verdict:
    """The result of a comparison: a decision, its score in [0, 1], and its reason in words."""

    decision: Decision
    score: float
    reason: str


def judge(*, artist: str, title: str, hit: Hit, seconds: float | None = None) -> Verdict:
    """Compare a song of the catalog with one search result.

    seconds : duration of the whole song; None (or 0 and below) where it is not known
    """
    if not normalise(artist) or not normalise(title):
        return Verdict("reject", 0.0, "the song has no artist or no title to compare")
    if not normalise(hit.artist) or not normalise(hit.title):
        return Verdict("reject", 0.0, "the hit has no artist or no title to compare")
    if _NOT_A_SONG.search(hit.kind):
        return Verdict("reject", 0.0, f"the hit is not a song but a {hit.kind}")
    wanted, found = split_title(title), split_title(hit.title)
    findings: list[Evidence] = []

    def add(finding: Evidence | None) -> bool:
        """Keep a finding; True where it decides against the hit."""
        if finding:
            findings.append(finding)
        return finding is not None and finding.left <= AGAINST

    guests, hit_guests = wanted.featured, found.featured
    if add(compare_artists(artist, hit.artist, wanted_guests=guests, hit_guests=hit_guests)):
        return _conclude(findings)
    album_kinds = _album_kinds(hit.album)
    if not same_words(wanted, found):
        if add(compare_songs(wanted, found)):
            return _conclude(findings)
        if add(compare_versions(wanted, found, album_kinds=album_kinds)):
            return _conclude(findings)
    add(_compare_album(f"{artist} {title}", wanted, hit, album_kinds))
    difference = _seconds_apart(seconds, hit.seconds)
    if difference is not None and seconds is not None:
        add(_compare_seconds(difference, seconds))
        if difference <= CONFIRMS:
            findings = [_confirmed(finding) for finding in findings]
    return _conclude(findings)


def best(
    hits: Iterable[Hit], *, artist: str, title: str, seconds: float | None = None
) -> tuple[Hit | None, Verdict]:
    """The best hit of a reply and its verdict; (None, reject) for an empty reply.

    Among equal decisions a hit with a preview wins, then the higher score, then the closer
    duration, then the one that the service lists first.
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
    """The words to search for: the leading artist, the song, and its version if it has one.

    Empty only if artist and title are blank.
    """
    parts = split_title(title)
    return _joined(_plain(lead(artist)), _plain(parts.base), *map(_plain, parts.version))


def shorter_term(artist: str, title: str) -> str:
    """The words to search for where `search_term` finds nothing: without brackets and version.

    Services find nothing where one word of many is not theirs. Whether a result is the version that
    is meant is for the judge.
    """
    return _joined(_plain(lead(artist)), _plain(split_title(title).core))


def _joined(*words: str) -> str:
    return " ".join(" ".join(words).split())


def _plain(text: str) -> str:
    """Text without brackets and MSD's underscores, unless it has nothing else."""
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
    wanted_name: str, wanted: TitleParts, hit: Hit, album_kinds: frozenset[str]
) -> Evidence | None:
    """Evidence in the album's name that is in neither the wanted name nor the hit's title."""
    new_kinds = album_kinds - _album_kinds(wanted_name)
    if "karaoke" in new_kinds and not _kinds(wanted) & {"karaoke", "cover"}:
        return Evidence(AGAINST, f"the album is {hit.album!r}")
    if new_kinds and not _kinds(wanted):
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
