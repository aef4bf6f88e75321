"""What a weights file must hold: names and shapes, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import BadValue

WeightArrays = Mapping[str, npt.NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]


def check_shapes(arrays: WeightArrays, shapes: Shapes, *, what: str) -> None:
    """Raise BadValue, with the first few differences, unless names and shapes are these."""
    differences = list(_differences(arrays, shapes))
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise BadValue(f"these are not weights of {what}: {'; '.join(differences[:3])}{more}")


def _differences(arrays: WeightArrays, shapes: Shapes) -> Iterator[str]:
    for name, shape in shapes.items():
        if name not in arrays:
            yield f"{name} is missing"
        elif arrays[name].shape != shape:
            yield f"{name} has the shape {arrays[name].shape} instead of {shape}"
        elif not np.issubdtype(arrays[name].dtype, np.number):
            yield f"{name} holds {arrays[name].dtype}, not numbers"
    for name in sorted(arrays.keys() - shapes.keys()):
        yield f"{name} is unknown"
