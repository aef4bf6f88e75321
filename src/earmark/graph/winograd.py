"""Convolutions of 3 x 3 and the max-pooling after them by Winograd's algorithm, as ONNX nodes.

Winograd 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The
outputs are computed in tiles: a tile of m x m needs (m + 2)^2 multiplications for each pair of
channels instead of 9 m^2, a quarter of them for m = 4. What is done for each channel by itself, to
transform inputs and outputs, is little beside it where channels are many. In float32 the result
differs by about 1e-5 of its largest value, and by more with more channels. Neither ONNX Runtime nor
OpenVINO, on the processors that we measured, does this by itself.

A tile holds whole cells of the pooling, so that the maximum is taken before the tiles are put
together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.graph.network import ConvBlock
from earmark.graph.nodes import Nodes
from earmark.graph.strips import cut, strips

_KERNEL = 3
# Outputs of a tile along an axis, by the pooling there. More would lose more than a decimal.
_TILE = {1: 4, 2: 4, 3: 3, 4: 4}
_POINTS = (0, 1, -1, 2, -2)  # where the polynomials are evaluated; infinity is one more
_FEWEST_CHANNELS = 16  # with fewer, to transform the input costs more than it saves
_FEWEST_TILES = 16  # with fewer, the kernels are more than what they are multiplied with

Matrix = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Tiling:
    """How the image of a block is cut into tiles; pairs are of mels and frames.

    pool : places to a cell; cells : of the pooling in a tile; tile : outputs of it; size : inputs
    n_tiles : rows and columns of tiles; pooled : what the block leaves
    """

    n_in: int
    n_out: int
    mels: int
    frames: int
    pool: tuple[int, int]
    tile: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        return self.tile[0] + _KERNEL - 1, self.tile[1] + _KERNEL - 1

    @property
    def n_points(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def cells(self) -> tuple[int, int]:
        return self.tile[0] // self.pool[0], self.tile[1] // self.pool[1]

    @property
    def pooled(self) -> tuple[int, int]:
        return self.mels // self.pool[0], self.frames // self.pool[1]

    @property
    def n_tiles(self) -> tuple[int, int]:
        return -(-self.pooled[0] // self.cells[0]), -(-self.pooled[1] // self.cells[1])


def _tiling(block: ConvBlock, *, mels: int, frames: int) -> _Tiling:
    n_out, n_in = block.weight.shape[:2]
    tile = _TILE[block.pool[0]], _TILE[block.pool[1]]
    return _Tiling(n_in, n_out, mels, frames, block.pool, tile)


def suits(block: ConvBlock, *, mels: int, frames: int) -> bool:
    """Whether a block is faster this way on an image of that size."""
    _, n_in, *kernel = block.weight.shape
    if kernel != [_KERNEL, _KERNEL] or not all(size in _TILE for size in block.pool):
        return False
    tiling = _tiling(block, mels=mels, frames=frames)
    n_tiles = tiling.n_tiles[0] * tiling.n_tiles[1]
    halves_the_work = 2 * n_tiles * tiling.n_points <= _KERNEL**2 * mels * frames
    return n_in >= _FEWEST_CHANNELS and n_tiles >= _FEWEST_TILES and halves_the_work


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
    tiling = _tiling(block, mels=mels, frames=frames)
    by_mels, by_frames = map(transforms, tiling.tile)
    to_points, of_kernel, to_outputs = map(np.kron, by_mels, by_frames)

    # The weights stay as they were trained in the file; runtimes compute this once, when they load.
    flat = _reshape(graph, weight, f"{name}.kernels", n_out * n_in, _KERNEL**2)
    u = [graph.floats(f"{name}.kernel_transform", of_kernel), flat]
    kernels = graph.add("Gemm", u, f"{name}.by_point", attributes={"transB": 1})
    kernels = _reshape(graph, kernels, f"{name}.transformed", tiling.n_points, n_out, n_in)
    to_points = to_points.reshape(tiling.n_points, 1, *tiling.size)
    constants = _Constants(
        kernels=kernels,
        to_points=graph.floats(f"{name}.input_transform", to_points),
        to_outputs=graph.floats(f"{name}.output_transform", _by_cell(to_outputs, tiling)),
        axis=graph.integers(f"{name}.axis", [2]),
    )
    images = _reshape(graph, x, f"{name}.images", -1, 1, mels, frames)
    row_bytes = 4 * tiling.n_points * n_out * tiling.n_tiles[1]
    parts = [
        _strip(graph, images, constants, tiling, f"{name}.strip{start}", start=start, stop=stop)
        for start, stop in strips(tiling.n_tiles[0], row_bytes=row_bytes)
    ]
    x = graph.add("Concat", parts, f"{name}.image", attributes={"axis": 2})
    made = tuple(n * cells for n, cells in zip(tiling.n_tiles, tiling.cells, strict=True))
    if made != tiling.pooled:  # a last tile is not whole
        words = {"from": (0, 0), "to": tiling.pooled, "axes": (2, 3)}
        bounds = [graph.integers(f"{name}.{word}", numbers) for word, numbers in words.items()]
        x = graph.add("Slice", [x, *bounds], f"{name}.pooled")
    return x


class _Constants(NamedTuple):
    """Names of what every strip is multiplied with, and of the third axis."""

    kernels: str
    to_points: str
    to_outputs: str
    axis: str


def _by_cell(to_outputs: Matrix, tiling: _Tiling) -> Matrix:
    """The rows of the output transform by cell, and within a cell by place."""
    (cells, pool), n_points = (tiling.cells, tiling.pool), tiling.n_points
    by_place = to_outputs.reshape(cells[0], pool[0], cells[1], pool[1], n_points)
    return by_place.transpose(0, 2, 1, 3, 4).reshape(-1, n_points)


def _strip(
    graph: Nodes,
    images: str,
    constants: _Constants,
    tiling: _Tiling,
    name: str,
    *,
    start: int,
    stop: int,
) -> str:
    """What the block leaves of the rows of tiles from start up to stop.

    images : (batch * n_in, 1, mels, frames)
    """
    tile, n_rows, n_columns = tiling.tile, stop - start, tiling.n_tiles[1]
    n_points, n_places = tiling.n_points, tiling.n_out * n_rows * n_columns
    # with a margin of one, which may lie outside the image
    first, end = start * tile[0] - 1, stop * tile[0] + 1
    x, above, below = cut(graph, images, name, start=first, stop=end, n_rows=tiling.mels)
    pads = [above, 1, below, max(0, n_columns * tile[1] + 1 - tiling.frames)]
    window = {"kernel_shape": tiling.size, "strides": tile, "pads": pads}
    x = graph.add("Conv", [x, constants.to_points], f"{name}.points", attributes=window)
    x = _reshape(graph, x, f"{name}.tiles", -1, tiling.n_in, n_points, n_rows * n_columns)
    x = graph.add("Transpose", [x], f"{name}.matrices", attributes={"perm": [0, 2, 1, 3]})
    x = graph.add("MatMul", [constants.kernels, x], f"{name}.products")
    x = _reshape(graph, x, f"{name}.by_point", -1, n_points, n_places)
    x = graph.add("MatMul", [constants.to_outputs, x], f"{name}.outputs")
    # (batch, cells * mels of a cell * frames of a cell, n_places). The frames first: a runtime is
    # slow to reduce the first of two axes.
    n_cells = tiling.cells[0] * tiling.cells[1]
    pools = {
        "frames": (n_cells * tiling.pool[0], tiling.pool[1]),
        "mels": (n_cells, tiling.pool[0]),
    }
    for word, (outer, pool) in pools.items():
        if pool > 1:
            x = _reshape(graph, x, f"{name}.by_{word}", -1, outer, pool, n_places)
            no_axis = {"keepdims": 0}
            x = graph.add("ReduceMax", [x, constants.axis], f"{name}.{word}", attributes=no_axis)
    return _in_place(graph, x, tiling, name, n_rows=n_rows)


def _in_place(graph: Nodes, x: str, tiling: _Tiling, name: str, *, n_rows: int) -> str:
    """From cells of tiles to an image: (batch, n_out, rows * cells, columns * cells)."""
    cells, n_columns = tiling.cells, tiling.n_tiles[1]
    sizes = {"row cell": cells[0], "column cell": cells[1], "channel": tiling.n_out}
    sizes |= {"row": n_rows, "column": n_columns}
    # axes of one are left out, for with one at its end a runtime copies number by number
    given = [axis for axis, n in sizes.items() if n > 1 or "cell" not in axis]
    wanted = ("channel", "row", "row cell", "column", "column cell")
    x = _reshape(graph, x, f"{name}.cells", -1, *(sizes[axis] for axis in given))
    order = [0, *(1 + given.index(axis) for axis in wanted if axis in given)]
    x = graph.add("Transpose", [x], f"{name}.in_place", attributes={"perm": order})
    image = tiling.n_out, n_rows * cells[0], n_columns * cells[1]
    return _reshape(graph, x, f"{name}.image", -1, *image)


def _reshape(graph: Nodes, x: str, name: str, *shape: int) -> str:
    return graph.add("Reshape", [x, graph.integers(f"{name}.shape", shape)], name)
