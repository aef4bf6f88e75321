"""How not to fetch the same memory from the system at every step, and how much it was at most."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def peak_bytes() -> int | None:
    """The most memory that this process has had so far; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for its next step; whether the system can.

    A layer's output is hundreds of megabytes. glibc fetches such blocks from the system each time
    and gives them back at once; to be handed 35 MB of cleared pages takes longer than to convolve
    a clip into them. A training step takes half the time without.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
