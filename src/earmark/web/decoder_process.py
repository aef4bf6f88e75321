"""The process that decodes uploads within limits of time and memory, and its messages.

An upload may be crafted to break a decoder. So it is decoded here, with limits of time and memory,
and only numbers and JSON go back: no pickles, which could run code in the server.

A message is one byte for its kind, and a body: float32 little-endian for SAMPLES, else JSON.
"""

from __future__ import annotations

import json
import signal
import tempfile
import wave
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from earmark.engine.memory import limit_memory

READY, SAMPLES, END, FAILED, NO_MEMORY = b"R", b"S", b"E", b"F", b"M"
_GRACE = 5.0  # seconds beyond the deadline, after which the process ends itself
_WARM_UP_HZ = 8_000
_ROOM = 1 << 20  # bytes; where even these cannot be allocated, a failure is for lack of memory


def main(pipe: Connection, memory_mb: float) -> None:
    """Decode one job after the other until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    _load_decoders()
    limit_memory(round(memory_mb * 1e6))
    pipe.send_bytes(READY)
    try:
        while True:
            job = json.loads(pipe.recv_bytes())
            _set_alarm(job["deadline"] + _GRACE)  # in case the server is gone and cannot end this
            _answer(pipe, job)
            _set_alarm(0)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the server is gone
    except MemoryError:
        pipe.send_bytes(NO_MEMORY)


def _answer(pipe: Connection, job: dict[str, Any]) -> None:
    """Send one file's samples, or why it has none."""
    from earmark import audio
    from earmark.audio.opening import NO_MEMORY_LEFT
    from earmark.errors import UnreadableAudio

    path = Path(job["path"])
    bytearray(_ROOM)  # with less than these, FFmpeg may crash where it should say so
    try:
        stream = audio.stream_audio(
            path,
            rate=job["rate"],
            start=job["start"],
            seconds=job["seconds"],
            limits=False,  # this process has its own
        )
        for block in stream:
            pipe.send_bytes(SAMPLES + block.astype("<f4", copy=False).tobytes())
        end = {"damaged_packets": stream.damaged_packets, "cut_short": stream.cut_short}
        pipe.send_bytes(END + json.dumps(end).encode())
    except UnreadableAudio as error:
        if error.reason == NO_MEMORY_LEFT:
            raise MemoryError from error
        # FFmpeg reports some failed allocations as damage, or as an unknown codec
        bytearray(_ROOM)  # raises MemoryError where memory has run out
        pipe.send_bytes(FAILED + json.dumps({"reason": error.reason}).encode())


def _load_decoders() -> None:
    """Load all libraries, some of which load late, before memory is limited."""
    from earmark import audio

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "silence.wav")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, _WARM_UP_HZ, 0, "NONE", ""))
            file.writeframes(bytes(2 * _WARM_UP_HZ))
        audio.load_audio(path, rate=2 * _WARM_UP_HZ)


def _set_alarm(seconds: float) -> None:
    """End this process after so many seconds; 0 cancels that."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
