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

    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmData:"))
    most = int(kilobytes) * 1024 + n_bytes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash writes no core file
