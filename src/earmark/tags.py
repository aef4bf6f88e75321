"""Tag vocabularies: the names of the columns of labels and scores, and the group of each tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from earmark.errors import BadValue
from earmark.words import WORDS

Vocabulary = Literal["all", "msd50"]
VOCABULARIES: tuple[Vocabulary, ...] = ("all", "msd50")

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

# Groups in the order people see them. A tag in none of them is "other".
GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(word.tag for word in WORDS.values() if word.group == name)
    for name in ("genre", "mood", "era", "instrument", "voice", "sound")
}
_GROUP_OF = {tag: group for group, members in GROUPS.items() for tag in members}
_JAMENDO_GROUPS = {"genre": "genre", "instrument": "instrument", "mood/theme": "mood"}


def fold(name: str) -> str:
    """A name in the form in which names are compared: "Hip-Hop" and "hip hop" are the same."""
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


_NAMED = {fold(alias): fold(word.tag) for word in WORDS.values() for alias in word.aliases}


def meant_by(name: str) -> str:
    """The tag that a name stands for, folded; for a name of no tag the name itself."""
    return _NAMED.get(fold(name), fold(name))


def group(tag: str) -> str:
    """The group of a tag: genre, mood, era, instrument, voice, other; sound if it is no tag of a
    song but says what kind of sound it is.

    MTG-Jamendo's tags say theirs: genre---rock.
    """
    category, marks, _ = tag.partition("---")
    return _JAMENDO_GROUPS.get(category, "other") if marks else _GROUP_OF.get(tag, "other")


def place_of_group(name: str) -> int:
    """The place of a group in the order of display: genre first, other tags last."""
    return [*GROUPS, name].index(name)


def index(tags: Sequence[str], tag: str) -> int:
    """The column of `tag` in a vocabulary, by any of its names: "hip hop", "R&B", "female voice".

    Raises BadValue, with the vocabulary, for a tag that is not in it.
    """
    folded = [fold(name) for name in tags]
    name = fold(tag)
    if name not in folded:
        name = _NAMED.get(name, name)
    try:
        return folded.index(name)
    except ValueError:
        raise BadValue(f"no tag {tag!r}; the tags are: {', '.join(tags)}") from None


def is_in(tag: str, vocabulary: Vocabulary) -> bool:
    """Whether a tag belongs to a vocabulary; to "all" belong the words of any model."""
    return vocabulary == "all" or tag in MSD_50


def meaning(tag: str) -> str:
    """What a tag means, in one line; "" for a word of another vocabulary."""
    word = WORDS.get(tag)
    return "" if word is None else word.meaning


def msd_50_priors() -> npt.NDArray[np.float32]:
    """float32 (50,), in (0, 1): the share of Million Song tracks that carry each tag of MSD_50."""
    return np.array(_MSD_50_POSITIVES, dtype=np.float32) / np.float32(_MSD_50_N_TRACKS)
