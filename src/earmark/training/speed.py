"""The speed of a run: how far it is, how fast it learns, and how much time is left."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

_WARM_UP = 2  # steps that are slower than all others
_REMEMBERED = 50  # steps that the speed is a mean of, about
_SECONDS_BETWEEN = 0.2  # two moments
_SECONDS_MEASURED, _STEPS_MEASURED = 3.0, 5  # before a run is estimated
_SHARE_OF_SCORING = 1 / 3  # of the time of a step: a third of its work, forwards only


@dataclass(frozen=True)
class Moment:
    """How far a run is, for a bar.

    epoch, step : under way, and finished of that epoch; epochs, steps : how many there are
    loss : mean of the epoch so far
    clips_a_second : learned from; None at first
    seconds_left : of the whole run, where it does not stop early; None at first
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    clips_a_second: float | None
    seconds_left: float | None


class Speed:
    """How long steps take, since the run was started or resumed.

    batch : clips a step, over all processes
    """

    def __init__(self, *, batch: int) -> None:
        self._batch = batch
        self._steps, self._seconds = 0, 0.0  # all that were timed
        self._a_step: float | None = None  # seconds, mean of the last ones
        self._last: float | None = None
        self._shown = 0.0
        self._warm_up = _WARM_UP

    def step(self) -> None:
        """A step was taken."""
        now = perf_counter()
        if self._last is not None and self._warm_up <= 0:
            taken = now - self._last
            self._steps += 1
            self._seconds += taken
            mean = taken if self._a_step is None else self._a_step
            self._a_step = mean + (taken - mean) / min(self._steps, _REMEMBERED)
        self._warm_up -= 1
        self._last = now

    def rest(self) -> None:
        """What comes now is no step: its time does not count."""
        self._last = None

    def is_due(self) -> bool:
        """Whether it is time to show the next moment."""
        now = perf_counter()
        if now - self._shown < _SECONDS_BETWEEN:
            return False
        self._shown = now
        return True

    @property
    def is_known(self) -> bool:
        """Whether enough steps were timed to estimate a run."""
        return self._steps >= _STEPS_MEASURED and self._seconds >= _SECONDS_MEASURED

    @property
    def clips_a_second(self) -> float | None:
        """How many are learned from; None before the first step that was timed."""
        return None if not self._a_step else self._batch / self._a_step

    def seconds(self, *, steps: int, clips_scored: int) -> float | None:
        """How long so many steps, and the scoring of so many validation clips, take together."""
        if self._a_step is None:
            return None
        return self._a_step * (steps + clips_scored / self._batch * _SHARE_OF_SCORING)
