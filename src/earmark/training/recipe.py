"""A recipe: all settings that decide what a run learns, in one TOML file.

A recipe states what differs from the defaults; each default stands once, here or in the dataclass
of the part that uses it. Unknown keys are refused, as a misspelled key must not act as a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from earmark.errors import BadRecipe, BadValue
from earmark.features import preset
from earmark.files import parse_toml
from earmark.training.augment import Augmentation
from earmark.training.model import CrnnSettings

# The recipes that were called otherwise before.
_RENAMED = {"default": "cnn-gru", "shipped": "cnn-gru"}

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Held = Literal["auto", "gpu", "memory", "disk"]


class _Section(BaseModel):
    # folds are numbers in a recipe, and text in the store
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Data(_Section):
    """Which songs of the store a run learns from, and which it validates on.

    train : the split to learn from; "all" is every song of the store
    valid : the split to validate on; empty, there is no validation
    test_fold : for a store whose splits are fold numbers: the fold that is not used; all others
        but valid_fold are learned from
    valid_fold : of such a store: the fold to validate on; without it there is no validation
    targets : a file of targets (see training/targets.py) to learn instead of the store's labels;
        its tags become those of the network, and there is no validation. "labels" learns the
        labels, as without it; empty, it must be set before the recipe can run
    songs : learn from so many of the training songs only, drawn by the seed; 0 takes all. Fewer
        are always a part of more
    artists : a catalog (Parquet or CSV) that says of whom each song is; then the `songs` are drawn
        artist by artist, all of one before the next
    held : where the spectrograms are held: "gpu", "memory" or "disk"; "auto" decides by their size
    """

    train: str = "train"
    valid: str = "valid"
    test_fold: int | None = None
    valid_fold: int | None = None
    targets: str | None = None
    songs: int = Field(default=0, ge=0)
    artists: str | None = None
    held: Held = "auto"

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: str | None) -> str | None:
        if targets == "":
            raise BadValue(
                "data.targets names no file of teachers' scores. Name one with "
                "--set data.targets=FILE, or learn the labels of the store with "
                "--set data.targets=labels"
            )
        return None if targets == "labels" else targets


class Loss(_Section):
    """What a step makes smaller.

    name : "bce" (binary cross entropy), "focal" (arXiv:1708.02002), or the dotted path of a
        function of logits and labels, both (batch, n_tags), to the error of each, same shape
    gamma : of focal: the higher, the less a right score counts
    positives : songs with a tag count as much as those without it, "equal"; in total as much as
        those, "balanced"; or between both, "root"
    weights : how much tags count, by name, as in weights = { jazz = 2.0 }; the others count 1
    """

    name: str = "bce"
    gamma: Annotated[float, Field(ge=0)] = 2.0
    positives: Literal["equal", "root", "balanced"] = "equal"
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}


class Optimiser(_Section):
    """How each step changes the weights.

    name : of the optimiser
    rate : learning rate, the highest of the schedule
    weight_decay : with adamw, of matrices and kernels, not of norms and biases
    schedule : "one-cycle" rises for a `warmup` share of all steps and falls to nearly 0
        (arXiv:1708.07120); "constant" stays
    warmup : share of the steps that the schedule rises for
    body_rate : the rate of the layers that `init` gives weights to, as a share of `rate`
    clip : largest norm of all gradients together; 0 does not clip
    probe : fit the output layer first, by logistic regression with this C (see training/probe.py);
        0 does not
    """

    name: Literal["adamw", "adam"] = "adamw"
    rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    warmup: Share = 0.3
    body_rate: Annotated[float, Field(gt=0)] = 1.0
    clip: Annotated[float, Field(ge=0)] = 0.0
    probe: Annotated[float, Field(ge=0)] = 0.0


class Loop(_Section):
    """How long a run learns, in what steps, and what it saves.

    epochs : passes over the training songs
    batch : clips a step, over all processes together
    patience : stop after so many epochs without a better validation ROC-AUC; 0 never stops early
    average : share that a moving average of the weights keeps at each step, which is then what is
        validated and exported; 0 keeps no average
    accumulate : parts that each batch is computed in, one after the other, where a whole one does
        not fit into memory; but for batch norms, which see one part at a time, it learns the same
    precision : "bf16", "f16" or "f32"; "auto" is bf16 where the hardware multiplies it fast, else
        f32. "f16" is for older GPUs; its gradients are scaled, and a step whose gradients are not
        finite is left out
    compile : let torch.compile fuse the network first
    checkpoint_minutes : also save after so many minutes within an epoch; 0 does not
    checkpoint_steps : also save after so many steps within an epoch; 0 does not
    tensorboard : write TensorBoard's files, too
    tensorboard_steps : give TensorBoard the loss that often within an epoch; 0 does not
    """

    epochs: Count = 30
    batch: Count = 32
    patience: int = Field(default=0, ge=0)
    average: Share = 0.0
    accumulate: Count = 1
    precision: Literal["auto", "bf16", "f16", "f32"] = "auto"
    compile: bool = False
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 5.0
    checkpoint_steps: int = Field(default=0, ge=0)
    tensorboard: bool = False
    tensorboard_steps: int = Field(default=50, ge=0)


class Recipe(_Section):
    """The whole recipe.

    name : of the recipe, by default the file's
    seed : what everything random in it is drawn by
    features : the preset that the store must be made with; None takes any
    init : weights to start from: a name (choi2016, choi2016-cnn, cs2470), their .h5 file, a run of
        earmark's (its folder or its best.npz), or a model file that earmark trained
    network : the dotted path of a function that makes the network instead of [model] (see
        training/own_network.py)
    network_settings : what that function is called with, by name, beside the task
    """

    name: str
    features: str | None = None
    seed: int = Field(default=0, ge=0)
    init: str | None = None
    network: str | None = None
    network_settings: dict[str, Any] = {}
    model: CrnnSettings = CrnnSettings()
    data: Data = Data()
    augment: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    loop: Loop = Loop()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.network_settings and self.network is None:
            raise BadValue(
                "network_settings are for the function that network names, and it names none. Set "
                "network, or leave network_settings out"
            )
        if self.network is not None and self.optimiser.probe:
            raise BadValue(
                "optimiser.probe fits the output layer of earmark's own network, and network names "
                "another one. Set optimiser.probe to 0"
            )
        if self.loop.batch % self.loop.accumulate:
            raise BadValue(
                f"loop.batch is {self.loop.batch}, which {self.loop.accumulate} parts cannot share."
                f" Set loop.accumulate to a divisor of it"
            )
        if self.optimiser.probe and self.init is None:
            raise BadValue(
                "optimiser.probe needs init, as it fits the output layer to features that were "
                "learned before. Set init to a file of published weights, or optimiser.probe to 0"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON holds it, defaults included."""
        return self.model_dump(mode="json")


def read_recipe(recipe: str | Path, *, changes: Iterable[str] = ()) -> Recipe:
    """A recipe from a TOML file, or one of earmark's own by its name.

    changes : "section.key=value", as in "optimiser.rate=0.003"; a value that is not valid TOML is
        taken as text

    Raises BadRecipe, which names each key that is wrong.
    """
    path = Path(recipe)
    try:
        values = parse_toml(_text(path))
    except ValueError as error:
        raise BadRecipe(f"{path} is not valid TOML: {error}. Correct it there") from error
    for change in changes:
        _apply(values, change)
    return make_recipe({"name": path.stem, **values}, source=str(path))


def make_recipe(values: Mapping[str, Any], *, source: str) -> Recipe:
    """A recipe from its keys; messages name `source`. Raises BadRecipe."""
    try:
        recipe = Recipe.model_validate(dict(values))
        if recipe.features is not None:
            preset(recipe.features)
    except ValidationError as error:
        raise BadRecipe(f"{source}: {_message(error)}") from error
    except BadValue as error:
        raise BadRecipe(f"{source}: {error}") from error
    return recipe


def _text(path: Path) -> str:
    if path.suffix == "" and not path.exists():
        if path.name in _RENAMED:
            raise BadRecipe(
                f"the recipe {path} is called {_RENAMED[path.name]} now. Give that name instead"
            )
        for folder in _folders():
            own = folder / f"{path.name}.toml"
            if own.is_file():
                return own.read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        names = sorted({found.stem for folder in _folders() for found in folder.glob("*.toml")})
        raise BadRecipe(
            f"cannot read the recipe {path} ({reason}). Give a TOML file, or one of earmark's own: "
            f"{', '.join(names) or 'none are installed'}"
        ) from error


def _folders() -> list[Path]:
    """Where earmark's own recipes may be: in the wheel, and in a checkout."""
    package = Path(str(files("earmark")))
    return [package / "recipes", package.parents[1] / "recipes"]


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not last:
        raise BadRecipe(
            f"cannot read the change {change!r}. Write key=value, as in optimiser.rate=0.003"
        )
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise BadRecipe(
                f"{change!r}: {section} is a value, so it has no keys. Set {section} itself"
            )
    values[last] = value


def _message(error: ValidationError) -> str:
    messages = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            messages.append(f"unknown key {key!r}")
        elif detail["type"] == "value_error":  # of our own checks
            messages.append(
                f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"])
            )
        else:
            messages.append(f"{key} is {detail['input']!r}: {detail['msg']}")
    return "; ".join(messages)
