"""The gated recurrent unit as Cho et al. (2014) drew it and Keras had it up to version 2.0."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class ClassicGru(nn.Module):
    """Layers of GRUs with the reset gate before the recurrent product, and hard sigmoids.

    torch's and cuDNN's have it behind the product and a second bias; weights of one do not fit the
    other. The columns of the weights are the gates z (update), r (reset), h, as in earmark.graph.
    """

    def __init__(self, n_in: int, n_units: int, n_layers: int) -> None:
        super().__init__()
        sizes = [n_in, *[n_units] * (n_layers - 1)]
        self.kernels = nn.ParameterList(torch.empty(size, 3 * n_units) for size in sizes)
        self.recurrents = nn.ParameterList(torch.empty(n_units, 3 * n_units) for _ in sizes)
        self.biases = nn.ParameterList(torch.zeros(3 * n_units) for _ in sizes)
        for kernel, recurrent in zip(self.kernels, self.recurrents, strict=True):
            nn.init.xavier_uniform_(kernel)
            for gate in recurrent.data.split(n_units, dim=1):
                nn.init.orthogonal_(gate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state after each step of the last layer, and its last state, like nn.GRU.

        x : (batch, steps, n_in)
        returns : (batch, steps, n_units), (1, batch, n_units)
        """
        for kernel, recurrent, bias in zip(self.kernels, self.recurrents, self.biases, strict=True):
            x = _layer(x, kernel, recurrent, bias)
        return x, x[:, -1].unsqueeze(0)


def swap_gates(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows of three gates r z h, as torch stacks them, as z r h, as all others do; and back."""
    first, second, third = np.split(rows, 3)
    return np.concatenate([second, first, third])


def _layer(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    n_units = recurrent.shape[0]
    products = x @ kernel + bias  # of all steps at once: (batch, steps, 3 * n_units)
    sizes = [2 * n_units, n_units]
    of_gates, of_candidate = torch.split(recurrent, sizes, dim=1)
    state = x.new_zeros(x.shape[0], n_units)
    states = []
    for product in products.unbind(1):
        gates, candidate = torch.split(product, sizes, dim=1)
        update, reset = _hard_sigmoid(gates + state @ of_gates).chunk(2, dim=1)
        candidate = torch.tanh(candidate + (reset * state) @ of_candidate)
        state = update * state + (1 - update) * candidate
        states.append(state)
    return torch.stack(states, dim=1)


def _hard_sigmoid(x: Tensor) -> Tensor:
    # Theano's and Keras's; torch's own has another slope
    return torch.clamp(0.2 * x + 0.5, 0, 1)
