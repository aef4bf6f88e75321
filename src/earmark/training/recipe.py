"""A recipe: all that decides what a run learns, in one TOML file.

Recipes state what differs from the defaults; each default stands once, here or in the dataclass of
the part that uses it. Unknown keys are refused: a misspelled setting must not pass for a default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earmark.errors import BadRecipe, BadValue
from earmark.features import preset
from earmark.training.augment import Augmentation
from earmark.training.model import CrnnSettings

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    # a fold is a number to who writes it, and text in the store
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Data(_Part):
    """Which songs of the store are learned from, and which only listened to.

    train, valid : splits of the store; "all" trains on every song, an empty `valid` learns without
        validation
    test_fold, valid_fold : for a store whose splits are fold numbers: the fold to leave alone, and
        the one to validate on; all others are learned from. Without valid_fold, none validates.
    targets : a file of targets (see training/targets.py) to learn instead of the store's labels;
        its tags become the network's, and nothing validates
    songs : learn from so many of the training songs only, drawn by the seed; 0 takes all
    held : where the spectrograms are kept: on the "gpu", in "memory", on "disk"; "auto" goes by
        their size
    """

    train: str = "train"
    valid: str = "valid"
    test_fold: int | None = None
    valid_fold: int | None = None
    targets: str | None = None
    songs: int = Field(default=0, ge=0)
    held: Literal["auto", "gpu", "memory", "disk"] = "auto"


class Optimiser(_Part):
    """How each step changes the weights.

    rate : learning rate, the highest of the schedule
    weight_decay : adamw only; of matrices and kernels, not of norms and biases
    schedule : "one-cycle" rises for a `warmup` share of all steps and falls to nothing
        (arXiv:1708.07120); "constant" stays
    body_rate : of the layers that `init` brings, as a share of the rate of the new ones
    clip : largest norm of all gradients together; 0 does not clip
    probe : fit the output layer by logistic regression first, on the network as `init` leaves it,
        with this C (see training/probe.py); 0 does not
    """

    name: Literal["adamw", "adam"] = "adamw"
    rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    warmup: Share = 0.3
    body_rate: Annotated[float, Field(gt=0)] = 1.0
    clip: Annotated[float, Field(ge=0)] = 0.0
    probe: Annotated[float, Field(ge=0)] = 0.0


class Loop(_Part):
    """How long, in what steps, and what is kept.

    batch : clips a step, over all processes together
    patience : stop after so many epochs without a better validation ROC-AUC; 0 never stops early
    average : share that a moving average of the weights keeps at each step; 0 keeps no average.
        With it, the average is what is validated and exported
    precision : "bf16" where hardware multiplies it fast, else "f32"; "auto" sees for itself
    compile : let torch.compile fuse the network first
    checkpoint_minutes, checkpoint_steps : save that often within an epoch, too; 0 does not
    """

    epochs: Count = 30
    batch: Count = 32
    patience: int = Field(default=0, ge=0)
    average: Share = 0.0
    precision: Literal["auto", "bf16", "f32"] = "auto"
    compile: bool = False
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 5.0
    checkpoint_steps: int = Field(default=0, ge=0)
    tensorboard: bool = False


class Recipe(_Part):
    """The whole recipe.

    features : the preset that the store must be made with; None takes any
    init : published weights to start from (of choi2016, its CRNN or CNN, or cs2470; an .h5 file)
    """

    name: str
    features: str | None = None
    seed: int = Field(default=0, ge=0)
    init: str | None = None
    model: CrnnSettings = CrnnSettings()
    data: Data = Data()
    augment: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    loop: Loop = Loop()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.optimiser.probe and self.init is None:
            raise BadValue(
                "optimiser.probe needs init, as a new network has nothing to probe yet. Name "
                "published weights in init, or set optimiser.probe to 0"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON holds it, every default written out."""
        return self.model_dump(mode="json")


def read_recipe(recipe: str | Path, *, changes: Iterable[str] = ()) -> Recipe:
    """A recipe from a TOML file, or the one that earmark brings under that name.

    changes : "key=value" with dots for parts, as in "optimiser.rate=0.003"; a value is TOML, and
        what is no TOML is text

    Raises BadRecipe, which names each key that is wrong.
    """
    path = Path(recipe)
    try:
        values = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe(f"{path} is no TOML: {error}") from error
    for change in changes:
        _apply(values, change)
    return make_recipe({"name": path.stem, **values}, source=str(path))


def make_recipe(values: Mapping[str, Any], *, source: str) -> Recipe:
    """A recipe from its keys; `source` is for messages. Raises BadRecipe."""
    try:
        recipe = Recipe.model_validate(dict(values))
        if recipe.features is not None:
            preset(recipe.features)
    except ValidationError as error:
        raise BadRecipe(f"{source}: {_in_words(error)}") from error
    except BadValue as error:
        raise BadRecipe(f"{source}: {error}") from error
    return recipe


def _text(path: Path) -> str:
    if path.suffix == "" and not path.exists():
        for folder in _folders():
            brought = folder / f"{path.name}.toml"
            if brought.is_file():
                return brought.read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        names = sorted({found.stem for folder in _folders() for found in folder.glob("*.toml")})
        raise BadRecipe(
            f"cannot read the recipe {path} ({reason}). Give a TOML file, or one of: "
            f"{', '.join(names) or 'none here'}"
        ) from error


def _folders() -> list[Path]:
    """Where the recipes that earmark brings may be: in the wheel, and in a checkout."""
    package = Path(str(files("earmark")))
    return [package / "recipes", package.parents[1] / "recipes"]


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *parts, last = key.strip().split(".")
    if not equals or not last:
        raise BadRecipe(f"{change!r} is no change; write key=value, as in optimiser.rate=0.003")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in parts:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise BadRecipe(f"{change!r}: {part} is a value, not a part with keys")
    values[last] = value


def _in_words(error: ValidationError) -> str:
    words = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            words.append(f"unknown key {key!r}")
        elif detail["type"] == "value_error":  # of ours, in a sentence
            words.append(f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"]))
        else:
            words.append(f"{key} is {detail['input']!r}: {detail['msg']}")
    return "; ".join(words)
