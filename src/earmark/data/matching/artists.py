"""Artist fields: the names in one, and whether two of them name the same artist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from earmark.data.matching.evidence import DOUBT, MISSPELT, OPEN, OTHER, SLIGHT, Evidence
from earmark.data.matching.text import is_misspelling, normalise, similarity, squash

# A guest, or one of a list of performers, follows these or is in a last bracket; MSD writes
# lists with / and ;
_GUEST = (
    r"[/;]|\b(?:feat|ft|featuring|with)\b[.:]?|(?<=\s)w/"
    r"|(?<=\s)[(\[](?=[^()\[\]]*[)\]]\s*$)|[)\]]\s*$"
)
# These also occur inside the names of bands; MSD writes _ for a comma.
_MEMBER = r"[,&+]|_(?=\s)|(?<=\s)(?:and|vs\.?|versus|presents:?|pres\.|(?-i:[x\u00d7]))(?=\s)"
_SEPARATOR = re.compile(rf"\s*(?:({_GUEST})|{_MEMBER})\s*", re.IGNORECASE)
_BACKING = re.compile(
    r"^(?:the|his|her|their|los|las|les)\s"
    r"|\b(?:band|orchestra|orchester|ensemble|choir|chorus|singers|friends|company|revolution"
    r"|strings|boys|quartet|quintet|trio)$",
    re.IGNORECASE,
)
_ENSEMBLE = frozenset(
    """and band group trio quartet quintet sextet septet octet orchestra ensemble project experience
    combo all stars allstars choir chorus singers players company crew string big his her
    """.split()  # noqa: SIM905
)
# "His Orchestra" is not a name of its own, nor is the "The" of "Stuck-Ups, The".
_NOBODY = re.compile(r"the|(?:his|her|their|the)?(?:orchestra|orchester|band|friends|chorus|choir)")
_VARIOUS = frozenset({"various", "variousartists", "varios", "va", "diverse", "unknownartist"})
_IMITATORS = re.compile(
    r"\b(?:karaoke|tributes?|tribute band|cover band|covers band|revival band|made famous by"
    r"|in the style of|nightcore|sing along|backing tracks?|ringtones?)\b"
)


@dataclass(frozen=True)
class Credit:
    """One name of an artist field.

    name : as it is compared
    guest : it follows "feat.", "with", "/" or ";", and a service may leave it out
    backing : a band or orchestra behind the artist, which a service may leave out too
    """

    name: str
    guest: bool
    backing: bool


@lru_cache(maxsize=8192)
def credits_of(artist: str) -> tuple[Credit, ...]:
    """The names in an artist field, the leading one first."""
    found: dict[str, Credit] = {}
    guest, start = False, 0
    for separator in [*_SEPARATOR.finditer(artist), None]:
        text = artist[start : separator.start() if separator else None]
        name = squash(text)
        if name and name not in found:
            found[name] = Credit(name, guest and bool(found), bool(_BACKING.search(text.strip())))
        if separator:
            guest, start = bool(separator[1]), separator.end()
    named = tuple(credit for credit in found.values() if not _NOBODY.fullmatch(credit.name))
    return named or tuple(found.values())


def lead(artist: str) -> str:
    """The artist as written, without guests: the words to search for."""
    for separator in _SEPARATOR.finditer(artist):
        if separator[1] and normalise(artist[: separator.start()]):
            return artist[: separator.start()]
    return artist


def compare_artists(
    wanted: str, hit: str, *, wanted_guests: Iterable[str] = (), hit_guests: Iterable[str] = ()
) -> Evidence | None:
    """What speaks against two artist fields naming the same artist; None if nothing does.

    wanted_guests, hit_guests : the guests that the titles name
    """
    guests, other_guests = _names(wanted_guests), _names(hit_guests)
    if squash(wanted) == squash(hit):
        if guests - other_guests and other_guests - guests:
            return Evidence(DOUBT, "the guests differ")
        return None
    ours, theirs = credits_of(wanted), credits_of(hit)
    names, hit_names = _names([wanted]), _names([hit])
    all_names, all_hit_names = names | guests, hit_names | other_guests
    lost, added = all_names - all_hit_names, all_hit_names - all_names
    if _IMITATORS.search(normalise(hit)) and not _IMITATORS.search(normalise(wanted)):
        return Evidence(OTHER, f"{hit!r} imitates others")
    shared = names & hit_names
    if not shared:
        return _compare_spelling(wanted, hit) if all_names != all_hit_names else None
    if lost and added:
        return Evidence(OPEN if len(shared) > 1 else DOUBT, "some of the names differ")
    absent = [c for c in ours if c.name in lost] + [c for c in theirs if c.name in added]
    if not absent:
        return None
    leads = ours[0].name in hit_names
    if all(credit.guest or credit.backing for credit in absent) and (leads or len(shared) > 1):
        return Evidence(SLIGHT, "not all of the names are given")
    if leads:
        return Evidence(OPEN, f"only part of the name agrees ({hit!r})")
    return Evidence(DOUBT, f"the leading name is missing ({hit!r})")


def _names(fields: Iterable[str]) -> set[str]:
    return {credit.name for field in fields for credit in credits_of(field)}


def _compare_spelling(wanted: str, hit: str) -> Evidence | None:
    """Compare two fields that share no name."""
    ours, theirs = normalise(wanted), normalise(hit)
    words, hit_words = ours.split(), theirs.split()
    if sorted(words) == sorted(hit_words):
        return None
    if squash(wanted) in _VARIOUS or squash(hit) in _VARIOUS:
        return Evidence(DOUBT, "the artist is given as various")
    one, other = squash(wanted), squash(hit)
    if is_misspelling(one, other, letters=8):
        return Evidence(MISSPELT, f"the artist is spelt {hit!r}")
    short, long = sorted((words, hit_words), key=len)
    if long[: len(short)] == short and _ENSEMBLE.issuperset(long[len(short) :]):
        return Evidence(OPEN, f"the artist is {hit!r}")
    if short in (long[: len(short)], long[-len(short) :]):
        return Evidence(DOUBT, f"only part of the name agrees ({hit!r})")
    if len(short) > 1 and (short[0], short[-1]) == (long[0], long[-1]):
        return Evidence(OPEN, f"the artist is {hit!r}")
    if similarity(one, other) >= 0.85:
        return Evidence(DOUBT, f"the artist {hit!r} is only similar")
    return Evidence(OTHER, f"the artist is {hit!r}")
