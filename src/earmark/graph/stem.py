"""The first three blocks of a MobileNet, whose images are the largest, in fewer layers and strips.

The second block adds its input to what its last convolution, of one place, leaves; the third begins
with such a convolution, and nothing bends in between. So these two convolutions are one, of the
second block's depthwise image beside its input. Of n channels there are then 2 n, which costs no
more: runtimes fill up to 16. Its input goes through the depthwise convolution as it is: hardswish
is never below -3/8, so ReLU leaves x + 3/8 alone, and the 3/8 come off with the next bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from earmark.graph.activations import activate
from earmark.graph.network import Activation, Block, Conv, ConvBlock, InvertedResidual
from earmark.graph.nodes import Nodes
from earmark.graph.shape import Shape
from earmark.graph.strips import cut, strips

N_BLOCKS = 3
_LEAST = np.float32(3 / 8)  # of hardswish, below zero


class _Layer(NamedTuple):
    """A convolution of the same size and its activation; by_itself : each channel."""

    conv: Conv
    stride: int = 1
    activation: Activation | None = None
    by_itself: bool = False

    @property
    def n_out(self) -> int:
        return len(self.conv.weight)

    @property
    def height(self) -> int:
        return int(self.conv.weight.shape[2])


def suits(blocks: Sequence[Block], *, n_channels: int) -> bool:
    """Whether a network begins with three such blocks, and their weights fit together.

    What does not fit is left to the layers by themselves, which say what is wrong with it.
    """
    if len(blocks) < N_BLOCKS:
        return False
    first, second, third = blocks[:N_BLOCKS]
    if not (
        isinstance(first, ConvBlock)
        and isinstance(second, InvertedResidual)
        and isinstance(third, InvertedResidual)
    ):
        return False
    if third.expand is None or second.expand is not None or second.squeeze or third.squeeze:
        return False
    if first.pool != (1, 1) or first.stride[0] != first.stride[1] or second.stride != 1:
        return False
    if (first.activation, second.activation) != ("hardswish", "relu"):
        return False
    n, n_mid, n_out = len(first.weight), len(third.expand.weight), len(third.project.weight)
    if third.stride == 1 and n_out == n:  # then the third adds its input too
        return False
    shapes = {
        (n, n_channels): Conv(first.weight, first.bias), (n, 1): second.depthwise,
        (n, n, 1, 1): second.project, (n_mid, n, 1, 1): third.expand, (n_mid, 1): third.depthwise,
        (n_out, n_mid, 1, 1): third.project,
    }  # fmt: skip
    return all(_fits(conv, shape) for shape, conv in shapes.items())


def _fits(conv: Conv, shape: tuple[int, ...]) -> bool:
    weight, bias = conv.weight, conv.bias
    is_of_shape = weight.ndim == 4 and weight.shape[: len(shape)] == shape
    is_odd = is_of_shape and weight.shape[2] % 2 == 1 and weight.shape[3] % 2 == 1
    return is_odd and bias.shape == shape[:1] and bool(np.isfinite(weight).all())


def convolve(graph: Nodes, x: str, shape: Shape, blocks: Sequence[Block]) -> tuple[str, Shape]:
    """The three blocks on an image (batch, channels, mels, frames), in strips of rows."""
    layers = _layers(blocks)
    shapes = [shape]
    for layer in layers:
        shapes.append(shapes[-1].strided(layer.n_out, (layer.stride, layer.stride)))
    last = shapes[-1]
    constants = [
        [graph.floats(f"stem{number}.weight", layer.conv.weight),
         graph.floats(f"stem{number}.bias", layer.conv.bias)]
        for number, layer in enumerate(layers, start=1)
    ]  # fmt: skip
    row_bytes = max(
        4 * (before.channels + after.channels) * before.frames * -(-before.mels // last.mels)
        for before, after in pairwise(shapes[1:])
    )
    parts = []
    for start, stop in strips(last.mels, row_bytes=row_bytes):
        name = f"stem.strip{start}"
        rows = [(start, stop)]  # of what each layer leaves, from the last to the first
        for layer, image in zip(layers[::-1], shapes[-2::-1], strict=True):
            above = rows[-1][0] * layer.stride - layer.height // 2
            below = (rows[-1][1] - 1) * layer.stride + layer.height // 2 + 1
            rows.append((max(0, above), min(image.mels, below)))
        rows.reverse()
        first, end = rows[0]
        part, _, _ = cut(graph, x, name, start=first, stop=end, n_rows=shape.mels)
        for number, layer in enumerate(layers, start=1):
            (first, end), (top, bottom) = rows[number - 1], rows[number]
            above = first - (top * layer.stride - layer.height // 2)
            below = (bottom - 1) * layer.stride + layer.height // 2 + 1 - end
            part = _convolve(
                graph, part, constants[number - 1], layer, f"{name}.conv{number}", above, below
            )
        parts.append(part)
    return graph.add("Concat", parts, "stem", attributes={"axis": 2}), last


def _convolve(
    graph: Nodes, x: str, constants: list[str], layer: _Layer, name: str, above: int, below: int
) -> str:
    weight = layer.conv.weight
    beside = weight.shape[3] // 2
    attributes = {
        "kernel_shape": weight.shape[2:],
        "strides": [layer.stride, layer.stride],
        "pads": [above, beside, below, beside],
        "group": len(weight) if layer.by_itself else 1,
    }
    x = graph.add("Conv", [x, *constants], name, attributes=attributes)
    return x if layer.activation is None else activate(graph, x, layer.activation, name)


def _layers(blocks: Sequence[Block]) -> list[_Layer]:
    """The five convolutions that these blocks come down to."""
    first, second, third = blocks[:N_BLOCKS]
    assert isinstance(first, ConvBlock)
    assert isinstance(second, InvertedResidual)
    assert isinstance(third, InvertedResidual)
    assert third.expand is not None
    twice = Conv(np.concatenate([first.weight] * 2), np.concatenate([first.bias] * 2))
    as_it_is = np.zeros_like(second.depthwise.weight)
    as_it_is[:, :, as_it_is.shape[2] // 2, as_it_is.shape[3] // 2] = 1
    depthwise = Conv(
        np.concatenate([second.depthwise.weight, as_it_is]),
        np.concatenate([second.depthwise.bias, np.full(len(as_it_is), _LEAST)]),
    )
    project, expand = second.project.weight[:, :, 0, 0], third.expand.weight[:, :, 0, 0]
    both = np.concatenate([expand @ project, expand], axis=1)[:, :, None, None]
    bias = third.expand.bias + expand @ (second.project.bias - _LEAST)
    return [
        _Layer(twice, first.stride[0], first.activation),
        _Layer(depthwise, 1, second.activation, by_itself=True),
        _Layer(Conv(both, bias), 1, third.activation),
        _Layer(third.depthwise, third.stride, third.activation, by_itself=True),
        _Layer(third.project),
    ]
