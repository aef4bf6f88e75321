"""The processes that train together: one, or several that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor

from earmark.arrays import Float32Array
from earmark.errors import BadRecipe, BadValue


@dataclass(frozen=True)
class Processes:
    """The processes that train together, seen from one of them.

    device : what this process computes on
    rank : of this process, from 0; count : of all processes
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def any(self, value: bool) -> bool:
        """Whether the value is true in any of the processes."""
        if self.count == 1:
            return value
        flag = torch.tensor(float(value), device=self.device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.count == 1:
            return value
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total / self.count

    def gather(self, rows: Tensor, *, n: int) -> Float32Array:
        """All rows, of which this process has every count-th from its rank on.

        rows : float32 (n_here, width)
        returns : float32 (n, width), in order, in every process
        """
        if self.count == 1:
            return rows.cpu().numpy()
        longest = -(-n // self.count)
        padded = torch.zeros(longest, rows.shape[1], device=self.device)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        torch.distributed.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:n].cpu().numpy()


def check_alone(what: str) -> None:
    """Raise BadValue where torchrun has started several processes.

    what : a command or an option that trains in one
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadValue(
            f"{what} trains in one process, and torchrun started several. Start it without torchrun"
        )


@contextmanager
def join_processes(*, batch: int) -> Iterator[Processes]:
    """Join the processes that torchrun has started, on one or several machines, or be the only one.

    batch : clips a step, over all of them

    Each computes on a GPU of its own (NCCL) where there are GPUs, else on the processor (gloo).
    Raises BadRecipe for a batch that they cannot share, before it waits for the others.
    """
    count, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    if batch % count:
        raise BadRecipe(
            f"loop.batch is {batch}, which {count} processes cannot share. Choose a multiple of "
            f"{count}"
        )
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if count == 1:
        yield Processes(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(device, torch.distributed.get_rank(), count)
    finally:
        torch.distributed.destroy_process_group()
