"""What runs inside a worker, be it a process or a Ray actor: a function that never raises."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from earmark.errors import BadValue, EarmarkError, Unexpected

Unit = TypeVar("Unit")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Attempt:
    """The function as a worker calls it: a pickled unit in, a pickled (value, error) out."""

    function: Callable[[Any], Any]

    def __call__(self, unit: bytes) -> bytes:
        answer = attempt(lambda packed: self.function(pickle.loads(packed)), unit)  # noqa: S301
        try:
            packed = pickle.dumps(answer)
            if answer[1] is not None:
                pickle.loads(packed)  # noqa: S301 - some exceptions can be written but not read
        except Exception as error:  # noqa: BLE001 - this runs code of the value; see map_units
            return pickle.dumps((None, _unexpected(error)))
        return packed

    def __repr__(self) -> str:
        return repr(self.function)


def attempt(
    function: Callable[[Unit], Value], unit: Unit
) -> tuple[Value | None, EarmarkError | None]:
    """(value, None) or (None, error)."""
    try:
        return function(unit), None
    except EarmarkError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - kept whole in the outcome; see map_units
        return None, _unexpected(error)


def load_function(packed: bytes, name: str, *, where: str) -> Callable[[bytes], bytes]:
    """The function that was sent to this worker.

    name, where : for the message where it cannot be loaded: what it is, and where to define it

    Raises BadValue for a function of a prompt, or of a script that is not saved.
    """
    try:
        function: Callable[[bytes], bytes] = pickle.loads(packed)  # noqa: S301 - from our parent
    except (AttributeError, ImportError) as error:
        raise BadValue(f"the workers cannot load {name}: {error}. Define it in {where}") from error
    return function


def _unexpected(error: Exception) -> Unexpected:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {Path(at.filename).name}:{at.lineno}" for at in last)
    trace = "".join(traceback.format_exception(error))
    return Unexpected(f"{type(error).__name__}{place}: {error}", trace)
