"""Functions that the tests of the engine run in workers, which import them from here."""

from __future__ import annotations

import os
import re
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from earmark.errors import BadValue, MissingExtra, UnreadableAudio


def square(number: int) -> int:
    return number * number


def slow_when_even(number: int) -> int:
    time.sleep(0.05 if number % 2 == 0 else 0)
    return number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise BadValue("three")
    return number


def fail_in_each_way(number: int) -> Any:
    if number == 0:
        raise UnreadableAudio("a.mp3", "no audio in it")
    if number == 1:
        raise MissingExtra("ray", "ray")
    if number == 2:
        raise KeyError("a mistake of ours")
    if number == 3:
        return lambda: "cannot be pickled"
    return number


def kill_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def kill_once(work: tuple[int, str]) -> int:
    """Kills its process the first time that it sees its number."""
    number, folder = work
    marker = Path(folder, f"killed-{number}")
    if number % 4 == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_and_leave_pid(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(120)


def process_and_threads(_: int) -> tuple[int, str]:
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


class Counting:
    """Keeps what it has built, as a tagger keeps its session."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: int) -> tuple[int, int]:
        self.calls += 1
        return os.getpid(), self.calls


def note_and_sleep(work: tuple[int, str]) -> int:
    """Takes a moment, and leaves a file that names the Ray node."""
    import ray

    number, folder = work
    time.sleep(0.15)
    Path(folder, str(number)).write_text(ray.get_runtime_context().get_node_id())
    return number


def hang_at_three(number: int) -> int:
    """Hangs in native code that does not let Python run meanwhile, as a broken decoder may."""
    if number == 3:
        re.match("(a+)+b", "a" * 60)
    return number


def leave_a_mark_and_doze(folder: str) -> None:
    Path(folder, "began").touch()
    for _ in range(12_000):
        time.sleep(0.01)


def take_4_gb_at_three(work: tuple[int, str]) -> int:
    """Its process; the one that was at number three leaves its number in the folder."""
    number, folder = work
    if number == 3:
        Path(folder, str(os.getpid())).touch()
        bytearray(1 << 32)
    return os.getpid()


def half_an_answer_once(work: tuple[int, str]) -> bytes:
    """Its answer fails in the middle, as on a full device, the first time that it sees its number.

    Number -1 fails each time.
    """
    number, folder = work
    marker = Path(folder, f"half-{number}")
    if number == -1 or (number % 4 == 1 and not marker.exists()):
        marker.touch()
        setattr(Connection, "_send", _half)  # noqa: B010 - its types do not have it
    return bytes(100_000)


def _half(pipe: Any, content: Any, **_: object) -> None:
    os.write(pipe.fileno(), content[: len(content) // 2])
    raise OSError(28, os.strerror(28))
