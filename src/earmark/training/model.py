"""The convolutional recurrent network of Choi, Fazekas, Sandler and Cho (arXiv:1609.04243).

Convolutions hear short patterns, pooling narrows mels and frames, two recurrent layers read what
is left from start to end, and their last state says which tags there are. Widths, pools and the
recurrent part are settings, so that the paper's sizes and the same authors' fully convolutional
network (arXiv:1606.00298) are settings too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from earmark.errors import BadValue
from earmark.training.fast_cpu import Convolution, Dropout


class ClassicGru(nn.Module):
    """Layers of GRUs with the reset gate before the recurrent product, and hard sigmoids.

    torch's and cuDNN's have it behind the product and a second bias; weights of one do not fit the
    other. The columns of the weights are the gates z (update), r (reset), h, as in earmark.graph.
    """

    def __init__(self, n_in: int, n_units: int, n_layers: int) -> None:
        super().__init__()
        sizes = [n_in, *[n_units] * (n_layers - 1)]
        self.kernels = nn.ParameterList(torch.empty(size, 3 * n_units) for size in sizes)
        self.recurrents = nn.ParameterList(torch.empty(n_units, 3 * n_units) for _ in sizes)
        self.biases = nn.ParameterList(torch.zeros(3 * n_units) for _ in sizes)
        for kernel, recurrent in zip(self.kernels, self.recurrents, strict=True):
            nn.init.xavier_uniform_(kernel)
            for gate in recurrent.data.split(n_units, dim=1):
                nn.init.orthogonal_(gate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state after each step of the last layer, and its last state, like nn.GRU.

        x : (batch, steps, n_in)
        returns : (batch, steps, n_units), (1, batch, n_units)
        """
        for kernel, recurrent, bias in zip(self.kernels, self.recurrents, self.biases, strict=True):
            x = _layer(x, kernel, recurrent, bias)
        return x, x[:, -1].unsqueeze(0)


def swap_gates(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows of three gates r z h, as torch stacks them, as z r h, as all others do; and back."""
    first, second, third = np.split(rows, 3)
    return np.concatenate([second, first, third])


def _layer(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    n_units = recurrent.shape[0]
    products = x @ kernel + bias  # of all steps at once: (batch, steps, 3 * n_units)
    sizes = [2 * n_units, n_units]
    of_gates, of_candidate = torch.split(recurrent, sizes, dim=1)
    state = x.new_zeros(x.shape[0], n_units)
    states = []
    for product in products.unbind(1):
        gates, candidate = torch.split(product, sizes, dim=1)
        update, reset = _hard_sigmoid(gates + state @ of_gates).chunk(2, dim=1)
        candidate = torch.tanh(candidate + (reset * state) @ of_candidate)
        state = update * state + (1 - update) * candidate
        states.append(state)
    return torch.stack(states, dim=1)


def _hard_sigmoid(x: Tensor) -> Tensor:
    # Theano's and Keras's; torch's own has another slope
    return torch.clamp(0.2 * x + 0.5, 0, 1)


@dataclass(frozen=True)
class CrnnSettings:
    """The shape of a network; how many tags, mels and frames it meets, the data says.

    standardise : (mean, deviation) in dB that the input is brought to 0 and 1 from; None measures
        them on the training songs
    pad : frames of zero before and after, so that pooling divides what it gets
    input_norm : batch norm of the input, with one mean for each "frame" or one for the "channel"
    widths, pools : of each block: filters, and (mels, frames) that become one
    recurrent : "gru" (torch's), "classic-gru" (hard sigmoid, reset gate before the product) or
        "none": then `summary` makes one vector of what the blocks leave
    beside : with a recurrent part, the "mean" or "max" over time of what it reads joins its last
        state, so that what a convolution heard anywhere need not pass through the recurrence
    """

    standardise: tuple[float, float] | None = None
    pad: int = 37  # 1366 frames become 1440, which the pools divide to 15
    input_norm: Literal["frame", "channel", "none"] = "channel"
    widths: tuple[int, ...] = (64, 128, 128, 128)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (3, 3), (4, 4), (4, 4))
    kernel: int = 3
    block_dropout: float = 0.1
    recurrent: Literal["gru", "classic-gru", "none"] = "gru"
    units: int = 32
    layers: int = 2
    summary: Literal["flatten", "mean", "max"] = "flatten"
    beside: Literal["none", "mean", "max"] = "none"
    dropout: float = 0.3
    epsilon: float = 1e-3  # of the batch norms

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # recipes hold these settings

    def __post_init__(self) -> None:
        """Refuse settings that no network can be made with."""
        if len(self.widths) != len(self.pools) or not self.widths:
            raise BadValue(
                f"{len(self.widths)} widths and {len(self.pools)} pools; one pair a block"
            )
        if self.kernel % 2 == 0 or min(self.widths + sum(self.pools, ())) < 1 or self.pad < 0:
            raise BadValue("widths and pools must be 1 or more, the kernel odd, the pad 0 or more")
        if self.beside != "none" and self.recurrent == "none":
            raise BadValue(
                f'beside is "{self.beside}", but without a recurrent part there is no state for it '
                'to join. Set summary to it, and beside to "none"'
            )
        if self.standardise is not None and self.standardise[1] <= 0:
            raise BadValue(f"a deviation of {self.standardise[1]} dB; it must be above zero")

    def left(self, n_mels: int, n_frames: int) -> tuple[int, int]:
        """Mels and frames behind the last pool."""
        n_frames += 2 * self.pad
        for mels, frames in self.pools:
            n_mels, n_frames = n_mels // mels, n_frames // frames
        return n_mels, n_frames


class CRNN(nn.Module):
    """Log-mel to logits.

    n_mels, n_frames : of a clip; without "frame" norm and "flatten", other lengths fit as well
    standardise : (mean, deviation) in dB
    """

    def __init__(
        self,
        settings: CrnnSettings,
        *,
        n_tags: int,
        n_mels: int,
        n_frames: int,
        standardise: tuple[float, float],
    ) -> None:
        super().__init__()
        n_mels_left, n_frames_left = settings.left(n_mels, n_frames)
        if min(n_mels_left, n_frames_left) < 1:
            raise BadValue(f"the pools {settings.pools} leave nothing of {n_mels} x {n_frames}")
        self.settings = settings
        self.n_mels, self.n_frames = n_mels, n_frames
        self.mean, self.deviation = standardise
        self.input_norm = InputNorm(settings, n_frames + 2 * settings.pad)
        widths = (1, *settings.widths)
        self.blocks = nn.Sequential(
            *(
                Block(n_in, n_out, pool, settings)
                for n_in, n_out, pool in zip(widths, widths[1:], settings.pools, strict=False)
            )
        )
        n_features = widths[-1] * n_mels_left
        self.recurrent: nn.GRU | ClassicGru | None = None
        if settings.recurrent == "gru":
            self.recurrent = nn.GRU(n_features, settings.units, settings.layers, batch_first=True)
        elif settings.recurrent == "classic-gru":
            self.recurrent = ClassicGru(n_features, settings.units, settings.layers)
        elif settings.summary == "flatten":
            n_features *= n_frames_left
        else:
            n_features = widths[-1]
        if self.recurrent is not None:
            n_features = settings.units + (n_features if settings.beside != "none" else 0)
        self.dropout = Dropout(settings.dropout)
        self.output = nn.Linear(n_features, n_tags)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Logits of clips.

        log_mel : float32 (batch, mels, frames), raw dB as the features make it
        returns : (batch, n_tags)
        """
        x = self.dropout(self.embed(log_mel))
        return self.output(x)  # type: ignore[no-any-return]  # (batch, n_tags)

    def embed(self, log_mel: Tensor) -> Tensor:
        """What the output layer is given: (batch, features) of (batch, mels, frames) in dB."""
        x = (log_mel - self.mean) / self.deviation
        x = F.pad(x, (self.settings.pad, self.settings.pad))  # (batch, mels, frames + 2 pad)
        x = self.input_norm(x)
        # one channel, last in memory as all that follow: several times as fast on processors
        x = x.unsqueeze(3).permute(0, 3, 1, 2)  # (batch, 1, mels, frames + 2 pad)
        x = self.blocks(x)  # (batch, width, mels left, frames left)
        if self.recurrent is not None:
            x = x.flatten(1, 2).transpose(1, 2)  # (batch, frames left, width * mels left)
            state = self.recurrent(x)[0][:, -1]  # (batch, units)
            if self.settings.beside == "none":
                return state  # type: ignore[no-any-return]
            over_time = x.mean(1) if self.settings.beside == "mean" else x.amax(1)
            x = torch.cat([state, over_time], dim=1)  # (batch, units + width * mels left)
        elif self.settings.summary == "flatten":
            x = x.flatten(1)  # (batch, width * mels left * frames left)
        else:
            x = x.mean((2, 3)) if self.settings.summary == "mean" else x.amax((2, 3))
        return x


class Block(nn.Module):
    """Convolution, batch norm, max-pool, ELU, dropout.

    The paper has ELU before the pool. ELU never falls, so the maximum of what it gives is what it
    gives for the maximum: the same function, at a quarter of the values or fewer.
    """

    def __init__(
        self, n_in: int, n_out: int, pool: tuple[int, int], settings: CrnnSettings
    ) -> None:
        super().__init__()
        # no bias: the norm that follows would take it off again
        self.conv = Convolution(n_in, n_out, settings.kernel, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(n_out, eps=settings.epsilon)
        self.pool = pool
        self.dropout = Dropout(settings.block_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, mels, frames) to (batch, n_out, mels / pool, frames / pool)."""
        x = self.norm(self.conv(x))  # (batch, n_out, mels, frames)
        x = F.max_pool2d(x, self.pool)  # (batch, n_out, mels / pool, frames / pool)
        return self.dropout(F.elu(x))  # type: ignore[no-any-return]


class InputNorm(nn.Module):
    """Batch norm of the spectrogram: one mean and deviation for each frame, for all, or none."""

    def __init__(self, settings: CrnnSettings, n_frames: int) -> None:
        super().__init__()
        self.of = settings.input_norm
        self.norm: nn.BatchNorm1d | None = None
        if self.of != "none":
            n_means = n_frames if self.of == "frame" else 1
            self.norm = nn.BatchNorm1d(n_means, eps=settings.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, mels, frames) to the same shape."""
        if self.norm is None:
            return x
        if self.of == "frame":
            return self.norm(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
        return self.norm(x.flatten(1).unsqueeze(1)).view_as(x)  # type: ignore[no-any-return]


def n_parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
