"""The processes below one, which come and go while one looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import psutil

T = TypeVar("T")


def descendants(pid: int | None = None) -> dict[psutil.Process, str]:
    """The living processes below one (this one), and the command line of each."""
    return dict(
        of_living(
            psutil.Process(pid).children(recursive=True),
            lambda process: (process, " ".join(process.cmdline())),
        )
    )


def megabytes(pid: int) -> float:
    """What a process and those below it hold, in MB.

    What they share counts once where the system can tell (Linux).
    """

    def held(process: psutil.Process) -> int:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))

    root = psutil.Process(pid)
    return sum(of_living([root, *root.children(recursive=True)], held)) / 1e6


def of_living(processes: Iterable[psutil.Process], what: Callable[[psutil.Process], T]) -> list[T]:
    """What each process tells; those that have ended are left out."""
    told = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # also a zombie
            told.append(what(process))
    return told
