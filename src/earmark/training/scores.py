"""The scores of the validation songs, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.arrays import BoolArray, Float32Array
from earmark.metrics import average_precision, roc_auc
from earmark.training.batches import in_order
from earmark.training.clips import Clips
from earmark.training.processes import Processes

_BATCH = 64


class Validation:
    """The validation songs; each process scores every count-th of them.

    clips : those that this process scores; labels : bool (n_songs, n_tags), of all
    """

    def __init__(self, clips: Clips, labels: BoolArray, *, processes: Processes) -> None:
        self.labels = labels
        self._clips, self._processes = clips, processes

    def logits(
        self,
        predict: Callable[[Tensor], Tensor],
        *,
        is_asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> Float32Array | None:
        """float32 (n_songs, n_tags), of all songs in every process.

        predict : clips to logits, both on the device
        is_asked_to_stop : asked before each batch, where there is one process; its True ends the
            scoring, and None is returned
        """
        processes = self._processes
        n_here = len(range(processes.rank, len(self.labels), processes.count))
        parts = [torch.empty(0, self.labels.shape[1], device=processes.device)]
        with closing(self._clips.batches(in_order(n_here, batch=_BATCH))) as batches:
            for clips in batches:
                if processes.count == 1 and is_asked_to_stop():
                    return None
                parts.append(predict(clips))
        return processes.gather(torch.cat(parts), n=len(self.labels))

    def measure(self, logits: Float32Array) -> dict[str, Any]:
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
