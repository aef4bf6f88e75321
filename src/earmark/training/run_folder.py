"""What lies in the folder of a run, and the record that says how it came to be.

RUN/record.json     recipe, data, versions, results: how to make it again
RUN/last.npz        all of the run after its last step that was saved
RUN/best.npz        the weights that validated best, with what they said of the validation songs
RUN/history.jsonl   one line an epoch, and the same as history.csv and history.png
RUN/last.keras, best.keras    of a run with Keras only: the same weights in its own format
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from earmark.errors import BadRecipe, BadStore, DataError
from earmark.files import write_json
from earmark.provenance import commit
from earmark.training.recipe import Recipe

RECORD, LAST, BEST = "record.json", "last.npz", "best.npz"
FORMAT_VERSION = 1

# These change where and how often something is kept, not what is learned.
_HARMLESS = {
    "data": ("held",),
    "loop": ("checkpoint_minutes", "checkpoint_steps", "tensorboard"),
}


def write_record(run: Path, record: Mapping[str, Any]) -> None:
    """Write RUN/record.json."""
    write_json(run / RECORD, {"format_version": FORMAT_VERSION, **record})


def read_record(run: Path) -> dict[str, Any]:
    """Read RUN/record.json. Raises DataError where there is none of ours."""
    path = run / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        found = record["format_version"]
    except OSError as error:
        raise DataError(
            f"{run} is no run of earmark: it has no {RECORD} ({error.strerror}). "
            "Make one with: earmark train RECIPE --store STORE -o RUN"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error})") from error
    if found != FORMAT_VERSION:
        raise DataError(f"{path} has version {found}; this earmark reads {FORMAT_VERSION}")
    return {"framework": {"name": "torch"}, **record}  # the only one there was at first


def check_same(
    run: Path, recipe: Recipe, data: Mapping[str, Any], *, framework: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a run that may go on with this recipe, this data and this framework.

    Raises BadRecipe and BadStore, which name what is different.
    """
    record = read_record(run)
    begun_with = record["framework"]["name"]
    if begun_with != framework["name"]:
        raise BadRecipe(
            f"{run} was begun with {begun_with}. Go on with --framework {begun_with}, or take "
            "another folder"
        )
    before, now = _flat(record["recipe"]), _flat(recipe.to_dict())
    other = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if other:
        raise BadRecipe(
            f"{run} was begun with another recipe: {'; '.join(other)}. Give the same one to go on, "
            "or take another folder"
        )
    changed = [key for key, value in data.items() if record["data"].get(key) != value]
    if changed:
        raise BadStore(
            f"{run} was begun with other data ({', '.join(changed)} differ). Give the same store "
            "to go on, or take another folder"
        )
    return record


def environment() -> dict[str, Any]:
    """What the result may depend on besides recipe and data."""
    import torch

    return {
        "earmark": _version("earmark"),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": _version("numpy"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "command": sys.argv,
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _flat(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what is learned, as {"part.key": value}."""
    flat = {}
    for part, values in recipe.items():
        if not isinstance(values, Mapping):
            flat[part] = values
            continue
        for key, value in values.items():
            if key not in _HARMLESS.get(part, ()):
                flat[f"{part}.{key}"] = value
    return flat
