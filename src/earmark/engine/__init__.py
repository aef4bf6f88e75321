"""The engine: units of work, over the processes of this machine or over a Ray cluster."""

from earmark.engine.units import (
    AHEAD,
    AT_A_WORKER,
    TRIES,
    Outcome,
    cpu_count,
    map_units,
    threads_per_worker,
)
from earmark.engine.worker import Unit, Value

__all__ = [
    "AHEAD",
    "AT_A_WORKER",
    "TRIES",
    "Outcome",
    "Unit",
    "Value",
    "cpu_count",
    "map_units",
    "threads_per_worker",
]
