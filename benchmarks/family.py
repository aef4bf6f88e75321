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

    What they share counts once where the system can tell (Linux). It has to look at every page, and
    holds up the process meanwhile.
    """
    return sum(of_living(_family(pid), held)) / 1e6


def held(process: psutil.Process) -> int:
    """The bytes of one process, with its part of what it shares where the system can tell."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


def megabytes_at_most(pid: int) -> float:
    """As megabytes, in a tenth of the time; what forked children inherited counts for each."""
    all_ = of_living(_family(pid), psutil.Process.memory_info)
    shared = [getattr(one, "shared", 0) for one in all_]  # with files and shared memory alone
    return (sum(one.rss for one in all_) - sum(shared) + max(shared, default=0)) / 1e6


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def of_living(processes: Iterable[psutil.Process], what: Callable[[psutil.Process], T]) -> list[T]:
    """What each process tells; those that have ended are left out."""
    told = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # also a zombie
            told.append(what(process))
    return told
