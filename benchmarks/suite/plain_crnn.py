"""What a user would write from the paper: Choi's CRNN in plain PyTorch, clip after clip.

NCHW, float32, ELU before max-pooling, torch's GRU. The yardstick of the benchmarks; its weights are
random, which costs the same time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

POOLS = ((2, 2), (3, 3), (4, 4), (4, 4))
WIDTHS = (64, 128, 128, 128)


class PlainCrnn(nn.Module):
    def __init__(self, n_tags: int = 50) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        layers: list[nn.Module] = []
        for n_in, n_out, pool in zip((1, *WIDTHS), WIDTHS, POOLS, strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ELU()]
            layers += [nn.MaxPool2d(pool), nn.Dropout(0.1)]
        self.blocks = nn.Sequential(*layers)
        self.gru = nn.GRU(WIDTHS[-1], 32, num_layers=2, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.output = nn.Linear(32, n_tags)

    def forward(self, log_mel: Tensor) -> Tensor:
        """float32 (batch, 96, 1366) to logits (batch, n_tags)."""
        x = nn.functional.pad(log_mel[:, None], (37, 37))  # (batch, 1, 96, 1440)
        x = self.blocks(self.norm(x))  # (batch, 128, 1, 15)
        x = x.squeeze(2).transpose(1, 2)  # (batch, 15, 128)
        states, _ = self.gru(x)  # (batch, 15, 32)
        return self.output(self.drop(states[:, -1]))


def seeded(n_tags: int = 50) -> PlainCrnn:
    torch.manual_seed(0)
    return PlainCrnn(n_tags)
