"""The scheduler of units of work, over the processes of this machine or over a Ray cluster.

`map_units` is the only parallel code of earmark. Its promises:

- one outcome for each unit, in the order of the units, whatever happens to the workers;
- it takes units only a little ahead of the outcomes that it has given: both may be endless;
- a unit that raises fails alone; a unit that kills its process (a crash in a decoder, no memory) is
  tried again, in the end with nothing else running, and then fails alone with WorkerDied;
- a unit that takes longer than a deadline fails alone, and its worker is replaced; so is one that
  needs more memory than a worker may take;
- no worker outlives its parent, be it closed, interrupted or killed.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol

from earmark.engine.worker import TOO_SLOW, Attempt, Unit, Value, attempt, attempt_within
from earmark.errors import BadValue, EarmarkError, OutOfMemory, WorkerDied

TRIES = 3  # of a unit that kills its worker; the last one with nothing else running
AT_A_WORKER = 2  # units: one that runs and one that waits, so that no worker waits for us
AHEAD = 4  # units a worker that are taken before the first of them is done

_DIED = (
    f"this killed the process that worked on it, {TRIES} times: a crash in a native library, "
    "too little memory, or a signal from outside"
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
    deadline: float | None = None,
    memory: int | None = None,
) -> Generator[Outcome[Unit, Value], None, None]:
    """function(unit) for each unit: outcomes lazily and in the order of the units.

    function : picklable; it is sent to each worker once, so it may keep what is costly to build
    units : may be endless; taken a few ahead of the outcomes
    workers : processes; None for one on each CPU core we may use; 0 and 1 work in this process
    ray : None for processes here; "local" for Ray on this machine, "auto" or "host:port" for a
        running cluster, where workers=None is one for each of its CPUs
    deadline : seconds that one unit may take; in this process it then works in a thread
    memory : bytes that a worker may take beyond what it has at its start, where the system can hold
        it to that (engine.memory); this process takes what it needs

    An EarmarkError becomes the outcome of its unit. Any other exception is a bug, and becomes the
    outcome Unexpected with its traceback: it is not hidden, and does not stop the other units.
    A script that calls this with several workers needs `if __name__ == "__main__":`, because each
    worker imports the script again. Closing the generator ends the workers at once.
    """
    if workers is not None and workers < 0:
        raise BadValue(f"workers must be 0 or more, not {workers}")
    crew: _Crew
    if ray is not None:
        from earmark.engine.ray import RayCrew

        crew = RayCrew(
            Attempt(function),
            address=ray,
            workers=workers,
            local_workers=cpu_count(),
            memory=memory,
        )
    else:
        workers = cpu_count() if workers is None else workers
        if workers <= 1:
            return _one_by_one(function, units, deadline=deadline)
        from earmark.engine.processes import ProcessCrew

        threads = threads_per_worker(workers)
        crew = ProcessCrew(Attempt(function), workers=workers, threads=threads, memory=memory)
    return _in_order(crew, iter(units), deadline=deadline)


def cpu_count() -> int:
    """CPU cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_worker(workers: int | None = None) -> int:
    """Native threads for each of `workers` processes, so that together they fill the machine.

    Workers have it in OMP_NUM_THREADS and the like; this is for libraries that do not read those.
    """
    return max(1, cpu_count() // max(1, cpu_count() if workers is None else workers))


class _Crew(Protocol):
    """Workers of one kind. A worker runs what it is given one after the other, in order."""

    workers: int  # how many there should be

    def hire(self) -> tuple[Any, Any]:
        """A new worker, and the ticket that is done when it is ready."""

    def submit(self, worker: Any, unit: bytes) -> Any:
        """The ticket of a unit given to a worker."""

    def wait(self, tickets: list[Any], *, timeout: float | None) -> set[Any]:
        """The tickets that are done, as soon as there is one; none after `timeout` seconds."""

    def result(self, ticket: Any) -> bytes | None:
        """The answer of a ticket that is done; None if its worker died."""

    def dismiss(self, worker: Any, *, kill: bool) -> None:
        """Clear up after a worker that died; `kill` ends one that hangs, whatever it is at."""

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
    since: float = 0.0  # when it began with the first of its queue, on the monotonic clock


def _one_by_one(
    function: Callable[[Unit], Value], units: Iterable[Unit], *, deadline: float | None
) -> Generator[Outcome[Unit, Value], None, None]:
    work = attempt if deadline is None else partial(attempt_within, deadline)
    for unit in units:
        yield Outcome(unit, *work(function, unit))


def _in_order(
    crew: _Crew, units: Iterator[Unit], *, deadline: float | None
) -> Generator[Outcome[Unit, Any], None, None]:
    schedule = _Schedule(crew, units, deadline=deadline)
    finished = False
    try:
        while (outcome := schedule.next_outcome()) is not None:
            yield outcome
        finished = True
    finally:
        crew.close(finished=finished)


class _Schedule:
    """Which worker runs which unit; it is the same for processes and for Ray."""

    def __init__(self, crew: _Crew, units: Iterator[Any], *, deadline: float | None) -> None:
        self.crew = crew
        self.deadline = deadline
        self.units: Iterator[Any] | None = units
        self.jobs: deque[_Job] = deque()  # taken from the units, outcome not yet returned
        self.waiting: deque[_Job] = deque()  # of these, the jobs that no worker has
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
            done = self.crew.wait(list(heads), timeout=self._patience())
            for ticket in done:
                self._settle(heads.pop(ticket))
            for worker in heads.values():
                if self._left(worker) <= 0:
                    self._end(worker)

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
        for depth in range(AT_A_WORKER):  # first one job for each worker, then the waiting ones
            for worker in ready:
                if self.waiting and len(worker.queue) == depth:
                    self._give(worker, self.waiting.popleft())

    def _give(self, worker: _Worker, job: _Job) -> None:
        if not worker.queue:
            worker.since = time.monotonic()
        worker.queue.append((self.crew.submit(worker.handle, job.packed), job))

    def _patience(self) -> float | None:
        """Seconds until the first worker has used up its time."""
        left = min((self._left(worker) for worker in self.workers), default=math.inf)
        return None if left == math.inf else max(0.0, left)

    def _left(self, worker: _Worker) -> float:
        """Seconds that a worker has left for the unit that it is at."""
        if self.deadline is None or not worker.queue or worker.queue[0][1] is None:
            return math.inf
        return worker.since + self.deadline - time.monotonic()

    def _end(self, worker: _Worker) -> None:
        """End a worker whose unit has used up its time."""
        _, job = worker.queue.popleft()
        assert job is not None
        self._dismiss(worker, kill=True)
        self._finish(job, None, WorkerDied(TOO_SLOW.format(self.deadline)))

    def _settle(self, worker: _Worker) -> None:
        """The head of a worker's queue is done, or the worker is dead."""
        ticket, job = worker.queue.popleft()
        worker.since = time.monotonic()
        answer = self.crew.result(ticket)
        if answer is None:
            self._bury(worker, job)
        elif job is not None:
            value, error = pickle.loads(answer)  # noqa: S301 - from our own worker
            self._finish(job, value, error)
            if isinstance(error, OutOfMemory):  # what it still holds, the next unit would lack
                self._dismiss(worker, kill=True)

    def _bury(self, worker: _Worker, job: _Job | None) -> None:
        self._dismiss(worker, kill=False)
        if job is None:
            return
        job.deaths += 1
        if job.deaths == TRIES:
            self._finish(job, None, WorkerDied(_DIED))
        elif job.deaths == TRIES - 1:
            self.suspects.append(job)
        else:
            self.waiting.appendleft(job)

    def _dismiss(self, worker: _Worker, *, kill: bool) -> None:
        # a worker works in order: the job at the head was running, the ones behind it are innocent
        self.workers.remove(worker)
        self.waiting.extendleft(innocent for _, innocent in reversed(worker.queue) if innocent)
        self.crew.dismiss(worker.handle, kill=kill)

    def _finish(self, job: _Job, value: Any, error: EarmarkError | None) -> None:
        job.outcome = Outcome(job.unit, value, error)
        if self.suspects and self.suspects[0] is job:
            self.suspects.popleft()
