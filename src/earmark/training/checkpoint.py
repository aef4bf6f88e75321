"""Arrays and facts in one file, without pickles: NumPy's .npz with a JSON document inside."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import DataError
from earmark.files import atomic_path

Arrays = dict[str, npt.NDArray[Any]]

FORMAT_VERSION = 1
_FACTS = "facts"  # the array that holds the JSON document, as bytes


def write_checkpoint(path: Path, arrays: Mapping[str, npt.NDArray[Any]], facts: Any) -> None:
    """Write a checkpoint atomically: a kill leaves the one before or this one, whole.

    facts : what JSON can hold
    """
    assert _FACTS not in arrays
    encoded = json.dumps({"format_version": FORMAT_VERSION, **facts}).encode()
    everything: dict[str, Any] = {_FACTS: np.frombuffer(encoded, dtype=np.uint8), **arrays}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **everything)


def read_checkpoint(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, facts). Raises DataError for a file that is damaged or of another version."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts: dict[str, Any] = json.loads(arrays.pop(_FACTS).tobytes())
    except OSError as error:
        raise DataError(f"cannot read the checkpoint {path} ({error.strerror or error})") from error
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is no checkpoint of earmark, or damaged ({error})") from error
    version = facts.get("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} is a checkpoint of version {version}; this earmark reads {FORMAT_VERSION}"
        )
    return arrays, facts
