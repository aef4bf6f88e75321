"""What no tagger on this machine can be faster than: its decode and its arithmetic.

    python -m benchmarks.suite.limit

FFmpeg's own decode of the same files on all cores (`ways.ffmpeg`), and then the network's multiply
and add operations at the rate of the fastest matrix product that NumPy or PyTorch does here. The
resampling and the spectrogram are left out, as if they were free. The operations are those of the
network as it is defined, each convolution directly: the graph computes the large ones by Winograd's
algorithm (`earmark.graph.winograd`), which does fewer, and can come below the limit with them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (256, 1024, 2048)  # of the square matrices; the largest are for machines that are fast
LONGEST = 0.3  # seconds of one product: with more, the next size is left out
REPEATS = 5


def gemm_peak() -> dict[str, float]:
    """FLOP a second of the fastest matrix product, by the type of its numbers.

    bf16 can be far below f32: a processor without instructions for it has to imitate them.
    """
    import torch

    a = np.random.default_rng(0).normal(size=(max(SIZES), max(SIZES))).astype(np.float32)
    tensor = torch.from_numpy(a)
    half = tensor.bfloat16()
    return {
        "f32": max(_peak(lambda n: a[:n, :n] @ a[:n, :n]), _peak(lambda n: _square(tensor, n))),
        "bf16": _peak(lambda n: _square(half, n)),
    }


def _square(matrix: Any, n: int) -> Any:
    return matrix[:n, :n] @ matrix[:n, :n]


def _peak(product: Callable[[int], object]) -> float:
    best = 0.0
    for n in SIZES:
        product(n)
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            product(n)
            seconds.append(time.perf_counter() - started)
            if seconds[-1] > LONGEST:
                break
        best = max(best, 2.0 * n**3 / min(seconds))
        if min(seconds) * 8 > LONGEST:
            break
    return best


def flop_of_a_window(model: Path) -> float:
    """Multiplications and additions of one window through the network of a model file.

    A network that cuts the window into pieces does them for each piece.
    """
    import onnx

    graph = onnx.load(model)
    for value in graph.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(graph, data_prop=True).graph.value_info
    }
    weights = {weight.name: list(weight.dims) for weight in graph.graph.initializer}
    shapes |= {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    total = 0
    before, blocks = "", set()
    for node in graph.graph.node:
        block = node.name.partition(".")[0]
        weight = f"{block}.weight"
        if block.startswith("conv") and block not in blocks:
            # its first node: every pair of channels at every place of what comes before
            blocks.add(block)
            pieces = shapes[before][0]
            strides = next((list(a.ints) for a in node.attribute if a.name == "strides"), [1, 1])
            mels, frames = shapes[before][-2:]
            mels, frames = -(-mels // strides[0]), -(-frames // strides[1])
            total += int(np.prod(weights[weight])) * pieces * mels * frames
        elif node.op_type == "Conv" and block not in blocks:
            # of a block of several layers: depthwise, pointwise, squeeze
            pieces, _, *places = shapes[node.output[0]]
            total += int(np.prod(weights[node.input[1]]) * pieces * np.prod(places))
        elif node.op_type == "Gemm" and block not in blocks:
            # weights hold every pair of the last two sizes
            rows = shapes[node.output[0]][:-1]
            matrix = weights[node.input[1]]
            total += int(np.prod([max(1, size) for size in rows]) * np.prod(matrix))
        before = node.output[0]
    return 2.0 * total


def main() -> None:
    print(json.dumps(gemm_peak()))


if __name__ == "__main__":
    main()
