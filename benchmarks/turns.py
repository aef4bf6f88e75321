"""Ways to do the same work, in turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def in_turns(
    ways: Mapping[str, Callable[[Item], object]], items: Sequence[Item], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of CPU an item, of each way in each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.process_time()
            for item in items:
                work(item)
            times[name].append(1000 * (time.process_time() - started) / len(items))
    return times
