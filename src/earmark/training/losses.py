"""The losses of an epoch's steps, and the alarm when one is no number."""

from __future__ import annotations

import torch
from torch import Tensor

from earmark.errors import DataError

_ON_GPU = 50  # steps between two looks, each of which makes the GPU wait


class Losses:
    """Adds up; looks at every loss, on a GPU some steps late.

    total, count : of the steps of this epoch that were looked at
    """

    def __init__(self, *, device: torch.device, total: float = 0.0, count: int = 0) -> None:
        self.total, self.count = total, count
        self._at_once = 1 if device.type == "cpu" else _ON_GPU
        self._new: list[Tensor] = []

    def add(self, loss: Tensor, *, step: int) -> None:
        """Take the loss of a step, whose number counts from 1.

        Raises DataError, which names the step, for one that is not finite.
        """
        self._new.append(loss)
        if len(self._new) >= self._at_once:
            self.look(step=step)

    def look(self, *, step: int) -> None:
        """Look at what has come since; `step` is the last one taken."""
        if not self._new:
            return
        values = torch.stack(self._new).double().cpu()
        self._new = []
        finite = values.isfinite()
        if not finite.all():
            bad = step - len(values) + 1 + int((~finite).nonzero()[0])
            raise DataError(
                f"the loss of step {bad} is {values[~finite][0].item()}: the weights have gone "
                "astray. The last checkpoint from before is kept. Lower optimiser.rate, or set "
                "optimiser.clip"
            )
        for value in values.tolist():  # one by one: the sum hangs on the order, and must not on us
            self.total += value
        self.count += len(values)

    @property
    def mean(self) -> float:
        """The mean loss so far."""
        return self.total / max(1, self.count)
