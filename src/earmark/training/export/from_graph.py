"""A model file that earmark trained, as a torch network: the inverse of to_graph.

A model file folds the norms into the convolutions, which cannot be undone: the network scores as
the file does, but cannot learn on from it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from earmark.errors import BadModel
from earmark.graph import swap_gates
from earmark.model_file import card_in, read_bytes
from earmark.training.checkpoint import Arrays
from earmark.training.model import CRNN, CrnnSettings
from earmark.training.recipe import make_recipe


def from_model_file(path: str | Path) -> CRNN:
    """The network in a model file, in evaluation mode.

    Raises ModelNotFound, and BadModel for a file that was not trained by earmark.
    """
    import onnx
    from onnx import numpy_helper

    data = read_bytes(path)
    card = card_in(path, data)
    if "recipe" not in card.training:
        raise BadModel(
            f"{path} was not trained by earmark: its card has no recipe. Read published weights "
            "with earmark.training.published_network instead"
        )
    recipe = make_recipe(card.training["recipe"], source=str(path))
    if recipe.network is not None:
        raise BadModel(
            f"{path} holds the network of {recipe.network}, which cannot be read back from a model "
            "file. Use its run instead, which holds the weights by their names"
        )
    settings = recipe.model
    constants = onnx.load_model_from_string(data).graph.initializer
    arrays = {constant.name: numpy_helper.to_array(constant) for constant in constants}
    try:
        scale, shift = float(arrays["norm1.scale"]), float(arrays["norm1.shift"])
        model = CRNN(
            settings,
            n_tags=len(card.tags),
            n_mels=card.features.n_mels,
            n_frames=card.features.n_frames,
            standardise=(-shift / scale, 1 / scale),
        )
        state = {name: torch.tensor(array) for name, array in _state(arrays, settings).items()}
        model.load_state_dict(model.state_dict() | state)
    except (KeyError, RuntimeError, TypeError, ZeroDivisionError) as error:
        raise BadModel(
            f"the weights in {path} do not fit the recipe in its card ({error}). Export the run "
            "again"
        ) from error
    return model.eval()


def _state(arrays: Arrays, settings: CrnnSettings) -> Arrays:
    state: Arrays = {}
    if settings.input_norm != "none":
        place = 3 if settings.pad else 2  # after the scale, and after the pad where there is one
        scale, shift = (arrays[f"norm{place}.{part}"].ravel() for part in ("scale", "shift"))
        state |= _norm("input_norm.norm", scale, shift, settings)
    for number in range(len(settings.widths)):
        block, conv = f"blocks.{number}", f"conv{number + 1}"
        state[f"{block}.conv.weight"] = arrays[f"{conv}.weight"]
        bias = arrays[f"{conv}.bias"]
        state |= _norm(f"{block}.norm", np.ones_like(bias), bias, settings)
    for number in range(settings.layers if settings.recurrent != "none" else 0):
        gru = f"gru{number + 1}"
        parts = [arrays[f"{gru}.recurrent_{part}"] for part in ("gates", "candidate")]
        recurrent = np.concatenate(parts, axis=1)
        kernel, bias = arrays[f"{gru}.kernel"], arrays[f"{gru}.bias"]
        if settings.recurrent == "classic-gru":
            state[f"recurrent.kernels.{number}"] = kernel
            state[f"recurrent.recurrents.{number}"] = recurrent
            state[f"recurrent.biases.{number}"] = bias
            continue
        # in the file, the biases of the gates are summed; the candidate keeps its recurrent bias
        inner = np.zeros_like(bias)
        inner[2 * settings.units :] = arrays[f"{gru}.candidate_bias"]
        named = {
            "weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias, "bias_hh": inner
        }  # fmt: skip
        state |= {f"recurrent.{part}_l{number}": swap_gates(rows) for part, rows in named.items()}
    state["output.weight"], state["output.bias"] = arrays["output.weight"].T, arrays["output.bias"]
    return state


def _norm(name: str, scale: np.ndarray, shift: np.ndarray, settings: CrnnSettings) -> Arrays:
    """The batch norm that computes x * scale + shift."""
    one = np.full_like(scale, 1 - settings.epsilon)  # with epsilon, a variance of 1
    return {
        f"{name}.weight": scale,
        f"{name}.bias": shift,
        f"{name}.running_mean": np.zeros_like(scale),
        f"{name}.running_var": one,
    }
