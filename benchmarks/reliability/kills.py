"""SIGKILL at random moments, until the work is done."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.reliability.commands import Result, start
from benchmarks.reliability.works import WORKS, Work, fresh, undisturbed

# kills something of a running command, and says what
Strike = Callable[[subprocess.Popen[str], random.Random], str]


def kills(folder: Path, sizes: argparse.Namespace) -> Result:
    """Commands are killed, with their workers, and run again."""
    return killed(folder, WORKS, sizes, strike=kill_all)


def kill_all(process: subprocess.Popen[str], _: random.Random) -> str:
    """Kill a command and its workers."""
    os.killpg(process.pid, 9)
    return "all"


def killed(
    folder: Path, works: Mapping[str, Work], sizes: argparse.Namespace, *, strike: Strike
) -> Result:
    """Works are struck at random moments and run again: their results are the same.

    What strikes only a part of a command leaves it to go on, or to end with an error.
    """
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    for name, work in works.items():
        made, expected, seconds = undisturbed(work, folder / name)
        n = 0
        while n < sizes.kills:
            struck: list[str] = []
            with fresh(made, folder / name / "place") as place:
                while n + len(struck) < sizes.kills:
                    now = _struck(work.command(place), seconds, random_, strike)
                    if not now:
                        break
                    struck += now
                n += len(struck)
                counts.update(f"{name}: {each}" for each in struck)
                well = work.finish(place, expected, after=f"{name}: {struck}") and well
    return {"well": well, "kills": counts}


def _struck(
    words: list[object], seconds: float, random_: random.Random, strike: Strike
) -> list[str]:
    """What was killed of a command that was struck once."""
    with start(*words) as process:
        try:
            process.communicate(timeout=random_.uniform(0.1, 1.1) * seconds)
            return []
        except subprocess.TimeoutExpired:
            what = strike(process, random_)
        try:
            process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            print(f"hangs after {what} was killed: {words}", file=sys.stderr)
            os.killpg(process.pid, 9)
            raise
    return [what]
