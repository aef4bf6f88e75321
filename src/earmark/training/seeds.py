"""Where chance comes from: the seed, what it is for, and the number of the step.

Nothing is carried from one step to the next, so a run that goes on from a checkpoint draws what it
would have drawn.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

Purpose = Literal["weights", "songs", "order", "step", "measure"]
_PURPOSES = ("weights", "songs", "order", "step", "measure")


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """A generator of its own for each purpose and numbers."""
    return np.random.default_rng([seed, 1 + _PURPOSES.index(purpose), *(1 + n for n in numbers)])


def seed_torch(random: np.random.Generator) -> None:
    """Seed torch, whose dropout draws from a generator of the whole process."""
    torch.manual_seed(int(random.integers(2**62)))
