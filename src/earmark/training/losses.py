"""The losses of an epoch's steps: their mean, and an error as soon as one is not finite."""

from __future__ import annotations

import torch
from torch import Tensor

from earmark.errors import DataError

_STEPS_ON_GPU = 50  # between two checks, each of which makes the GPU wait


class Losses:
    """A sum of losses; each is checked, on a GPU some steps late.

    total, count : of the steps of this epoch that were checked
    """

    def __init__(self, total: float = 0.0, count: int = 0, *, device: torch.device) -> None:
        self.total, self.count = total, count
        self._steps_per_check = 1 if device.type == "cpu" else _STEPS_ON_GPU
        self._unchecked: list[Tensor] = []

    def add(self, loss: Tensor, *, step: int) -> None:
        """Add the loss of a step, whose number counts from 1.

        Raises DataError, which names the step, for one that is not finite.
        """
        self._unchecked.append(loss)
        if len(self._unchecked) >= self._steps_per_check:
            self.check(step=step)

    def check(self, *, step: int) -> None:
        """Check and add up the losses since the last check; `step` is the last one taken."""
        if not self._unchecked:
            return
        values = torch.stack(self._unchecked).double().cpu()
        self._unchecked = []
        finite = values.isfinite()
        if not finite.all():
            bad = step - len(values) + 1 + int((~finite).nonzero()[0])
            raise DataError(
                f"the loss of step {bad} is {values[~finite][0].item()}: the weights have "
                "diverged. The last checkpoint from before is kept. Lower optimiser.rate, or set "
                "optimiser.clip, and train into another folder"
            )
        # one by one, as the rounding of a sum depends on its order: it must not depend on when we
        # check
        for value in values.tolist():
            self.total += value
        self.count += len(values)

    @property
    def mean(self) -> float:
        """The mean loss so far."""
        return self.total / max(1, self.count)
