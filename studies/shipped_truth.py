"""Which labels may judge the shipped model: of artists that it never heard, and only sure ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from studies.shipped_labels import Labels
from studies.shipped_music import Clip
from studies.shipped_words import WORDS

Cells = npt.NDArray[np.bool_]

ENOUGH_TO_MEASURE = 20  # clips that have a tag, for its ROC-AUC to be said
ENOUGH_TO_CALIBRATE = 30
ENOUGH_IN_ONE = 10  # of one collection, for its clips without the tag to count

# The 16 tags of MSD-50 that 4Q has a word for, equal or near, as README's table scores them
SIXTEEN = {
    "rock": "Pop/Rock", "jazz": "Jazz", "electronic": "Electronic", "rnb": "R&B",
    "country": "Country", "blues": "Blues", "Hip-Hop": "Rap", "folk": "Folk",
    "easy listening": "Easy Listening", "happy": "Happy", "sad": "Sad", "sexy": "Sexy",
    "party": "Fun", "Mellow": "Calm", "ambient": "Peaceful", "chillout": "Relaxed",
}  # fmt: skip
DECADES = {
    "60s": 1960, "70s": 1970, "80s": 1980, "90s": 1990, "00s": 2000, "10s": 2010, "20s": 2020,
}  # fmt: skip
VOICES = {
    "female vocalists": ("female", "mixed"), "male vocalists": ("male", "mixed"),
    "instrumental": ("none",),
}  # fmt: skip


def judged(clips: Sequence[Clip], labels: Labels) -> Cells:
    """bool (n, n_heads): the labels that count as the truth.

    Those of 4Q, and of songs that somebody knew; each only for what it has itself, or telling the
    collections apart would count as hearing the tag. A mood is judged within one collection: 4Q if
    it has enough of it, or else the songs. What only a near word says (party, Mellow, ambient,
    chillout, rock in 4Q) does not count.
    """
    q4 = np.array([clip.source == "q4" for clip in clips])
    known = np.array([clip.known for clip in clips])
    yes, no = labels.values > 0.9, labels.values < 0.1
    sure = (labels.weights > 0.5) | ((labels.weights == 0.5) & no)
    result = np.zeros(labels.values.shape, dtype=bool)
    for column, head in enumerate(labels.heads):
        said = yes[:, column] | no[:, column]
        mood = head in WORDS and WORDS[head].group == "mood"
        least = 0.25 if mood else 0.5  # missing moods of songs are soft noes
        parts = [q4 & said & sure[:, column], known & said & (labels.weights[:, column] >= least)]
        counts = [int((part & yes[:, column]).sum()) for part in parts]
        if mood:
            parts = parts[:1] if counts[0] >= ENOUGH_TO_MEASURE else parts[1:]
        else:
            parts = [part for part, n in zip(parts, counts, strict=True) if n >= ENOUGH_IN_ONE]
        for part in parts:
            result[:, column] |= part
    result[q4, labels.column("rock")] = False  # only its "no" is known there
    return result


def truth(labels: Labels) -> Cells:
    """bool (n, n_heads): whether a clip has a tag; of use where `judged` says so."""
    return np.asarray(labels.values > 0.9)
