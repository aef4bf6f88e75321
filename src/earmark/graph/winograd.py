"""Convolutions of 3 x 3 and the max-pooling after them by Winograd's algorithm, as ONNX nodes.

Winograd 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The
outputs are computed in tiles: a tile of m x m needs (m + 2)^2 multiplications for each pair of
channels instead of 9 m^2, a quarter of them for m = 4. The other arithmetic is additions, which
make the result differ in the fifth decimal. No CPU runtime that reads ONNX does this by itself.

A tile holds whole cells of the pooling, so that the maximum is taken before the tiles are put
together. They are computed in strips of rows, few enough that a strip's products stay in the
processor's cache.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from earmark.graph.network import ConvBlock
from earmark.graph.nodes import Nodes

_KERNEL = 3
# Outputs of a tile along an axis, by the pooling there. More would lose more than a decimal.
_TILE = {1: 4, 2: 4, 3: 3, 4: 4}
_POINTS = (0, 1, -1, 2, -2)  # where the polynomials are evaluated; infinity is one more
_FEWEST_CHANNELS = 16  # with fewer, to transform the input costs more than it saves
_FEWEST_TILES = 16  # with fewer, the kernels are more than what they are multiplied with
_STRIP_BYTES = 3 << 20  # of products: more leave the cache, fewer make the matrices small

Matrix = npt.NDArray[np.float64]


def suits(block: ConvBlock, *, mels: int, frames: int) -> bool:
    """Whether a block is faster this way on an image of that size."""
    _, n_in, *kernel = block.weight.shape
    if kernel != [_KERNEL, _KERNEL] or not all(size in _TILE for size in block.pool):
        return False
    n_tiles = mels * frames / (_TILE[block.pool[0]] * _TILE[block.pool[1]])
    return n_in >= _FEWEST_CHANNELS and n_tiles >= _FEWEST_TILES


def transforms(m: int) -> tuple[Matrix, Matrix, Matrix]:
    """The matrices of m outputs of a kernel g of 3 over n = m + 2 inputs d (Toom and Cook's).

    returns : of the input (n, n), of the kernel (n, 3), of the output (m, n), so that
        correlate(d, g) = output @ ((kernel @ g) * (input @ d))
    """
    points = np.array(_POINTS[: m + 1], dtype=np.float64)

    def evaluate(n_coefficients: int) -> Matrix:
        at_infinity = np.eye(n_coefficients)[-1:]
        return np.concatenate([np.vander(points, n_coefficients, increasing=True), at_infinity])

    others = [np.delete(points, i) for i in range(len(points))]
    kernel = evaluate(_KERNEL)
    kernel[:-1] /= [[np.prod(p - other)] for p, other in zip(points, others, strict=True)]
    n = m + _KERNEL - 1
    inputs = np.zeros((n, n))
    for row, roots in enumerate([*others, points]):  # products of (x - root), lowest power first
        inputs[row, : len(roots) + 1] = np.poly(roots)[::-1]
    return inputs, kernel, evaluate(m).T


def convolve(
    graph: Nodes, x: str, weight: str, block: ConvBlock, name: str, *, mels: int, frames: int
) -> str:
    """A convolution of the same size without its bias, and max-pooling.

    x : (batch, n_in, mels, frames); weight : the constant (n_out, n_in, 3, 3)
    returns : (batch, n_out, mels // pool[0], frames // pool[1])
    """
    n_out, n_in = block.weight.shape[:2]
    tile = [_TILE[size] for size in block.pool]
    cells = [m // size for m, size in zip(tile, block.pool, strict=True)]  # of a tile
    pooled = [mels // block.pool[0], frames // block.pool[1]]
    n_rows, n_columns = (-(-n // of) for n, of in zip(pooled, cells, strict=True))  # of tiles
    size = [m + _KERNEL - 1 for m in tile]  # of a tile's input
    n_points = size[0] * size[1]
    inputs, kernels, outputs = (
        np.kron(rows, columns) for rows, columns in zip(*map(transforms, tile), strict=True)
    )
    # outputs of a tile by cell, and within a cell by place
    by_cell = outputs.reshape(cells[0], block.pool[0], cells[1], block.pool[1], n_points)
    by_cell = by_cell.transpose(0, 2, 1, 3, 4).reshape(-1, n_points)

    def reshape(x: str, to: str, *shape: int) -> str:
        return graph.add("Reshape", [x, graph.integers(f"{to}.shape", shape)], to)

    # The weights stay as they were trained in the file; runtimes compute this once, when they load.
    flat = reshape(weight, f"{name}.kernels", n_out * n_in, _KERNEL**2)
    by_point = [graph.floats(f"{name}.kernel_transform", kernels), flat]
    u = graph.add("Gemm", by_point, f"{name}.by_point", attributes={"transB": 1})
    u = reshape(u, f"{name}.transformed", n_points, n_out, n_in)
    transform = graph.floats(f"{name}.input_transform", inputs.reshape(n_points, 1, *size))
    back = graph.floats(f"{name}.output_transform", by_cell)
    axis = graph.integers(f"{name}.axis", [2])

    images = reshape(x, f"{name}.images", -1, 1, mels, frames)
    most = max(1, _STRIP_BYTES // (4 * n_points * n_out * n_columns))  # rows of tiles in a strip
    strips = []
    for first in range(0, n_rows, most):
        n = min(most, n_rows - first)
        at = f"{name}.strip{first}"
        # the strip's input, with a margin of one that may lie outside the image
        top, bottom = first * tile[0] - 1, (first + n) * tile[0] + 1
        right = n_columns * tile[1] + 1
        pads = [max(0, -top), 1, max(0, bottom - mels), max(0, right - frames)]
        begin, end = max(0, top), min(mels, bottom)
        strip = images
        if (begin, end) != (0, mels):
            ends = [graph.integers(f"{at}.{word}", [v]) for word, v in (("b", begin), ("e", end))]
            strip = graph.add("Slice", [images, *ends, axis], at)
        strip = graph.add(
            "Conv",
            [strip, transform],
            f"{at}.points",
            attributes={"kernel_shape": size, "strides": tile, "pads": pads},
        )
        n_tiles = n * n_columns
        strip = reshape(strip, f"{at}.tiles", -1, n_in, n_points, n_tiles)
        strip = graph.add("Transpose", [strip], f"{at}.matrices", attributes={"perm": [0, 2, 1, 3]})
        strip = graph.add("MatMul", [u, strip], f"{at}.products")  # (batch, points, n_out, n_tiles)
        strip = reshape(strip, f"{at}.by_point", -1, n_points, n_out * n_tiles)
        strip = graph.add("MatMul", [back, strip], f"{at}.outputs")
        # first along the frames: a runtime is slow to reduce the first of two axes
        n_cells = cells[0] * cells[1]
        for word, outer, pool in (
            ("frames", n_cells * block.pool[0], block.pool[1]),
            ("mels", n_cells, block.pool[0]),
        ):
            if pool > 1:
                strip = reshape(strip, f"{at}.by_{word}", -1, outer, pool, n_out * n_tiles)
                strip = graph.add(
                    "ReduceMax", [strip, axis], f"{at}.{word}", attributes={"keepdims": 0}
                )
        # from cells within tiles to rows and columns
        sizes = {"r": cells[0], "c": cells[1], "o": n_out, "R": n, "C": n_columns}
        given = [axis for axis in sizes if axis in "oRC" or sizes[axis] > 1]
        strip = reshape(strip, f"{at}.cells", -1, *(sizes[axis] for axis in given))
        order = [0, *(1 + given.index(axis) for axis in "oRrCc" if axis in given)]
        strip = graph.add("Transpose", [strip], f"{at}.in_place", attributes={"perm": order})
        strips.append(reshape(strip, f"{at}.image", -1, n_out, n * cells[0], n_columns * cells[1]))
    x = graph.add("Concat", strips, f"{name}.image", attributes={"axis": 2})
    if pooled != [n_rows * cells[0], n_columns * cells[1]]:  # a last tile that is not whole
        bounds = [graph.integers(f"{name}.{w}", v) for w, v in (("from", [0, 0]), ("to", pooled))]
        axes = graph.integers(f"{name}.axes", [2, 3])
        x = graph.add("Slice", [x, *bounds, axes], f"{name}.pooled")
    return x
