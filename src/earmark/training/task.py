"""The task of a network: its tags, features and priors, which the data decides, not the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from earmark.arrays import Int64Array
from earmark.data.store.reader import Store
from earmark.errors import BadRecipe, BadStore, BadValue
from earmark.features import LogMel, preset
from earmark.training.model import CRNN
from earmark.training.recipe import Recipe
from earmark.training.seeds import generator, seed_torch
from earmark.training.songs import TrainingSongs, priors

_SONGS_MEASURED = 512  # enough for mean and deviation


@dataclass(frozen=True)
class Task:
    """What a network predicts, and what it gets.

    tags : the outputs, in order; priors : the share of training songs with each
    standardise : (mean, deviation) in dB of the input
    """

    tags: tuple[str, ...]
    features: LogMel
    priors: tuple[float, ...]
    standardise: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON holds it."""
        return {
            "tags": list(self.tags),
            "features": self.features.to_dict(),
            "priors": list(self.priors),
            "standardise": list(self.standardise),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Task:
        """A task from JSON; KeyError or TypeError where keys are missing or wrong."""
        mean, deviation = values["standardise"]
        return cls(
            tuple(values["tags"]),
            LogMel.from_dict(values["features"]),
            tuple(values["priors"]),
            (float(mean), float(deviation)),
        )

    def network(self, recipe: Recipe) -> CRNN:
        """The CRNN of a recipe's [model]; its output biases give every song the priors at first.

        Raises BadRecipe where the spectrograms are too small for the pools.
        """
        seed_torch(generator(recipe.seed, "weights"))
        try:
            model = CRNN(
                recipe.model,
                n_tags=len(self.tags),
                n_mels=self.features.n_mels,
                n_frames=self.features.n_frames,
                standardise=self.standardise,
            )
        except BadValue as error:
            raise BadRecipe(f"{recipe.name}: {error}") from error
        with torch.no_grad():
            model.output.bias.copy_(torch.logit(torch.tensor(self.priors)))
        return model


def make_task(recipe: Recipe, store: Store, songs: TrainingSongs) -> Task:
    """The task of a recipe on the songs of a store.

    Raises FeatureMismatch for a store of other features than the recipe's, and BadRecipe.
    """
    features = store.settings
    if recipe.features is not None:
        preset(recipe.features).require(features, what="the store")
    _check_crop(recipe, features)
    standardise = recipe.model.standardise or measure(store, songs.train, seed=recipe.seed)
    shares = tuple(float(share) for share in priors(songs.train_labels))
    return Task(songs.tags, features, shares, standardise)


def measure(store: Store, indices: Int64Array, *, seed: int) -> tuple[float, float]:
    """(mean, deviation) in dB of up to 512 of these songs, rounded to 0.001 dB.

    Raises BadStore where all values are the same, as in silence.
    """
    chosen = np.sort(generator(seed, "measure").permutation(indices)[:_SONGS_MEASURED])
    total = squares = 0.0
    n = 0
    for first in range(0, len(chosen), 64):
        clips = store.log_mels(chosen[first : first + 64]).astype(np.float64)
        total, squares, n = total + clips.sum(), squares + (clips**2).sum(), n + clips.size
    mean = total / n
    deviation = float(np.sqrt(max(squares / n - mean**2, 0)))
    if not deviation > 1e-3:
        raise BadStore(
            f"all values of the spectrograms are the same ({mean:.1f} dB), as those of silence. "
            "Check the audio that the store was made from"
        )
    return round(float(mean), 3), round(deviation, 3)


def _check_crop(recipe: Recipe, features: LogMel) -> None:
    crop, model = recipe.augment.crop_frames, recipe.model
    if crop >= features.n_frames and crop:
        raise BadRecipe(
            f"augment.crop_frames is {crop}, but clips have {features.n_frames} frames. Set fewer, "
            "or 0 for whole clips"
        )
    if recipe.network is not None:
        return  # whether it takes crops is its own affair
    if crop and model.input_norm == "frame":
        raise BadRecipe(
            'augment.crop_frames cannot be used with model.input_norm = "frame". Set '
            'model.input_norm to "channel" or "none"'
        )
    if crop and model.recurrent == "none" and model.summary == "flatten":
        raise BadRecipe(
            'augment.crop_frames cannot be used with model.summary = "flatten". Set model.summary '
            'to "mean" or "max"'
        )
    if crop and min(model.size_after_pools(features.n_mels, crop)) < 1:
        raise BadRecipe(
            f"augment.crop_frames is {crop}, which the pools of the model reduce to no frame at "
            "all. Set more frames, or smaller model.pools"
        )
