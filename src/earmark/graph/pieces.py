"""A clip in pieces: cut before the network, and pooled to one answer after it."""

from __future__ import annotations

from typing import get_args

import numpy as np

from earmark.errors import BadValue
from earmark.graph.network import Pieces
from earmark.graph.nodes import Nodes
from earmark.graph.shape import Shape
from earmark.model_file import Pooling


def starts(n_frames: int, piece_frames: int) -> list[int]:
    """The first frame of each piece: as few as hear every frame, evenly spread over the clip."""
    n_pieces = -(-n_frames // piece_frames)
    return [round(start) for start in np.linspace(0, n_frames - piece_frames, n_pieces)]


def cut_pieces(graph: Nodes, x: str, shape: Shape, pieces: Pieces) -> tuple[str, Shape, int]:
    """From clips (batch, 1, mels, frames) to pieces (batch * n_pieces, 1, mels, piece frames)."""
    if not 1 <= pieces.n_frames <= shape.frames:
        raise BadValue(f"pieces of {pieces.n_frames} frames of a clip of {shape.frames}")
    if pieces.pool not in get_args(Pooling):
        raise BadValue(f"pool {pieces.pool!r}; choose {' or '.join(get_args(Pooling))}")
    axis, parts = graph.integers("piece.axis", [3]), []
    for number, start in enumerate(starts(shape.frames, pieces.n_frames), start=1):
        bounds = [
            graph.integers(f"piece{number}.from", [start]),
            graph.integers(f"piece{number}.to", [start + pieces.n_frames]),
        ]
        parts.append(graph.add("Slice", [x, *bounds, axis], f"piece{number}"))
    x = graph.add("Concat", parts, "pieces", attributes={"axis": 1})
    shape = shape._replace(frames=pieces.n_frames)
    x = graph.add("Reshape", [x, graph.integers("piece.shape", [-1, *shape])], "piece.images")
    return x, shape, len(parts)


def join_pieces(
    graph: Nodes, x: str, name: str, n_pieces: int, n_columns: int, *, pool: Pooling = "logits"
) -> str:
    """From (batch * n_pieces, n_columns) to (batch, n_columns): means, of scores as logits."""
    shape = graph.integers(f"{name}.shape", [-1, n_pieces, n_columns])
    x = graph.add("Reshape", [x, shape], f"{name}.pieces")
    axis, flat = graph.integers(f"{name}.axis", [1]), {"keepdims": 0}
    if pool == "logits":
        return graph.add("ReduceMean", [x, axis], f"{name}.mean", attributes=flat)
    # log(sum of sigmoids) - log(sum of the rest), from logarithms: small scores keep their digits
    sums = []
    for word, part in (("rest", x), ("yes", graph.add("Neg", [x], f"{name}.negative"))):
        part = graph.add("Softplus", [part], f"{name}.{word}.softplus")
        part = graph.add("Neg", [part], f"{name}.{word}.logs")
        sums.append(
            graph.add("ReduceLogSumExp", [part, axis], f"{name}.{word}.sum", attributes=flat)
        )
    return graph.add("Sub", [sums[1], sums[0]], f"{name}.log_odds")
