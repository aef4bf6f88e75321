"""Weights that Keras saved as HDF5, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import BadModel, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST = 1 << 26  # bytes; no array of these networks comes near, and a few bytes can claim more


@dataclass(frozen=True, eq=False)
class KerasWeights:
    """The arrays of a Keras file.

    arrays : by the name within their layer: "conv1_W" (Keras 1), "conv1/kernel" (Keras 2)
    backend : theano or tensorflow; TensorFlow marks its names with ":0"
    """

    arrays: dict[str, npt.NDArray[Any]]
    backend: str


def read_keras(path: Path) -> KerasWeights:
    """Every array of a Keras weights file.

    Raises BadModel for a damaged file, MissingExtra without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "models") from error

    arrays: dict[str, npt.NDArray[Any]] = {}
    names: list[str] = []

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.nbytes > _LARGEST:
                raise BadModel(f"{path}: {name} claims {item.nbytes:,} bytes, too much for weights")
            names.append(name)
            # "conv1/conv1_W_1:0" is layer / weight, a number against clashes, TensorFlow's mark
            weight = name.partition("/")[2]
            arrays[re.sub(r"(_\d+)?:0$", "", weight)] = np.asarray(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)  # follows no link out of the file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BadModel(
            f"{path} is HDF5 but damaged or cut short ({error}). Fetch it again."
        ) from error
    marked = any(name.endswith(":0") for name in names)
    return KerasWeights(arrays, "tensorflow" if marked else "theano")
