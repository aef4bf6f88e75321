"""The layers of a network as ONNX nodes, in the form that runs fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from earmark.errors import BadValue
from earmark.graph import stem, winograd
from earmark.graph.activations import activate
from earmark.graph.mobile import inverted_residual
from earmark.graph.musicnn import musicnn, pooled_conv
from earmark.graph.network import (
    Affine,
    AveragePool,
    Beside,
    ConvBlock,
    Dense,
    InvertedResidual,
    Musicnn,
    Network,
    Pad,
    PooledConv,
    SilentMels,
    Summary,
)
from earmark.graph.nodes import Nodes
from earmark.graph.pieces import cut_pieces, join_pieces
from earmark.graph.recurrent import check_matrix, recurrent
from earmark.graph.shape import Shape
from earmark.graph.strips import cut, strips
from earmark.model_file import EMBEDDING, INPUT, LOGITS

if TYPE_CHECKING:
    import onnx


def build(network: Network, *, by_winograd: bool = True) -> onnx.ModelProto:
    """The inference graph of a network; the same network gives the same bytes.

    Input "log_mel" float32 (batch, n_mels, n_frames), raw dB; outputs "logits" float32
    (batch, n_tags) and "embedding" float32 (batch, n_dimensions). The batch is free.

    by_winograd : compute wide convolutions with fewer multiplications (graph/winograd.py)

    Raises BadValue, naming the layer, for weights that do not fit together or are not finite.
    """
    graph = Nodes()
    x = graph.add("Unsqueeze", [INPUT, graph.integers("channel_axis", [1])], "as_image")
    shape, n_pieces = Shape(1, network.n_mels, network.n_frames), 1
    if network.pieces is not None:
        x, shape, n_pieces = cut_pieces(graph, x, shape, network.pieces)
    for number, step in enumerate(network.front, start=1):
        if isinstance(step, Pad):
            x, shape = _pad(graph, x, shape, step, f"pad{number}")
        elif isinstance(step, SilentMels):
            x, shape = _silent_mels(graph, x, shape, step, f"silent{number}")
        else:
            x = _affine(graph, x, shape, step, f"norm{number}")
    n_done = 0
    if stem.suits(network.blocks, n_channels=shape.channels):
        x, shape = stem.convolve(graph, x, shape, network.blocks)
        n_done = stem.N_BLOCKS
    for number, block in enumerate(network.blocks[n_done:], start=n_done + 1):
        if isinstance(block, InvertedResidual):
            x, shape = inverted_residual(graph, x, shape, block, f"block{number}")
        elif isinstance(block, AveragePool):
            x, shape = _average(graph, x, shape, block, f"block{number}")
        elif isinstance(block, PooledConv):
            x, shape = pooled_conv(graph, x, shape, block, f"conv{number}")
        elif isinstance(block, Musicnn):
            x, shape = musicnn(graph, x, shape, block)
        else:
            x, shape = _conv_block(graph, x, shape, block, number, by_winograd=by_winograd)
    if network.grus:
        n_in = shape.channels * shape.mels
        image = x
        x, n_dimensions = recurrent(graph, x, network.grus, n_in=n_in, n_steps=shape.frames)
        if network.beside != "none":
            x = _beside(graph, x, image, network.beside)
            n_dimensions += n_in
    else:
        x, n_dimensions = _summary(graph, x, shape, network.summary)
    embedding, n_in = x, n_dimensions
    if network.hidden is not None:
        hidden, activation = network.hidden
        x, n_in = dense(graph, x, hidden, "hidden", n_in=n_in)
        x = activate(graph, x, activation, "hidden")
        if network.embedding == "hidden":
            embedding, n_dimensions = x, n_in
    output = LOGITS if network.pieces is None else "output"
    x, n_tags = dense(graph, x, network.output, "output", n_in=n_in, output=output)
    if network.pieces is not None:
        embedding = join_pieces(graph, embedding, "embedding", n_pieces, n_dimensions)
        x = join_pieces(graph, x, "logits", n_pieces, n_tags, pool=network.pieces.pool)
        graph.add("Identity", [x], "logits", output=LOGITS)
    graph.add("Identity", [embedding], "embedding", output=EMBEDDING)
    return graph.model(
        {INPUT: [network.n_mels, network.n_frames]}, {LOGITS: [n_tags], EMBEDDING: [n_dimensions]}
    )


def _pad(graph: Nodes, x: str, shape: Shape, pad: Pad, name: str) -> tuple[str, Shape]:
    if min(pad.before, pad.after) < 0:
        raise BadValue(
            f"{name}: {pad.before} frames before and {pad.after} after; both must be 0 or more"
        )
    frames = graph.integers(f"{name}.frames", [0, 0, 0, pad.before, 0, 0, 0, pad.after])
    value = graph.floats(f"{name}.value", np.asarray(pad.value, dtype=np.float32))
    x = graph.add("Pad", [x, frames, value], name)
    return x, shape._replace(frames=shape.frames + pad.before + pad.after)


def _silent_mels(
    graph: Nodes, x: str, shape: Shape, mels: SilentMels, name: str
) -> tuple[str, Shape]:
    if mels.number < 1:
        raise BadValue(f"{name}: {mels.number} mels more; it must be one or more")
    sides = graph.integers(f"{name}.mels", [0, 0, 0, 0, 0, 0, mels.number, 0])
    value = graph.floats(f"{name}.value", np.asarray(mels.value, dtype=np.float32))
    x = graph.add("Pad", [x, sides, value], name)
    return x, shape._replace(mels=shape.mels + mels.number)


def _affine(graph: Nodes, x: str, shape: Shape, affine: Affine, name: str) -> str:
    for word, array in (("scale", affine.scale), ("shift", affine.shift)):
        try:
            fits = np.broadcast_shapes(array.shape, shape[1:]) == shape[1:]
        except ValueError:
            fits = False
        if not fits:
            raise BadValue(f"{name}: a {word} of shape {array.shape} on a spectrogram {shape[1:]}")
    x = graph.add("Mul", [x, graph.floats(f"{name}.scale", affine.scale)], f"{name}.scaled")
    return graph.add("Add", [x, graph.floats(f"{name}.shift", affine.shift)], name)


def _conv_block(
    graph: Nodes, x: str, shape: Shape, block: ConvBlock, number: int, *, by_winograd: bool
) -> tuple[str, Shape]:
    name = f"conv{number}"
    if block.weight.ndim != 4 or block.weight.shape[1] != shape.channels:
        raise BadValue(
            f"{name}: weights of shape {block.weight.shape}, but (n_out, {shape.channels}, height, "
            "width) are needed"
        )
    n_out, _, height, width = block.weight.shape
    if height % 2 == 0 or width % 2 == 0:
        raise BadValue(f"{name}: a kernel of {height} x {width}; both must be odd")
    if block.bias.shape != (n_out,):
        raise BadValue(f"{name}: {n_out} filters, but a bias of shape {block.bias.shape}")
    if not 1 <= block.pool[0] <= shape.mels or not 1 <= block.pool[1] <= shape.frames:
        raise BadValue(f"{name}: pools {block.pool}, but only {shape[1:]} mels and frames are left")
    pooled = Shape(n_out, shape.mels // block.pool[0], shape.frames // block.pool[1])
    if block.pool != (1, 1) and (block.stride != (1, 1) or block.activation == "hardswish"):
        raise BadValue(
            f"{name}: only a block without a stride, whose activation never falls, can be pooled"
        )

    weight = graph.floats(f"{name}.weight", block.weight)
    bias = graph.floats(f"{name}.bias", block.bias)
    if block.stride != (1, 1):
        kernel = {"kernel_shape": [height, width], "strides": block.stride}
        pads = {"pads": [height // 2, width // 2] * 2}
        x = graph.add("Conv", [x, weight, bias], name, attributes=kernel | pads)
        pooled = shape.strided(n_out, block.stride)
    elif by_winograd and winograd.suits(block, mels=shape.mels, frames=shape.frames):
        x = winograd.convolve(graph, x, weight, block, name, mels=shape.mels, frames=shape.frames)
        to_channels = graph.integers(f"{name}.bias_shape", [-1, 1, 1])
        bias = graph.add("Reshape", [bias, to_channels], f"{name}.channel_bias")
        x = graph.add("Add", [x, bias], name)
    else:
        x = _convolve(graph, x, [weight, bias], block, name, shape=shape)
    return activate(graph, x, block.activation, name), pooled


def _convolve(
    graph: Nodes, x: str, weights: list[str], block: ConvBlock, name: str, *, shape: Shape
) -> str:
    """A convolution of the same size and max-pooling, in strips of rows."""
    n_out, _, height, width = block.weight.shape
    over, beside = height // 2, width // 2  # what a kernel sees around its place
    pool = block.pool
    parts = []
    row_bytes = 4 * n_out * pool[0] * shape.frames
    for first, end in strips(shape.mels // pool[0], row_bytes=row_bytes):
        at = f"{name}.strip{first}"
        start, stop = first * pool[0] - over, end * pool[0] + over
        part, above, below = cut(graph, x, at, start=start, stop=stop, n_rows=shape.mels)
        window = {"kernel_shape": [height, width], "pads": [above, beside, below, beside]}
        part = graph.add("Conv", [part, *weights], at, attributes=window)
        if pool != (1, 1):
            cells = {"kernel_shape": pool, "strides": pool}
            part = graph.add("MaxPool", [part], f"{at}.pool", attributes=cells)
        parts.append(part)
    return graph.add("Concat", parts, name, attributes={"axis": 2})


def _average(
    graph: Nodes, x: str, shape: Shape, block: AveragePool, name: str
) -> tuple[str, Shape]:
    if not 1 <= block.pool[0] <= shape.mels or not 1 <= block.pool[1] <= shape.frames:
        raise BadValue(f"{name}: pools {block.pool} of what are only {shape[1:]} mels and frames")
    cells = {"kernel_shape": block.pool, "strides": block.pool}
    x = graph.add("AveragePool", [x], name, attributes=cells)
    pooled = (shape.mels // block.pool[0], shape.frames // block.pool[1])
    return x, Shape(shape.channels, *pooled)


def _beside(graph: Nodes, state: str, image: str, beside: Beside) -> str:
    if beside not in get_args(Beside):
        raise BadValue(f"beside {beside!r}; choose one of {', '.join(get_args(Beside))}")
    operator = {"mean": "ReduceMean", "max": "ReduceMax"}[beside]
    time = graph.integers("time_axis", [3])
    image = graph.add(operator, [image, time], beside, attributes={"keepdims": 0})
    image = graph.add("Flatten", [image], "over_time")
    return graph.add("Concat", [state, image], "state_and_time", attributes={"axis": 1})


def _summary(graph: Nodes, x: str, shape: Shape, summary: Summary) -> tuple[str, int]:
    if summary not in get_args(Summary):
        raise BadValue(f"summary {summary!r}; choose one of {', '.join(get_args(Summary))}")
    if summary == "flatten":
        return graph.add("Flatten", [x], "flat"), shape.channels * shape.mels * shape.frames
    operators = {"mean": "GlobalAveragePool", "max": "GlobalMaxPool"}
    parts = [graph.add(operators[word], [x], word) for word in summary.split("-")]
    if len(parts) > 1:
        x = graph.add("Concat", parts, "summaries", attributes={"axis": 1})
    else:
        (x,) = parts
    return graph.add("Flatten", [x], "flat"), len(parts) * shape.channels


def dense(
    graph: Nodes, x: str, layer: Dense, name: str, *, n_in: int, output: str | None = None
) -> tuple[str, int]:
    """From (batch, n_in) to (batch, n_out), and n_out."""
    check_matrix(name, layer.weight, layer.bias, n_in=n_in)
    weights = [
        graph.floats(f"{name}.weight", layer.weight), graph.floats(f"{name}.bias", layer.bias)
    ]  # fmt: skip
    return graph.add("Gemm", [x, *weights], name, output=output), layer.bias.shape[0]
