"""What was measured, kept line by line: a run that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from earmark.provenance import commit

LIBRARIES = (
    "av", "soxr", "numpy", "onnxruntime", "openvino", "torch", "librosa", "soundfile", "essentia",
    "ray",
)  # fmt: skip
Row = dict[str, Any]


class Records:
    """Rows in a file of JSON lines, under a first line that says what they hold for.

    header : machine, versions, commit and settings; rows of another header are not continued
    """

    def __init__(self, path: Path, header: Row) -> None:
        self.path = path
        self.header: Row = json.loads(json.dumps(header))  # as it will be read
        self.rows: list[Row] = []
        self.is_continued = False
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and json.loads(lines[0]) == self.header:
            self.is_continued = True
            self.rows = [json.loads(line) for line in lines[1:] if line.endswith("}")]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in (self.header, *self.rows)))

    def has(self, **key: object) -> bool:
        return any(key.items() <= row.items() for row in self.rows)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def of(self, stage: str, material: str | None = None) -> list[Row]:
        """The rows of a stage in the order in which they were measured."""
        wanted = (row for row in self.rows if row["stage"] == stage)
        return [row for row in wanted if material in (None, row["material"])]


class Spread:
    """A number that was measured in several rounds: median (least to most)."""

    def __init__(self, values: Iterable[float]) -> None:
        self.values = sorted(values)
        self.median = statistics.median(self.values)

    def __str__(self) -> str:
        median, least, most = map(short, (self.median, self.values[0], self.values[-1]))
        return median if len(self.values) == 1 else f"{median} ({least} to {most})"


def short(number: float) -> str:
    """Three digits, and no more zeros than they need."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def machine() -> dict[str, Any]:
    """What the numbers depend on, but for what else the machine does."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        "commit": commit(),
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
