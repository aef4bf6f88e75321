"""Checkpoints: arrays and facts in one file, NumPy's .npz with a JSON document and no pickles."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from earmark.arrays import AnyArray
from earmark.errors import DataError
from earmark.files import atomic_path

Arrays = dict[str, AnyArray]

FORMAT_VERSION = 1
_FACTS = "facts"  # the array that holds the JSON document, as bytes


def write_checkpoint(path: Path, arrays: Mapping[str, AnyArray], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint; after a kill, the file is the old one or the new one, complete.

    facts : a dict that JSON can hold
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
        version = facts["format_version"]
    except OSError as error:
        raise DataError(
            f"cannot read the checkpoint {path} ({error.strerror or error}). Make the file "
            "readable, or train into another folder"
        ) from error
    except (ValueError, KeyError, TypeError, MemoryError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"{path} is damaged, or not a checkpoint of earmark ({error}). Train into "
            "another folder"
        ) from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {version}; this earmark reads version {FORMAT_VERSION}. "
            "Install the earmark that wrote it"
        )
    return arrays, facts
