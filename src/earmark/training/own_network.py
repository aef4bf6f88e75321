"""A network of the user's own in place of the CRNN: what the recipe's `network` function makes.

    # networks.py, beside the recipe that says: network = "networks.short_chunk"
    def short_chunk(task, *, width=64):
        return ShortChunk(len(task.tags), task.features.n_mels, *task.standardise, width)

The function gets the task (tags, features, priors, standardise: mean and deviation in dB) and the
recipe's `network_settings`, and returns a torch module from log-mel (batch, n_mels, n_frames), dB,
to logits (batch, n_tags). Where the module has a method `embed`, from log-mel to (batch, n), that
is the embedding of the model file, else the logits are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from earmark.errors import BadRecipe
from earmark.training.own_code import find_function
from earmark.training.recipe import Recipe
from earmark.training.seeds import generator, seed_torch
from earmark.training.task import Task


def make_network(recipe: Recipe, task: Task) -> nn.Module:
    """The network of a recipe: the CRNN of its [model], or what the function makes that it names.

    Its first weights are drawn by the recipe's seed. Raises BadRecipe.
    """
    if recipe.network is None:
        return task.network(recipe)
    seed_torch(generator(recipe.seed, "weights"))
    return _made(recipe.network, task, recipe.network_settings)


def _made(path: str, task: Task, settings: Mapping[str, Any]) -> nn.Module:
    """The network that the function makes, tried on two clips.

    Raises BadRecipe for what is not a module, and for one whose logits have another shape.
    """
    function = find_function(path, key="network")
    try:
        model = function(task, **settings)
    except TypeError as error:
        raise BadRecipe(
            f"network is {path!r}, which cannot be called with the task and network_settings = "
            f"{dict(settings)} ({error}). Correct its arguments, or the settings"
        ) from error
    if not isinstance(model, nn.Module):
        raise BadRecipe(
            f"network is {path!r}, which returns {type(model).__name__}. It must return a "
            "torch.nn.Module"
        )
    features = task.features
    clips = torch.full((2, features.n_mels, features.n_frames), task.standardise[0])
    with torch.inference_mode():
        logits = model.eval()(clips)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, len(task.tags)):
        given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadRecipe(
            f"network is {path!r}, whose network returns {given} for two clips of shape "
            f"{tuple(clips.shape[1:])}. It must return logits of shape (2, {len(task.tags)})"
        )
    return model
