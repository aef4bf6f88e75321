"""How the threads of a step wait for each other: a short while busily, then asleep."""

from __future__ import annotations

import os

# GNU's OpenMP, which PyTorch computes with on Linux, counts this often before a thread sleeps.
_TURNS = "100000"


def wait_briefly() -> None:
    """Set how long OpenMP's threads spin; call it before torch is imported, which reads it once.

    By default each spins three times as long at the end of every operation. Alone on a machine that
    is no loss; where another program wants the processor, it has the threads that compute wait for
    those that only count. What the user has set stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _TURNS
