"""Listening to the songs that nothing is learned from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.arrays import BoolArray
from earmark.metrics import average_precision, roc_auc
from earmark.training.clips import Clips, in_order
from earmark.training.processes import Processes

_BATCH = 64


class Validation:
    """The validation songs; each process listens to every count-th of them.

    clips : those that this process listens to; labels : bool (n_songs, n_tags), of all
    """

    def __init__(self, clips: Clips, labels: BoolArray, *, here: Processes) -> None:
        self.labels = labels
        self._clips, self._here = clips, here

    def logits(self, listen: Callable[[Tensor], Tensor]) -> npt.NDArray[np.float32]:
        """float32 (n_songs, n_tags), of all songs in every process.

        listen : clips to logits, both on the device
        """
        n_here = len(range(self._here.rank, len(self.labels), self._here.count))
        parts = [torch.empty(0, self.labels.shape[1], device=self._here.device)]
        parts += [listen(clips) for clips in self._clips.batches(in_order(n_here, batch=_BATCH))]
        return self._here.gather(torch.cat(parts), n=len(self.labels))

    def measure(self, logits: npt.NDArray[np.float32]) -> dict[str, Any]:
        """Loss, macro ROC-AUC and macro AP; None where no tag has one, or logits are not finite."""
        if not np.isfinite(logits).all():
            return {"valid_loss": None, "roc_auc": None, "average_precision": None}
        loss = F.binary_cross_entropy_with_logits(
            torch.from_numpy(logits), torch.from_numpy(self.labels).float()
        )
        values = roc_auc(self.labels, logits), average_precision(self.labels, logits)
        names = ("roc_auc", "average_precision")
        return {
            "valid_loss": float(loss),
            **{
                name: None if math.isnan(value) else value
                for name, value in zip(names, values, strict=True)
            },
        }
