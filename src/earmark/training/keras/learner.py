"""One step of learning with Keras, and all that a step changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import torch
from keras import layers
from torch import Tensor

from earmark.training.checkpoint import Arrays
from earmark.training.keras.names import give_weights, take_weights
from earmark.training.keras.network import listen, twin
from earmark.training.keras.optimiser import Adam, Schedule, parts
from earmark.training.learner import kept_share, rate_at
from earmark.training.model import CRNN
from earmark.training.processes import Processes
from earmark.training.recipe import Recipe


class KerasLearner:
    """A Keras network that learns: what a session asks of earmark.training.learner.Learner.

    n_steps : of the whole run, for the schedule
    new : torch's names of the weights that learn at the full rate; None for all
    """

    framework: ClassVar = {
        "name": "keras", "version": keras.__version__, "backend": keras.config.backend()
    }  # fmt: skip

    def __init__(
        self,
        model: CRNN,
        recipe: Recipe,
        *,
        here: Processes,
        n_steps: int,
        new: frozenset[str] | None = None,
    ) -> None:
        assert here.count == 1
        self.network = twin(model, seed=recipe.seed)
        self.steps_done = 0
        self.precision, self.where = "f32", f"by Keras on {keras.config.backend()}"
        self._recipe, self._n_steps = recipe, n_steps
        self._average = self.network.get_weights() if recipe.loop.average else None
        self._averaged = twin(model) if recipe.loop.average else None
        optimiser = Adam(
            parts(self.network, recipe, new),
            learning_rate=Schedule(n_steps, recipe.optimiser.model_dump()),
            clip=recipe.optimiser.clip or None,
        )
        self.network.compile(
            optimiser,
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=recipe.loop.compile or "auto",
        )
        optimiser.build(self.network.trainable_variables)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_at(self.steps_done, self._n_steps, self._recipe.optimiser)

    @property
    def result(self) -> keras.Model:
        """The network to keep: with the average of the weights where there is one."""
        if self._averaged is None:
            return self.network
        self._averaged.set_weights(self._average)
        return self._averaged

    def listen(self, clips: Tensor) -> Tensor:
        """Logits (batch, n_tags) of clips, from the weights to keep."""
        return torch.from_numpy(listen(self.result, clips.numpy()))

    def weights(self) -> Arrays:
        """The weights to keep, by torch's names."""
        return take_weights(self.result, self._recipe.model)

    def stepped(self, network: Callable[[], keras.Model]) -> None:
        """Count a step, and take it into the average; `network` gives ours as it is now."""
        self.steps_done += 1
        if self._average is not None:
            keep = np.float32(kept_share(self._recipe.loop.average, self.steps_done))
            both = zip(self._average, network().get_weights(), strict=True)
            self._average = [value + keep * (mean - value) for mean, value in both]

    def arrays(self) -> Arrays:
        """All that a step changes, by name."""
        arrays = take_weights(self.network, self._recipe.model)
        arrays |= {f"keras.{name}": np.asarray(variable) for name, variable in self._others()}
        for number, value in enumerate(self._average or ()):
            arrays[f"average.{number}"] = value
        return arrays

    def load(self, arrays: Arrays, *, steps_done: int) -> None:
        """Go back to what `arrays` gave after so many steps."""
        state = {name.removeprefix("model."): array for name, array in arrays.items()}
        give_weights(self.network, self._recipe.model, state)
        for name, variable in self._others():
            variable.assign(arrays[f"keras.{name}"])
        if self._average is not None:
            self._average = [arrays[f"average.{n}"] for n in range(len(self._average))]
        self.steps_done = steps_done

    def _others(self) -> list[tuple[str, Any]]:
        """The optimiser's variables and the dropouts' generators."""
        dropouts = [one for one in self.network.layers if isinstance(one, layers.Dropout)]
        seeds = [dropout.seed_generator.state for dropout in dropouts if dropout.rate]
        named = [("optimiser", self.network.optimizer.variables), ("seed", seeds)]
        return [(f"{kind}.{n}", one) for kind, many in named for n, one in enumerate(many)]
