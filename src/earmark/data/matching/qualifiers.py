"""Qualifiers, the words in a title's brackets: the same recording, another one, or neither.

The vocabulary is that of the brackets in the Million Song Dataset and of the online services.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from earmark.data.matching.text import normalise

Meaning = Literal["neutral", "version", "featured"]

# Words of a qualifier that leave the recording the same.
_NEUTRAL = frozenset(
    """album lp ep version versions verison versao single original remaster remasters remastered
    remastering remasterise remasterizado digital digitally re master mastered 24 16 bit mono stereo
    explicit explcit clean edited amended uncensored censored bonus bonustrack track tracks cd disc
    exclusive previously unreleased unissued reissue deluxe edition expanded anniversary special
    standard main full complete studio new the and en in soundtrack from ost hd hq official audio
    lyrics video""".split()  # noqa: SIM905
)
# Read before single words: a word in them would alone name another version.
_NEUTRAL_PHRASE = re.compile(
    r"\b(?:original mix|album mix|(?:mono|stereo) mix|studio version"
    r"|(?:original |remastered )*(?:single |non )?(?:album|lp|ep) (?:version|verison|edition)"
    r"|(?:explicit|clean|amended|edited|remastered|stereo|mono|full|main) version"
    r"|(?:digital(?:ly)? )?re master(?:ed)?)\b"
)


def _by_word(kinds: dict[str, str]) -> dict[str, str]:
    return {word: kind for kind, words in kinds.items() for word in words.split()}


# Words that name another version anywhere in a qualifier.
STRONG = _by_word(
    {
        "live": "concert concierto vivo directo",
        "unplugged": "unplugged",
        "session": "session sessions bbc",
        "rehearsal": "rehearsal rehearsals",
        "remix": "remix remixes remixed rmx mix rework reworked refix dub bootleg mashup redux",
        "mixed": "mixed",
        "cut": "edit",
        "extended": "extended",
        "acoustic": "acoustic acustico acustica acoustique akustik",
        "instrumental": "instrumental instrumentals instro",
        "karaoke": "karaoke singalong",
        "cover": "tribute rendition renditions",
        "demo": "demo demos",
        "take": "alternate outtake outtakes",
        "a cappella": "acappella acapella capella cappella",
        "speed": "sped slowed nightcore",
        "arrangement": "8bit chiptune lullaby orchestral stripped reimagined",
        "re-recording": "rerecorded rerecording revisited",
        "part": "reprise medley commentary ringtone",
    }
)
# Words that do so only among others that are known: "Early Version", but not "Early Morning".
_WEAK = _by_word(
    {
        "cut": "single radio",
        "extended": "long maxi",
        "take": "alternative alt early rough take",
        "cover": "cover",
        "speed": "screwed chopped",
        "arrangement": "orchestra orchestre symphonic piano choir strings",
        "part": "interlude skit intro outro interview excerpt snippet",
        "language": "english spanish french german italian portuguese japanese korean mandarin "
        "russian espanol deutsch francais ingles",
    }
)
_PHRASES = tuple(
    (re.compile(phrase), kind)
    for phrase, kind in (
        (
            r"\blive (?:at|in|from|on|by|with|for|and|version|verison|session|sessions|take|mix"
            r"|recording|edit|bonus|track|performance|acoustic|unplugged|dvd|\d+)\b",
            "live",
        ),
        (r"^(?:(?!(?:i|we|you|they|who|to|long|where|how) )\w+ )?live$", "live"),
        (r"\brecorded live\b|\blive (?:version|session|recording)$", "live"),
        (r"\bre record(?:ed|ings?)\b|\bnew(?:ly)? record(?:ed|ing)\b", "re-recording"),
        (r"\b(?:originally|as) (?:performed|recorded|made|by|popular)", "cover"),
        (r"\bin the style of\b|\bmade famous\b|^cover of\b|\bcover(?: version)?$", "cover"),
        (r"\bpremiere performance\b|\b(?:backing|background) (?:vocals?|tracks?)\b", "karaoke"),
        (r"\bperformance tracks?\b|\bsing along\b|\bminus one\b", "karaoke"),
        (r"\b(?:19|20)\d\d recording\b|\btake \d", "take"),
        (r"\b8 bit\b", "arrangement"),
        (r"^original version$", "original"),
    )
)
_LIVE_PLACE = re.compile(r"^\W*live\s*[-_,:;/@|]", re.IGNORECASE)  # "Live_ Sturgis Armory, 1968"
_INCHES = re.compile(r"\b(7|10|12)\s*(?:\"|''|'|”|″|-?inch\b)", re.IGNORECASE)
_FEATURED = re.compile(r"^\W*(?:(?:feat|ft|featuring)\b|f/)\W*", re.IGNORECASE)
_KNOWN = _NEUTRAL | STRONG.keys() | _WEAK.keys() | {"at", "on", "by", "live", "a", "of", "for"}


@dataclass(frozen=True)
class Qualifier:
    """A bracket whose meaning is known.

    kinds : how the recording differs, such as {"live"}; empty unless it is a version
    details : the words that say which one: {"leeds"} of "Live at Leeds"
    guests : the names of a "feat." bracket
    """

    meaning: Meaning
    kinds: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    guests: str = ""


@lru_cache(maxsize=8192)
def read_qualifier(text: str) -> Qualifier | None:
    """Read the words in a bracket or behind a dash; None for words that qualify nothing."""
    featured = _FEATURED.match(text)
    if featured and text[featured.end() :].strip():
        return Qualifier("featured", guests=text[featured.end() :].strip())
    whole = normalise(text)
    rest, n_phrases = _NEUTRAL_PHRASE.subn(" ", whole)
    words = rest.split()
    rest = " ".join(words)
    kinds = {STRONG[word] for word in words if word in STRONG}
    if all(word in _KNOWN or word.isdigit() for word in words):
        kinds |= {_WEAK[word] for word in words if word in _WEAK}
    kinds |= {"remix" for word in words if word.endswith("mix")}
    kinds |= {kind for phrase, kind in _PHRASES if phrase.search(rest)}
    if _LIVE_PLACE.match(text):
        kinds.add("live")
    inches = _INCHES.search(text)
    if inches:
        kinds.add("cut" if inches[1] == "7" else "extended")
    if not kinds and {"version", "verison", "versao"} & set(words):
        strange = [word for word in words if word not in _NEUTRAL]
        kinds |= {"version"} if strange or words == ["version"] else set()
    details = frozenset(word for word in words if word not in _KNOWN)
    if kinds >= {"extended", "remix"} and not details:
        kinds.discard("remix")  # an extended mix is an extended version
    if kinds:
        return Qualifier("version", frozenset(kinds), details)
    if n_phrases or all(word in _NEUTRAL or _is_year(word) for word in words):
        return Qualifier("neutral") if n_phrases or not all(map(_is_year, words)) else None
    return Qualifier("neutral") if words[0] == "from" else None


def _is_year(word: str) -> bool:
    return word.isdigit() and len(word) in (2, 4)
