"""The optimiser and the learning rates of the torch learner, in Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from earmark.training.keras.weights import variables
from earmark.training.learner import rate_at
from earmark.training.recipe import Optimiser, Recipe


@keras.saving.register_keras_serializable(package="earmark", name="Schedule")
class RecipeSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of each step, as earmark.training.learner computes it.

    n_steps : of the whole run; settings : of the optimiser
    """

    def __init__(self, n_steps: int, settings: dict[str, Any]) -> None:
        super().__init__()
        self._config = {"n_steps": n_steps, "settings": settings}
        optimiser = Optimiser(**settings)
        rates = [rate_at(step, n_steps, optimiser) for step in range(n_steps)]
        self._rates = np.array(rates, dtype=np.float32)

    def __call__(self, step: Any) -> Any:
        """The rate, a scalar of Keras's backend."""
        last = len(self._rates) - 1
        return ops.take(self._rates, ops.minimum(ops.cast(step, "int32"), last))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same again."""
        return self._config


@keras.saving.register_keras_serializable(package="earmark", name="Adam")
class AdamByWeight(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam as torch computes it, with a share of the rate and a decay for each weight.

    parts : (share, decay) by the path of a variable; the decay is decoupled, as in AdamW
    clip : largest norm of all gradients together; None does not clip
    """

    def __init__(
        self, parts: dict[str, tuple[float, float]], *, learning_rate: Any, clip: float | None
    ) -> None:
        super().__init__(learning_rate, epsilon=1e-8, global_clipnorm=clip)
        self._parts = parts

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight."""
        share, decay = self._parts[variable.path]
        if decay:
            self.assign_sub(variable, variable * (learning_rate * (share * decay)))
        super().update_step(gradient, variable, learning_rate * share)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same again."""
        rate = super().get_config()["learning_rate"]
        return {"parts": self._parts, "learning_rate": rate, "clip": self.global_clipnorm}


def parts(
    network: keras.Model, recipe: Recipe, new: frozenset[str] | None
) -> dict[str, tuple[float, float]]:
    """The share of the rate and the decay of each weight, by path."""
    settings = recipe.optimiser
    parts = {}
    for name, variable in variables(network, recipe.model).items():
        share = settings.body_rate if new is not None and name not in new else 1.0
        decays = settings.name == "adamw" and variable.name not in ("gamma", "beta", "bias")
        parts[variable.path] = share, settings.weight_decay if decays else 0.0
    return parts
