"""Learning with Keras: its fit over the batches of a run, and all that a step changes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import torch
from keras import layers
from torch import Tensor, nn

from earmark.arrays import Float32Array
from earmark.errors import BadRecipe
from earmark.training.batches import Batches
from earmark.training.checkpoint import Arrays
from earmark.training.keras.network import predict, save, twin
from earmark.training.keras.optimiser import AdamByWeight, RecipeSchedule, parts
from earmark.training.keras.weights import give_weights, take_weights
from earmark.training.learner import kept_share, rate_at
from earmark.training.model import CRNN
from earmark.training.processes import Processes, check_alone
from earmark.training.recipe import Loss, Recipe
from earmark.training.task import Task

LAST, BEST = "last.keras", "best.keras"
HALVES = ("bf16", "f16")
_SLOWER = "4 to 6"  # on processors: Keras computes norms and dropout in many passes over memory


class KerasLearner:
    """A Keras network, its optimiser, the moving average of its weights, and its steps so far.

    The Backend of Keras (training/backend.py).

    n_steps : of the whole run, for the schedule
    new : torch's names of the weights that learn at the full rate; None for all
    """

    framework: ClassVar[Mapping[str, str]] = {
        "name": "keras", "version": keras.__version__, "backend": keras.config.backend()
    }  # fmt: skip

    @staticmethod
    @contextmanager
    def join(recipe: Recipe) -> Iterator[Processes]:
        """Be the only process, with clips in the memory that NumPy reads.

        Raises BadRecipe for settings that Keras does not support here, and BadValue under torchrun.
        """
        for setting, refused in (
            (f'loop.precision = "{recipe.loop.precision}"', recipe.loop.precision in HALVES),
            ('data.held = "gpu"', recipe.data.held == "gpu"),
            (f"loop.accumulate = {recipe.loop.accumulate}", recipe.loop.accumulate > 1),
            (f'network = "{recipe.network}"', recipe.network is not None),
            ("[loss]", recipe.loss != Loss()),
        ):
            if refused:
                raise BadRecipe(
                    f"--framework keras does not support {setting}. Leave it at its default, or "
                    "train with --framework torch"
                )
        check_alone("--framework keras")
        yield Processes(torch.device("cpu"))

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        task: Task,  # noqa: ARG002 - the loss of Keras asks for none of it
        processes: Processes,
        n_steps: int,
        new: frozenset[str] | None = None,
    ) -> None:
        assert processes.count == 1
        assert isinstance(model, CRNN)
        self.network = twin(model, seed=recipe.seed)
        self.steps_done = 0
        self.precision, self.device_name = "f32", f"by Keras on {keras.config.backend()}"
        if keras.config.backend() == "torch":
            self.device_name += f" (a step takes {_SLOWER} times as long as with --framework torch)"
        self._recipe, self._n_steps = recipe, n_steps
        self._average = self.network.get_weights() if recipe.loop.average else None
        self._averaged = twin(model) if recipe.loop.average else None
        optimiser = AdamByWeight(
            parts(self.network, recipe, new),
            learning_rate=RecipeSchedule(n_steps, recipe.optimiser.model_dump()),
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

    def learn(self, batches: Batches, *, after_step: Callable[[Tensor], bool]) -> bool:
        """Learn from the batches by Keras's fit; returns whether from all of them.

        after_step : called with the loss of each step; its True ends the learning
        """
        if len(batches) == 0:  # after a stop at the very end of an epoch
            return True
        callback = _AfterStep(self, after_step)
        with closing(_Dataset(batches)) as dataset:
            self.network.fit(dataset, shuffle=False, verbose=0, callbacks=[callback])
        return not callback.stopped

    @property
    def kept(self) -> keras.Model:
        """The network to keep: with the average of the weights where there is one."""
        if self._averaged is None:
            return self.network
        self._averaged.set_weights(self._average)
        return self._averaged

    def predict(self, clips: Tensor) -> Tensor:
        """Logits (batch, n_tags) of clips, by the weights to keep."""
        return torch.from_numpy(predict(self.kept, clips.numpy()))

    def weights(self) -> Arrays:
        """The weights to keep, by torch's names."""
        return take_weights(self.kept, self._recipe.model)

    def count_step(self) -> None:
        """Count a step that fit has taken, and take its weights into the average."""
        self.steps_done += 1
        if self._average is not None:
            keep = np.float32(kept_share(self._recipe.loop.average, self.steps_done))
            both = zip(self._average, self.network.get_weights(), strict=True)
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

    def write_network(self, folder: Path, *, best: bool) -> None:
        """Write last.keras, or best.keras with the weights to keep."""
        if best:
            save(self.kept, folder / BEST)
        else:
            save(self.network, folder / LAST)

    def _others(self) -> list[tuple[str, Any]]:
        """The optimiser's variables and the dropouts' generators."""
        dropouts = [one for one in self.network.layers if isinstance(one, layers.Dropout)]
        seeds = [dropout.seed_generator.state for dropout in dropouts if dropout.rate]
        named = [("optimiser", self.network.optimizer.variables), ("seed", seeds)]
        return [(f"{kind}.{n}", one) for kind, many in named for n, one in enumerate(many)]


class _Dataset(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of an epoch for Keras's fit, in order; the clips are read ahead already."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches, self._next = batches, 0
        self._reading: Generator[tuple[Tensor, Tensor], None, None] | None = None

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Float32Array, Float32Array]:
        if self._reading is None or index != self._next:  # fit looks at the first one twice
            self.close()
            self._reading = self._batches.read(index)
        self._next = index + 1
        clips, labels = next(self._reading)
        return clips.numpy(), labels.numpy()

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.close()


class _AfterStep(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `after_step` with the loss of each step, and ends the fit where it says so."""

    def __init__(self, learner: KerasLearner, after_step: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self.stopped = False
        self._learner, self._after_step = learner, after_step
        self._steps, self._total = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        network = self.model  # with JAX, reading this property brings the weights up to date
        self._learner.count_step()
        self._steps += 1
        # Keras gives the mean of the losses so far
        before, self._total = self._total, float(logs["loss"]) * self._steps
        self.stopped = self._after_step(torch.tensor(self._total - before))
        network.stop_training = self.stopped
