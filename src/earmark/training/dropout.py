"""Dropout that does not wait for torch's generator, which draws one number after the other.

On a processor, torch takes as long to choose what a clip loses as a core takes for a tenth of the
whole step. A draw of 64 bits serves four values here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_CHOICES = 1 << 16  # so the share is right within 1 / 65536


class Dropout(nn.Dropout):
    """nn.Dropout, several times as fast on processors; drawn from the same generator."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, to the same."""
        if x.device.type != "cpu" or not self.training or torch.compiler.is_compiling():
            return super().forward(x)
        n_dropped = round(self.p * _CHOICES)
        if not 0 < n_dropped < _CHOICES:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()] >= n_dropped - _CHOICES // 2
        # laid out as x is, whatever its order in memory
        kept = kept.as_strided(x.shape, torch.empty_like(x).stride())
        return x * (kept * (_CHOICES / (_CHOICES - n_dropped)))
