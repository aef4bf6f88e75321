"""Names of artists and songs, normalised for comparison: case, accents, punctuation, slips."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from earmark.errors import MissingExtra

# Quotation marks, primes and accents used as an apostrophe. They go before NFKC, which
# would turn an acute accent into a space and a mark.
_APOSTROPHES = str.maketrans(
    dict.fromkeys("`\u2018\u2019\u00b4\u02bc\u2032\u201b\uff07\uff40\u1fef", "'")
)
# Latin letters without a combining mark, which decomposition leaves; 0131 is the dotless i.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "æ": "ae",
        "œ": "oe",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\u0131": "i",
        "ħ": "h",
    }
)
_ACRONYM = re.compile(r"\b(?:[^\W\d_]\.){2,}(?:[^\W\d_]\b)?")  # R.E.M., W.A.S.P
_TRAILING_THE = re.compile(r"(?<=\w)[,_]\s*the\s*$")  # "Stuck-Ups, The"; MSD writes _ for a comma
_THOUSANDS = re.compile(r"(?<=\d)[,_](?=\d{3}(?!\d))")
_DOLLAR = re.compile(r"\$(?=[^\W\d_])|(?<=[^\W\d_])\$")  # Ke$ha
_PINK = re.compile(r"\b([^\W\d_])!(?=[^\W\d_])")  # P!nk, but not Wakey!Wakey!
_PUNCTUATION = re.compile(r"[^\w\s]|_")
_SPOKEN = {"n": "and", "saint": "st"}  # Guns N' Roses


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """Text as it is compared: one case, no accents, no punctuation, "&" as "and", no leading "the".

    Scripts beyond Latin, Greek, Cyrillic, Hebrew and Arabic keep their marks. A text of
    punctuation alone ("!!!", "?") stays as it is. Doing it twice changes nothing.
    """
    folded = _fold(text)
    while not folded.isascii() and (again := _fold(folded)) != folded:
        folded = again  # what casefolding and decomposing leave can change once more
    return folded


def squash(text: str) -> str:
    """Normalised text without its spaces, so that "Pussy cat" equals "Pussycat"."""
    return normalise(text).replace(" ", "")


def _fold(text: str) -> str:
    text = text.translate(_APOSTROPHES)
    if text.isascii():
        text = text.casefold()
    else:
        text = unicodedata.normalize("NFKC", text).casefold()
        text = _without_accents(text).translate(_LETTERS)
    if not text.isprintable():  # control and format characters, and white space but the blank
        text = "".join(" " if c.isspace() else c for c in text if c.isprintable() or c.isspace())
    if not text.replace(" ", "").isalnum():
        if not any(map(str.isalnum, text)):
            return text.replace(" ", "")
        text = _read_punctuation(text)
    words = [_SPOKEN.get(word, word) for word in text.split()]
    while len(words) > 1 and words[0] == "the":
        del words[0]
    return " ".join(words)


def _read_punctuation(text: str) -> str:
    text = _TRAILING_THE.sub("", text.replace("'", ""))
    text = _THOUSANDS.sub("", text)
    text = _ACRONYM.sub(lambda found: found[0].replace(".", "") + " ", text)
    text = _PINK.sub(r"\1i", _DOLLAR.sub("s", text))
    text = text.replace("&", " and ").replace("+", " and ")
    return _PUNCTUATION.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    """A space for punctuation; a vowel sign, which is not a letter either, stays."""
    return found[0] if unicodedata.category(found[0]).startswith("M") else " "


def _without_accents(text: str) -> str:
    """Drop combining marks where readers of the script drop them too.

    Kana and the scripts of India would turn into other letters.
    """
    kept: list[str] = []
    base = ""
    for c in unicodedata.normalize("NFKD", text):
        if unicodedata.category(c) != "Mn":
            base = c
        elif base and (base < "\u0700" or "\u1e00" <= base < "\u2000"):  # Latin to Arabic; extended
            continue
        kept.append(c)
    return unicodedata.normalize("NFKC", "".join(kept))


def similarity(one: str, other: str) -> float:
    """How alike two normalised texts are letter by letter, in [0, 1]; the order of words counts."""
    try:
        from rapidfuzz import fuzz
    except ImportError as error:
        raise MissingExtra("rapidfuzz", "data") from error
    return fuzz.ratio(one, other) / 100


def is_misspelling(one: str, other: str, *, letters: int) -> bool:
    """Whether two normalised texts differ by a slip of the pen: a letter left out or two swapped.

    letters : the shortest text in which a slip is believed; in twice as many, two letters may be
        left out, or one replaced. In a shorter text a replaced letter is another name
        (Count Basie, Count Basic), and so is another first letter (Will, Bill) in any, or a number.
    """
    shorter = min(len(one), len(other))
    if shorter < letters or one[0] != other[0]:
        return False
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return False
    try:
        from rapidfuzz.distance import OSA, Indel
    except ImportError as error:
        raise MissingExtra("rapidfuzz", "data") from error
    left_out = Indel.distance(one, other, score_cutoff=2)
    if left_out <= (2 if shorter >= 2 * letters else 1):
        return True
    return OSA.distance(one, other, score_cutoff=1) == 1 and sorted(one) == sorted(other)
