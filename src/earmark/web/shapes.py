"""What the API's answers look like, for its description; earmark.tagger makes them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Tag(_Shape):
    """One tag: `score` in [0, 1]; `lift` is score / prior; `reliability` as in ModelTag."""

    tag: str
    score: float
    lift: float
    evidence: float
    group: str
    reliability: float | None


class Reason(_Shape):
    """What was wrong, and what to do."""

    kind: str
    message: str


class TaggedSong(_Shape):
    """The line that `earmark tag --json` prints for a file; `path` is the name that was sent."""

    path: str
    seconds: float
    model: str
    tags: list[Tag]
    damaged_packets: int | None = None
    warnings: list[Reason] | None = None


class Refused(_Shape):
    """Why a request was not served."""

    error: Reason


class FailedSong(_Shape):
    """Why a file could not be heard."""

    path: str
    error: Reason


class Batch(_Shape):
    """A line for each file, in their order."""

    results: list[TaggedSong | FailedSong]


class Sensitivity(_Shape):
    """`falls[tag][band][time]`: how far the tag's log-odds fall when that region is muted."""

    mel_edges: list[int]
    times: list[float]
    tags: list[str]
    falls: list[list[list[float]]]


class ModelTag(_Shape):
    """`reliability`: ROC-AUC on unseen songs, null where nobody measured it."""

    tag: str
    group: str
    prior: float
    reliability: float | None


class Model(_Shape):
    """The card of a model that is served."""

    name: str
    sha256: str
    description: str
    source: str
    licence: str
    runtime: str
    calibrated: bool
    features: dict[str, str | int | float | None]
    tags: list[ModelTag]


class Models(_Shape):
    """The models that are served."""

    models: list[Model]


class Health(_Shape):
    """Whether the server is well, and how full it is."""

    status: str
    model: str
    under_way: int
    waiting_limit: int
