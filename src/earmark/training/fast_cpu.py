"""Faster convolution, dropout and memory handling for training on processors."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn


class Convolution(nn.Conv2d):
    """nn.Conv2d without stride, padded to the same size, without bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, height, width) to (batch, n_out, height, width)."""
        if torch.is_grad_enabled() and _oneDNN_is_slow(x):
            result: Tensor = _ByProducts.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return result
        return super().forward(x)


def _oneDNN_is_slow(x: Tensor) -> bool:  # noqa: N802 - its name
    return (
        x.device.type == "cpu"
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _ByProducts(torch.autograd.Function):
    """The same convolution, its weight gradient computed by matrix products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding="same")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            flipped = weight.flip(2, 3).transpose(0, 1)
            of_x = F.conv2d(gradient, flipped, padding="same")
        if ctx.needs_input_grad[1]:
            make = _of_one_channel if x.shape[1] == 1 else _weight_gradient
            of_weight = make(x, gradient, size=weight.shape[-1])
        return of_x, of_weight


def _weight_gradient(x: Tensor, gradient: Tensor, *, size: int) -> Tensor:
    """(n_out, n_in, size, size) from x (batch, n_in, h, w) and its output's gradient.

    Rows of channels, one for each position, both padded by half a kernel: then each place of the
    kernel is one shift of all rows, and where a shift leaves the image it meets zeros. The places
    beside each other are rows that follow each other in memory, so that a line of the kernel is
    one product.
    """
    n_in, n_out, width = x.shape[1], gradient.shape[1], x.shape[3]
    half = size // 2
    row = width + 2 * half
    margin = half * row + half
    inputs, gradients = _rows(x, half), _rows(gradient, half)
    gradients = gradients[margin : gradients.shape[0] - margin]
    lines = [
        gradients.T @ _side_by_side(inputs[down * row :], n=len(gradients), size=size)
        for down in range(size)
    ]
    return torch.stack(lines).view(size, n_out, size, n_in).permute(1, 3, 0, 2)


def _of_one_channel(x: Tensor, gradient: Tensor, *, size: int) -> Tensor:
    """The same for a single channel: all places of the kernel are few enough to lay out at once."""
    places = F.unfold(x.contiguous(), size, padding=size // 2)  # (batch, size * size, h * w)
    gradients = gradient.permute(0, 2, 3, 1).flatten(1, 2)  # (batch, h * w, n_out)
    return torch.bmm(places, gradients).sum(0).T.reshape(-1, 1, size, size)


def _rows(x: Tensor, half: int) -> Tensor:
    """(batch, channels, h, w) to (batch * (h + 2 half) * (w + 2 half), channels), zeros around."""
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, half, half, half, half)).flatten(0, 2)


def _side_by_side(rows: Tensor, *, n: int, size: int) -> Tensor:
    """(n, size * channels): each row with those that follow it, without a copy."""
    channels = rows.shape[1]
    offset = rows.storage_offset()
    return rows.as_strided((n, size * channels), (channels, 1), offset)


_CHOICES = 1 << 16  # dropout shares are rounded to 1 / 65536


class Dropout(nn.Dropout):
    """nn.Dropout, several times as fast on processors; drawn from the same generator."""

    def forward(self, x: Tensor) -> Tensor:
        """X of any shape, to the same shape."""
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


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def peak_bytes() -> int | None:
    """The largest memory of this process so far; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_freed_memory() -> bool:
    """Make malloc keep freed memory for the next step; returns whether the system can.

    The outputs of a layer take hundreds of megabytes. glibc maps such blocks anew each time and
    unmaps them at once; clearing 35 MB of fresh pages takes longer than the convolution that fills
    them. Without it, a training step takes half the time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no mallopt
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
