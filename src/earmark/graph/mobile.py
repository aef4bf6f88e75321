"""MobileNet's blocks as ONNX nodes."""

from __future__ import annotations

from earmark.errors import BadValue
from earmark.graph.activations import activate
from earmark.graph.network import Conv, Dense, InvertedResidual
from earmark.graph.nodes import Nodes
from earmark.graph.recurrent import check_matrix
from earmark.graph.shape import Shape


def inverted_residual(
    graph: Nodes, x: str, shape: Shape, block: InvertedResidual, name: str
) -> tuple[str, Shape]:
    """A block on an image (batch, channels, mels, frames); returns the new one and its shape."""
    before, n_mid = x, shape.channels
    if block.expand is not None:
        x, n_mid = _pointwise(graph, x, block.expand, f"{name}.expand", n_in=n_mid)
        x = activate(graph, x, block.activation, f"{name}.expand")
    x = _depthwise(graph, x, block.depthwise, f"{name}.depthwise", n=n_mid, stride=block.stride)
    x = activate(graph, x, block.activation, f"{name}.depthwise")
    if block.squeeze is not None:
        x = _squeeze(graph, x, block.squeeze, f"{name}.squeeze", n=n_mid)
    x, n_out = _pointwise(graph, x, block.project, f"{name}.project", n_in=n_mid)
    after = shape.strided(n_out, (block.stride, block.stride))
    if after == shape:
        x = graph.add("Add", [x, before], name)
    return x, after


def _pointwise(graph: Nodes, x: str, conv: Conv, name: str, *, n_in: int) -> tuple[str, int]:
    n_out = conv.bias.shape[0]
    _check(conv, name, (n_out, n_in, 1, 1))
    return graph.add("Conv", [x, *_constants(graph, conv, name)], name), n_out


def _depthwise(graph: Nodes, x: str, conv: Conv, name: str, *, n: int, stride: int) -> str:
    height, width = conv.weight.shape[-2:]
    _check(conv, name, (n, 1, height, width))
    if height % 2 == 0 or width % 2 == 0:
        raise BadValue(f"{name}: a kernel of {height} x {width}; both must be odd")
    attributes = {
        "group": n,
        "kernel_shape": [height, width],
        "strides": [stride, stride],
        "pads": [height // 2, width // 2] * 2,
    }
    return graph.add("Conv", [x, *_constants(graph, conv, name)], name, attributes=attributes)


def _squeeze(graph: Nodes, x: str, layers: tuple[Dense, Dense], name: str, *, n: int) -> str:
    """Each channel times its share, from the means of all of them."""
    share, n_in = graph.add("GlobalAveragePool", [x], f"{name}.means"), n
    for word, layer, operator in zip("12", layers, ("Relu", "Sigmoid"), strict=True):
        check_matrix(f"{name}.dense{word}", layer.weight, layer.bias, n_in=n_in)
        n_in = layer.bias.shape[0]
        # a convolution of one place: the means keep the layout that the images around them have
        conv = Conv(layer.weight.T[:, :, None, None], layer.bias)
        constants = _constants(graph, conv, f"{name}.dense{word}")
        share = graph.add("Conv", [share, *constants], f"{name}.dense{word}")
        share = graph.add(operator, [share], f"{name}.{operator.lower()}")
    if n_in != n:
        raise BadValue(f"{name}: {n_in} shares for {n} channels")
    return graph.add("Mul", [x, share], name)


def _constants(graph: Nodes, conv: Conv, name: str) -> list[str]:
    return [
        graph.floats(f"{name}.weight", conv.weight), graph.floats(f"{name}.bias", conv.bias)
    ]  # fmt: skip


def _check(conv: Conv, name: str, shape: tuple[int, ...]) -> None:
    if conv.weight.shape != shape or conv.bias.shape != shape[:1]:
        raise BadValue(
            f"{name}: weights of shape {conv.weight.shape} with a bias of shape "
            f"{conv.bias.shape}, but {shape} and {shape[:1]} are needed"
        )
