"""Commands that are attacked: each in a process group of its own, which one signal ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

EARMARK = [sys.executable, "-m", "earmark"]
_LONGEST = 300  # seconds of a command, before it counts as hanging
Result = dict[str, Any]


def start(*words: object, under: Sequence[str] = (), **how: Any) -> subprocess.Popen[str]:
    """A command, started; `under` is what goes before it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | how.pop("env", {})
    return subprocess.Popen(
        [*under, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=environment, **how,
    )  # fmt: skip


def run(*words: object, under: Sequence[str] = (), **how: Any) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    with start(*words, under=under, **how) as process:
        try:
            said, told = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
    return process.returncode, said, told


def is_fault(told: str) -> bool:
    """Whether words on stderr show a mistake of earmark's."""
    return "Traceback" in told or "bug in earmark" in told
