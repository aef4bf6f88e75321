"""What the loop needs of a framework: PyTorch (training/learner.py) or Keras (training/keras/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from torch import Tensor, nn

from earmark.training.batches import Batches
from earmark.training.checkpoint import Arrays
from earmark.training.processes import Processes
from earmark.training.recipe import Recipe
from earmark.training.task import Task


class Backend(Protocol):
    """A network, its optimiser, and all else that a step changes.

    framework : what computes the steps, for the record of the run
    steps_done : since the start of the run
    """

    framework: ClassVar[Mapping[str, str]]
    steps_done: int

    @staticmethod
    def join(recipe: Recipe) -> AbstractContextManager[Processes]:
        """Join the processes that train together. Raises BadRecipe for what cannot be done."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        task: Task,
        processes: Processes,
        n_steps: int,
        new: frozenset[str] | None,
    ) -> None:
        """Take over the network.

        task : what it predicts
        n_steps : of the whole run, for the schedule
        new : names of the parameters that learn at the full rate; None for all
        """

    @property
    def device_name(self) -> str:
        """Where the steps are computed, as in "on the GPU"."""

    @property
    def precision(self) -> str:
        """What the convolutions multiply in: "bf16", "f16" or "f32"."""

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""

    def learn(self, batches: Batches, *, after_step: Callable[[Tensor], bool]) -> bool:
        """Learn from the batches; returns whether from all of them.

        after_step : called with the loss of each step; its True ends the learning
        """

    def predict(self, clips: Tensor) -> Tensor:
        """Logits (batch, n_tags) of clips (batch, n_mels, n_frames), dB, by the weights to keep."""

    def weights(self) -> Arrays:
        """The weights to keep, by PyTorch's names: the moving average where there is one."""

    def arrays(self) -> Arrays:
        """All that a step changes, by name."""

    def load(self, arrays: Arrays, *, steps_done: int) -> None:
        """Go back to the state that `arrays` returned after so many steps."""

    def write_network(self, folder: Path, *, best: bool) -> None:
        """Write the network as the framework's own file, where it has one.

        best : the weights to keep, as the best so far; else those of the last step
        """
