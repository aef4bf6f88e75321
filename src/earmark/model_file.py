"""The model file: an ONNX graph from log-mel to logits, with the model's card in its metadata.

Graph: input "log_mel" float32 (batch, n_mels, n_frames), dB as the card's features make it; outputs
"logits" float32 (batch, n_tags) and "embedding" float32 (batch, n_dimensions).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.errors import BadModel, BadValue, ModelNotFound
from earmark.features import LogMel
from earmark.files import parse_json, write_bytes
from earmark.onnx_file import load_onnx, metadata_in

if TYPE_CHECKING:
    import onnx

Float = TypeVar("Float", np.float32, np.float64)

Pooling = Literal["logits", "scores"]

FORMAT_VERSION = 1
INPUT, LOGITS, EMBEDDING = "log_mel", "logits", "embedding"
_CARD_KEY = "earmark"  # the one metadata property that holds the card as JSON


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities: sigmoid(scale * logit + offset), tag by tag (Platt 1999).

    scale, offset : one number a tag
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Card:
    """The card of a model: what its file says about it.

    tags : what each column of the logits means
    features : the spectrogram that the model was trained on
    priors : share of songs that carry each tag, in (0, 1), where the tags were learned; None where
        nobody says it
    calibration : None where logits are taken as they are
    reliability : ROC-AUC of each tag on songs the model never saw; None where it was not measured
    training : a record of how the weights came to be; empty where unknown
    pooling : what is averaged over the windows of a track: their logits or their scores
    """

    name: str
    tags: tuple[str, ...]
    features: LogMel
    priors: tuple[float, ...] | None
    source: str
    licence: str
    description: str = ""
    calibration: Calibration | None = None
    reliability: tuple[float | None, ...] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    pooling: Pooling = "logits"

    def __post_init__(self) -> None:
        """Refuse a card whose columns do not match its tags."""
        n_tags = len(self.tags)
        if n_tags == 0 or len(set(self.tags)) != n_tags:
            raise BadValue("a model needs at least one tag, and each tag only once")
        columns: dict[str, Any] = {"priors": self.priors, "reliability": self.reliability}
        if self.calibration is not None:
            columns |= dataclasses.asdict(self.calibration)
        for name, values in columns.items():
            if values is not None and len(values) != n_tags:
                raise BadValue(f"{len(values)} {name} for {n_tags} tags")
        texts = (self.name, self.source, self.licence, self.description, *self.tags)
        if not all(isinstance(text, str) for text in texts):
            raise BadValue("name, source, licence, description and tags must be texts")
        if not all(0 < prior < 1 for prior in self.priors or ()):
            raise BadValue("each prior is a share of songs: it must be above 0 and below 1")
        if not all(0 <= auc <= 1 for auc in self.reliability or () if auc is not None):
            raise BadValue("each reliability is a ROC-AUC: it must be from 0 to 1, or null")
        fitted = self.calibration
        if fitted and not all(map(math.isfinite, (*fitted.scale, *fitted.offset))):
            raise BadValue("the calibration holds values that are not numbers")
        if not isinstance(self.training, Mapping):
            raise BadValue("the record of the training must be a table of names")
        if self.pooling not in get_args(Pooling):
            raise BadValue(f"pooling {self.pooling!r}; choose {' or '.join(get_args(Pooling))}")

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON holds it; pooling, which came later, where it is not the default."""
        values = dataclasses.asdict(self) | {"features": self.features.to_dict()}
        if self.pooling == "logits":
            del values["pooling"]
        return values

    def to_json(self) -> str:
        """The card as the model file holds it."""
        return json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """A card from a model file's metadata.

        Raises BadModel for another format version and for text that is not a card.
        """
        try:
            values = parse_json(text)
            version = values["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadModel(
                f"the model's card cannot be read ({error}). Fetch or make the model again"
            ) from error
        if version != FORMAT_VERSION:
            raise BadModel(
                f"the model file has format version {version}; this earmark reads version "
                f"{FORMAT_VERSION}. Update earmark, or convert the model again."
            )
        try:
            calibration, reliability = values["calibration"], values["reliability"]
            priors = values["priors"]
            return cls(
                **values
                | {
                    "tags": tuple(values["tags"]),
                    "features": LogMel.from_dict(values["features"]),
                    "priors": None if priors is None else _numbers(priors),
                    "reliability": None if reliability is None else tuple(reliability),
                    "calibration": calibration
                    and Calibration(*(_numbers(calibration[key]) for key in ("scale", "offset"))),
                }
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadModel(
                f"the model's card is damaged ({error}). Fetch or make the model again"
            ) from error

    def is_calibrated(self, column: int) -> bool:
        """Whether the scores of a tag were fitted to labels; a scale of 1 and no offset is not."""
        fitted = self.calibration
        return fitted is not None and (fitted.scale[column], fitted.offset[column]) != (1.0, 0.0)

    def log_odds(self, logits: Float32Array) -> Float32Array:
        """Logits, calibrated where the card says how; float32, same shape."""
        if self.calibration is None:
            return logits
        scale, offset = (
            np.asarray(values, dtype=np.float32)
            for values in (self.calibration.scale, self.calibration.offset)
        )
        return np.asarray(logits * scale + offset, dtype=np.float32)

    def scores(self, logits: Float32Array) -> Float32Array:
        """Probabilities from logits, calibrated where the card says how.

        logits : float32 (..., n_tags)
        returns : float32, same shape, in [0, 1]
        """
        return sigmoid(self.log_odds(logits))


def sigmoid(logits: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Probabilities of log-odds, in [0, 1], in their own precision."""
    # without the overflow of exp
    scores: npt.NDArray[Float] = 0.5 * (1 + np.tanh(0.5 * logits))
    return scores


def write_model(path: str | Path, graph: onnx.ModelProto, card: Card) -> None:
    """Write one model file atomically; the same graph and card give the same bytes.

    Raises BadModel when the graph is not what the card and the contract say, MissingExtra without
    onnx.
    """
    onnx = load_onnx()
    onnx.checker.check_model(graph)
    outputs = {output.name: output.type.tensor_type.shape.dim for output in graph.graph.output}
    inputs = {tensor.name: tensor.type.tensor_type.shape.dim for tensor in graph.graph.input}
    if inputs.keys() != {INPUT} or outputs.keys() != {LOGITS, EMBEDDING}:
        raise BadModel(
            f"the graph maps {sorted(inputs)} to {sorted(outputs)}; it should map {INPUT} to "
            f"{LOGITS} and {EMBEDDING}"
        )
    if outputs[LOGITS][1].dim_value != len(card.tags):
        raise BadModel(
            f"{outputs[LOGITS][1].dim_value} logits for {len(card.tags)} tags; each tag needs one"
        )
    shape = tuple(size.dim_value for size in inputs[INPUT][1:])
    expected = (card.features.n_mels, card.features.n_frames)
    if shape != expected:
        raise BadModel(
            f"the graph takes spectrograms of shape {shape}, but the features "
            f"{card.features.name} make {expected}"
        )
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    onnx.helper.set_model_props(model, {_CARD_KEY: card.to_json()})
    write_bytes(path, model.SerializeToString(deterministic=True))


def read_card(path: str | Path) -> Card:
    """The card of a model file. Raises ModelNotFound and BadModel."""
    return card_in(path, read_bytes(path))


def card_in(path: str | Path, data: bytes) -> Card:
    """The card in the bytes of a model file; the path is for messages. Raises BadModel."""
    try:
        metadata = metadata_in(data)
    except ValueError as error:
        raise BadModel(_not_ours(path, "it is not an ONNX file, or is incomplete")) from error
    return card_of(path, metadata)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a model file. Raises ModelNotFound, with what to do, where there is none."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelNotFound(
            f"cannot read the model {path} ({error.strerror}). `earmark models list` shows the "
            "models that earmark knows."
        ) from error


def card_of(path: str | Path, metadata: Mapping[str, str]) -> Card:
    """The card in the metadata of an ONNX file. Raises BadModel where there is none."""
    if _CARD_KEY not in metadata:
        raise BadModel(_not_ours(path, "it has no earmark card"))
    return Card.from_json(metadata[_CARD_KEY])


def _numbers(values: list[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _not_ours(path: str | Path, why: str) -> str:
    return (
        f"{path} is not an earmark model: {why}. Published weights become one with "
        "`earmark models import`."
    )
