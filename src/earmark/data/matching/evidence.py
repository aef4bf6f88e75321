"""Evidence: one difference between song and search result, and how much of the score it leaves."""

from __future__ import annotations

from dataclasses import dataclass

# Chosen so that three slight findings still make an accept (0.95^3 > 0.85), two misspellings do
# not (0.92^2 < 0.85), and two open questions still make a review (0.7^2 is near 0.5).
SLIGHT = 0.95  # a difference that by itself means nothing
MISSPELT = 0.92  # a difference that means nothing if it is the only one of its kind
OPEN = 0.75  # a question that durations can answer
DOUBT = 0.7  # a question that durations cannot answer
AGAINST = 0.2  # another recording of the song
OTHER = 0.1  # another song or artist

ACCEPT, REVIEW = 0.85, 0.5  # the lowest scores of these decisions


@dataclass(frozen=True)
class Evidence:
    """One difference between the song of the catalog and the search result.

    left : the share of the score that it leaves
    words : the difference, in words that can follow "because"
    """

    left: float
    words: str
