"""The weights of Choi et al. as a start: the published networks, exactly, in torch.

The reading is the restored one of earmark.published.choi2016, whose model file gives the same
scores: `running_std` is a deviation, and the input is standardised. There the norms are folded
into the convolutions; to learn on, they must stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from earmark.errors import BadModel, BadRecipe, BadValue, ModelNotFound
from earmark.tags import MSD_50
from earmark.training.checkpoint import Arrays
from earmark.training.crnn import CRNN
from earmark.weights.choi2016 import DEVIATION_DB, MEAN_DB, check, fits, is_crnn
from earmark.weights.keras_file import KerasWeights, read_keras


def start_from(model: CRNN, path: str | Path, *, tags: Sequence[str]) -> frozenset[str]:
    """Give a network published weights; returns the names of the parameters that stay new.

    The output layer comes along where the tags are those that the weights know; else it is new.

    Raises ModelNotFound, BadModel, and BadRecipe for a network of another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelNotFound(f"no weights to start from at {path}")
    keras = read_keras(path)
    if not fits(keras):
        raise BadModel(f"{path} holds no weights of Choi et al. (an .h5 file of Keras 1)")
    try:
        check(keras)
    except BadValue as error:
        raise BadModel(f"{path}: {error}. Fetch it again from where it was published") from error
    recipe = "choi2016" if is_crnn(keras) else "fcn"
    if (model.mean, model.deviation) != (MEAN_DB, DEVIATION_DB):
        raise BadRecipe(
            f"the weights in {path} know standardise = [{MEAN_DB}, {DEVIATION_DB}], not "
            f"[{model.mean}, {model.deviation}]. Take the [model] of the recipe {recipe}"
        )
    state = _state(keras)
    # the CNN has no recurrent part; one that is put behind its blocks is new
    new = ("output.",) if is_crnn(keras) else ("output.", "recurrent.")
    if tuple(tags) != MSD_50 or state["output.weight"].shape != model.output.weight.shape:
        state = {name: value for name, value in state.items() if not name.startswith("output.")}
    own = model.state_dict()
    parameters = {name for name, _ in model.named_parameters()}
    wrong = [
        f"{name} is {tuple(own[name].shape) if name in own else 'not there'}, not {value.shape}"
        for name, value in state.items()
        if name not in own or own[name].shape != value.shape
    ]
    wrong += [
        f"{name} is not in the weights"
        for name in sorted(parameters - state.keys())
        if not name.startswith(new)
    ]
    if wrong:
        raise BadRecipe(
            f"the weights in {path} do not fit the [model] of this recipe ({'; '.join(wrong[:3])}"
            f"{'; ...' if wrong[3:] else ''}). Take the [model] of the recipe {recipe}"
        )
    loaded = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
    model.load_state_dict(own | loaded)
    return frozenset(parameters - state.keys())


def _state(keras: KerasWeights) -> Arrays:
    """The arrays by the names that the CRNN has for them."""
    arrays = keras.arrays
    state = _norm(arrays, "bn_0_freq", "input_norm.norm")
    number = 1
    while f"conv{number}_W" in arrays:
        block = f"blocks.{number - 1}"
        kernel = arrays[f"conv{number}_W"]
        # Theano convolves, which flips the kernel
        state[f"{block}.conv.weight"] = (
            kernel[:, :, ::-1, ::-1] if keras.backend == "theano" else kernel
        )
        norm = _norm(arrays, f"bn{number}", f"{block}.norm")
        # the convolution's bias, which the norm takes off again
        norm[f"{block}.norm.running_mean"] = (
            norm[f"{block}.norm.running_mean"] - arrays[f"conv{number}_b"]
        )
        state |= norm
        number += 1
    for layer in (1, 2) if is_crnn(keras) else ():
        for part, name in (("W", "kernels"), ("U", "recurrents"), ("b", "biases")):
            gates = [arrays[f"gru{layer}_{part}_{gate}"] for gate in "zrh"]
            state[f"recurrent.{name}.{layer - 1}"] = np.concatenate(gates, axis=-1)
    state["output.weight"], state["output.bias"] = arrays["output_W"].T, arrays["output_b"]
    return state


def _norm(arrays: Arrays, theirs: str, ours: str) -> Arrays:
    return {
        f"{ours}.weight": arrays[f"{theirs}_gamma"],
        f"{ours}.bias": arrays[f"{theirs}_beta"],
        f"{ours}.running_mean": arrays[f"{theirs}_running_mean"],
        f"{ours}.running_var": arrays[f"{theirs}_running_std"] ** 2,
    }
