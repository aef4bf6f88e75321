"""Networks and a loss that a recipe names by their dotted path, as a user would write them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShortChunk(nn.Module):
    """The short-chunk CNN of Won et al. (arXiv:2006.00751), small: 3 x 3 blocks, max over time."""

    def __init__(self, task: Any, n_tags: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.mean, self.deviation = task.standardise
        self.input_norm = nn.BatchNorm2d(1)
        sizes = [1, *[width] * blocks]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(n_in, n_out, 3, padding=1),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
                for n_in, n_out in pairwise(sizes)
            )
        )
        self.dense = nn.Linear(width, 2 * width)
        self.tags = nn.Linear(2 * width, n_tags)

    def embed(self, log_mel: Tensor) -> Tensor:
        x = ((log_mel - self.mean) / self.deviation).unsqueeze(1)
        x = self.layers(self.input_norm(x)).mean(2).amax(2)
        return F.relu(self.dense(x))

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.tags(F.dropout(self.embed(log_mel), 0.2, self.training))  # type: ignore[no-any-return]


def short_chunk(task: Any, *, width: int = 8, blocks: int = 3) -> nn.Module:
    return ShortChunk(task, len(task.tags), width=width, blocks=blocks)


def too_narrow(task: Any) -> nn.Module:
    return ShortChunk(task, len(task.tags) - 1, width=4, blocks=2)


def no_network(task: Any) -> str:
    return "a network"


def squared(logits: Tensor, labels: Tensor) -> Tensor:
    return (torch.sigmoid(logits) - labels).square()


def one_number(logits: Tensor, labels: Tensor) -> Tensor:
    return squared(logits, labels).mean()
