"""The workers of `engine.map_units` on this machine: one-process pools, started by spawn.

A pool for each worker, because a broken ProcessPoolExecutor does not say which of its processes
died nor on what, and takes the others down with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import process, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from earmark.errors import BadValue, WorkerDied

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_MOST_FAILED_STARTS = 3
_CANNOT_START = (
    "the worker processes cannot start; what they said stands above. A script that uses several "
    'workers needs `if __name__ == "__main__":` around the call, because each worker imports the '
    "script again; or use workers=1"
)

_function: Callable[[bytes], bytes]  # of this worker


@dataclass(eq=False)
class _Process:
    pool: ProcessPoolExecutor
    lifeline: Connection  # the worker leaves when this end closes, so also when we are killed


class ProcessCrew:
    """Worker processes on this machine, each with its share of native threads."""

    def __init__(self, function: Callable[[bytes], bytes], *, workers: int, threads: int) -> None:
        if getattr(process.current_process(), "_inheriting", False):
            raise WorkerDied(_CANNOT_START)  # a script without a guard, imported by a worker
        self.workers = workers
        self._threads = threads
        self._function, self._name = pickle.dumps(function), repr(function)
        self._context = multiprocessing.get_context("spawn")
        self._staff: list[_Process] = []
        self._starting: set[Future[Any]] = set()
        self._failed_starts = 0  # in a row; one may have been killed from outside
        if os.name == "posix":
            resource_tracker.ensure_running()  # before its start can undo what_a_worker_inherits

    def hire(self) -> tuple[_Process, Future[Any]]:
        theirs, ours = self._context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_begin, initargs=(theirs,)
        )
        worker = _Process(pool, ours)
        self._staff.append(worker)
        with what_a_worker_inherits(self._threads):
            ready = pool.submit(_load, self._function, self._name)
        theirs.close()
        self._starting.add(ready)
        return worker, ready

    def submit(self, worker: _Process, unit: bytes) -> Future[bytes]:
        try:
            return worker.pool.submit(_run, unit)
        except BrokenProcessPool as error:  # died while it was idle
            dead: Future[bytes] = Future()
            dead.set_exception(error)
            return dead

    def wait(self, tickets: list[Future[Any]]) -> set[Future[Any]]:
        return wait(tickets, return_when=FIRST_COMPLETED).done

    def result(self, ticket: Future[bytes]) -> bytes | None:
        starting = ticket in self._starting
        self._starting.discard(ticket)
        try:
            answer = ticket.result()
        except BrokenProcessPool as error:
            self._failed_starts += starting
            if self._failed_starts == _MOST_FAILED_STARTS:
                raise WorkerDied(_CANNOT_START) from error
            return None
        if starting:
            self._failed_starts = 0
        return answer

    def dismiss(self, worker: _Process) -> None:
        self._staff.remove(worker)
        worker.lifeline.close()
        worker.pool.shutdown()

    def close(self, *, finished: bool) -> None:
        if not finished:
            for worker in self._staff:
                worker.lifeline.close()
        for worker in self._staff:
            worker.pool.shutdown(cancel_futures=True)
            worker.lifeline.close()


@contextmanager
def what_a_worker_inherits(threads: int) -> Iterator[None]:
    """Its share of native threads, and Ctrl-C held back until it can ignore it.

    Both from its first moment: the thread variables are read when a library is loaded, and a
    Ctrl-C during the start would fill the terminal with tracebacks. A choice of the user stays.
    """
    added = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            os.environ.pop(name, None)


def _begin(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and cuts the lifeline
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()


def _leave_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()  # nothing is ever sent
    except (EOFError, OSError):
        os._exit(1)


def _load(function: bytes, name: str) -> bytes:
    global _function
    try:
        _function = pickle.loads(function)  # noqa: S301 - from our own parent
    except (AttributeError, ImportError) as error:  # what stands in a prompt or an unsaved script
        raise BadValue(f"the workers cannot load {name}: {error}. Define it in a module") from error
    return b""


def _run(unit: bytes) -> bytes:
    return _function(unit)
