"""What a tagger answers to one file: Tags of Tag, an Embedding, or a Failure; tags from scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark import ranking, tags
from earmark.arrays import Float32Array
from earmark.errors import BadValue, EarmarkError, UnreadableAudio
from earmark.model_file import Card
from earmark.ranking import DEFAULT_RANKING, Ranking
from earmark.remote import Place
from earmark.signal_check import Doubt, Kind, headline, kind

# A first genre with a lower score is "not sure": of 900 clips on held-out folds 97 % have one from
# here on, and it is right for 73 % of them (studies/shipped_report.py).
SURE = 0.3


@dataclass(frozen=True)
class Tag:
    """One tag of one track.

    score : probability, in [0, 1]
    lift : score / prior; evidence : log-odds of the score less a share of the prior's
        (earmark.ranking); both None where the model states no priors
    reliability : ROC-AUC of the tag on unseen songs, None where it was not measured
    calibrated : whether the score was fitted to labels, so that it is the share of songs with that
        score that have the tag
    """

    name: str
    score: float
    lift: float | None
    evidence: float | None
    group: str
    reliability: float | None
    calibrated: bool = False

    @property
    def tag(self) -> str:
        """The name again, as JSON lines call it."""
        return self.name


@dataclass(frozen=True)
class Tags:
    """The tags of one track, best first by the chosen ranking.

    `heard["jazz"]` is the tag of that name, `for tag in heard` runs over all of them.

    path : None for samples; a remote.Address for what was not a local file
    seconds : of audio that were heard; of the whole track with `center`
    model : the model's name
    damaged_packets : packets that the decoder had to leave out, of what was decoded
    warnings : reasons to doubt the tags, usually none; None where the signal was not checked
    """

    path: Place | None
    seconds: float
    model: str
    tags: tuple[Tag, ...]
    damaged_packets: int = 0
    warnings: tuple[Doubt, ...] | None = ()

    def __getitem__(self, name: str) -> Tag:
        """The tag of that name, in upper or lower case. Raises BadValue, with all names."""
        return self.tags[tags.index([tag.name for tag in self.tags], name)]

    def __iter__(self) -> Iterator[Tag]:
        """The tags, best first."""
        return iter(self.tags)

    @property
    def kind(self) -> Kind:
        """What kind of sound this is: music, speech, silence, noise or other."""
        return kind(self.warnings)

    @property
    def first_genre(self) -> Tag | None:
        """The genre that fits best, by evidence where the priors are known; None if not sure.

        A specific genre goes before a vague one (earmark.ranking.first_genre).
        """
        genres = [tag for tag in self.tags if tag.group == "genre"]
        if not genres or self.kind != "music":
            return None
        scores = np.array([tag.score for tag in genres], dtype=np.float32)
        values = [tag.score if tag.evidence is None else tag.evidence for tag in genres]
        names = [tag.name for tag in genres]
        first = genres[ranking.first_genre(names, scores, np.array(values, dtype=np.float32))]
        return first if first.score >= SURE else None

    @property
    def headline(self) -> str | None:
        """What to say in place of the tags, such as "This is silence"; None for music."""
        return headline(self.warnings)

    def as_json(self, *, top: int | None = None) -> dict[str, Any]:
        """The JSON line of a tagged file, with the first `top` tags."""
        first = self.first_genre
        line: dict[str, Any] = {
            "path": None if self.path is None else str(self.path),
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "kind": self.kind,
            "first_genre": None if first is None else first.name,
            "tags": [
                {
                    "tag": tag.name,
                    "score": round(tag.score, 6),
                    "lift": tag.lift and round(tag.lift, 4),
                    "evidence": tag.evidence and round(tag.evidence, 4),
                    "group": tag.group,
                    "calibrated": tag.calibrated,
                    "reliability": tag.reliability and round(tag.reliability, 4),
                }
                for tag in self.tags[:top]
            ],
        }
        if self.damaged_packets:
            line["damaged_packets"] = self.damaged_packets
        if self.warnings:
            line["warnings"] = [doubt.as_json() for doubt in self.warnings]
        return line


@dataclass(frozen=True, eq=False)
class Embedding:
    """The embedding of one file.

    vector : float32 (n_dimensions,), as of Tagger.embed
    seconds : of audio that were heard; of the whole track with `center`
    model : the model's name; vectors of two models have nothing in common
    """

    path: Place
    vector: Float32Array
    seconds: float
    model: str


@dataclass(frozen=True)
class Failure:
    """A file that could not be heard, and why."""

    path: Place
    error: EarmarkError

    def __str__(self) -> str:
        """What is wrong with which file."""
        is_named = isinstance(self.error, UnreadableAudio)
        return str(self.error) if is_named else f"{self.path}: {self.error}"

    def as_json(self) -> dict[str, Any]:
        """The JSON line of a file that failed."""
        return {"path": str(self.path), "error": self.error.as_json()}


def rank_tags(card: Card, scores: Float32Array, *, by: Ranking | None = None) -> tuple[Tag, ...]:
    """The tags of one track, best first; without the words for what is not music.

    scores : float32 (n_tags,), in [0, 1], in the order of card.tags
    by : None is DEFAULT_RANKING where the model states priors, else score

    Raises BadValue for a ranking by priors where the model states none.
    """
    unknown: tuple[None, ...] = (None,) * len(card.tags)
    lifts: Sequence[float | None] = unknown
    evidences: Sequence[float | None] = unknown
    values = scores
    if card.priors is not None:
        priors = np.array(card.priors, dtype=np.float32)
        values = ranking.rank_values(scores, priors, by=by or DEFAULT_RANKING)
        lifts = ranking.lift(scores, priors).tolist()
        evidences = ranking.evidence(scores, priors).tolist()
    elif by not in (None, "score"):
        raise BadValue(
            f"the model {card.name} does not say how frequent its tags are, which the ranking "
            f"{by!r} needs; use score"
        )
    groups = [tags.group(tag) for tag in card.tags]
    order = [i for i in np.argsort(-values, kind="stable").tolist() if groups[i] != "sound"]
    reliability = card.reliability or unknown
    return tuple(
        Tag(
            name=card.tags[i],
            score=float(scores[i]),
            lift=lifts[i],
            evidence=evidences[i],
            group=groups[i],
            reliability=reliability[i],
            calibrated=card.is_calibrated(i),
        )
        for i in order
    )
