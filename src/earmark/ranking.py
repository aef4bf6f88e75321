"""Rankings of tags: by score, by lift, or by evidence, which both weigh the score with the prior.

A prior is the share of songs that carry a tag. A network that does not know what it hears answers
with the priors. So a high score of a rare tag says more than the same score of a common one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import BadValue

Ranking = Literal["score", "lift", "evidence"]
RANKINGS: tuple[Ranking, ...] = ("score", "lift", "evidence")
DEFAULT_RANKING: Ranking = "evidence"  # where the priors are known; else "score"

# How much of the prior's log-odds `evidence` takes off: 0 is the plain score, 1 the full weight of
# evidence (Good 1950), which lets the rarest tags win on noise. Measured on 900 labelled clips with
# the restored network (studies/published_table.py): precision at 1 is .650 for 0, .654 for .3,
# .641 for .5 and .559 for 1.
SHRINKAGE = 0.3
_LEAST = np.float32(1e-6)  # scores of exactly 0 or 1 have no log-odds


def lift(scores: Float32Array, priors: Float32Array) -> Float32Array:
    """How many times as likely as on any song: score / prior, the CS2470 report's correction.

    scores : float32 (..., n_tags), in [0, 1]; priors : float32 (n_tags,), in (0, 1)
    returns : float32 (..., n_tags), 0 or more; 1 is what any song gets
    """
    return np.asarray(scores / priors, dtype=np.float32)


def evidence(
    scores: Float32Array, priors: Float32Array, *, shrinkage: float = SHRINKAGE
) -> Float32Array:
    """Log-odds of the score less a share of the prior's log-odds, in nats.

    scores : float32 (..., n_tags), in [0, 1]; priors : float32 (n_tags,), in (0, 1)
    returns : float32 (..., n_tags)
    """
    return np.asarray(log_odds(scores) - shrinkage * log_odds(priors), dtype=np.float32)


def rank_values(scores: Float32Array, priors: Float32Array, *, by: Ranking) -> Float32Array:
    """The values that a ranking sorts by, larger first; same shape as scores."""
    if by == "score":
        return scores
    if by == "lift":
        return lift(scores, priors)
    if by == "evidence":
        return evidence(scores, priors)
    raise BadValue(f"no ranking {by!r}; choose one of {', '.join(RANKINGS)}")


# Genres that say little, and of them those that are hardly a genre.
GENERAL = ("rock", "pop", "alternative", "indie", "electronic", "dance")
VAGUE = ("alternative", "indie", "dance")
# Of a vague genre's score, for a specific genre to come before it. On held-out folds the first
# genre is then right as often, within .2 % (4Q) and 1.1 % (songs): studies/shipped_first.py.
NEAR = 0.75


def first_genre(names: Sequence[str], scores: Float32Array, values: Float32Array) -> int:
    """The place of the genre to name first: the largest value, unless a specific one is near.

    names, scores, values : of the genres alone; values are what the ranking sorts by
    """
    first = int(np.argmax(values))
    if names[first] in VAGUE:
        near = [
            place
            for place, name in enumerate(names)
            if name not in GENERAL and scores[place] >= NEAR * scores[first]
        ]
        first = max(near, key=lambda place: float(values[place]), default=first)
    return first


def log_odds(probabilities: Float32Array) -> Float32Array:
    """log(p / (1 - p)) of probabilities, in nats; those of 0 and 1 are finite too."""
    clipped = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float32)
