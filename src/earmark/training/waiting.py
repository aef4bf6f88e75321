"""How the threads of a step wait for each other: asleep, not in a loop."""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait; call it before torch is imported.

    OpenMP reads it once. By default each thread counts in a loop for a while after every
    operation. Alone on a machine that is a little faster; where another program wants the
    processor, it has the threads that compute wait for those that only count. What the user has
    set stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
