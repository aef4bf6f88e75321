"""Weights that Keras saved as HDF5, by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import BadModel, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST = 1 << 26  # bytes of all arrays: twenty times what the largest of these networks has
_MOST, _DEEPEST = 1000, 8  # arrays, and groups in groups
_FILTERS = {1, 2, 3}  # of HDF5 itself: gzip, shuffle, Fletcher's checksum


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

    Raises BadModel for a damaged file, and for one that asks for more than to be read: data in
    other files, links, filters that HDF5 would load from a library, arrays larger than weights are.
    Raises MissingExtra without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "models") from error

    try:
        with h5py.File(path, "r") as file:
            found = dict(islice(_datasets(file), _MOST + 1))
            if len(found) > _MOST:
                raise _refused(path, f"it has more than {_MOST} arrays")
            n_bytes = 0
            for name, dataset in found.items():
                n_bytes += dataset.nbytes
                wrong = _wrong_with(dataset)
                claims = f"claims {n_bytes:,} bytes with those before it"
                if wrong or n_bytes > _LARGEST:
                    raise _refused(path, f"{name} {wrong or claims}")
            # "conv1/conv1_W_1:0" is layer / weight, a number against clashes, TensorFlow's mark
            arrays = {
                re.sub(r"(_\d+)?:0$", "", name.partition("/")[2]): np.asarray(dataset[()])
                for name, dataset in found.items()
            }
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise BadModel(
            f"{path} is HDF5 but damaged or cut short ({error}). Fetch it again."
        ) from error
    marked = any(name.endswith(":0") for name in found)
    return KerasWeights(arrays, "tensorflow" if marked else "theano")


def _datasets(group: Any, *, above: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Name and dataset of all that lies below a group, which is not read yet.

    Groups may contain themselves: what is deeper than Keras nests is refused.
    """
    import h5py

    for name in group:
        place = f"{above}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _refused(Path(group.file.filename), f"{place} is a link to another place")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            yield place, item
        elif depth == _DEEPEST:
            raise _refused(Path(group.file.filename), f"{place} is nested too deeply")
        elif isinstance(item, h5py.Group):
            yield from _datasets(item, above=f"{place}/", depth=depth + 1)


def _wrong_with(dataset: Any) -> str:
    """Why a dataset is not read; "" where it holds plain numbers."""
    if dataset.is_virtual or dataset.external:
        return "has its numbers in another file"
    if dataset.dtype.kind not in "fiu":
        return f"holds {dataset.dtype}, not numbers"
    if dataset.chunks is not None and math.prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST:
        return f"is packed in pieces of {dataset.chunks}"
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(n)[0] for n in range(plist.get_nfilters())}
    return "" if filters <= _FILTERS else f"is packed with the filters {sorted(filters)}"


def _refused(path: Path, why: str) -> BadModel:
    return BadModel(f"{path} is HDF5, but not weights that Keras saved: {why}. Fetch it again.")
