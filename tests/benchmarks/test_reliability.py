"""The attacks of benchmarks/reliability, each for a moment: earmark holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace, SIGKILL, /proc")


@pytest.mark.parametrize(
    "attack",
    ["damaged", "soak", *(pytest.param(name, marks=pytest.mark.slow)
                          for name in ("kills", "ray", "torchrun", "faults", "full", "flushes",
                                       "beets"))],
)  # fmt: skip
def test_it_holds(attack):
    command = [sys.executable, "-m", "benchmarks.reliability", "--short", "--only", attack]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    line = json.loads(done.stdout)
    assert line["attack"] == attack
    assert line["well"]
