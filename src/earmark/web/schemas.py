"""The JSON schemas of the API's responses, for its OpenAPI page; earmark.results makes the JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TagSchema(_Schema):
    """One tag: `score` in [0, 1]; `lift` is score / prior; `reliability` as in ModelTagSchema."""

    tag: str
    score: float
    lift: float | None
    evidence: float | None
    group: str
    calibrated: bool
    reliability: float | None


class ReasonSchema(_Schema):
    """What is wrong, and what to do."""

    kind: str
    message: str


class TaggedSongSchema(_Schema):
    """The line that `earmark tag --json` prints for a file; `path` is the name of the upload."""

    path: str
    seconds: float
    model: str
    kind: Literal["music", "speech", "silence", "noise", "other"]
    first_genre: str | None
    tags: list[TagSchema]
    damaged_packets: int | None = None
    warnings: list[ReasonSchema] | None = None


class ErrorSchema(_Schema):
    """Why a request was not served."""

    error: ReasonSchema


class FailedSongSchema(_Schema):
    """Why a file could not be heard."""

    path: str
    error: ReasonSchema


class BatchSchema(_Schema):
    """A line for each file, in their order."""

    results: list[TaggedSongSchema | FailedSongSchema]


class EmbeddingSchema(_Schema):
    """`embedding`: songs that sound alike have embeddings that point the same way (cosine), where
    both come from one model: the one whose file has that SHA-256.
    """

    path: str
    seconds: float
    model: str
    sha256: str
    embedding: list[float]


class SensitivitySchema(_Schema):
    """`falls[tag][band][time]`: how far the tag's log-odds fall when that region is muted."""

    mel_edges: list[int]
    times: list[float]
    tags: list[str]
    falls: list[list[list[float]]]


class ModelTagSchema(_Schema):
    """`reliability`: ROC-AUC on unseen songs, null where it was not measured."""

    tag: str
    group: str
    meaning: str
    calibrated: bool
    prior: float | None
    reliability: float | None


class ModelSchema(_Schema):
    """The card of a model that is served."""

    name: str
    sha256: str
    description: str
    source: str
    licence: str
    runtime: str
    calibrated: bool
    features: dict[str, str | int | float | None]
    tags: list[ModelTagSchema]


class ModelsSchema(_Schema):
    """The models that are served."""

    models: list[ModelSchema]


class HealthSchema(_Schema):
    """Whether the server works, and how many requests are under way."""

    status: str
    model: str
    under_way: int
    waiting_limit: int
