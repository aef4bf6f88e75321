"""Holds Ctrl-C and SIGTERM back for as long as a block runs."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block, which must not be left half done.

    They are also kept from interrupting a write, of which Python loses the rest where its streams
    are unbuffered (PYTHONUNBUFFERED), and from processes that the block starts. Blocking them is
    not enough: another thread may receive them, and Python still raises in the main one. Outside
    the main thread, which alone may handle signals, they are only blocked.
    """
    came: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _NUMBERS} if is_main else {}
    # what is ignored stays so, and what C code handles cannot be put back
    before = {n: handler for n, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    masked = set() if sys.platform == "win32" else _block()
    try:
        for number in before:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        for late in came:
            signal.raise_signal(late)


def _block() -> set[signal.Signals | int]:
    assert sys.platform != "win32"
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS))
