"""Units of work, spread over the processes of this machine or over a Ray cluster.

`map_units` is the only parallel code of earmark. What it promises:

- one outcome for each unit, in the order of the units, whatever happens to the workers;
- units are taken only a little ahead of the outcomes that were asked for: both may be endless;
- a unit that raises fails alone; a unit that kills its process (a crash in a decoder, no memory) is
  tried again, in the end with nothing else running, and then fails alone with WorkerDied;
- no worker outlives its parent, be it closed, interrupted or killed.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from earmark.errors import BadValue, EarmarkError, Unexpected, WorkerDied

Unit = TypeVar("Unit")
Value = TypeVar("Value")

TRIES = 3  # of a unit that kills its worker; the last one with nothing else running
AT_A_WORKER = 2  # units: one that runs and one that waits, so that no worker waits for us
AHEAD = 4  # units a worker that are taken before the first of them is done

_DIED = (
    f"this killed the process that worked on it, {TRIES} times: a crash in a native library, "
    "more memory than there is, or a signal from outside"
)


@dataclass(frozen=True)
class Outcome(Generic[Unit, Value]):
    """What became of one unit: `value` where it went well, or else `error`."""

    unit: Unit
    value: Value | None
    error: EarmarkError | None


def map_units(
    function: Callable[[Unit], Value],
    units: Iterable[Unit],
    *,
    workers: int | None = None,
    ray: str | None = None,
) -> Generator[Outcome[Unit, Value], None, None]:
    """function(unit) for each unit: outcomes lazily and in the order of the units.

    function : picklable; it is sent to each worker once, so it may keep what is costly to build
    units : may be endless; taken a few ahead of the outcomes
    workers : processes; None is one for each CPU core we may use; 0 and 1 work in this process
    ray : None for processes here; "local" for Ray on this machine, "auto" or "host:port" for a
        running cluster, where workers=None is one for each CPU of the cluster

    An EarmarkError becomes the unit's outcome. Any other exception is a bug, and becomes the
    outcome Unexpected with its traceback, so that it neither hides nor costs the other units.
    A script that calls this with several workers needs `if __name__ == "__main__":`, because each
    worker imports the script again. Closing the generator ends the workers at once.
    """
    if workers is not None and workers < 0:
        raise BadValue(f"workers must be 0 or more, not {workers}")
    crew: _Crew
    if ray is not None:
        from earmark.engine.ray import RayCrew

        crew = RayCrew(_Attempt(function), address=ray, workers=workers, local_workers=cpu_count())
    else:
        workers = cpu_count() if workers is None else workers
        if workers <= 1:
            return _one_by_one(function, units)
        from earmark.engine.processes import ProcessCrew

        threads = threads_per_worker(workers)
        crew = ProcessCrew(_Attempt(function), workers=workers, threads=threads)
    return _in_order(crew, iter(units))


def cpu_count() -> int:
    """CPU cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_worker(workers: int | None = None) -> int:
    """Native threads that each of `workers` processes may use without getting in each other's way.

    Workers find it in OMP_NUM_THREADS and its like; for libraries that do not read those.
    """
    return max(1, cpu_count() // max(1, cpu_count() if workers is None else workers))


def _try(function: Callable[[Unit], Value], unit: Unit) -> tuple[Value | None, EarmarkError | None]:
    """(value, None) or (None, error)."""
    try:
        return function(unit), None
    except EarmarkError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - kept whole in the outcome; see map_units
        return None, _unexpected(error)


def _unexpected(error: Exception) -> Unexpected:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {Path(at.filename).name}:{at.lineno}" for at in last)
    trace = "".join(traceback.format_exception(error))
    return Unexpected(f"{type(error).__name__}{place}: {error}", trace)


@dataclass(frozen=True)
class _Attempt:
    """The function as workers know it: a pickled unit in, a pickled (value, error) out."""

    function: Callable[[Any], Any]

    def __call__(self, unit: bytes) -> bytes:
        answer = _try(lambda packed: self.function(pickle.loads(packed)), unit)  # noqa: S301
        try:
            packed = pickle.dumps(answer)
            if answer[1] is not None:
                pickle.loads(packed)  # noqa: S301 - some exceptions can be written but not read
        except Exception as error:  # noqa: BLE001 - this runs code of the value; see map_units
            return pickle.dumps((None, _unexpected(error)))
        return packed

    def __repr__(self) -> str:
        return repr(self.function)


class _Crew(Protocol):
    """Workers of one kind. A worker runs what it is given one after the other, in order."""

    workers: int  # how many there should be

    def hire(self) -> tuple[Any, Any]:
        """A new worker, and the ticket that is done when it is ready."""

    def submit(self, worker: Any, unit: bytes) -> Any:
        """The ticket of a unit given to a worker."""

    def wait(self, tickets: list[Any]) -> set[Any]:
        """Those tickets that are done, as soon as there is one."""

    def result(self, ticket: Any) -> bytes | None:
        """The answer of a ticket that is done; None if its worker died."""

    def dismiss(self, worker: Any) -> None:
        """Clear up after a worker that died."""

    def close(self, *, finished: bool) -> None:
        """End all workers: at once, unless their work is finished."""


@dataclass(eq=False)
class _Job:
    unit: Any
    packed: bytes
    deaths: int = 0  # workers that died on it
    outcome: Outcome[Any, Any] | None = None


@dataclass(eq=False)
class _Worker:
    handle: Any
    queue: deque[tuple[Any, _Job | None]] = field(default_factory=deque)  # job None: getting ready


def _one_by_one(
    function: Callable[[Unit], Value], units: Iterable[Unit]
) -> Generator[Outcome[Unit, Value], None, None]:
    for unit in units:
        yield Outcome(unit, *_try(function, unit))


def _in_order(crew: _Crew, units: Iterator[Unit]) -> Generator[Outcome[Unit, Any], None, None]:
    schedule = _Schedule(crew, units)
    finished = False
    try:
        while (outcome := schedule.next_outcome()) is not None:
            yield outcome
        finished = True
    finally:
        crew.close(finished=finished)


class _Schedule:
    """Who runs what. Nothing here knows what a worker is."""

    def __init__(self, crew: _Crew, units: Iterator[Any]) -> None:
        self.crew = crew
        self.units: Iterator[Any] | None = units
        self.jobs: deque[_Job] = deque()  # taken from the units, outcome not yet given away
        self.waiting: deque[_Job] = deque()  # of these, the ones that no worker has
        self.suspects: deque[_Job] = deque()  # to run with nothing else running
        self.workers: list[_Worker] = []

    def next_outcome(self) -> Outcome[Any, Any] | None:
        """The outcome of the next unit; None after the last."""
        while True:
            self._take_units()
            if not self.jobs:
                return None
            self._assign()
            if self.jobs[0].outcome is not None:
                return self.jobs.popleft().outcome
            heads = {worker.queue[0][0]: worker for worker in self.workers if worker.queue}
            for ticket in self.crew.wait(list(heads)):
                self._settle(heads[ticket])

    def _take_units(self) -> None:
        while self.units is not None and len(self.jobs) < AHEAD * self.crew.workers:
            try:
                unit = next(self.units)
            except StopIteration:
                self.units = None
                return
            job = _Job(unit, pickle.dumps(unit))
            self.jobs.append(job)
            self.waiting.append(job)

    def _assign(self) -> None:
        unfinished = sum(job.outcome is None for job in self.jobs)
        while len(self.workers) < min(self.crew.workers, unfinished):
            handle, ticket = self.crew.hire()
            self.workers.append(_Worker(handle, deque([(ticket, None)])))
        ready = [w for w in self.workers if not (w.queue and w.queue[0][1] is None)]
        if self.suspects:
            if ready and not any(job for worker in self.workers for _, job in worker.queue):
                self._give(ready[0], self.suspects[0])
            return
        for depth in range(AT_A_WORKER):  # first one for each worker, then the ones that wait
            for worker in ready:
                if self.waiting and len(worker.queue) == depth:
                    self._give(worker, self.waiting.popleft())

    def _give(self, worker: _Worker, job: _Job) -> None:
        worker.queue.append((self.crew.submit(worker.handle, job.packed), job))

    def _settle(self, worker: _Worker) -> None:
        """The head of a worker's queue is done, or the worker is dead."""
        ticket, job = worker.queue.popleft()
        answer = self.crew.result(ticket)
        if answer is None:
            self._bury(worker, job)
        elif job is not None:
            self._finish(job, *pickle.loads(answer))  # noqa: S301 - from our own worker

    def _bury(self, worker: _Worker, job: _Job | None) -> None:
        # Work is done in order, so the job at the head was running; those behind it are innocent.
        self.workers.remove(worker)
        self.waiting.extendleft(innocent for _, innocent in reversed(worker.queue) if innocent)
        self.crew.dismiss(worker.handle)
        if job is None:
            return
        job.deaths += 1
        if job.deaths == TRIES:
            self._finish(job, None, WorkerDied(_DIED))
        elif job.deaths == TRIES - 1:
            self.suspects.append(job)
        else:
            self.waiting.appendleft(job)

    def _finish(self, job: _Job, value: Any, error: EarmarkError | None) -> None:
        job.outcome = Outcome(job.unit, value, error)
        if self.suspects and self.suspects[0] is job:
            self.suspects.popleft()
