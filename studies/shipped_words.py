"""The columns of the shipped model: MSD-50, the words behind it (earmark.words), then the sounds.

Umbrellas (Pop/Rock, International, Vocal) and 4Q's fifty words teach beside these and are not
answered.
"""

from __future__ import annotations

from earmark.tags import MSD_50
from earmark.words import ERAS, GENRES, INSTRUMENTS, MOODS, VOICES, Word
from earmark.words import SOUNDS as _SOUNDS

WORDS: dict[str, Word] = {
    word.tag: word for table in (GENRES, INSTRUMENTS, VOICES, ERAS, MOODS) for word in table
}
SOUNDS = tuple(word.tag for word in _SOUNDS)
TAGS = (*MSD_50, *(tag for tag in WORDS if tag not in MSD_50), *SOUNDS)
UMBRELLAS = ("Pop/Rock", "International", "Vocal")
