"""The pool of processes that decode uploads; a process that fails is killed and replaced."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from earmark.audio import Audio
from earmark.audio.stated import CutShort
from earmark.engine.processes import worker_environment
from earmark.errors import UnreadableAudio, WorkerDied
from earmark.web import decoder_process
from earmark.web.errors import Busy, TooCostly, TooLong
from earmark.web.limits import Limits

_TRIES = 2  # of a file whose decoder dies: the first time the system may have killed it
_START_SECONDS = 60.0
_RETRY_SECONDS = 10  # after which there may be a process again
_LARGEST_MESSAGE = 1 << 26  # bytes; a compromised decoder may send anything


class Decoders:
    """Decoder processes, each busy with one file or idle.

    on_loss : called with the reason each time a process is lost: "deadline", "memory" or "died"

    Raises WorkerDied where processes cannot start.
    """

    def __init__(self, limits: Limits, *, on_loss: Callable[[str], None]) -> None:
        self._limits = limits
        self._on_loss = on_loss
        self._context = multiprocessing.get_context("spawn")
        self._starting = threading.Lock()  # the environment is changed meanwhile
        # None in place of one that could not be started anew: the next file tries again
        self._idle: queue.SimpleQueue[_Decoder | None] = queue.SimpleQueue()
        if os.name == "posix":
            resource_tracker.ensure_running()
        first = [self._start() for _ in range(limits.n_decoders)]
        try:
            for decoder in first:
                decoder.wait_until_ready()
                self._idle.put(decoder)
        except _DecoderLost as error:
            for decoder in first:
                decoder.kill()
            raise WorkerDied(
                "the decoder processes cannot start; their own messages are above. A script that "
                'serves needs `if __name__ == "__main__":` around its code, because each of '
                "these processes imports the script again"
            ) from error

    def decode(
        self,
        path: Path,
        *,
        name: str,
        rate: int,
        start: float = 0.0,
        seconds: float | None = None,
        minutes: float | None = None,
    ) -> Audio:
        """The samples of a file, or of a part of it, as load_audio gives them.

        name : what errors call the file
        minutes : what is longer raises TooLong; None is the limit of the server

        Raises UnreadableAudio, TooLong, TooCostly, and Busy where no process can be started.
        """
        longest = (minutes or self._limits.minutes) * 60
        job = {
            "path": str(path),
            "rate": rate,
            "start": start,
            "seconds": longest + 1 if seconds is None else min(seconds, longest + 1),
            "deadline": self._limits.decode_seconds,
        }
        for _ in range(_TRIES):
            decoder = self._idle.get()
            keep = False
            try:
                decoder = decoder or self._start_late()
                audio = _receive(decoder, job, name=name, longest=longest)
                keep = True
                return audio
            except (UnreadableAudio, TooLong):
                keep = True
                raise
            except _DecoderLost as lost:
                self._on_loss(lost.why)
                if lost.why != "died":
                    raise TooCostly(_too_costly(name, lost.why, self._limits)) from lost
            finally:
                if not keep:
                    if decoder is not None:
                        decoder.kill()
                    decoder = None
                    with suppress(OSError):  # the system has no memory or process left
                        decoder = self._start()
                self._idle.put(decoder)
        raise TooCostly(_too_costly(name, "died", self._limits))

    def close(self) -> None:
        """End every process."""
        for _ in range(self._limits.n_decoders):
            decoder = self._idle.get()
            if decoder is not None:
                decoder.kill()

    def _start_late(self) -> _Decoder:
        try:
            return self._start()
        except OSError as error:
            raise Busy(
                "the server has no memory or no process left to decode with. Try again in "
                f"{_RETRY_SECONDS} seconds",
                retry_after=_RETRY_SECONDS,
            ) from error

    def _start(self) -> _Decoder:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=decoder_process.main,
            args=(theirs, self._limits.decode_mb),
            name="earmark decoder",
            daemon=True,
        )
        with self._starting, worker_environment(threads=1):
            process.start()
        theirs.close()
        return _Decoder(process, ours)


class _DecoderLost(Exception):
    """A decoder process is lost, and why: "deadline", "memory" or "died"."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(eq=False)
class _Decoder:
    process: Any
    pipe: Connection
    is_ready: bool = False

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()

    def receive(self, deadline: float) -> tuple[bytes, memoryview]:
        """(kind, body) of the next message, until `deadline` on the monotonic clock."""
        try:
            if not self.pipe.poll(max(0.0, deadline - time.monotonic())):
                raise _DecoderLost("deadline")
            message = self.pipe.recv_bytes(_LARGEST_MESSAGE)
        except (EOFError, OSError) as error:
            raise _DecoderLost("died") from error
        return message[:1], memoryview(message)[1:]

    def wait_until_ready(self) -> None:
        """Wait for the process to have started."""
        if not self.is_ready:
            self.receive(time.monotonic() + _START_SECONDS)
            self.is_ready = True

    def ask(self, job: dict[str, Any]) -> None:
        """Send a job as soon as the process has started."""
        self.wait_until_ready()
        try:
            self.pipe.send_bytes(json.dumps(job).encode())
        except OSError as error:
            raise _DecoderLost("died") from error


def _receive(decoder: _Decoder, job: dict[str, Any], *, name: str, longest: float) -> Audio:
    decoder.ask(job)
    deadline = time.monotonic() + job["deadline"]
    rate = job["rate"]
    blocks = []
    n = 0
    while True:
        kind, body = decoder.receive(deadline)
        if kind == decoder_process.SAMPLES:
            blocks.append(np.frombuffer(body, dtype="<f4"))
            n += blocks[-1].size
            if n > (longest + 2) * rate:
                raise _DecoderLost("died")  # it was to stop before that
        elif kind == decoder_process.END:
            break
        elif kind == decoder_process.FAILED:
            raise UnreadableAudio(name, json.loads(bytes(body))["reason"])
        else:
            raise _DecoderLost("memory")
    if n > longest * rate:
        raise TooLong(
            f"{name} is longer than {longest / 60:g} minutes, the limit of this server. Send a "
            "part of it, or ask for its beginning with max_seconds"
        )
    samples = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    end = json.loads(bytes(body))
    cut_short = None if end["cut_short"] is None else CutShort(*end["cut_short"])
    return Audio(samples, rate, end["damaged_packets"], cut_short=cut_short)


def _too_costly(name: str, why: str, limits: Limits) -> str:
    reasons = {
        "deadline": f"decoding it took longer than {limits.decode_seconds:g} seconds",
        "memory": f"decoding it took more than {limits.decode_mb:g} MB of memory",
        "died": f"it crashed the decoder {_TRIES} times",
    }
    return f"{name} cannot be heard: {reasons[why]}. It may be damaged: export it again"
