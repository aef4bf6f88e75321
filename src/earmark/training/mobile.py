"""MobileNet's convolutions under a recurrent layer: blocks of a published network learn on.

The blocks come from `earmark.graph`, where norms are already folded into the convolutions, and go
back there when they have learned. Folded norms stay as they were published: clips of one batch do
not change each other's, and a step costs three quarters. Early blocks need not come along: who
keeps what they leave of each clip learns the rest at a tenth of the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from earmark import graph
from earmark.errors import BadValue

Images = npt.NDArray[np.floating]  # (n, channels, mels, frames)


@dataclass(frozen=True)
class MobileSettings:
    """What is built on the blocks.

    pool : mels and frames that become one before the recurrent layer
    units : of the GRU, whose last state and the mean over time of what it read are the embedding
    dropout : share of the embedding that the output layer does without while it learns
    """

    pool: tuple[int, int] = (4, 7)
    units: int = 96
    dropout: float = 0.3


class MobileGru(nn.Module):
    """Images to logits.

    blocks : those that learn, as published; the last is a convolution of one place
    n_tags : columns of the output
    """

    def __init__(
        self,
        blocks: Sequence[graph.ConvBlock | graph.InvertedResidual],
        *,
        n_tags: int,
        settings: MobileSettings | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or MobileSettings()
        self.blocks = nn.Sequential(*(_module(block) for block in blocks))
        last = blocks[-1]
        assert isinstance(last, graph.ConvBlock)
        n_features = len(last.weight)
        self.recurrent = nn.GRU(n_features, self.settings.units, batch_first=True)
        self.dropout = nn.Dropout(self.settings.dropout)
        self.output = nn.Linear(self.settings.units + n_features, n_tags)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, mels, frames) to (batch, n_tags)."""
        return self.answer_moments(self.moments(images))

    def embed(self, images: Tensor) -> Tensor:
        """(batch, channels, mels, frames) to (batch, units + features)."""
        return self.embed_moments(self.moments(images))

    def moments(self, images: Tensor) -> Tensor:
        """What the blocks leave: (batch, channels, mels, frames) to (batch, features, 1, n)."""
        return F.avg_pool2d(self.blocks(images), self.settings.pool)

    def answer_moments(self, moments: Tensor) -> Tensor:
        """(batch, features, 1, n) to (batch, n_tags)."""
        return self.output(self.dropout(self.embed_moments(moments)))  # type: ignore[no-any-return]

    def embed_moments(self, moments: Tensor) -> Tensor:
        """(batch, features, 1, n) to (batch, units + features)."""
        x = moments.squeeze(2).transpose(1, 2)  # (batch, n, features)
        return torch.cat([self.recurrent(x)[0][:, -1], x.mean(1)], dim=1)

    def learned(self) -> list[graph.ConvBlock | graph.InvertedResidual]:
        """The blocks as they are now."""
        return [block.to_graph() for block in self.blocks]  # type: ignore[operator]


def to_network(
    model: MobileGru,
    before: Sequence[graph.ConvBlock | graph.InvertedResidual],
    *,
    n_mels: int,
    n_frames: int,
    columns: Sequence[int] | None = None,
    front: Sequence[graph.Affine | graph.Pad | graph.SilentMels] = (),
) -> graph.Network:
    """What the model computes in evaluation, with the blocks that came before its own.

    columns : of the output that are wanted, in this order; None is all
    """
    gru, output = model.recurrent, model.output
    weight, bias = _array(output.weight).T, _array(output.bias)
    if columns is not None:
        weight, bias = weight[:, list(columns)], bias[list(columns)]
    parts = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return graph.Network(
        n_mels=n_mels,
        n_frames=n_frames,
        front=list(front),
        blocks=[*before, *model.learned(), graph.AveragePool(model.settings.pool)],
        grus=[graph.torch_gru(*(_array(getattr(gru, part)) for part in parts))],
        beside="mean",
        output=graph.Dense(weight, bias),
    )


class Blocks(nn.Module):
    """Blocks that do not learn, to hear once what they leave of every clip."""

    def __init__(self, blocks: Sequence[graph.ConvBlock | graph.InvertedResidual]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_module(block) for block in blocks))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, mels, frames) to (batch, channels, mels, frames)."""
        return self.blocks(images)  # type: ignore[no-any-return]


def _module(block: graph.ConvBlock | graph.InvertedResidual) -> nn.Module:
    return _Residual(block) if isinstance(block, graph.InvertedResidual) else _Convolved(block)


class _Convolved(nn.Module):
    """A convolution and its activation."""

    def __init__(self, block: graph.ConvBlock) -> None:
        super().__init__()
        if block.pool != (1, 1):
            raise BadValue(f"a block that pools {block.pool}; only those that do not learn on here")
        self.conv = _conv(block, stride=block.stride)
        self.stride, self.activation = block.stride, block.activation

    def forward(self, x: Tensor) -> Tensor:
        return _activate(self.conv(x), self.activation)

    def to_graph(self) -> graph.ConvBlock:
        weight, bias = _weights(self.conv)
        return graph.ConvBlock(weight, bias, (1, 1), self.activation, self.stride)


class _Residual(nn.Module):
    """More channels, each convolved by itself, their shares, fewer channels."""

    def __init__(self, block: graph.InvertedResidual) -> None:
        super().__init__()
        self.expand = None if block.expand is None else _conv(block.expand)
        strides = (block.stride, block.stride)
        self.depthwise = _conv(block.depthwise, stride=strides, by_itself=True)
        self.squeeze = None if block.squeeze is None else nn.ModuleList(map(_dense, block.squeeze))
        self.project = _conv(block.project)
        self.stride, self.activation = block.stride, block.activation
        first = block.depthwise if block.expand is None else block.expand
        n_in = len(first.weight) if block.expand is None else first.weight.shape[1]
        self.adds = block.stride == 1 and len(block.project.weight) == n_in

    def forward(self, x: Tensor) -> Tensor:
        before = x
        if self.expand is not None:
            x = _activate(self.expand(x), self.activation)
        x = _activate(self.depthwise(x), self.activation)
        if self.squeeze is not None:
            narrow, wide = self.squeeze
            shares = torch.sigmoid(wide(F.relu(narrow(x.mean((2, 3))))))
            x = x * shares[:, :, None, None]
        x = self.project(x)
        return x + before if self.adds else x

    def to_graph(self) -> graph.InvertedResidual:
        squeeze = None
        if self.squeeze is not None:
            narrow, wide = (
                graph.Dense(_array(layer.weight).T, _array(layer.bias))
                for layer in self.squeeze
                if isinstance(layer, nn.Linear)
            )
            squeeze = narrow, wide
        return graph.InvertedResidual(
            expand=None if self.expand is None else graph.Conv(*_weights(self.expand)),
            depthwise=graph.Conv(*_weights(self.depthwise)),
            squeeze=squeeze,
            project=graph.Conv(*_weights(self.project)),
            activation=self.activation,
            stride=self.stride,
        )


def _conv(
    given: graph.Conv | graph.ConvBlock,
    *,
    stride: tuple[int, int] = (1, 1),
    by_itself: bool = False,
) -> nn.Conv2d:
    n_out, n_in, height, width = given.weight.shape
    conv = nn.Conv2d(
        n_out if by_itself else n_in,
        n_out,
        (height, width),
        stride=stride,
        padding=(height // 2, width // 2),
        groups=n_out if by_itself else 1,
    )
    _set(conv.weight, given.weight)
    assert conv.bias is not None
    _set(conv.bias, given.bias)
    return conv


def _dense(given: graph.Dense) -> nn.Linear:
    dense = nn.Linear(*given.weight.shape)
    _set(dense.weight, given.weight.T)
    _set(dense.bias, given.bias)
    return dense


def _activate(x: Tensor, activation: graph.Activation) -> Tensor:
    if activation == "hardswish":
        return F.hardswish(x)
    return F.relu(x) if activation == "relu" else F.elu(x)


def _set(parameter: Tensor, values: npt.NDArray[np.float32]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(values, dtype=np.float32)))


def _weights(conv: nn.Conv2d) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    assert conv.bias is not None
    return _array(conv.weight), _array(conv.bias)


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    result: npt.NDArray[np.float32] = tensor.detach().cpu().float().contiguous().numpy()
    return result
