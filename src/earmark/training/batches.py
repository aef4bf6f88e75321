"""The batches of an epoch: which clips each step learns from, and how they are changed first."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.training.augment import augment
from earmark.training.clips import Clips
from earmark.training.recipe import Recipe
from earmark.training.seeds import generator, seed_torch


class Batches:
    """The steps of an epoch that are left, as this process sees them; `read` may be called again.

    labels : bool or float32 (n_clips, n_tags), on the device
    places : for each step, the places of its clips
    first_step : the number of the first of these steps, counted from the start of the run
    rank : of this process
    """

    def __init__(
        self,
        clips: Clips,
        labels: Tensor,
        *,
        places: Sequence[Int64Array],
        recipe: Recipe,
        first_step: int,
        rank: int,
    ) -> None:
        self._clips, self._labels, self._places = clips, labels, places
        self._recipe, self._first_step, self._rank = recipe, first_step, rank

    def __len__(self) -> int:
        return len(self._places)

    def read(self, first: int = 0) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Yield the batches from the one with index `first` on.

        yields : float32 clips (batch, n_mels, n_frames), dB, and labels (batch, n_tags), both
            augmented; torch is seeded for the step
        """
        places = self._places[first:]
        with closing(self._clips.batches(places)) as clips_of_steps:
            numbered = enumerate(
                zip(clips_of_steps, places, strict=True), self._first_step + first
            )  # fmt: skip
            for step, (clips, chosen) in numbered:
                random = generator(self._recipe.seed, "step", step, self._rank)
                seed_torch(random)
                labels = self._labels[torch.from_numpy(chosen).to(self._labels.device)].float()
                yield augment(clips, labels, settings=self._recipe.augment, random=random)


def shuffled(
    n: int, *, batch: int, seed: int, epoch: int, part: int = 0, parts: int = 1
) -> list[Int64Array]:
    """The places of each step of an epoch, in an order that depends on seed and epoch only.

    batch : over all parts; the clips that do not fill a batch at the end are left out of this epoch
    part, parts : the share of this process in each batch; the shares together are the batch
    """
    batch = min(batch, n - n % parts)
    order = generator(seed, "order", epoch).permutation(n)
    return [order[first + part : first + batch : parts] for first in range(0, n - batch + 1, batch)]


def in_order(n: int, *, batch: int) -> list[Int64Array]:
    """All places, batch by batch."""
    return [np.arange(first, min(first + batch, n)) for first in range(0, n, batch)]
