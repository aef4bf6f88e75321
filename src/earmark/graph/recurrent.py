"""GRUs unrolled over their steps; the products with the input come first, for all steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import BadValue
from earmark.graph.network import Gate, Gru
from earmark.graph.nodes import Nodes


def recurrent(
    graph: Nodes, x: str, grus: Sequence[Gru], *, n_in: int, n_steps: int
) -> tuple[str, int]:
    """Run the layers over the frames of an image; returns the last state and its size.

    x : (batch, channels, mels, n_steps), where channels * mels is n_in
    """
    # steps outermost, so that one step of the whole batch is one block of rows
    x = graph.add("Transpose", [x], "steps_first", attributes={"perm": [3, 0, 1, 2]})
    x = graph.add("Reshape", [x, graph.integers("row", [-1, n_in])], "steps")
    states: list[str] = []
    for number, gru in enumerate(grus, start=1):
        if number > 1:
            x = graph.add("Concat", states, f"gru{number}.input", attributes={"axis": 0})
        _check(gru, f"gru{number}", n_in=n_in)
        states = _layer(graph, x, gru, f"gru{number}", n_steps=n_steps)
        n_in = gru.recurrent.shape[0]
    return states[-1], n_in


@dataclass(frozen=True)
class _Cell:
    """What every step of a layer shares.

    weight_gates, weight_candidate : names of the recurrent constants of z and r, and of the
        candidate state
    bias_candidate : None where the reset gate comes before the product
    """

    gate: Gate
    weight_gates: str
    weight_candidate: str
    bias_candidate: str | None


def _layer(graph: Nodes, x: str, gru: Gru, name: str, *, n_steps: int) -> list[str]:
    """One layer: x (n_steps * batch, n_in) to a state (batch, n_units) for each step."""
    n_units = gru.recurrent.shape[0]
    n_gates = 2 * n_units  # columns of z and r, which are computed alike
    bias, bias_candidate = gru.bias, None
    if gru.recurrent_bias is not None:
        bias_candidate = graph.floats(f"{name}.candidate_bias", gru.recurrent_bias[n_gates:])
        bias = bias + np.where(np.arange(bias.size) < n_gates, gru.recurrent_bias, 0)
    kernel = [graph.floats(f"{name}.kernel", gru.kernel), graph.floats(f"{name}.bias", bias)]
    cell = _Cell(
        gate=gru.gate,
        weight_gates=graph.floats(f"{name}.recurrent_gates", gru.recurrent[:, :n_gates]),
        weight_candidate=graph.floats(f"{name}.recurrent_candidate", gru.recurrent[:, n_gates:]),
        bias_candidate=bias_candidate,
    )
    products = graph.add("Gemm", [x, *kernel], f"{name}.products")  # all steps at once
    parts = graph.split_columns(products, f"{name}.part", sizes=[n_gates, n_units])
    gates, candidates = (
        graph.split(part, f"{name}.{word}", n_parts=n_steps, axis=0)
        for part, word in zip(parts, ("gates", "candidate"), strict=True)
    )
    states: list[str] = []
    for number in range(n_steps):
        state = _step(
            graph,
            cell,
            gates=gates[number],
            candidate=candidates[number],
            before=states[-1] if states else None,
            at=f"{name}.step{number + 1:02}",
        )
        states.append(state)
    return states


def _step(
    graph: Nodes, cell: _Cell, *, gates: str, candidate: str, before: str | None, at: str
) -> str:
    """The state after a step, from the products of its input and the state before.

    gates : (batch, 2 * n_units); candidate : (batch, n_units)
    before : (batch, n_units); None is zero
    """
    if before is not None:
        gates = graph.add("Gemm", [before, cell.weight_gates, gates], f"{at}.gates")
    if cell.gate == "sigmoid":
        gates = graph.add("Sigmoid", [gates], f"{at}.sigmoid")
    else:  # Theano's and Keras 2's: 0.2 x + 0.5, cut to 0..1
        line = {"alpha": 0.2, "beta": 0.5}
        gates = graph.add("HardSigmoid", [gates], f"{at}.sigmoid", attributes=line)
    update, reset = graph.split(gates, f"{at}.gate", n_parts=2)

    if cell.bias_candidate is not None:
        inner = cell.bias_candidate
        if before is not None:
            inner = graph.add("Gemm", [before, cell.weight_candidate, inner], f"{at}.inner")
        inner = graph.add("Mul", [reset, inner], f"{at}.reset")
        candidate = graph.add("Add", [candidate, inner], f"{at}.sum")
    elif before is not None:
        inner = graph.add("Mul", [reset, before], f"{at}.reset")
        candidate = graph.add("Gemm", [inner, cell.weight_candidate, candidate], f"{at}.sum")
    candidate = graph.add("Tanh", [candidate], f"{at}.candidate")

    # update * before + (1 - update) * candidate
    if before is None:
        kept = graph.add("Mul", [update, candidate], f"{at}.kept")
        return graph.add("Sub", [candidate, kept], f"{at}.state")
    kept = graph.add("Sub", [before, candidate], f"{at}.difference")
    kept = graph.add("Mul", [update, kept], f"{at}.kept")
    return graph.add("Add", [candidate, kept], f"{at}.state")


def _check(gru: Gru, name: str, *, n_in: int) -> None:
    n_units = gru.recurrent.shape[0]
    for word, weight, bias, size in (
        ("kernel", gru.kernel, gru.bias, n_in),
        ("recurrent", gru.recurrent, gru.recurrent_bias, n_units),
    ):
        check_matrix(f"{name} {word}", weight, gru.bias if bias is None else bias, n_in=size)
        if weight.shape[1] != 3 * n_units:
            raise BadValue(
                f"{name} {word}: {weight.shape[1]} columns are not three gates of {n_units} units"
            )
    if gru.gate not in get_args(Gate):
        raise BadValue(f"{name}: gate {gru.gate!r}; choose {' or '.join(get_args(Gate))}")


def check_matrix(what: str, weight: Float32Array, bias: Float32Array, *, n_in: int) -> None:
    """Raise BadValue unless the weight is (n_in, n_out) and the bias (n_out,)."""
    if weight.ndim != 2 or weight.shape[0] != n_in or bias.shape != weight.shape[1:]:
        raise BadValue(
            f"{what}: weights of shape {weight.shape} with a bias of shape {bias.shape}, but "
            f"({n_in}, n_out) and (n_out,) are needed"
        )
