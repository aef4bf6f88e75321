"""Workers of `engine.map_units` on a Ray cluster: one actor for each CPU.

Every node needs the same earmark, and must see the same files under the same paths. Ray does not
report its usage, and a local Ray serves no dashboard.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from earmark.engine.worker import load_function
from earmark.errors import BadValue, MissingExtra, WorkerDied

SPARE_STARTS = 5  # workers that may die while they start, beyond the number of workers
PATIENCE = 300.0  # seconds to wait for a cluster to have a CPU for the first worker
REACH = 10.0  # seconds for a cluster's address to answer


class RayCrew:
    """Actors on a Ray cluster, or on a Ray that is started on this machine."""

    def __init__(
        self,
        function: Callable[[bytes], bytes],
        *,
        address: str,
        workers: int | None,
        local_workers: int,
    ) -> None:
        self._ray = _import_ray()
        self._function, self._name = pickle.dumps(function), repr(function)
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address, workers or local_workers)
        self.workers = workers or int(self._ray.cluster_resources().get("CPU", 1))
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)
        self._staff: list[Any] = []
        self._starting: set[Any] = set()
        self._failed_starts = 0

    def hire(self) -> tuple[Any, Any]:
        worker = self._actor.remote()
        self._staff.append(worker)
        ready = worker.load.remote(self._function, self._name)
        self._starting.add(ready)
        return worker, ready

    def submit(self, worker: Any, unit: bytes) -> Any:
        return worker.run.remote(unit)

    def wait(self, tickets: list[Any]) -> set[Any]:
        """As of a crew; workers without a CPU, after a node died, wait for one."""
        all_starting = self._starting.issuperset(tickets)
        done, _ = self._ray.wait(tickets, timeout=PATIENCE if all_starting else None)
        if not done:
            raise WorkerDied(
                f"the Ray cluster had no CPU for a worker in {PATIENCE:.0f} s. See `ray status`"
            )
        return set(done)

    def result(self, ticket: Any) -> bytes | None:
        starting = ticket in self._starting
        self._starting.discard(ticket)
        try:
            answer: bytes = self._ray.get(ticket)
        except self._ray.exceptions.RayTaskError as error:
            raise BadValue(str(error.cause)) from error  # of load; its message says what to do
        except self._ray.exceptions.RayError as error:
            if starting:
                self._failed_starts += 1
                if self._failed_starts > self.workers + SPARE_STARTS:
                    raise WorkerDied(f"workers cannot start on the Ray cluster: {error}") from error
            return None
        self._failed_starts = 0
        return answer

    def dismiss(self, worker: Any) -> None:
        # an actor that Ray calls dead may only be out of reach, and still work
        self._staff.remove(worker)
        self._kill(worker)

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 - actors hold nothing to finish
        for worker in self._staff:
            self._kill(worker)
        if self._ours:
            self._ray.shutdown()

    def _kill(self, worker: Any) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker)


class _Actor:
    """One worker, in a process of the cluster."""

    def load(self, function: bytes, name: str) -> bytes:
        self._function = load_function(function, name, where="a module of every node")
        return b""

    def run(self, unit: bytes) -> bytes:
        answer: bytes = self._function(unit)
        return answer


def _import_ray() -> Any:
    # Ray reads these when it is imported; what the user has set stays
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a FutureWarning
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


def _connect(ray: Any, address: str, local_workers: int) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address == "local":
        ray.init(address="local", num_cpus=local_workers, include_dashboard=False, **quiet)
        return
    what_to_do = "Start one with `ray start --head`, or give --ray local"
    if address != "auto":
        _reach(address, what_to_do)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WorkerDied(
            f"cannot join a Ray cluster at {address!r}: {error} {what_to_do}"
        ) from error


def _reach(address: str, what_to_do: str) -> None:
    """Fail soon where Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        raise BadValue(f"{address!r} is not a Ray address. Give local, auto or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH).close()
    except OSError as error:
        raise WorkerDied(f"no Ray cluster answers at {address}: {error}. {what_to_do}") from error
