"""Titles taken apart: the song's own name, and its qualifiers in brackets or behind a dash."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from earmark.data.matching.qualifiers import read_qualifier
from earmark.data.matching.text import normalise

_OPENING, _CLOSING = "([{【", ")]}】"
_DASH = re.compile(r"\s+[-\u2013\u2014:]+\s+|\s*[-\u2013\u2014]+\s*$")
_FEATURING = re.compile(r"[\s,]+(?:(?:feat|ft|featuring)\b[.:]?\s*|f/)(?=[^\s.:])", re.IGNORECASE)

_ROMAN = {
    tens + ones: str(10 * n_tens + n_ones)
    for n_tens, tens in enumerate(("", "x", "xx", "xxx"))
    for n_ones, ones in enumerate(("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"))
    if tens + ones
}
_MOVEMENT = re.compile(r"(?:^|[:/,;_\u2013-]\s*)([IVX]+)\.(?=\s)")  # "...: I. Allegro con brio"
_COUNTED = frozenset({"part", "no", "volume", "act", "chapter", "book", "scene", "movement"})
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}
_SPELLINGS = {
    "pt": "part",
    "pts": "part",
    "parts": "part",
    "vol": "volume",
    "nr": "no",
    "number": "no",
    "opus": "op",
    "o": "of",
    "til": "till",
    "until": "till",
    "nite": "night",
    "tonite": "tonight",
}


@dataclass(frozen=True)
class TitleParts:
    """A title taken apart; base is empty only where the title holds nothing to compare.

    base : the song's own name, brackets of no known meaning included
    core : base without its brackets: "Satisfaction" of "(I Can't Get No) Satisfaction"
    neutral : qualifiers that name the same recording, as written
    version : qualifiers that name another recording, as written
    featured : guests, as written: "A & B" is one entry
    """

    base: str
    core: str
    neutral: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    featured: tuple[str, ...] = ()


@lru_cache(maxsize=8192)
def split_title(title: str) -> TitleParts:
    """Split a title into the song's name and its qualifiers.

    A title that would lose everything ("(Live)", "[Remix]") is its own base.
    """
    title = unicodedata.normalize("NFKC", title).strip()
    found: dict[str, list[str]] = {"neutral": [], "version": [], "featured": []}
    base = _without_brackets(title, found)
    while dashes := list(_DASH.finditer(base)):  # "Song - Live at Leeds - 2005 Remaster"
        before, behind = base[: dashes[-1].start()], base[dashes[-1].end() :]
        if not normalise(before) or not _file(behind, found):
            break
        base = before
    guests = _FEATURING.search(base)
    if guests and normalise(base[: guests.start()]):
        found["featured"].append(base[guests.end() :].strip())
        base = base[: guests.start()]
    base = " ".join(base.split())
    if not normalise(base):
        return TitleParts(base=title, core=title)
    core = " ".join(_without_brackets(base, None).split())
    return TitleParts(
        base=base,
        core=core if normalise(core) else base,
        neutral=tuple(found["neutral"]),
        version=tuple(found["version"]),
        featured=tuple(found["featured"]),
    )


@lru_cache(maxsize=8192)
def canonical(name: str) -> str:
    """A song's name as it is compared: normalised, one spelling for parts and numbers."""
    name = _MOVEMENT.sub(lambda found: f": {_ROMAN.get(found[1].lower(), found[1])} ", name)
    words: list[str] = []
    for word in normalise(name).split():
        word = _SPELLINGS.get(word, word)
        counted = bool(words) and words[-1] in _COUNTED
        if counted:
            word = _NUMBER_WORDS.get(word, word)
        if counted or len(word) > 1:  # a lone "i" or "x" is a word, unless something is counted
            word = _ROMAN.get(word, word)
        if word[0].isdigit() and words and words[-1] == "no":
            words.pop()  # "No. 5", "#5" and "5" are one
        if len(word) >= 6 and word.endswith("ing"):
            word = word[:-1]  # rocking, rockin'
        words.append(word)
    return " ".join([word for word in words if word != "the"] or words)


def _without_brackets(title: str, found: dict[str, list[str]] | None) -> str:
    """Take the brackets out of a title: those that qualify, into found; or all, where it is None.

    Brackets in brackets belong to the outer one, and one that is never closed ends with the title.
    """
    if not any(bracket in title for bracket in _OPENING):
        return title
    kept: list[str] = []
    depth, start = 0, 0
    for position, c in enumerate(title):
        if c in _OPENING:
            if depth == 0:
                kept.append(title[start:position])
                start = position
            depth += 1
        elif c in _CLOSING and depth:
            depth -= 1
            if depth == 0:
                bracket, start = title[start : position + 1], position + 1
                taken = found is None or _file(bracket[1:-1], found)
                kept.append(" " if taken else bracket)
    rest = title[start:]
    if depth == 0 or not (found is None or _file(rest[1:], found)):
        kept.append(rest)
    return "".join(kept)


def _file(piece: str, found: dict[str, list[str]]) -> bool:
    """Put a qualifier where it belongs; False for a piece that qualifies nothing."""
    if not normalise(piece):
        return not piece.strip() or not piece.strip(" -_.")
    qualifier = read_qualifier(piece)
    if qualifier is None:
        return False
    found[qualifier.meaning].append(qualifier.guests or piece.strip())
    return True
