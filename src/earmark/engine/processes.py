"""Workers of `engine.map_units` on this machine: one-process pools, started by spawn.

Each worker has its own pool, because a broken ProcessPoolExecutor does not say which of its
processes died or on what, and ends the others with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import process, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from earmark.engine.worker import load_function
from earmark.errors import WorkerDied
from earmark.held_signals import held_signals

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_MOST_FAILED_STARTS = 3
_TO_SEND = 5.0  # seconds that an answer may take to its parent, where that is still there
_CANNOT_START = (
    "the worker processes cannot start; their own messages are above. A script that uses several "
    'workers needs `if __name__ == "__main__":` around the call, because each worker imports the '
    "script again; or use workers=1"
)

_function: Callable[[bytes], bytes]  # of this worker


@dataclass(eq=False)
class _Process:
    pool: ProcessPoolExecutor
    lifeline: Connection  # the worker ends when this end closes, also when we are killed
    pid: int | None = None  # None until it has started


class ProcessCrew:
    """Worker processes on this machine, each with its share of native threads."""

    def __init__(self, function: Callable[[bytes], bytes], *, workers: int, threads: int) -> None:
        if getattr(process.current_process(), "_inheriting", False):
            raise WorkerDied(_CANNOT_START)  # a worker imports a script that has no guard
        self.workers = workers
        self._threads = threads
        self._function, self._name = pickle.dumps(function), repr(function)
        self._context = multiprocessing.get_context("spawn")
        self._staff: list[_Process] = []
        self._starting: dict[Future[Any], _Process] = {}
        self._failed_starts = 0  # in a row; a single one may have been killed from outside
        if os.name == "posix":
            resource_tracker.ensure_running()  # its start would undo worker_environment

    def hire(self) -> tuple[_Process, Future[Any]]:
        theirs, ours = self._context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_begin, initargs=(theirs,)
        )
        worker = _Process(pool, ours)
        self._staff.append(worker)
        with worker_environment(self._threads):
            ready = pool.submit(_load, self._function, self._name)
        theirs.close()
        self._starting[ready] = worker
        return worker, ready

    def submit(self, worker: _Process, unit: bytes) -> Future[bytes]:
        try:
            return worker.pool.submit(_run, unit)
        except BrokenProcessPool as error:  # died while it was idle
            dead: Future[bytes] = Future()
            dead.set_exception(error)
            return dead

    def wait(self, tickets: list[Future[Any]], *, timeout: float | None) -> set[Future[Any]]:
        return wait(tickets, timeout, return_when=FIRST_COMPLETED).done

    def result(self, ticket: Future[bytes]) -> bytes | None:
        starting = self._starting.pop(ticket, None)
        try:
            answer = ticket.result()
        except BrokenProcessPool as error:
            self._failed_starts += starting is not None
            if self._failed_starts == _MOST_FAILED_STARTS:
                raise WorkerDied(_CANNOT_START) from error
            return None
        if starting is not None:
            self._failed_starts = 0
            starting.pid = int(answer)
        return answer

    def dismiss(self, worker: _Process, *, kill: bool) -> None:
        self._staff.remove(worker)
        if kill and worker.pid is not None:
            # closing the lifeline is not enough where a native library holds Python's lock
            with suppress(ProcessLookupError):
                os.kill(worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
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
def worker_environment(threads: int) -> Iterator[None]:
    """Start workers here: with their share of native threads, and with signals held back.

    Both must be so from the first moment: libraries read the thread variables when they load. A
    Ctrl-C during the start would fill the terminal with tracebacks, and an error in the middle of
    it would leave a pool that waits for ever. What the user has set stays.
    """
    added = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    try:
        with held_signals():
            yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _begin(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and cuts the lifeline
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    leave = threading.Thread(target=_leave_with, args=(lifeline, os.getppid()), daemon=True)
    leave.start()


class _Work:
    """Whether this worker is at a unit, and whether it is to leave; both under the lock."""

    lock = threading.Lock()
    is_busy = is_leaving = False


def _leave_with(lifeline: Connection, parent: int) -> None:
    """End this process when its lifeline is cut, but not while it sends an answer.

    Half an answer would keep the parent reading for ever: its pool holds the other end of the pipe
    open. So between units it goes on to where the pool, which is being shut down, ends it.
    """
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()  # nothing is ever sent
    with _Work.lock:
        _Work.is_leaving = True
        if _Work.is_busy or os.getppid() != parent:
            os._exit(1)
    time.sleep(_TO_SEND)
    os._exit(1)


def _load(function: bytes, name: str) -> bytes:
    global _function
    _function = load_function(function, name, where="a module")
    return b"%d" % os.getpid()


def _run(unit: bytes) -> bytes:
    _turn(is_busy=True)
    try:
        return _function(unit)
    finally:
        _turn(is_busy=False)


def _turn(*, is_busy: bool) -> None:
    """Begin or end a unit, or leave instead."""
    with _Work.lock:
        if _Work.is_leaving:
            os._exit(1)
        _Work.is_busy = is_busy
