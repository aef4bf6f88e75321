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

    What each has of files and shared memory counts once, for the one that has the most of it (on
    Linux; elsewhere for each). The kernel's own share of it (PSS) takes ten times as long: asked
    five times a second it slowed down what uses all cores by some 3 %.
    """
    root = psutil.Process(pid)
    held = of_living([root, *root.children(recursive=True)], psutil.Process.memory_info)
    shared = [getattr(one, "shared", 0) for one in held]
    return (sum(one.rss for one in held) - sum(shared) + max(shared, default=0)) / 1e6


def of_living(processes: Iterable[psutil.Process], what: Callable[[psutil.Process], T]) -> list[T]:
    """What each process tells; those that have ended are left out."""
    told = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # also a zombie
            told.append(what(process))
    return told
