"""A limit on the memory that a process may take; Linux holds it."""

from __future__ import annotations

import sys
from pathlib import Path


def limit_memory(n_bytes: int) -> None:
    """Let this process take so many more bytes than it has; what needs more gets a MemoryError.

    It counts what can be written to, and no addresses that are only reserved: many threads reserve
    some gigabytes. The limit cannot be lifted again. Only Linux holds it: elsewhere there is none.
    """
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[5])  # of data and stack
    most = pages * resource.getpagesize() + n_bytes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash writes no core file
