"""What runs inside a worker, be it a process or a Ray actor: a function that never raises."""

from __future__ import annotations

import pickle
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from earmark.errors import BadValue, EarmarkError, OutOfMemory, Unexpected, WorkerDied
from earmark.held_signals import held_signals

Unit = TypeVar("Unit")
Value = TypeVar("Value")

TOO_SLOW = (
    "this took longer than {:g} seconds, and was given up. It may be damaged, or the machine too "
    "busy: try it again alone"
)
_NO_MEMORY = (
    "this needs more memory than one file may take, or than this machine has. It may be damaged: "
    "play it to check. If it is real, try it again with --no-limits (limits=False in Python)"
)
_LOOK = 0.5  # seconds; on Windows Ctrl-C has to wait so long
_TO_STOP = 5.0  # seconds that a unit may take to notice that it is interrupted


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
            return pickle.dumps((None, _failure(error)))
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
        return None, _failure(error)


def attempt_within(
    seconds: float, function: Callable[[Unit], Value], unit: Unit
) -> tuple[Value | None, EarmarkError | None]:
    """As attempt, in a thread of this process; what takes longer is given up, and left behind.

    A thread cannot be ended where it hangs in native code, but nothing needs to wait for it.
    """
    answers: list[tuple[Value | None, EarmarkError | None]] = []
    is_over = threading.Event()  # Thread.join believes in an end that a signal interrupts it with

    def work() -> None:
        try:
            answers.append(attempt(function, unit))
        finally:
            is_over.set()

    thread = threading.Thread(target=work, daemon=True)
    until = time.monotonic() + seconds
    try:
        with held_signals():
            thread.start()
        while not is_over.is_set() and (left := until - time.monotonic()) > 0:
            is_over.wait(min(left, _LOOK))
    except BaseException:  # Ctrl-C: at the end of Python no thread may be in native code
        _interrupt(thread)
        is_over.wait(_TO_STOP)
        raise
    return answers[0] if answers else (None, WorkerDied(TOO_SLOW.format(seconds)))


def _interrupt(thread: threading.Thread) -> None:
    """End a thread as Ctrl-C ends the main one: when it is back from native code."""
    import ctypes

    number, exit_ = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, exit_)


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


def _failure(error: Exception) -> EarmarkError:
    if isinstance(error, MemoryError):
        return OutOfMemory(_NO_MEMORY)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {Path(at.filename).name}:{at.lineno}" for at in last)
    trace = "".join(traceback.format_exception(error))
    return Unexpected(f"{type(error).__name__}{place}: {error}", trace)
