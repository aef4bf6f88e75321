"""Activations, in the operators that runtimes are fast at."""

from __future__ import annotations

from typing import get_args

from earmark.errors import BadValue
from earmark.graph.network import Activation
from earmark.graph.nodes import Nodes


def activate(graph: Nodes, x: str, activation: Activation, layer: str) -> str:
    """The activation of what a layer leaves, number by number."""
    if activation not in get_args(Activation):
        raise BadValue(
            f"{layer}: activation {activation!r}; choose {' or '.join(get_args(Activation))}"
        )
    name = f"{layer}.{activation}"
    if activation == "relu":
        return graph.add("Relu", [x], name)
    if activation == "hardswish":  # x * min(max(x + 3, 0), 6) / 6
        return graph.add("HardSwish", [x], name)
    # max(x, exp(min(x, 0)) - 1): ONNX Runtime takes twice as long for its own Elu
    zero, one = (graph.floats(f"{name}.{word}", n) for word, n in (("zero", 0.0), ("one", 1.0)))
    below = graph.add("Min", [x, zero], f"{name}.below")
    below = graph.add("Exp", [below], f"{name}.exp")
    below = graph.add("Sub", [below, one], f"{name}.less_one")
    return graph.add("Max", [x, below], name)
