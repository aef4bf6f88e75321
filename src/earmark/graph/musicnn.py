"""The layers of musicnn and of the VGG beside it, as ONNX nodes."""

from __future__ import annotations

from typing import get_args

from earmark.errors import BadValue
from earmark.graph.network import Musicnn, OverMels, PooledConv, Rectified
from earmark.graph.nodes import Nodes
from earmark.graph.shape import Shape


def pooled_conv(
    graph: Nodes, x: str, shape: Shape, block: PooledConv, name: str
) -> tuple[str, Shape]:
    """A block on an image (batch, channels, mels, frames); returns the new one and its shape."""
    sizes = shape.mels, shape.frames
    if not all(1 <= cell <= size for cell, size in zip(block.pool, sizes, strict=True)):
        raise BadValue(f"{name}: pools {block.pool}, but only {sizes} mels and frames are left")
    x = _rectified(graph, x, block.conv, name, n_in=shape.channels)
    cells = {"kernel_shape": block.pool, "strides": block.stride}
    x = graph.add("MaxPool", [x], f"{name}.pool", attributes=cells)
    mels, frames = (
        1 + (size - cell) // step
        for size, cell, step in zip(sizes, block.pool, block.stride, strict=True)
    )
    return x, Shape(len(block.conv.bias), mels, frames)


def musicnn(graph: Nodes, x: str, shape: Shape, block: Musicnn) -> tuple[str, Shape]:
    """All layers of musicnn on images of one channel; returns (batch, channels, 1, frames)."""
    if block.over_mels not in get_args(OverMels):
        raise BadValue(f"over_mels {block.over_mels!r}; choose {' or '.join(get_args(OverMels))}")
    mels = graph.integers("mel_axis", [2])
    parts = []
    for number, layer in enumerate(block.timbral, start=1):
        name = f"timbral{number}"
        if layer.weight.shape[2] > shape.mels:
            raise BadValue(f"{name}: {layer.weight.shape[2]} mels high, of an image of {shape[1:]}")
        part = _rectified(graph, x, layer, name, n_in=shape.channels, inside=True)
        parts.append(graph.add("ReduceMax", [part, mels], f"{name}.largest"))
    if block.over_mels == "mean":
        x = graph.add("ReduceMean", [x, mels], "mel_mean")
    for number, layer in enumerate(block.temporal, start=1):
        name = f"temporal{number}"
        part = _rectified(graph, x, layer, name, n_in=shape.channels)
        if block.over_mels == "max":
            part = graph.add("ReduceMax", [part, mels], f"{name}.largest")
        parts.append(part)
    x = graph.add("Concat", parts, "front", attributes={"axis": 1})
    n_in = sum(len(layer.bias) for layer in (*block.timbral, *block.temporal))
    n_channels, parts, before = n_in, [x], None
    for number, layer in enumerate(block.middle, start=1):
        name = f"middle{number}"
        x = _rectified(graph, x, layer, name, n_in=n_in)
        n_in = len(layer.bias)
        n_channels += n_in
        if before is not None:
            x = graph.add("Add", [x, before], f"{name}.sum")
        before = x
        parts.append(x)
    x = graph.add("Concat", parts, "all_layers", attributes={"axis": 1})
    return x, Shape(n_channels, 1, shape.frames)


def _rectified(
    graph: Nodes, x: str, layer: Rectified, name: str, *, n_in: int, inside: bool = False
) -> str:
    """A convolution of the same size, or inside the image over mels; ReLU; the norm.

    An even kernel reaches one place further after its own than before it, as TensorFlow's do.
    """
    weight, bias = layer.weight, layer.bias
    if weight.ndim != 4 or weight.shape[1] != n_in or bias.shape != weight.shape[:1]:
        raise BadValue(
            f"{name}: weights of shape {weight.shape} with a bias of shape {bias.shape}, but "
            f"(n_out, {n_in}, height, width) and (n_out,) are needed"
        )
    height, width = weight.shape[2:]
    over = (0, 0) if inside else ((height - 1) // 2, height // 2)
    beside = (width - 1) // 2, width // 2
    attributes = {
        "kernel_shape": [height, width],
        "pads": [over[0], beside[0], over[1], beside[1]],
    }
    constants = [graph.floats(f"{name}.weight", weight), graph.floats(f"{name}.bias", bias)]
    x = graph.add("Conv", [x, *constants], name, attributes=attributes)
    x = graph.add("Relu", [x], f"{name}.relu")
    if layer.norm is None:
        return x
    x = graph.add("Mul", [x, graph.floats(f"{name}.scale", layer.norm.scale)], f"{name}.scaled")
    return graph.add("Add", [x, graph.floats(f"{name}.shift", layer.norm.shift)], f"{name}.norm")
