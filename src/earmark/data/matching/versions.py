"""Two titles compared: the same song or not, and the same recording of it or not."""

from __future__ import annotations

import re
from collections import Counter

from earmark.data.matching.evidence import AGAINST, DOUBT, MISSPELT, OPEN, OTHER, SLIGHT, Evidence
from earmark.data.matching.qualifiers import STRONG, Qualifier, read_qualifier
from earmark.data.matching.text import is_misspelling, similarity
from earmark.data.matching.titles import TitleParts, canonical

# Titles that many songs of one artist share, once their brackets are gone.
_COMMON = frozenset("intro outro interlude untitled skit prelude theme medley overture".split())  # noqa: SIM905
_LIVE = frozenset({"live", "unplugged", "session", "acoustic"})  # one recording may be called each
_CUT = frozenset({"cut", "original"})  # the same recording, shortened or only called so
_DATED = frozenset({"remix", "take", "version"})  # "(2021 Mix)": a new mix of the old tapes, or not
_NAMES_ONE = STRONG.keys() | {"live"}  # words that say as much without "Version" behind them
# One artist makes many of these of a song, so that it matters which.
_MANY = frozenset({"live", "session", "remix", "take", "version", "cut", "extended", "cover"})


def same_words(wanted: TitleParts, hit: TitleParts) -> bool:
    """Whether the titles agree word by word, with or without brackets.

    "Nahin Jeena Remix" and "Nahin Jeena (Remix)" do, and then need no further comparison.
    """
    return _flat(wanted) == _flat(hit)


def compare_songs(wanted: TitleParts, hit: TitleParts) -> Evidence | None:
    """What speaks against two titles naming the same song; versions are left aside."""
    ours, theirs = canonical(wanted.base), canonical(hit.base)
    one, other = ours.replace(" ", ""), theirs.replace(" ", "")
    if one == other:
        return None
    core, hit_core = canonical(wanted.core), canonical(hit.core)
    if core.replace(" ", "") == hit_core.replace(" ", ""):
        return _compare_subtitles(core, ours, theirs)
    if _numbers(ours) and _numbers(theirs) and _numbers(ours) != _numbers(theirs):
        fewer, more = sorted((_numbers(ours), _numbers(theirs)), key=len)
        if Counter(fewer) <= Counter(more) and similarity(one, other) >= 0.8:
            return Evidence(DOUBT, "one title has more numbers")
        return Evidence(OTHER, "another title: the numbers differ")
    if _is_slip(ours.split(), theirs.split()):
        return Evidence(MISSPELT, "the title is spelt differently")
    if f"{ours} ".startswith(f"{theirs} ") or f"{theirs} ".startswith(f"{ours} "):
        return Evidence(DOUBT, "one title is the beginning of the other")
    if similarity(one, other) >= 0.8:
        return Evidence(DOUBT, "the titles are only similar")
    return Evidence(OTHER, "another title")


def compare_versions(
    wanted: TitleParts, hit: TitleParts, *, album_kinds: frozenset[str]
) -> Evidence | None:
    """What speaks against two titles naming the same recording of one song.

    album_kinds : what the name of the hit's album says of its recordings, such as {"live"}
    """
    ours, theirs = _qualifiers(wanted), _qualifiers(hit)
    kinds = frozenset[str]().union(*(q.kinds for q in ours))
    hit_kinds = frozenset[str]().union(*(q.kinds for q in theirs))
    which = _compare_details(ours, theirs, kinds | hit_kinds) if kinds and hit_kinds else None
    if kinds == hit_kinds or (which and which.left == AGAINST):
        return which
    found = ", ".join(hit.version) or "no version"
    difference = kinds ^ hit_kinds
    if difference <= _CUT:
        return Evidence(OPEN, f"one of the two is an edit (the hit: {found})")
    if kinds and hit_kinds and difference <= _LIVE:
        return Evidence(OPEN, f"the versions are named differently (the hit: {found})")
    if kinds <= _LIVE and not hit_kinds and album_kinds & _LIVE:
        return Evidence(OPEN, "only the album says that it is live")
    details = frozenset[str]().union(*(q.details for q in (*ours, *theirs)))
    if difference <= _DATED and details and all(map(str.isdigit, details)):
        return Evidence(DOUBT, f"one of the two is of another year (the hit: {found})")
    if not kinds:
        return Evidence(AGAINST, f"the hit is another version ({found})")
    return Evidence(AGAINST, f"the song is {', '.join(wanted.version)}, the hit is {found}")


def _qualifiers(parts: TitleParts) -> list[Qualifier]:
    return [found for text in parts.version if (found := read_qualifier(text))]


def _flat(parts: TitleParts) -> str:
    words = canonical(" ".join((parts.base, *parts.version))).split()
    before = ["", *words]  # "Acoustic Version" is "Acoustic", but "(Version)" alone is a version
    kept = (w for w, b in zip(words, before, strict=False) if w != "version" or b not in _NAMES_ONE)
    return "".join(kept)


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _compare_subtitles(core: str, ours: str, theirs: str) -> Evidence:
    """Compare "Song" with "Song (Subtitle)", or two subtitles that differ."""
    if core not in (ours, theirs):
        if _numbers(ours) == _numbers(theirs) and similarity(ours, theirs) >= 0.9:
            return Evidence(SLIGHT, "the subtitle is spelt differently")
        return Evidence(
            OTHER if _numbers(ours) and _numbers(theirs) else DOUBT, "the subtitles differ"
        )
    subtitle = max(ours, theirs, key=len).split()
    n_words = len(subtitle) - len(core.split())
    if core in _COMMON or (n_words <= 3 and _numbers(ours) != _numbers(theirs)):
        return Evidence(DOUBT, "only one title has the subtitle, and others may exist")
    if n_words <= 2:
        return Evidence(OPEN, "only one title has the subtitle, which may name a version")
    return Evidence(SLIGHT, "only one title has the subtitle")


def _compare_details(
    ours: list[Qualifier], theirs: list[Qualifier], kinds: frozenset[str]
) -> Evidence | None:
    """Compare which remix, which concert."""
    details = frozenset[str]().union(*(q.details for q in ours))
    hit_details = frozenset[str]().union(*(q.details for q in theirs))
    if details == hit_details:
        return None
    if not details or not hit_details:
        return Evidence(OPEN if kinds & _MANY else SLIGHT, "only one title says which version")
    one, other = " ".join(sorted(details)), " ".join(sorted(hit_details))
    if details < hit_details or hit_details < details:
        counted = _numbers(one) != _numbers(other) and "live" not in kinds  # a date, not "Mix 2"
        return Evidence(OPEN if counted else SLIGHT, "one title says more about the version")
    if _numbers(one) == _numbers(other) and similarity(one, other) >= 0.9:
        return Evidence(MISSPELT, "the version is spelt differently")
    return Evidence(AGAINST, f"another {' '.join(sorted(kinds))} version")


def _is_slip(words: list[str], hit_words: list[str]) -> bool:
    """Whether two titles of a decent length differ by a letter in one or two long words."""
    if len(words) != len(hit_words) or sum(map(len, words)) < 9:
        return False
    pairs = [(one, other) for one, other in zip(words, hit_words, strict=True) if one != other]
    return len(pairs) <= 2 and all(is_misspelling(*pair, letters=6) for pair in pairs)
