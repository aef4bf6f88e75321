"""The convolutional recurrent network (CRNN) of Choi, Fazekas, Sandler and Cho (arXiv:1609.04243).

Four blocks of convolution, batch norm, ELU and max-pooling reduce 96 mels x 1440 frames to 1 x 15;
two GRU layers summarise the 15 steps, and the last state of the second gives the tags. Widths,
pools and the recurrent part are settings, so that the paper's other sizes (its Table 2) and the
same authors' fully convolutional network (arXiv:1606.00298) are settings too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from earmark.errors import BadValue
from earmark.training.fast_cpu import Convolution, Dropout


class ClassicGru(nn.Module):
    """GRU layers as in Keras 1 and 2: reset gate before the recurrent product, hard sigmoids.

    torch and cuDNN apply the reset gate after the product and add a second bias, so the weights of
    one kind do not fit the other. The columns of the weights are the gates z (update), r (reset)
    and h (candidate), as in earmark.graph.
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
            x = _layer(x, kernel, recurrent, bias)  # (batch, steps, n_units)
        return x, x[:, -1].unsqueeze(0)  # (batch, steps, n_units), (1, batch, n_units)


def _layer(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    """The state after each step: (batch, steps, n_in) to (batch, steps, n_units)."""
    n_units = recurrent.shape[0]
    products = x @ kernel + bias  # (batch, steps, 3 * n_units), of all steps at once
    sizes = [2 * n_units, n_units]
    gates_weight, candidate_weight = torch.split(recurrent, sizes, dim=1)
    state = x.new_zeros(x.shape[0], n_units)  # (batch, n_units)
    states = []
    for product in products.unbind(1):  # (batch, 3 * n_units)
        gates, candidate = torch.split(product, sizes, dim=1)  # 2 * n_units, n_units
        update, reset = _hard_sigmoid(gates + state @ gates_weight).chunk(2, dim=1)
        candidate = torch.tanh(candidate + (reset * state) @ candidate_weight)
        state = update * state + (1 - update) * candidate
        states.append(state)
    return torch.stack(states, dim=1)  # (batch, steps, n_units)


def _hard_sigmoid(x: Tensor) -> Tensor:
    # that of Theano and Keras 1 and 2; torch's has a slope of 1 / 6
    return torch.clamp(0.2 * x + 0.5, 0, 1)


@dataclass(frozen=True)
class CrnnSettings:
    """The layers of a network. The numbers of tags, mels and frames come from the data.

    standardise : (mean, deviation) in dB that the input is standardised with; None measures them
        on the training songs
    pad : frames of zeros before and after the clip, so that the pools divide its length
    input_norm : batch norm of the input, with a mean for each "frame" or one for the "channel"
    widths : the filters of each block
    pools : the (mels, frames) that each block pools into one
    kernel : size of the filters in both directions, odd
    block_dropout : share that is dropped after each block
    dropout : share that is dropped before the output
    recurrent : "gru" (torch's), "classic-gru" (hard sigmoids, reset gate before the product) or
        "none"
    units, layers : of the recurrent part
    summary : without a recurrent part, how the output of the blocks becomes one vector
    beside : with a recurrent part, its last state is joined by the "mean" or "max" over time of
        its input, which a pattern can reach the output by without passing through the recurrence
    epsilon : of the batch norms
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
    epsilon: float = 1e-3

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # recipes hold these settings

    def __post_init__(self) -> None:
        """Raise BadValue for settings that contradict each other."""
        if len(self.widths) != len(self.pools) or not self.widths:
            raise BadValue(
                f"{len(self.widths)} widths and {len(self.pools)} pools: each block needs one "
                "width and one pool"
            )
        if self.kernel % 2 == 0 or min(self.widths + sum(self.pools, ())) < 1 or self.pad < 0:
            raise BadValue(
                f"widths {self.widths}, pools {self.pools}, kernel {self.kernel}, pad {self.pad}: "
                "widths and pools must be 1 or more, the kernel odd, the pad 0 or more"
            )
        if self.beside != "none" and self.recurrent == "none":
            raise BadValue(
                f'beside is "{self.beside}", but a network without a recurrent part has no state '
                f'to join. Set summary = "{self.beside}" and beside = "none"'
            )
        if self.standardise is not None and self.standardise[1] <= 0:
            raise BadValue(
                f"standardise has a deviation of {self.standardise[1]} dB; it must be above 0"
            )

    @property
    def fixed_length(self) -> bool:
        """Whether a network takes clips of one length only."""
        flattens = self.recurrent == "none" and self.summary == "flatten"
        return self.input_norm == "frame" or flattens

    def size_after_pools(self, n_mels: int, n_frames: int) -> tuple[int, int]:
        """The mels and frames that the last pool puts out."""
        n_frames += 2 * self.pad
        for mels, frames in self.pools:
            n_mels, n_frames = n_mels // mels, n_frames // frames
        return n_mels, n_frames


class CRNN(nn.Module):
    """Log-mel spectrogram to logits.

    n_mels, n_frames : of a clip; where settings.fixed_length is false, other lengths fit as well
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
        n_mels_left, n_frames_left = settings.size_after_pools(n_mels, n_frames)
        if min(n_mels_left, n_frames_left) < 1:
            raise BadValue(
                f"the pools {settings.pools} reduce {n_mels} mels x {n_frames} frames to nothing. "
                "Make model.pools smaller, or model.pad larger"
            )
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
        x = self.dropout(self.embed(log_mel))  # (batch, features)
        return self.output(x)  # type: ignore[no-any-return]  # (batch, n_tags)

    def embed(self, log_mel: Tensor) -> Tensor:
        """The features that the output layer gets: (batch, mels, frames), dB, to (batch, features).

        In the paper's network: (batch, 96, 1366) to (batch, 32).
        """
        x = (log_mel - self.mean) / self.deviation
        x = F.pad(x, (self.settings.pad, self.settings.pad))  # (batch, mels, frames + 2 pad)
        x = self.input_norm(x)
        # channels last in memory, here and after: several times as fast on processors
        x = x.unsqueeze(3).permute(0, 3, 1, 2)  # (batch, 1, mels, frames + 2 pad)
        x = self.blocks(x)  # (batch, width, mels left, frames left)
        if self.recurrent is not None:
            x = x.flatten(1, 2).transpose(1, 2)  # (batch, frames left, width * mels left)
            state = self.recurrent(x)[0][:, -1]  # (batch, units), after the last step
            if self.settings.beside == "none":
                return state  # type: ignore[no-any-return]
            mean = self.settings.beside == "mean"
            over_time = x.mean(1) if mean else x.amax(1)  # (batch, width * mels left)
            x = torch.cat([state, over_time], dim=1)  # (batch, units + width * mels left)
        elif self.settings.summary == "flatten":
            x = x.flatten(1)  # (batch, width * mels left * frames left)
        elif self.settings.summary == "mean":
            x = x.mean((2, 3))  # (batch, width)
        else:
            x = x.amax((2, 3))  # (batch, width)
        return x


class Block(nn.Module):
    """Convolution, batch norm, max-pool, ELU, dropout.

    The paper has ELU before the pool. As ELU is monotone, behind the pool it gives the same values,
    and is computed for a quarter of them or fewer.
    """

    def __init__(
        self, n_in: int, n_out: int, pool: tuple[int, int], settings: CrnnSettings
    ) -> None:
        super().__init__()
        # no bias: the mean of the norm that follows would cancel it
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
    """Batch norm of the spectrogram, one mean and deviation for each frame, for all, or none."""

    def __init__(self, settings: CrnnSettings, n_frames: int) -> None:
        super().__init__()
        self.kind = settings.input_norm
        self.norm: nn.BatchNorm1d | None = None
        if self.kind != "none":
            n_means = n_frames if self.kind == "frame" else 1
            self.norm = nn.BatchNorm1d(n_means, eps=settings.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, mels, frames) to the same shape."""
        if self.norm is None:
            return x
        if self.kind == "frame":
            x = self.norm(x.transpose(1, 2))  # (batch, frames, mels)
            return x.transpose(1, 2)  # (batch, mels, frames)
        shape = x.shape
        x = self.norm(x.flatten(1).unsqueeze(1))  # (batch, 1, mels * frames)
        return x.view(shape)  # (batch, mels, frames)


def n_parameters(model: nn.Module) -> int:
    """The number of values that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
