"""What the tables of songs and of dance music say, in the words of the shipped model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.shipped_music import UNJUDGED, Clip

if TYPE_CHECKING:
    from studies.shipped_labels import Sheet

# The songs' genres and the tags of the same meaning
GENRES = {
    "pop": "pop", "rock": "rock", "electronic": "electronic", "soundtrack": "soundtrack",
    "k-pop": "k-pop", "Hip-Hop": "Hip-Hop|rap", "rnb": "rnb", "ballad": "ballad",
    "dance": "dance", "alternative": "alternative", "folk": "folk", "blues": "blues",
    "chillout": "chillout", "soul": "soul", "indian": "Indian", "bollywood": "Indian",
    "new wave": "new wave", "lo-fi": "lo-fi", "classic rock": "classic rock", "jazz": "jazz",
    "synth pop": "synth pop", "v-pop": "Asian pop", "c-pop": "Asian pop",
    "hard rock": "hard rock", "classical": "classical", "metal": "metal", "funk": "funk",
    "singer-songwriter": "singer-songwriter", "disco": "disco", "ambient": "ambient",
    "Latin": "Latin", "easy listening": "easy listening", "musical": "musical",
    "indie rock": "indie rock", "reggae": "reggae", "house": "House", "polka": "world",
    "children": "children", "big band": "swing", "swing": "swing", "punk": "punk",
    "progressive rock": "Progressive rock", "rockabilly": "rock and roll", "country": "country",
    "turkish": "world", "electro": "electro", "ska": "ska", "flamenco": "flamenco",
    "techno": "techno", "gospel": "gospel", "opera": "opera", "christmas": "Christmas",
}  # fmt: skip
# Given too seldom, or too loosely, for a missing one to be a no
_LOOSE = (
    "world", "chillout", "rap", "easy listening", "flamenco", "techno", "opera", "gospel",
    "Christmas", "electro", "ska",
)  # fmt: skip
DENIED = [
    tag
    for tag in dict.fromkeys(tag for tags in GENRES.values() for tag in tags.split("|"))
    if tag not in _LOOSE
]
# Neighbours: who carries one was perhaps only not asked about the other
_KIN = {
    "rock": "alternative|indie rock|alternative rock|hard rock|metal|classic rock|punk|"
    "Progressive rock|new wave|rock and roll|blues",
    "pop": "k-pop|Asian pop|synth pop|ballad|dance|disco|new wave|singer-songwriter|musical",
    "electronic": "techno|House|dance|synth pop|ambient|electro|disco|lo-fi",
    "classical": "soundtrack", "soul": "rnb|funk|disco", "rnb": "soul|Hip-Hop",
    "metal": "hard rock", "dance": "House|disco|electronic|k-pop", "hard rock": "metal",
    "folk": "singer-songwriter", "singer-songwriter": "folk", "alternative": "indie rock|new wave",
    "indie rock": "alternative", "ballad": "soul|singer-songwriter", "soundtrack": "musical",
}  # fmt: skip
_MOODS = (
    "happy", "romantic", "dark", "melancholic", "party", "epic", "dreamy", "funny", "sad", "tense",
    "nostalgic", "aggressive",
)  # fmt: skip
_OPPOSITES = {
    "happy": "sad|dark|melancholic|gloomy", "sad": "happy|cheerful|party",
    "calm": "aggressive|energetic|angry|party", "aggressive": "calm|gentle|dreamy",
    "party": "calm|sad", "dark": "happy|cheerful", "melancholic": "party|happy",
    "dreamy": "aggressive",
}  # fmt: skip
_DECADES = {
    "60s": 1960, "70s": 1970, "80s": 1980, "90s": 1990, "00s": 2000, "10s": 2010, "20s": 2020,
}  # fmt: skip
_INSTRUMENTS = (
    "piano", "acoustic guitar", "electric guitar", "drums", "drum machine", "strings", "violin",
    "brass", "trumpet", "saxophone", "flute", "synthesizer", "organ", "accordion", "choir",
)  # fmt: skip
# What else is there where that is, and how surely
_IMPLIED = {
    "violin": ("strings", 0.6), "trumpet": ("brass", 0.6), "saxophone": ("brass", 0.2),
}  # fmt: skip
_DANCE = {
    **dict.fromkeys(
        ("bachata", "cha cha", "samba", "cumbia", "merengue", "rumba", "tango", "zouk"), "Latin"
    ),
    "salsa": "Latin|salsa", "quickstep": "swing", "foxtrot": "swing", "jitterbug": "swing",
    "hustle": "disco|dance", "polka": "world|accordion", "two step": "country",
    "triple two": "country", "east coast swing": "rock and roll",
}  # fmt: skip
_NOT_DANCED = (
    "k-pop", "metal", "classical", "techno", "trance", "drum and bass", "dubstep", "lo-fi",
    "Indian", "opera", "punk", "ambient",
)  # fmt: skip


def of_dance(sheet: Sheet, place: int, clip: Clip) -> None:
    """An excerpt of dance music, of which only the dance is known."""
    sheet.say(place, _NOT_DANCED, 0, 0.5)
    for tag in _split(_DANCE.get(clip.said["style"], "")):
        sheet.say(place, tag, 1, 0.5 if tag in ("salsa", "country") else 0.35)


def of_song(sheet: Sheet, place: int, clip: Clip) -> None:
    """A song: from knowledge of the recording at full weight, of the artist at half."""
    said = clip.said
    if said["known"]:
        weight = 1.0 if said["known"] == "1" else 0.5
        _genres(sheet, place, clip, weight)
        _voice(sheet, place, said["vocal"], weight)
        _moods(sheet, place, clip, weight)
        _instruments(sheet, place, clip, weight)
        if said["year"] and said["source"] not in UNJUDGED:
            _decade(sheet, place, int(float(said["year"])), weight)
    if said["source"] in _ONE_STYLE:
        tag, weight = _ONE_STYLE[said["source"]]
        sheet.say(place, tag, 1, weight)
    if said["source"] in _STYLES:
        _STYLES[said["source"]](sheet, place, said["style"].split("|"))


def _genres(sheet: Sheet, place: int, clip: Clip, weight: float) -> None:
    given = clip.words("genres")
    if not given:
        return
    has = {tag for word in given if word in GENRES for tag in GENRES[word].split("|")}
    sheet.say(place, sorted(has), 1, weight)
    for tag in DENIED:
        if tag not in has:
            near = _split(_KIN.get(tag, "")) & has or any(
                tag in _split(_KIN.get(other, "")) for other in has
            )
            sheet.say(place, tag, 0, weight * (0.25 if near else 0.7))
    if "metal" in has:
        sheet.say(place, "heavy metal", 1, 0.3)
    if {"alternative", "rock"} <= has:
        sheet.say(place, "alternative rock", 1, 0.5)


def _voice(sheet: Sheet, place: int, vocal: str, weight: float) -> None:
    if not vocal:
        return
    if vocal == "choir":
        sheet.say(place, "choir", 1, weight)
    else:
        female = vocal in ("female", "mixed")
        sheet.say(place, ("female vocalists", "female vocalist"), female, weight)
        sheet.say(place, "male vocalists", vocal in ("male", "mixed"), weight)
    sheet.say(place, "instrumental", vocal == "none", weight)
    if vocal == "none":
        sheet.say(place, "rap", 0, weight)
        sheet.say(place, "choir", 0, weight / 2)


def _moods(sheet: Sheet, place: int, clip: Clip, weight: float) -> None:
    moods = clip.words("moods")
    for mood in moods:
        sheet.say(place, mood, 1, 0.8 * weight)
        if mood == "happy":
            sheet.say(place, "cheerful", 1, 0.8 * weight)
    for mood in sorted(moods):
        for tag in _split(_OPPOSITES.get(mood, "")):
            if sheet.says_nothing(place, tag):
                sheet.say(place, tag, 0, weight / 2)
    if clip.said["known"] == "1" and moods:
        for tag in _MOODS:
            if sheet.says_nothing(place, tag):
                sheet.say(place, tag, 0, 0.25)
    if clip.said["energy"] == "low":
        sheet.say(place, ("energetic", "aggressive"), 0, weight / 2)
    if clip.said["energy"] == "high":
        sheet.say(place, "energetic", 1, weight / 2)
        sheet.say(place, "calm", 0, 0.7 * weight)
        sheet.say(place, "gentle", 0, weight / 2)


def _instruments(sheet: Sheet, place: int, clip: Clip, weight: float) -> None:
    for name in clip.words("instruments"):
        if name in _INSTRUMENTS:
            sheet.say(place, name, 1, weight)
        if name in _IMPLIED:
            tag, share = _IMPLIED[name]
            sheet.say(place, tag, 1, share * weight)


def _decade(sheet: Sheet, place: int, year: int, weight: float) -> None:
    """A year or two beside a decade sounds much like it."""
    for tag, first in _DECADES.items():
        if first <= year < first + 10:
            sheet.say(place, tag, 1, weight)
        else:
            away = min(abs(year - first), abs(year - first - 9))
            value = {1: 0.25, 2: 0.1}.get(away, 0)
            sheet.say(place, tag, value, weight / 2 if away <= 2 else weight)
    sheet.say(place, "oldies", 1 if year < 1970 else 0.5 if year < 1978 else 0, weight / 2)


_ELECTRONIC_TYPES = {
    "techno": "techno|electronic", "trance": "trance|electronic",
    "jungle": "drum and bass|electronic", "house": "House|electronic|dance",
    "hardcore": "electronic",
}  # fmt: skip
_EXACT = {
    "synthpop": "synth pop|electronic", "new wave": "new wave", "new age": "new age",
    **dict.fromkeys(
        ("eurodance", "eurobeat", "hi nrg", "vocal house", "freestyle", "techno dance"),
        "dance|electronic",
    ),
    **dict.fromkeys(("downbeat", "trip hop", "nu jazz"), "chillout|electronic"),
    "jpop": "Asian pop", "electro funk": "funk", "g-funk": "Hip-Hop|rap", "crunk": "Hip-Hop|rap",
    **dict.fromkeys(("new jack swing", "2-step garage", "nu soul"), "rnb"),
}  # fmt: skip
_CONTAINED = {
    "techno": "techno|electronic", "trance": "trance|electronic", "goa": "trance|electronic",
    "psy": "trance|electronic", "house": "House|electronic|dance", "ambient": "ambient|electronic",
    "hip hop": "Hip-Hop|rap", "disco": "disco|dance",
}  # fmt: skip
_WHOLE_WORDS = {"rap": "Hip-Hop|rap", "electro": "electro|electronic"}
_BROKEN_BEATS = ("jungle", "dnb", "drum n bass", "step", "neurofunk", "liquid")
_MACHINE = ("techno", "trance", "House", "drum and bass")
_NOT_ELECTRONIC = (
    "rock", "jazz", "country", "blues", "classical", "folk", "metal", "reggae", "soundtrack",
    "Latin", "indie rock", "classic rock", "k-pop", "swing", "ballad", "musical", "punk",
)  # fmt: skip


def _ishkur(sheet: Sheet, place: int, style: list[str]) -> None:
    """Sub-genre, type, decade, scene: the name of a sub-genre goes before its type."""
    if len(style) < 2:
        return
    name, kind, scene = style[0].lower(), style[1].lower(), style[3] if len(style) > 3 else ""
    own = _split(_EXACT.get(name, ""))
    for part, tags in _CONTAINED.items():
        own |= _split(tags) if part in name else frozenset()
    for word, tags in _WHOLE_WORDS.items():
        own |= _split(tags) if word in name.split() else frozenset()
    if kind == "jungle" and any(part in name for part in _BROKEN_BEATS):
        own |= {"drum and bass", "electronic"}
    has = set(_split(_ELECTRONIC_TYPES.get(kind, "")))
    if scene in ("Braindance", "Industrial") or name in ("vgm", "casiocore", "jtek"):
        has = {"electronic"}
    elif kind == "house" and scene == "Eurodisco":
        has = {"electronic", "dance"}
    has |= own
    if own & set(_MACHINE):
        has -= set(_MACHINE) - own
    sheet.say(place, sorted(has), 1, 0.8)
    for tag in _NOT_ELECTRONIC:
        if tag not in has and tag.lower() not in name:
            sheet.say(place, tag, 0, 0.5)
    for tag in _MACHINE:
        if tag not in has:
            sheet.say(place, tag, 0, 0.4)
    if "Hip-Hop" not in own and kind != "breakbeat":
        sheet.say(place, "Hip-Hop", 0, 0.5)
    if len(style) > 2 and style[2] in ("70s", "80s", "90s", "00s"):
        sheet.say(place, style[2], 1, 0.4)


def _madcamp(sheet: Sheet, place: int, style: list[str]) -> None:
    tags = {
        "R&B": "rnb", "Hiphop": "Hip-Hop|rap", "OST": "soundtrack", "Dance": "dance",
        "Ballade": "ballad", "Pop": "pop",
    }  # fmt: skip
    sheet.say(place, sorted(_split(tags.get(style[0], ""))), 1, 0.5)
    if style[0] == "OST":
        sheet.say(place, "ballad", 1, 0.2)
    sheet.say(place, "k-pop", 1, 0.6)


def _macleod(sheet: Sheet, place: int, style: list[str]) -> None:
    sheet.say(place, "instrumental", 1, 0.6)
    tags = {
        "disco": "disco", "electronic": "electronic", "polka": "world", "world music": "world",
        "comedy": "funny|soundtrack", "soundtrack": "soundtrack", "classical": "classical",
        "mysterious": "soundtrack|atmospheric",
    }  # fmt: skip
    sheet.say(place, sorted(_split(tags.get(style[0].lower(), ""))), 1, 0.6)
    if style[0].lower() == "polka":
        sheet.say(place, "accordion", 1, 0.4)
    sheet.say(place, ("female vocalists", "male vocalists", "female vocalist", "rap"), 0, 0.8)


def _piast(sheet: Sheet, place: int, style: list[str]) -> None:
    """Solo piano."""
    sheet.say(place, "piano", 1, 1)
    sheet.say(place, "instrumental", 1, 0.8)
    absent = (
        "drums", "electric guitar", "drum machine", "synthesizer", "brass", "metal", "rock",
        "Hip-Hop", "electronic", "dance", "female vocalists", "male vocalists",
    )  # fmt: skip
    sheet.say(place, absent, 0, 0.7)
    tags = {
        "swing": "swing|jazz", "ragtime": "jazz", "newage": "new age", "happy": "happy|cheerful",
        "bright": "cheerful", "relaxing": "calm|chill",
        **{word: word for word in (
            "classical", "jazz", "blues", "ballad", "sad", "tense", "dark", "dreamy", "epic",
            "playful", "funk",
        )},
    }  # fmt: skip
    sheet.say(place, sorted(_split(tags.get(style[0], ""))), 1, 0.7)


def _jukebox(sheet: Sheet, place: int, style: list[str]) -> None:
    for tags, weight in {
        "disney": [("musical|soundtrack", 0.4)], "latin": [("Latin", 0.6)],
        "acoustic": [("acoustic", 0.6)], "romance": [("romantic", 0.4)],
    }.get(style[0], []):  # fmt: skip
        sheet.say(place, sorted(_split(tags)), 1, weight)


def _fma(sheet: Sheet, place: int, style: list[str]) -> None:
    tags = {
        "Folk": "folk", "Rock": "rock", "Electronic": "electronic", "Jazz": "jazz",
        "Ambient Electronic": "ambient|electronic", "Trip-Hop": "chillout|electronic",
        "Psych-Folk": "folk", "IDM": "electronic", "Singer-Songwriter": "singer-songwriter",
        "Freak-folk": "folk", "Lounge": "easy listening", "Acoustic": "acoustic",
    }  # fmt: skip
    sheet.say(place, sorted(_split(tags.get(style[0], ""))), 1, 0.6)


_ONE_STYLE = {"lofi": ("lo-fi", 0.7), "selin": ("world", 0.3)}  # selin: Turkish music of all kinds
_STYLES = {
    "ishkur25": _ishkur, "madcamp": _madcamp, "kevinmacleod": _macleod,
    "piast": _piast, "jukebox": _jukebox, "fma90": _fma,
}  # fmt: skip


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split("|")) - {""}
