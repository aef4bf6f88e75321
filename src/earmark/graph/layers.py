"""Each part of a network as ONNX nodes, in the shape that runs fastest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from earmark.errors import BadValue
from earmark.graph.network import (
    Activation,
    Affine,
    Array,
    ConvBlock,
    Gate,
    Gru,
    Network,
    Pad,
    Summary,
)
from earmark.graph.nodes import Nodes
from earmark.model_file import EMBEDDING, INPUT, LOGITS

if TYPE_CHECKING:
    import onnx


def build(network: Network) -> onnx.ModelProto:
    """The inference graph of a network; the same network gives the same bytes.

    Input "log_mel" float32 (batch, n_mels, n_frames), raw dB; outputs "logits" float32
    (batch, n_tags) and "embedding" float32 (batch, n_dimensions). The batch is free.

    Raises BadValue, naming the layer, for weights that do not fit together or are not finite.
    """
    graph = Nodes()
    x = graph.add("Unsqueeze", [INPUT, graph.integers("channel_axis", [1])], "as_image")
    shape = _Shape(1, network.n_mels, network.n_frames)
    for number, step in enumerate(network.front, start=1):
        if isinstance(step, Pad):
            x, shape = _pad(graph, x, shape, step, f"pad{number}")
        else:
            x = _affine(graph, x, shape, step, f"norm{number}")
    for number, block in enumerate(network.blocks, start=1):
        x, shape = _conv_block(graph, x, shape, block, number)
    if network.grus:
        x, n_dimensions = _recurrent(graph, x, shape, network.grus)
    else:
        x, n_dimensions = _summary(graph, x, shape, network.summary)
    _check_matrix("output", network.output.weight, network.output.bias, n_in=n_dimensions)
    graph.add("Identity", [x], "embedding", output=EMBEDDING)
    weights = [
        graph.floats("output.weight", network.output.weight),
        graph.floats("output.bias", network.output.bias),
    ]
    graph.add("Gemm", [x, *weights], "output", output=LOGITS)
    n_tags = network.output.bias.shape[0]
    return graph.model(
        {INPUT: [network.n_mels, network.n_frames]}, {LOGITS: [n_tags], EMBEDDING: [n_dimensions]}
    )


class _Shape(NamedTuple):
    """Of one item of the batch, as it goes through the blocks."""

    channels: int
    mels: int
    frames: int


def _pad(graph: Nodes, x: str, shape: _Shape, pad: Pad, name: str) -> tuple[str, _Shape]:
    if min(pad.before, pad.after) < 0:
        raise BadValue(f"{name}: {pad.before} frames before and {pad.after} after; 0 is the least")
    frames = graph.integers(f"{name}.frames", [0, 0, 0, pad.before, 0, 0, 0, pad.after])
    value = graph.floats(f"{name}.value", np.asarray(pad.value, dtype=np.float32))
    x = graph.add("Pad", [x, frames, value], name)
    return x, shape._replace(frames=shape.frames + pad.before + pad.after)


def _affine(graph: Nodes, x: str, shape: _Shape, affine: Affine, name: str) -> str:
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
    graph: Nodes, x: str, shape: _Shape, block: ConvBlock, number: int
) -> tuple[str, _Shape]:
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
    pooled = _Shape(n_out, shape.mels // block.pool[0], shape.frames // block.pool[1])
    if min(block.pool) < 1 or min(pooled) < 1:
        raise BadValue(f"{name}: pools {block.pool} of what are only {shape[1:]} mels and frames")
    if block.activation not in get_args(Activation):
        raise BadValue(
            f"{name}: activation {block.activation!r}; choose {' or '.join(get_args(Activation))}"
        )

    weights = [
        graph.floats(f"{name}.weight", block.weight),
        graph.floats(f"{name}.bias", block.bias),
    ]
    pads = [height // 2, width // 2] * 2
    x = graph.add(
        "Conv", [x, *weights], name, attributes={"kernel_shape": [height, width], "pads": pads}
    )
    if block.pool != (1, 1):
        pool = {"kernel_shape": block.pool, "strides": block.pool}
        x = graph.add("MaxPool", [x], f"pool{number}", attributes=pool)
    operator = {"elu": "Elu", "relu": "Relu"}[block.activation]
    return graph.add(operator, [x], f"{block.activation}{number}"), pooled


def _summary(graph: Nodes, x: str, shape: _Shape, summary: Summary) -> tuple[str, int]:
    if summary not in get_args(Summary):
        raise BadValue(f"summary {summary!r}; choose one of {', '.join(get_args(Summary))}")
    if summary == "flatten":
        return graph.add("Flatten", [x], "flat"), shape.channels * shape.mels * shape.frames
    operator = {"mean": "GlobalAveragePool", "max": "GlobalMaxPool"}[summary]
    x = graph.add(operator, [x], summary)
    return graph.add("Flatten", [x], "flat"), shape.channels


def _recurrent(graph: Nodes, x: str, shape: _Shape, grus: Sequence[Gru]) -> tuple[str, int]:
    """Run the layers over the frames; returns the last state and its size."""
    n_in, n_steps = shape.channels * shape.mels, shape.frames
    # steps outermost, so that one step of the whole batch is one block of rows
    x = graph.add("Transpose", [x], "steps_first", attributes={"perm": [3, 0, 1, 2]})
    x = graph.add("Reshape", [x, graph.integers("row", [-1, n_in])], "steps")  # (steps * batch, n)
    states: list[str] = []
    for number, gru in enumerate(grus, start=1):
        if number > 1:
            x = graph.add("Concat", states, f"gru{number}.input", attributes={"axis": 0})
        states = _gru(graph, x, gru, f"gru{number}", n_in=n_in, n_steps=n_steps)
        n_in = gru.recurrent.shape[0]
    return states[-1], n_in


def _gru(graph: Nodes, x: str, gru: Gru, name: str, *, n_in: int, n_steps: int) -> list[str]:
    """One layer, unrolled: x (n_steps * batch, n_in) to a state (batch, n_units) for each step."""
    _check_matrix(f"{name} kernel", gru.kernel, gru.bias, n_in=n_in)
    n_units = gru.kernel.shape[1] // 3
    recurrent_bias = np.zeros_like(gru.bias) if gru.recurrent_bias is None else gru.recurrent_bias
    _check_matrix(f"{name} recurrent", gru.recurrent, recurrent_bias, n_in=n_units)
    if gru.recurrent.shape[1] != gru.kernel.shape[1] or gru.kernel.shape[1] % 3:
        raise BadValue(f"{name}: {gru.kernel.shape} and {gru.recurrent.shape} are not three gates")
    if gru.gate not in get_args(Gate):
        raise BadValue(f"{name}: gate {gru.gate!r}; choose {' or '.join(get_args(Gate))}")
    gates = slice(0, 2 * n_units)  # z and r, which are computed alike
    bias = gru.bias.copy()
    bias[gates] += recurrent_bias[gates]
    kernel = [graph.floats(f"{name}.kernel", gru.kernel), graph.floats(f"{name}.bias", bias)]
    weight_gates = graph.floats(f"{name}.recurrent_gates", gru.recurrent[:, gates])
    weight_candidate = graph.floats(f"{name}.recurrent_candidate", gru.recurrent[:, 2 * n_units :])
    bias_candidate = graph.floats(f"{name}.recurrent_bias", recurrent_bias[2 * n_units :])

    products = graph.add("Gemm", [x, *kernel], f"{name}.products")
    parts = graph.split_columns(products, f"{name}.part", sizes=[2 * n_units, n_units])
    of_gates = graph.split(parts[0], f"{name}.gates", n_parts=n_steps, axis=0)
    of_candidate = graph.split(parts[1], f"{name}.candidate", n_parts=n_steps, axis=0)

    states: list[str] = []
    for number in range(n_steps):
        at = f"{name}.step{number + 1:02}"
        opened, candidate = of_gates[number], of_candidate[number]
        if states:
            opened = graph.add("Gemm", [states[-1], weight_gates, opened], f"{at}.gates")
        if gru.gate == "sigmoid":
            opened = graph.add("Sigmoid", [opened], f"{at}.sigmoid")
        else:  # Theano's and Keras 2's: 0.2 x + 0.5, cut to 0..1
            slope = {"alpha": 0.2, "beta": 0.5}
            opened = graph.add("HardSigmoid", [opened], f"{at}.sigmoid", attributes=slope)
        update, reset = graph.split(opened, f"{at}.gate", n_parts=2)
        if gru.recurrent_bias is not None:
            inner = bias_candidate
            if states:
                inner = graph.add(
                    "Gemm", [states[-1], weight_candidate, bias_candidate], f"{at}.inner"
                )
            inner = graph.add("Mul", [reset, inner], f"{at}.reset")
            candidate = graph.add("Add", [candidate, inner], f"{at}.sum")
        elif states:
            inner = graph.add("Mul", [reset, states[-1]], f"{at}.reset")
            candidate = graph.add("Gemm", [inner, weight_candidate, candidate], f"{at}.sum")
        candidate = graph.add("Tanh", [candidate], f"{at}.candidate")
        # z * state + (1 - z) * candidate; the state before the first step is zero
        if states:
            moved = graph.add("Sub", [states[-1], candidate], f"{at}.difference")
            moved = graph.add("Mul", [update, moved], f"{at}.kept")
            states.append(graph.add("Add", [candidate, moved], f"{at}.state"))
        else:
            moved = graph.add("Mul", [update, candidate], f"{at}.kept")
            states.append(graph.add("Sub", [candidate, moved], f"{at}.state"))
    return states


def _check_matrix(what: str, weight: Array, bias: Array, *, n_in: int) -> None:
    if weight.ndim != 2 or weight.shape[0] != n_in or bias.shape != weight.shape[1:]:
        raise BadValue(
            f"{what}: weights of shape {weight.shape} with a bias of shape {bias.shape}, but "
            f"({n_in}, n_out) and (n_out,) are needed"
        )
