"""Workers of `engine.map_units` on this machine: processes, started by spawn, with a pipe each.

Each end of a pipe is held by one process only. So a death is the end of the pipe for the other one,
also in the middle of a message: neither waits for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from earmark.engine.memory import limit_memory
from earmark.engine.worker import load_function
from earmark.errors import BadValue, WorkerDied
from earmark.held_signals import held_signals

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# For glibc's malloc: memory in huge pages where the system gives them to who asks, and freed pieces
# joined at once, for decoders and arrays share the memory in turns.
_MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0"}

_MOST_FAILURES = 3  # in a row; a single one may have been killed from outside
_TO_END = 10.0  # seconds that a process whose pipe has ended may take to be gone
_UNSENT = 74  # the exit code of a worker that cannot write its answer
_END = b""  # tells a worker that there are no more units
_CANNOT_START = (
    "the worker processes cannot start; their own messages are above. A script that uses several "
    'workers needs `if __name__ == "__main__":` around the call, because each worker imports the '
    "script again; or use workers=1"
)
_NO_PROCESS = "a worker process cannot be started ({}). Use fewer workers; workers=1 needs none"
_CANNOT_TALK = (
    f"{_MOST_FAILURES} worker processes in a row could not exchange messages with this one, so "
    "the run ends here. The system may be out of memory or buffers; workers=1 needs no process"
)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    is_ready: bool = False


@dataclass(eq=False)
class _Ticket:
    """What a worker is to answer next but for the tickets before it.

    unsent : why the unit did not reach it
    """

    worker: _Worker
    unsent: OSError | None = None


class ProcessCrew:
    """Worker processes on this machine, each with its share of native threads."""

    def __init__(
        self,
        function: Callable[[bytes], bytes],
        *,
        workers: int,
        threads: int,
        memory: int | None = None,
    ) -> None:
        if getattr(process.current_process(), "_inheriting", False):
            raise WorkerDied(_CANNOT_START)  # a worker imports a script that has no guard
        self.workers = workers
        self._threads, self._memory = threads, memory
        self._function, self._name = pickle.dumps(function), repr(function)
        self._context = multiprocessing.get_context("spawn")
        self._staff: list[_Worker] = []
        self._failed_starts = self._unsent = 0  # in a row
        if os.name == "posix":
            resource_tracker.ensure_running()  # its start would undo worker_environment

    def hire(self) -> tuple[_Worker, _Ticket]:
        ours, theirs = self._context.Pipe()
        started = self._context.Process(target=_work, args=(theirs, self._memory), daemon=True)
        with worker_environment(self._threads), theirs:
            try:
                started.start()
            except OSError as error:
                ours.close()
                raise WorkerDied(_NO_PROCESS.format(error.strerror)) from error
            worker = _Worker(started, ours)
            self._staff.append(worker)
        name = self._name.encode(errors="replace")
        return worker, self._send(worker, self._function, name)

    def submit(self, worker: _Worker, unit: bytes) -> _Ticket:
        return self._send(worker, unit)

    def wait(self, tickets: list[_Ticket], *, timeout: float | None) -> set[_Ticket]:
        unsent = {ticket for ticket in tickets if ticket.unsent is not None}
        if unsent:
            return unsent
        of_pipe = {ticket.worker.pipe: ticket for ticket in tickets}
        return {of_pipe[pipe] for pipe in connection.wait(list(of_pipe), timeout)}  # type: ignore[index]

    def result(self, ticket: _Ticket) -> bytes | None:
        worker = ticket.worker
        answer = None
        if ticket.unsent is None:
            with suppress(EOFError, OSError):
                answer = worker.pipe.recv_bytes()
        if answer is None:
            self._note_loss(ticket)
            return None
        if worker.is_ready:
            self._unsent = 0
        elif answer:
            raise BadValue(answer.decode())  # of load_function; it says what to do
        worker.is_ready, self._failed_starts = True, 0
        return answer

    def dismiss(self, worker: _Worker, *, kill: bool) -> None:  # noqa: ARG002 - it always does
        self._staff.remove(worker)
        _end(worker)

    def close(self, *, finished: bool) -> None:
        for worker in self._staff:
            if not (finished and worker.is_ready):
                worker.process.kill()
            else:
                with suppress(OSError):
                    worker.pipe.send_bytes(_END)
        for worker in self._staff:
            worker.process.join(_TO_END)
            _end(worker)

    def _send(self, worker: _Worker, *messages: bytes) -> _Ticket:
        try:
            for message in messages:
                worker.pipe.send_bytes(message)
        except OSError as error:
            return _Ticket(worker, error)
        return _Ticket(worker)

    def _note_loss(self, ticket: _Ticket) -> None:
        """Raise where workers are lost in a way in which others will be too."""
        started = ticket.worker.process
        if ticket.unsent is not None:
            started.kill()
        started.join(_TO_END)
        was_idle = isinstance(ticket.unsent, BrokenPipeError | ConnectionResetError)  # it had died
        self._failed_starts += not ticket.worker.is_ready
        self._unsent += started.exitcode == _UNSENT or not (ticket.unsent is None or was_idle)
        if self._unsent == _MOST_FAILURES:
            raise WorkerDied(_CANNOT_TALK) from ticket.unsent
        if self._failed_starts == _MOST_FAILURES:
            raise WorkerDied(_CANNOT_START)


def _end(worker: _Worker) -> None:
    """End a worker, whatever it is at: native code may keep it from seeing that its pipe ended."""
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


@contextmanager
def worker_environment(threads: int) -> Iterator[None]:
    """Start workers here: with their share of native threads, and with signals held back.

    Both must be so from the first moment: libraries read the variables when they load, and a Ctrl-C
    during the start would fill the terminal with tracebacks. What the user has set stays.
    """
    variables = dict.fromkeys(THREAD_VARIABLES, str(threads)) | _MALLOC
    added = {name: variables[name] for name in variables if name not in os.environ}
    os.environ.update(added)
    try:
        with held_signals():
            yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _work(pipe: Connection, memory: int | None) -> None:
    """One worker: it answers unit after unit, in order, until the parent ends it or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, messages), daemon=True).start()
    packed, name = messages.get(), messages.get().decode()
    try:
        function = load_function(packed, name, where="a module")
    except BadValue as error:
        _answer(pipe, str(error).encode())
        return
    if memory is not None:
        limit_memory(memory)
    _answer(pipe, b"")
    while (unit := messages.get()) != _END:
        _answer(pipe, function(unit))


def _receive(pipe: Connection, messages: queue.SimpleQueue[bytes]) -> None:
    """Take messages as they come, so that the parent never waits; end with the parent at once."""
    message = None
    while message != _END:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)
        messages.put(message)


def _answer(pipe: Connection, answer: bytes) -> None:
    """Send an answer. Half of one ends this process, or the parent would wait for the rest."""
    try:
        pipe.send_bytes(answer)
    except OSError:
        os._exit(_UNSENT)
