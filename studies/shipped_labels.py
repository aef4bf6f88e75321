"""What people say of the clips, as far as it can be trusted: a value and a weight for each word.

4Q says no as well as yes. The songs' tables say what is there; a genre that is missing is mostly a
no, a missing mood or instrument says nothing. Sources that name a style say what its name says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies import shipped_styles as styles
from studies.shipped_music import Clip, frequent_words, q4_only
from studies.shipped_words import SOUNDS, TAGS, UMBRELLAS

Array = npt.NDArray[np.float32]

# Tags and the words of 4Q that mean the same. Who carries none of them does not have the tag.
SAME = {
    "jazz": "Jazz", "electronic": "Electronic", "rnb": "R&B", "country": "Country",
    "blues": "Blues", "Hip-Hop": "Rap", "rap": "Rap", "folk": "Folk",
    "easy listening": "Easy Listening", "happy": "Happy", "sad": "Sad", "sexy": "Sexy",
    "Latin": "Latin", "reggae": "Reggae", "classical": "Classical", "new age": "New Age",
    "soundtrack": "Stage & Screen", "Christmas": "Holiday", "children": "Children's",
    "calm": "Calm|Peaceful", "gentle": "Gentle|Delicate|Soft",
    "cheerful": "Cheerful|Joyous|Bright", "energetic": "Energetic|Lively|Exciting|Rousing",
    "romantic": "Romantic|Sentimental", "dreamy": "Dreamy", "atmospheric": "Atmospheric|Ethereal",
    "hypnotic": "Hypnotic", "spiritual": "Spiritual|Reverent", "nostalgic": "Nostalgic",
    "melancholic": "Melancholy|Wistful|Bittersweet", "gloomy": "Gloomy|Bleak",
    "anguished": "Anguished|Distraught", "dark": "Menacing|Ominous|Malevolent|Eerie",
    "tense": "Tense|Anxious|Nervous|Jittery", "angry": "Angry|Hostile|Outraged",
    "aggressive": "Fierce|Harsh|Aggressive|Confrontational",
    "funny": "Humorous|Silly|Witty|Whimsical", "playful": "Playful|Fun",
    "rebellious": "Rebellious|Reckless",
}  # fmt: skip
FEW = 40  # words with fewer clips were given less carefully: a missing one is half a no
# Words that are near a tag's meaning, not the same.
NEAR = {"party": "Fun", "Mellow": "Calm|Mellow", "ambient": "Peaceful", "chillout": "Relaxed"}
# A clip with none of these genres is not the tag; one of them says nothing.
WITHIN = {
    "rock": "Pop/Rock", "k-pop": "", "Asian pop": "International", "Indian": "International",
    "lo-fi": "Electronic|Rap", "musical": "Stage & Screen|Vocal|Children's",
    "techno": "Electronic", "trance": "Electronic", "House": "Electronic",
    "drum and bass": "Electronic", "dubstep": "Electronic|Rap|Reggae",
    "electronica": "Electronic", "electro": "Electronic|Rap",
    "swing": "Jazz|Vocal|Easy Listening|Country", "ska": "Reggae|Pop/Rock",
    "opera": "Classical|Vocal|Stage & Screen", "bluegrass": "Country|Folk", "salsa": "Latin",
    "flamenco": "Latin|International", "world": "International", "punk": "Pop/Rock",
    "metal": "Pop/Rock|Electronic", "heavy metal": "Pop/Rock", "hard rock": "Pop/Rock",
    "grunge": "Pop/Rock", "psychedelic rock": "Pop/Rock", "new wave": "Pop/Rock|Electronic",
    "synth pop": "Pop/Rock|Electronic", "rock and roll": "Pop/Rock|Country|R&B",
    "indie rock": "Pop/Rock", "indie pop": "Pop/Rock", "Progressive rock": "Pop/Rock",
    "classic rock": "Pop/Rock", "alternative rock": "Pop/Rock",
    "disco": "R&B|Electronic|Pop/Rock|International|Latin|Vocal",
    "funk": "R&B|Jazz|Pop/Rock|Electronic|Rap|Latin|Reggae",
    "soul": "R&B|Pop/Rock|Jazz|Blues|Rap|Vocal",
}  # fmt: skip
# Genres that may sound classical without being called so
CLASSICAL_BY_EAR = "Stage & Screen|New Age|Avant-Garde|Vocal|Holiday|International"


@dataclass(frozen=True, eq=False)
class Labels:
    """What is said of every clip.

    heads : the columns: all tags but sounds, the umbrellas, then 4Q's fifty words as "4Q WORD"
    values : float32 (n, n_heads), 0 to 1; nan where nothing is said
    weights : float32 (n, n_heads), 0 to 1; how far it can be trusted
    """

    heads: tuple[str, ...]
    values: Array
    weights: Array

    def column(self, head: str) -> int:
        return self.heads.index(head)


class Sheet:
    """Labels in the making: of two sayings the weightier stays, of equals the later."""

    def __init__(self, n: int, heads: Sequence[str]) -> None:
        self.heads = tuple(heads)
        self.of = {head: column for column, head in enumerate(heads)}
        self.values = np.full((n, len(heads)), np.nan, dtype=np.float32)
        self.weights = np.zeros((n, len(heads)), dtype=np.float32)

    def say(self, place: int, words: str | Iterable[str], value: float, weight: float) -> None:
        """One word, or several, of one clip."""
        for word in [words] if isinstance(words, str) else words:
            column = self.of[word]
            if weight >= self.weights[place, column]:
                self.values[place, column] = value
                self.weights[place, column] = weight

    def says_nothing(self, place: int, word: str) -> bool:
        return bool(self.weights[place, self.of[word]] == 0)


def split(words: str) -> frozenset[str]:
    """Of words joined by |."""
    return frozenset(words.split("|")) - {""}


def read_labels(clips: Sequence[Clip]) -> Labels:
    """Of all clips."""
    fifty = frequent_words(clips)
    tags = [tag for tag in TAGS if tag not in SOUNDS]
    sheet = Sheet(len(clips), [*tags, *UMBRELLAS, *(f"4Q {word}" for word in fifty)])
    counts = Counter(word for clip in q4_only(clips) for word in clip.words("genres", "moods"))
    for place, clip in enumerate(clips):
        if clip.source == "q4":
            _of_q4(sheet, place, clip, fifty, counts)
        elif clip.source == "songs":
            styles.of_song(sheet, place, clip)
        else:
            styles.of_dance(sheet, place, clip)
    return Labels(sheet.heads, sheet.values, sheet.weights)


def _of_q4(
    sheet: Sheet, place: int, clip: Clip, fifty: Sequence[str], counts: Counter[str]
) -> None:
    said = clip.words("genres", "moods")
    for tag, same in SAME.items():
        has = bool(split(same) & said)
        few = sum(counts[word] for word in split(same)) < FEW
        sheet.say(place, tag, has, 0.5 if few and not has else 1)
    for tag, near in NEAR.items():
        sheet.say(place, tag, bool(split(near) & said), 0.5)
    if "Religious" in said:
        sheet.say(place, "gospel", 1, 0.4)
    else:
        sheet.say(place, "gospel", 0, 0.5)
    for tag, genres in WITHIN.items():
        if sheet.says_nothing(place, tag) and not split(genres) & said:
            sheet.say(place, tag, 0, 0.7 if tag == "rock" else 0.6)
    if "Classical" not in said and split(CLASSICAL_BY_EAR) & said:
        column = sheet.of["classical"]
        sheet.values[place, column], sheet.weights[place, column] = np.nan, 0
    for word in (*UMBRELLAS, *fifty):
        sheet.say(place, word if word in UMBRELLAS else f"4Q {word}", word in said, 1)
    for word in set(UMBRELLAS) & set(fifty):
        sheet.say(place, f"4Q {word}", word in said, 1)
