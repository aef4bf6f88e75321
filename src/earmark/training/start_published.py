"""The weights of Choi et al. and of the CS2470 report, by the names of the torch network.

Those of Choi et al. are read as earmark.published.choi2016 restores them, so that the scores are
those of its model file: `running_std` is a deviation, and the input is standardised. A model file
folds the norms into the convolutions; a network that learns on needs them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import BadModel, BadValue
from earmark.published import choi2016, cs2470
from earmark.published.keras_file import KerasWeights, read_keras
from earmark.training.checkpoint import Arrays

_GRU_PARTS = ("kernels", "recurrents", "biases")


@dataclass(frozen=True, eq=False)
class PublishedState:
    """The published weights in a file, by the names of the CRNN's own; their tags are MSD-50.

    recipe : the name of the recipe whose [model] they fit
    standardise : (mean, deviation) in dB that they were trained with
    """

    recipe: str
    standardise: tuple[float, float]
    state: Arrays


def read_published(path: Path) -> PublishedState:
    """The weights in a published HDF5 file. Raises BadModel."""
    keras = read_keras(path)
    try:
        if choi2016.fits(keras):
            choi2016.check(keras)
            recipe = "choi2016" if choi2016.is_crnn(keras) else "fcn"
            standardise = (choi2016.MEAN_DB, choi2016.DEVIATION_DB)
            return PublishedState(recipe, standardise, _of_choi2016(keras))
        if cs2470.fits(keras):
            cs2470.check(keras)
            return PublishedState("cs2470", (0.0, 1.0), _of_cs2470(keras.arrays))
    except BadValue as error:
        raise BadModel(f"{path}: {error}. Download it again from where it was published") from error
    raise BadModel(
        f"{path} holds other weights than those that can be started from: those of Choi et al. "
        "(an .h5 file of Keras 1) and of the CS2470 report (of Keras 2). Give one of those"
    )


def _of_choi2016(keras: KerasWeights) -> Arrays:
    arrays = keras.arrays
    state = _choi_norm(arrays, "bn_0_freq", "input_norm.norm")
    number = 1
    while f"conv{number}_W" in arrays:
        block = f"blocks.{number - 1}"
        kernel = arrays[f"conv{number}_W"]
        # Theano convolves, which flips the kernel
        state[f"{block}.conv.weight"] = (
            kernel[:, :, ::-1, ::-1] if keras.backend == "theano" else kernel
        )
        norm = _choi_norm(arrays, f"bn{number}", f"{block}.norm")
        state |= _without_bias(norm, f"{block}.norm", arrays[f"conv{number}_b"])
        number += 1
    for layer in (1, 2) if choi2016.is_crnn(keras) else ():
        gru = choi2016.gru(keras, f"gru{layer}")
        for name, array in zip(_GRU_PARTS, (gru.kernel, gru.recurrent, gru.bias), strict=True):
            state[f"recurrent.{name}.{layer - 1}"] = array
    state["output.weight"], state["output.bias"] = arrays["output_W"].T, arrays["output_b"]
    return state


def _of_cs2470(arrays: Arrays) -> Arrays:
    state = _keras2_norm(arrays, "batch_normalization", "input_norm.norm")
    for number in range(1, len(cs2470.WIDTHS) + 1):
        block = f"blocks.{number - 1}"
        state[f"{block}.conv.weight"] = arrays[f"conv{number}/kernel"].transpose(3, 2, 0, 1)
        norm = _keras2_norm(arrays, f"batch_normalization_{number}", f"{block}.norm")
        state |= _without_bias(norm, f"{block}.norm", arrays[f"conv{number}/bias"])
    for layer in (1, 2):
        for part, name in zip(("kernel", "recurrent_kernel", "bias"), _GRU_PARTS, strict=True):
            state[f"recurrent.{name}.{layer - 1}"] = arrays[f"gru{layer}/{part}"]
    state["output.weight"], state["output.bias"] = arrays["output/kernel"].T, arrays["output/bias"]
    return state


def _without_bias(norm: Arrays, name: str, bias: np.ndarray) -> Arrays:
    """The norm behind a convolution with a bias, for one without: the mean takes it up."""
    return norm | {f"{name}.running_mean": norm[f"{name}.running_mean"] - bias}


def _choi_norm(arrays: Arrays, published: str, own: str) -> Arrays:
    return {
        f"{own}.weight": arrays[f"{published}_gamma"],
        f"{own}.bias": arrays[f"{published}_beta"],
        f"{own}.running_mean": arrays[f"{published}_running_mean"],
        f"{own}.running_var": arrays[f"{published}_running_std"] ** 2,
    }


def _keras2_norm(arrays: Arrays, published: str, own: str) -> Arrays:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{own}.{part}": arrays[f"{published}/{name}"]
        for part, name in zip(parts, cs2470.NORM_PARTS, strict=True)
    }
