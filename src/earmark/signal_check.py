"""What kind of sound a track is: music, or something whose tags mean little.

A model with words for speech, noise and the like (earmark.words.SOUNDS) says it itself. For the
others the signal is checked: silence, or the same sound throughout.

The scores of those do not show it: on silence and noise they are as near to the priors as on some
music (1.21 nats over the first shipped model's tags for silence, 1.08 for the nearest of 281
clips), and that model called loud white noise rock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from earmark.arrays import Float32Array
from earmark.words import SOUNDS

# Of the largest sample. Music turned down so far (15 clips of 4Q) is answered as silence is, within
# .03 in logits.
SILENT = 1e-3
# dB, of Level.unrest. White, pink and brown noise, hum, tones and a metronome have .11 or less; of
# 612 clips of 30 s (4Q, dance music) the least has 1.25, of any ten seconds in them .33.
STEADY = 0.25
LEAST_SECONDS = 10  # that are judged
# The same for a model that hears each sound at one level (features.LogMel.level).
NOTHING = 3e-5
# Nats that another sound must lie above music: of 2,705 clips of music in five folds none is called
# something else, of 453 of speech one is called music (studies/shipped_kind.py).
MARGIN = 1.0
# Of the largest sample, full scale at 1: masters and lossy files pass full scale by a little.
# Integers that were not divided by theirs reach hundreds.
TOO_LARGE = 10.0

Kind = Literal["music", "speech", "silence", "noise", "other"]
_STEP_SECONDS = 0.5
_LEAST_POWER = 1e-9


@dataclass(frozen=True)
class Doubt:
    """A reason to doubt the tags of a track.

    kind : silent, steady, speech, applause or tone: it is no music; scale: samples far beyond full
        scale; cut_short: the file ends before it says that it does
    message : the reason, in words
    """

    kind: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The object that stands in JSON lines."""
        return {"kind": self.kind, "message": self.message}


# what is shown in place of tags, and the kind of sound, for each kind of doubt
SHOWN: dict[str, tuple[str, Kind]] = {
    "silent": ("This is silence", "silence"),
    "steady": ("This sounds like noise or hum", "noise"),
    "speech": ("This is speech", "speech"),
    "applause": ("This is applause", "other"),
    "tone": ("This is one steady tone", "other"),
}
_LITTLE = "its tags mean little"
# the doubt about each sound of earmark.words that is not music
DOUBTS = {
    "speech": Doubt("speech", f"it is speech, not music: {_LITTLE}"),
    "silence": Doubt("silent", "it is silent: its tags mean nothing"),
    "noise": Doubt("steady", f"it sounds like noise: {_LITTLE}"),
    "hum": Doubt("steady", f"it sounds like hum: {_LITTLE}"),
    "applause": Doubt("applause", f"it is applause: {_LITTLE}"),
    "tone": Doubt("tone", f"it is one steady tone: {_LITTLE}"),
}


def headline(warnings: Sequence[Doubt] | None) -> str | None:
    """What to show in place of a track's tags, such as "This is silence"; None for music.

    A track with a headline gets no genres written to its file and comes into no playlist.

    warnings : of the track; None where the signal was not checked
    """
    return next((SHOWN[one.kind][0] for one in warnings or () if one.kind in SHOWN), None)


def kind(warnings: Sequence[Doubt] | None) -> Kind:
    """What kind of sound a track is, by its warnings: music where there are none."""
    return next((SHOWN[one.kind][1] for one in warnings or () if one.kind in SHOWN), "music")


def knows_sounds(tags: Sequence[str]) -> bool:
    """Whether a model with these tags says itself what kind of sound it hears."""
    return all(word.tag in tags for word in SOUNDS)


def sound_of(log_odds: Float32Array, tags: Sequence[str]) -> str | None:
    """The word of SOUNDS that a model hears: music, unless another lies clearly above it.

    log_odds : float32 (n_tags,), of one track; tags : what its columns mean
    returns : None for a model without these words
    """
    if not knows_sounds(tags):
        return None
    columns = {word.tag: tags.index(word.tag) for word in SOUNDS}
    values = {name: float(log_odds[column]) for name, column in columns.items()}
    values["music"] += MARGIN
    return max(values, key=lambda name: values[name])


def doubts(*, peak: float, unrest: float | None, sound: str | None = None) -> tuple[Doubt, ...]:
    """The reasons to doubt the tags of a track.

    peak, unrest : of its Level
    sound : what the model hears (sound_of); the signal alone decides where it is None
    """
    if peak > TOO_LARGE:
        return (_scale(peak), *doubts(peak=1.0, unrest=unrest, sound=sound))
    if peak < (SILENT if sound is None else NOTHING):
        level = f", its peak is {20 * math.log10(peak):.0f} dB" if peak else ""
        return (Doubt("silent", f"it is silent{level}: its tags mean nothing"),)
    if sound is not None:
        return (DOUBTS[sound],) if sound in DOUBTS else ()
    if unrest is not None and unrest < STEADY:
        words = "it sounds the same throughout, as noise and hum do: its tags mean little"
        return (Doubt("steady", words),)
    return ()


def _scale(peak: float) -> Doubt:
    return Doubt(
        "scale",
        f"its samples reach {peak:.5g}, and full scale is 1: divide integers by theirs, such as "
        "32768 for 16 bits",
    )


class Level:
    """The level of a track, measured block by block.

    with_unrest : measure it too, which takes longer; of use for models that do not know sounds
    peak : largest sample so far, full scale at 1
    """

    def __init__(self, rate: int, *, with_unrest: bool = True) -> None:
        self.peak = 0.0
        self._with_unrest = with_unrest
        self._size = max(1, round(_STEP_SECONDS * rate))  # samples of a step
        self._powers: list[Float32Array] = []

    def add(self, samples: Float32Array) -> None:
        """Measure float32 (n_samples,)."""
        if samples.size == 0:
            return
        self.peak = max(self.peak, float(samples.max()), -float(samples.min()))
        if not self._with_unrest:
            return
        # of the slope, which weighs a hiss and a rumble more alike
        slope = np.diff(samples)
        steps = slope[: slope.size - slope.size % self._size].reshape(-1, self._size)
        self._powers.append(np.einsum("ij,ij->i", steps, steps) / self._size)

    @property
    def unrest(self) -> float | None:
        """Standard deviation of the level from one half second to the next, in dB.

        None for less than LEAST_SECONDS, and where it is not measured.
        """
        powers = np.concatenate([*self._powers, np.zeros(0, dtype=np.float32)])
        if powers.size * _STEP_SECONDS < LEAST_SECONDS - 1:  # the ends of blocks are left out
            return None
        return float((10 * np.log10(np.maximum(powers, _LEAST_POWER))).std())
