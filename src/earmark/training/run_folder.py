"""The files of a run, and its record: all that is needed to make the run again.

RUN/record.json     recipe, data, versions, results
RUN/last.npz        the whole state of the run after the last step that was saved
RUN/best.npz        the weights that validated best, with their logits of the validation songs
RUN/history.jsonl   one line an epoch; history.csv and history.png show the same
RUN/last.keras, best.keras    with Keras only: the same weights in its own format
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from earmark.errors import BadRecipe, BadStore, DataError
from earmark.files import sha256, write_json
from earmark.provenance import commit
from earmark.training.recipe import Recipe, make_recipe
from earmark.training.task import Task

RECORD, LAST, BEST = "record.json", "last.npz", "best.npz"
FORMAT_VERSION = 1

# A resumed run may change these: where and how often something is kept, not what is learned.
_FREE_TO_CHANGE = {
    "data": ("held",),
    "loop": ("checkpoint_minutes", "checkpoint_steps", "tensorboard", "tensorboard_steps"),
}
_MAY_BE_MORE = ("loop.epochs", "loop.patience")  # when a run ends: later than was planned


def new_record(
    recipe: Recipe,
    task: Task,
    data: Mapping[str, int | str],
    *,
    n_parameters: int,
    init: Path | None,
    how: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a run that starts now.

    init : the file of the weights that it starts from
    how : framework, processes and precision, which a resumed run may have others of
    """
    return {
        "recipe": recipe.to_dict(),
        "task": task.to_dict(),
        "data": dict(data),
        "environment": environment(),
        "parameters": n_parameters,
        "init_sha256": None if init is None else sha256(init),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **how,
        "results": None,
    }


def write_record(run: Path, record: Mapping[str, Any]) -> None:
    """Write RUN/record.json."""
    write_json(run / RECORD, {"format_version": FORMAT_VERSION, **record})


def read_record(run: Path) -> dict[str, Any]:
    """Read RUN/record.json. Raises DataError where it is missing, damaged or of another version."""
    path = run / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        found = record["format_version"]
    except OSError as error:
        raise DataError(
            f"{run} does not hold a run: cannot read {RECORD} in it ({error.strerror}). "
            "Train one with: earmark train RECIPE --store STORE -o RUN"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}). Train into another folder") from error
    if found != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {found}; this earmark reads version {FORMAT_VERSION}. "
            "Install the earmark that wrote it"
        )
    return {"framework": {"name": "torch"}, **record}  # which the first records do not name


def check_same(
    run: Path, recipe: Recipe, data: Mapping[str, Any], *, framework: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a run that can resume with this recipe, this data and this framework.

    Raises BadRecipe and BadStore, which name what is different.
    """
    record = read_record(run)
    started_with = record["framework"]["name"]
    if started_with != framework["name"]:
        raise BadRecipe(
            f"{run} was started with {started_with}. Resume it with --framework {started_with}, or "
            "choose another folder"
        )
    # a run of an older earmark lacks the keys that came later
    before = _flat(make_recipe(record["recipe"], source=str(run / RECORD)).to_dict())
    now = _flat(recipe.to_dict())
    different = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
        and not (key in _MAY_BE_MORE and _more(before[key], now[key]))
    ]
    if different:
        raise BadRecipe(
            f"{run} was started with another recipe: {'; '.join(different)}. Give the same recipe "
            "to resume it, or choose another folder"
        )
    changed = [key for key, value in data.items() if record["data"].get(key) != value]
    if changed:
        raise BadStore(
            f"{run} was started with other data ({', '.join(changed)} differ). Give the same store "
            "and targets to resume it, or choose another folder"
        )
    return record


def _more(before: int, now: int) -> bool:
    return now == 0 or 0 < before < now  # a patience of 0 never ends


def environment() -> dict[str, Any]:
    """Versions, machine and command: what a result may depend on besides recipe and data."""
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
            if key not in _FREE_TO_CHANGE.get(part, ()):
                flat[f"{part}.{key}"] = value
    return flat
