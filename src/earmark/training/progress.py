"""Where a run stands: what a checkpoint holds besides arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class RunProgress:
    """From the first step on.

    epoch : finished ones; step : finished ones of the epoch under way
    losses : total and count of that epoch's losses
    best : the line of the epoch whose weights are kept; None before the first
    since_best : epochs since then
    seconds : spent so far, over all sessions; epoch_seconds, waited : of the epoch under way
    history : a line for each finished epoch
    """

    epoch: int = 0
    step: int = 0
    losses: tuple[float, int] = (0.0, 0)
    best: dict[str, Any] | None = None
    since_best: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    waited: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; its floats come back bit by bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunProgress:
        """Back from JSON; KeyError or TypeError for what is none."""
        names = cls.__dataclass_fields__.keys()
        return cls(**{name: values[name] for name in names} | {"losses": tuple(values["losses"])})
