"""Random generators, made from the recipe's seed, a purpose, and the number of the step.

No generator lives longer than a step, so a run that resumes from a checkpoint draws what it would
have drawn without the interruption.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

Purpose = Literal["weights", "songs", "order", "step", "measure"]
_PURPOSES = get_args(Purpose)  # whose places are part of every seed


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """The generator for a purpose and its numbers, such as the step; each is independent."""
    return np.random.default_rng([seed, 1 + _PURPOSES.index(purpose), *(1 + n for n in numbers)])


def seed_torch(random: np.random.Generator) -> None:
    """Seed torch's generator, which all dropouts of the process draw from."""
    torch.manual_seed(int(random.integers(2**62)))
