"""Which genre comes first, and whether it is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from earmark.model_file import sigmoid
from earmark.ranking import first_genre
from studies.shipped_music import Clip
from studies.shipped_styles import GENRES

Array = npt.NDArray[np.floating]

# Each genre and the wider ones that it belongs to: who says "hard rock" of a rock song is right.
WIDER = {
    **dict.fromkeys(
        ("hard rock", "classic rock", "alternative rock", "indie rock", "punk", "grunge",
         "Progressive rock", "psychedelic rock", "rock and roll", "metal", "alternative", "indie"),
        "rock",
    ),
    "new wave": "rock|pop", "heavy metal": "metal", "indie pop": "pop|indie",
    "synth pop": "pop|electronic", "k-pop": "pop", "Asian pop": "pop", "ballad": "pop|rnb",
    **dict.fromkeys(
        ("techno", "trance", "drum and bass", "dubstep", "electronica", "electro", "ambient"),
        "electronic",
    ),
    "House": "electronic|dance", "lo-fi": "Hip-Hop|electronic|chillout",
    "dance": "pop|electronic", "disco": "dance|soul", "soul": "rnb", "funk": "soul",
    "swing": "jazz", "singer-songwriter": "folk|pop", "bluegrass": "country|folk",
    "salsa": "Latin", "flamenco": "Latin|world", "opera": "classical", "ska": "reggae",
    "musical": "soundtrack", "gospel": "rnb|soul",
}  # fmt: skip
# Each genre that may come first, and the genres of 4Q that it is right for
IN_4Q = {
    **dict.fromkeys(
        ("rock", "pop", "alternative", "indie", "alternative rock", "metal", "heavy metal",
         "classic rock", "indie rock", "punk", "hard rock", "Progressive rock", "indie pop",
         "new wave", "grunge", "psychedelic rock", "rock and roll"),
        "Pop/Rock",
    ),
    **dict.fromkeys(
        ("electronic", "techno", "trance", "House", "drum and bass", "dubstep", "electronica",
         "electro"),
        "Electronic",
    ),
    "dance": "Electronic|Pop/Rock", "synth pop": "Pop/Rock|Electronic", "jazz": "Jazz",
    "swing": "Jazz|Vocal", "rnb": "R&B", "soul": "R&B", "funk": "R&B",
    "disco": "R&B|Electronic|Pop/Rock", "gospel": "Religious|R&B", "country": "Country",
    "bluegrass": "Country|Folk", "blues": "Blues", "Hip-Hop": "Rap", "folk": "Folk",
    "singer-songwriter": "Folk|Pop/Rock", "easy listening": "Easy Listening|Vocal",
    "Latin": "Latin", "salsa": "Latin", "flamenco": "Latin|International", "reggae": "Reggae",
    "ska": "Reggae|Pop/Rock", "classical": "Classical", "opera": "Classical",
    "soundtrack": "Stage & Screen", "musical": "Stage & Screen", "new age": "New Age",
    "ambient": "Electronic|New Age", "experimental": "Avant-Garde", "world": "International",
    "Indian": "International", "Asian pop": "International", "k-pop": "International",
    "children": "Children's", "Christmas": "Holiday",
    "ballad": "Pop/Rock|R&B|Vocal", "lo-fi": "Electronic|Rap",
}  # fmt: skip
FIRST = tuple(IN_4Q)  # candidates


def first_of(log_odds: Array, tags: Sequence[str], priors: Array, *, shrinkage: float) -> list[str]:
    """The genre that comes first in each row, by log-odds less a share of the prior's.

    log_odds : (n, n_tags), calibrated; priors : (n_tags,), shares of clips that have the tag
    """
    columns = [tags.index(tag) for tag in FIRST if tag in tags]
    names = [tags[column] for column in columns]
    share = np.clip(np.asarray(priors)[columns], 1e-3, 1 - 1e-3)
    values = log_odds[:, columns] - shrinkage * np.log(share / (1 - share))
    scores = sigmoid(log_odds[:, columns])
    return [names[first_genre(names, *row)] for row in zip(scores, values, strict=True)]


def mean_priors(log_odds: Array) -> Array:
    """(n_tags,): how often each tag is there, by the scores themselves."""
    return np.asarray(sigmoid(log_odds).mean(0))


def right_in_4q(clips: Sequence[Clip], first: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Of 4Q's clips with a genre: whether the first genre is one of theirs, umbrellas included
    where a narrower answer falls under them ("punk" of a Pop/Rock clip is right)."""
    said = [
        (clip.words("genres"), genre)
        for clip, genre in zip(clips, first, strict=True)
        if clip.source == "q4"
    ]
    return np.array([bool(set(IN_4Q[genre].split("|")) & genres) for genres, genre in said])


def right_in_songs(
    clips: Sequence[Clip], first: Sequence[str], *, wider: bool
) -> npt.NDArray[np.bool_]:
    """Of songs that somebody knew: whether the first genre is named; wider: or a wider one is."""
    result = []
    for clip, genre in zip(clips, first, strict=True):
        words = clip.words("genres") if clip.known else frozenset()
        named = {tag for word in words for tag in GENRES.get(word, "").split("|")} - {""}
        if named:
            result.append(bool((_all_wider(genre) if wider else {genre}) & named))
    return np.array(result)


def _all_wider(genre: str, table: Mapping[str, str] = WIDER) -> set[str]:
    found = {genre}
    for wider in table.get(genre, "").split("|"):
        if wider:
            found |= _all_wider(wider, table)
    return found
