"""Weights between torch and Keras: their names in both, and how both lay them out in memory.

This module does not import Keras: it finds layers and variables of a network by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.arrays import AnyArray
from earmark.graph import swap_gates
from earmark.training.checkpoint import Arrays
from earmark.training.model import CrnnSettings

_NORM = {
    "weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
    "running_var": "moving_variance",
}  # fmt: skip
_CLASSIC = {"kernels": "kernel", "recurrents": "recurrent_kernel", "biases": "bias"}
_DENSE = (1, 0)  # (n_out, n_in) to (n_in, n_out)
_KERNEL = (2, 3, 1, 0)  # (n_out, n_in, height, width) to (height, width, n_in, n_out)


def variables(network: Any, settings: CrnnSettings) -> dict[str, Any]:
    """The variables of a Keras network, by torch's names; two names may share a variable."""
    return {pair.torch: pair.variable(network) for pair in _pairs(settings)}


def give_weights(network: Any, settings: CrnnSettings, state: Arrays) -> None:
    """Give a Keras network the weights of a torch state dict."""
    for pair in _pairs(settings):
        variable = pair.variable(network)
        value = np.asarray(variable).copy()
        value[... if pair.row is None else pair.row] = pair.to_keras(state[pair.torch])
        variable.assign(value)


def take_weights(network: Any, settings: CrnnSettings) -> Arrays:
    """The weights of a Keras network as a checkpoint holds them, by torch's names."""
    arrays: Arrays = {}
    for pair in _pairs(settings):
        array = pair.to_torch(np.asarray(pair.variable(network)))
        arrays[f"model.{pair.torch}"] = np.ascontiguousarray(array)
        if pair.torch.endswith(
            "norm.weight"
        ):  # torch's norms count batches, and do not use the count
            counter = pair.torch.replace("weight", "num_batches_tracked")
            arrays[f"model.{counter}"] = np.array(0)
    return arrays


@dataclass(frozen=True)
class _Pair:
    """A weight in both frameworks.

    torch : its name in a state dict
    keras : its layer and variable
    axes : torch's axes, in Keras's order; None where both are the same
    gates : whether it stacks the gates of a GRU, which torch and Keras do in different orders
    row : the row of Keras's variable that is torch's; None for the whole variable
    """

    torch: str
    keras: tuple[str, str]
    axes: tuple[int, ...] | None = None
    gates: bool = False
    row: int | None = None

    def variable(self, network: Any) -> Any:
        """Its variable in a Keras network."""
        layer, name = self.keras
        found = network.get_layer(layer)
        return getattr(getattr(found, "cell", found), name)  # GRUs keep theirs in a cell

    def to_keras(self, array: AnyArray) -> AnyArray:
        """Torch's array as (the row of) Keras's."""
        array = swap_gates(array) if self.gates else array
        return array if self.axes is None else array.transpose(self.axes)

    def to_torch(self, array: AnyArray) -> AnyArray:
        """Keras's array as torch's."""
        array = array if self.row is None else array[self.row]
        array = array if self.axes is None else array.transpose(np.argsort(self.axes))
        return swap_gates(array) if self.gates else array


def _pairs(settings: CrnnSettings) -> Iterator[_Pair]:
    """Every weight of a network."""
    if settings.input_norm != "none":
        yield from _norm("input_norm.norm", "input_norm")
    for number in range(len(settings.widths)):
        yield _Pair(f"blocks.{number}.conv.weight", (f"conv{number + 1}", "kernel"), _KERNEL)
        yield from _norm(f"blocks.{number}.norm", f"norm{number + 1}")
    for number in range(settings.layers if settings.recurrent != "none" else 0):
        gru = f"gru{number + 1}"
        if settings.recurrent == "classic-gru":
            for torch, keras in _CLASSIC.items():
                yield _Pair(f"recurrent.{torch}.{number}", (gru, keras))
        else:
            for row, (side, kernel) in enumerate((("ih", "kernel"), ("hh", "recurrent_kernel"))):
                weight, bias = (f"recurrent.{word}_{side}_l{number}" for word in ("weight", "bias"))
                yield _Pair(weight, (gru, kernel), _DENSE, gates=True)
                yield _Pair(bias, (gru, "bias"), gates=True, row=row)
    yield _Pair("output.weight", ("output", "kernel"), _DENSE)
    yield _Pair("output.bias", ("output", "bias"))


def _norm(torch: str, keras: str) -> Iterator[_Pair]:
    for torch_part, keras_part in _NORM.items():
        yield _Pair(f"{torch}.{torch_part}", (keras, keras_part))
