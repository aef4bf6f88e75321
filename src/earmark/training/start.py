"""Weights to start from, and the network that takes them over.

They come from a name (choi2016, choi2016-cnn, cs2470), from the .h5 file of one of these, from a
run of earmark's, or from a model file that earmark trained. A model file has its norms folded into
the convolutions: they are measured anew on the songs to learn from, and the network scores as the
file does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from earmark import zoo
from earmark.errors import BadModel, BadRecipe, ModelError, ModelNotFound
from earmark.features import PRESETS
from earmark.model_file import card_in, read_bytes
from earmark.published.keras_file import SIGNATURE
from earmark.tags import MSD_50, msd_50_priors
from earmark.training.checkpoint import Arrays, read_checkpoint
from earmark.training.export.from_graph import from_model_file
from earmark.training.model import CRNN
from earmark.training.recipe import read_recipe
from earmark.training.run_folder import BEST, RECORD, read_record
from earmark.training.start_published import read_published
from earmark.training.task import Task

NAMES = ("choi2016", "choi2016-cnn", "cs2470")
_WHAT = (
    f"Give init a name ({', '.join(NAMES)}), the .h5 file of one of these, a run of earmark's (its "
    "folder or its best.npz), or a model file that earmark trained"
)
_MOST_CLIPS = 512  # that norms are measured on


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights to start from.

    fit : what they fit, for messages
    tags : their outputs
    standardise : (mean, deviation) in dB that they were trained with
    state : by the names of the network's state
    folded : whether their norms are folded into the convolutions
    """

    fit: str
    tags: tuple[str, ...]
    standardise: tuple[float, float]
    state: Arrays
    folded: bool = False


@dataclass(frozen=True)
class Started:
    """How a network has started.

    new : the names of the parameters that have no weights from before
    folded : whether its norms must be measured first, by `measure_norms`
    """

    new: frozenset[str]
    folded: bool


def weights_file(init: str | Path) -> Path:
    """The file of the weights that `init` names; those with a name are fetched where needed.

    Raises ModelNotFound, BadRecipe for a name whose network cannot learn on, and DownloadFailed.
    """
    path = Path(init)
    if path.is_dir() and (path / RECORD).is_file():
        if not (path / BEST).is_file():
            raise ModelNotFound(
                f"the run to start from, {path}, has no weights yet: its first epoch is not "
                "finished. Resume it first"
            )
        return path / BEST
    if path.is_file():
        return path
    if str(init) in NAMES:
        return zoo.fetch(str(init))
    if str(init) in zoo.names():
        raise BadRecipe(
            f"init is {init}, whose network is of another kind than those that learn on here. "
            f"{_WHAT}; to use what {init} hears, fit an output layer to it with `earmark probe`"
        )
    raise ModelNotFound(f"the weights to start from, {init}, are not there. {_WHAT}")


def start_from(
    model: nn.Module, init: str | Path, *, tags: Sequence[str], standardise: tuple[float, float]
) -> Started:
    """Give a network the weights that `init` names.

    tags, standardise : of the network's task

    The output layer is taken over where the tags are those of the weights; else it stays new.

    Raises ModelNotFound, BadModel, DataError, and BadRecipe for a network of another shape.
    """
    path = weights_file(init)
    weights = _read(path)
    if not np.allclose(standardise, weights.standardise, rtol=1e-5, atol=1e-4):
        mean, deviation = weights.standardise
        raise BadRecipe(
            f"the weights in {path} were trained with model.standardise = "
            f"[{mean:g}, {deviation:g}], and this recipe has {list(standardise)}. Use {weights.fit}"
        )
    state, own = weights.state, model.state_dict()
    parameters = {name for name, _ in model.named_parameters()}
    outputs = _outputs(model, n_tags=len(tags))
    if tuple(tags) != weights.tags or any(
        state[name].shape != own[name].shape for name in outputs & state.keys()
    ):
        state = {name: value for name, value in state.items() if name not in outputs}
    may_be_new = outputs
    if isinstance(model, CRNN) and not any(name.startswith("recurrent.") for name in state):
        # the CNN has no recurrent part: one behind its blocks is new
        may_be_new = outputs | {name for name in parameters if name.startswith("recurrent.")}
    wrong = [
        f"{name} is {tuple(own[name].shape) if name in own else 'not there'}, not {value.shape}"
        for name, value in state.items()
        if name not in own or own[name].shape != value.shape
    ]
    wrong += [
        f"{name} is not in the weights" for name in sorted(parameters - state.keys() - may_be_new)
    ]
    if wrong:
        raise BadRecipe(
            f"the weights in {path} do not fit the network of this recipe ({'; '.join(wrong[:3])}"
            f"{'; ...' if wrong[3:] else ''}). Use {weights.fit}"
        )
    loaded = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
    model.load_state_dict(own | loaded)
    return Started(frozenset(parameters - state.keys()), weights.folded)


def measure_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give each batch norm the mean and variance of what reaches it; the network scores as before.

    batches : clips on the device of the model; up to 512 are heard

    Folded norms have a mean of 0 and a variance of 1. Learning takes those of each batch instead,
    which would change what the network does at its first step.
    """
    norms = [
        module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    sums: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].transpose(0, 1).flatten(1)  # (channels, all else)
        variance, mean = (one.double() for one in torch.var_mean(x, dim=1, correction=0))
        sums[norm].append(
            x.shape[1] * torch.stack([mean, variance + mean**2, torch.ones_like(mean)])
        )

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    n_clips = 0
    with torch.inference_mode():
        model.eval()
        for clips in batches:
            model(clips)
            n_clips += len(clips)
            if n_clips >= _MOST_CLIPS:
                break
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for norm in norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            total, squares, n = torch.stack(sums[norm]).sum(0)
            mean = total / n
            variance = (squares / n - mean.square()).clamp_min(0)
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.bias.add_(scale * (mean - norm.running_mean))
            norm.weight.copy_(scale * (variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


def published_network(path: str | Path) -> CRNN:
    """The network of a file of published weights, or of their name, in evaluation mode.

    Raises ModelNotFound, BadModel, and what `zoo.fetch` raises.
    """
    file = weights_file(path)
    recipe = read_recipe(read_published(file).recipe)
    assert recipe.features is not None
    assert recipe.model.standardise is not None
    priors = tuple(float(prior) for prior in msd_50_priors())
    task = Task(MSD_50, PRESETS[recipe.features], priors, recipe.model.standardise)
    model = task.network(recipe)
    start_from(model, file, tags=MSD_50, standardise=task.standardise)
    return model.eval()


def _outputs(model: nn.Module, *, n_tags: int) -> set[str]:
    """The names of the parameters that stand for the tags; in another network, by their width."""
    named = list(model.named_parameters())
    if isinstance(model, CRNN):
        return {name for name, _ in named if name.startswith("output.")}
    return {name for name, value in named if value.shape[:1] == (n_tags,)}


def _read(path: Path) -> _Weights:
    with path.open("rb") as file:
        start = file.read(len(SIGNATURE))
    if start == SIGNATURE:
        found = read_published(path)
        fit = f"the [model] of the recipe {found.recipe}"
        return _Weights(fit, MSD_50, found.standardise, found.state)
    if path.suffix == ".npz":
        return _of_run(path)
    return _of_model_file(path)


def _of_run(path: Path) -> _Weights:
    arrays, _ = read_checkpoint(path)
    record = read_record(path.parent)
    task = Task.from_dict(record["task"])
    prefix = "model."
    state = {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
    fit = f"the network and model.standardise of that run, which {path.parent / RECORD} holds"
    return _Weights(fit, task.tags, task.standardise, state)


def _of_model_file(path: Path) -> _Weights:
    try:
        card = card_in(path, read_bytes(path))
    except ModelError as error:
        raise BadModel(f"{path} holds no weights to start from ({error}). {_WHAT}") from error
    if "recipe" not in card.training:
        raise BadModel(
            f"{path} is a model file, but its card has no recipe: earmark did not train it with "
            f"`earmark train`. {_WHAT}"
        )
    model = from_model_file(path)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    fit = "the [model] of the recipe in its card (earmark models info FILE --json)"
    return _Weights(fit, card.tags, (model.mean, model.deviation), state, folded=True)
