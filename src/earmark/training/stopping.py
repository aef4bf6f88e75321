"""Stopping a run between two steps, when SIGTERM or SIGINT asks for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether a signal has asked the run to stop.

    signal : its name, as "SIGTERM"; None before
    """

    def __init__(self) -> None:
        self.signal: str | None = None

    @property
    def asked(self) -> bool:
        """Whether the run should save and end."""
        return self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Note the first SIGTERM or SIGINT instead of ending; a second one ends the process as usual.

    Outside the main thread, signals are left alone; so is one that a shell has set to be ignored.
    One that C code handled (Ray's does) has the system's handler afterwards: Python cannot put
    back what it does not know.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: handler or signal.SIG_DFL
        for number in (signal.SIGTERM, signal.SIGINT)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }

    def note(number: int, _: FrameType | None) -> None:
        stop.signal = signal.Signals(number).name
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
