"""Tag vocabularies: the names of the columns of labels and scores, and the group of each tag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.errors import BadValue

# The 50 most frequent tags of the Million Song Dataset's Last.fm annotations, in the column order
# of the label arrays and weights that Choi et al. 2016 published. The spelling is theirs.
MSD_50: tuple[str, ...] = (
    "rock", "pop", "alternative", "indie", "electronic",
    "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s",
    "folk", "90s", "chill", "instrumental", "punk",
    "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s",
    "party", "country", "easy listening", "sexy", "catchy",
    "funk", "electro", "heavy metal", "Progressive rock", "60s",
    "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip

# How many of the 12,634 validation and 28,540 test tracks of that split carry each tag
# (column sums of the published label arrays; the training labels are not public in one place).
_MSD_50_N_TRACKS = 12_634 + 28_540
_MSD_50_POSITIVES = (
    6721, 4417, 2668, 3934, 3692, 2878, 1986, 593, 1255, 3449,
    529, 1375, 1107, 517, 1202, 1993, 1471, 609, 1018, 1524,
    1814, 840, 430, 1537, 1334, 1333, 1552, 915, 1221, 881,
    1052, 346, 527, 1725, 743, 244, 1678, 392, 272, 195,
    989, 911, 735, 1252, 941, 858, 643, 205, 628, 125,
)  # fmt: skip

# The most frequent words of AllMusic in the 4Q collection (Panda, Malheiro, Paiva 2018) that MSD_50
# has no tag of the same meaning for; ten more are jazz, electronic, rnb, country, blues, Hip-Hop,
# folk, happy, sad and sexy there. The shipped model answers MSD_50, then these, by frequency.
_ALLMUSIC_GENRES: tuple[str, ...] = ("Pop/Rock", "International", "Vocal", "Latin")
_ALLMUSIC_MOODS: tuple[str, ...] = (
    "Calm", "Gloomy", "Peaceful", "Joyous", "Harsh", "Angry", "Bitter", "Bleak", "Soothing",
    "Hostile", "Cheerful", "Exciting", "Greasy", "Reckless", "Delicate", "Fierce", "Anguished",
    "Distraught", "Spicy", "Gentle", "Atmospheric", "Spiritual", "Weary", "Outrageous", "Anxious",
    "Fiery", "Somber", "Tense", "Uncompromising", "Hypnotic", "Sensual", "Dreamy", "Sparkling",
    "Light", "Quiet", "Reserved",
)  # fmt: skip

# Groups in the order in which they are shown. A tag in none of them is "other".
GROUPS: dict[str, tuple[str, ...]] = {
    "genre": (
        "rock", "pop", "alternative", "indie", "electronic", "dance", "alternative rock", "jazz",
        "metal", "classic rock", "soul", "indie rock", "electronica", "folk", "punk", "blues",
        "hard rock", "ambient", "experimental", "Hip-Hop", "country", "easy listening", "funk",
        "electro", "heavy metal", "Progressive rock", "rnb", "indie pop", "House",
        *_ALLMUSIC_GENRES,
    ),
    "mood": (
        "beautiful", "chillout", "Mellow", "chill", "party", "sexy", "catchy", "sad", "happy",
        *_ALLMUSIC_MOODS,
    ),
    "era": ("60s", "70s", "80s", "90s", "00s", "oldies"),
    "instrument": ("instrumental", "acoustic", "guitar"),
    "voice": ("female vocalists", "male vocalists", "female vocalist"),
}  # fmt: skip

_GROUP_OF = {tag: group for group, members in GROUPS.items() for tag in members}
_JAMENDO_GROUPS = {"genre": "genre", "instrument": "instrument", "mood/theme": "mood"}


def group(tag: str) -> str:
    """The group of a tag: genre, mood, era, instrument, voice or other.

    MTG-Jamendo's tags say theirs: genre---rock.
    """
    category, marks, _ = tag.partition("---")
    return _JAMENDO_GROUPS.get(category, "other") if marks else _GROUP_OF.get(tag, "other")


def place_of_group(name: str) -> int:
    """The place of a group in the order of display: genre first, other tags last."""
    return [*GROUPS, name].index(name)


def index(tags: Sequence[str], tag: str) -> int:
    """The column of `tag` in a vocabulary; upper and lower case are the same.

    Raises BadValue, with the vocabulary, for a tag that is not in it.
    """
    folded = [name.casefold() for name in tags]
    try:
        return folded.index(tag.casefold())
    except ValueError:
        raise BadValue(f"no tag {tag!r}; the tags are: {', '.join(tags)}") from None


def msd_50_priors() -> npt.NDArray[np.float32]:
    """float32 (50,), in (0, 1): the share of Million Song tracks that carry each tag of MSD_50."""
    return np.array(_MSD_50_POSITIVES, dtype=np.float32) / np.float32(_MSD_50_N_TRACKS)
