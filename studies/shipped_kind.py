"""Music, speech, silence, noise or something else: what the model's seven sounds say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.shipped_music import Clip
from studies.shipped_sounds import Sound
from studies.shipped_words import SOUNDS

Array = npt.NDArray[np.float32]

# Sounds in the words of the answer
KIND_OF = {
    "music": "music", "speech": "speech", "silence": "silence", "noise": "noise", "hum": "noise",
    "applause": "other", "tone": "other",
}  # fmt: skip
# Nats that another sound must lie above music: who is not sure says music.
MARGIN = 1.0


def sound_of(logits: Array, *, margin: float = MARGIN) -> list[str]:
    """The word of SOUNDS that each row is: music, unless another lies clearly above it.

    logits : float32 (n, 7), in the order of SOUNDS
    """
    values = logits.copy()
    values[:, SOUNDS.index("music")] += margin
    return [SOUNDS[place] for place in values.argmax(1)]


def kinds_of(logits: Array, clips: Sequence[Clip], sounds: Sequence[Sound]) -> dict[str, Any]:
    """What music and each kind of sound are called; speech also by who speaks."""
    truths = ["music"] * len(clips) + [sound.kind for sound in sounds]
    called = [KIND_OF[sound] for sound in sound_of(logits)]
    result: dict[str, Any] = {}
    for kind in SOUNDS:
        counts = Counter(said for said, true in zip(called, truths, strict=True) if true == kind)
        result[kind] = dict(counts.most_common())
    of_sounds = called[len(clips) :]
    for start in ("espeak", "flite", "real"):
        heard = [c for c, s in zip(of_sounds, sounds, strict=True) if s.voice.startswith(start)]
        if heard:
            result[f"speech by {start}"] = dict(Counter(heard).most_common())
    return result


def worst(logits: Array, clips: Sequence[Clip]) -> list[str]:
    """Music that is called anything else."""
    return [
        f"{sound}: {clip.source} {clip.id} {clip.said.get('artist')} - {clip.said.get('title')}"
        for sound, clip in zip(sound_of(logits), clips, strict=True)
        if sound != "music"
    ]
