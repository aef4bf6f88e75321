"""Units of work, spread over the processes of this machine or over a Ray cluster."""

from earmark.engine.units import (
    AHEAD,
    AT_A_WORKER,
    TRIES,
    Outcome,
    Unit,
    Value,
    cpu_count,
    map_units,
    threads_per_worker,
)

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
