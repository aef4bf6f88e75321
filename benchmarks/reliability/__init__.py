"""Attacks on earmark, and whether it holds: python -m benchmarks.reliability."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))
