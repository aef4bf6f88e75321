"""Workers of `engine.map_units` on a Ray cluster: one actor for each CPU.

Every node needs the same earmark, and must see the same files under the same paths. Ray does not
report its usage. A local Ray serves no dashboard, keeps to the loopback address, and leaves no
files behind.
"""

from __future__ import annotations

import os
import pickle
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from earmark.engine.memory import limit_memory
from earmark.engine.worker import load_function
from earmark.errors import BadValue, MissingExtra, WorkerDied
from earmark.privacy import keep_private

SPARE_STARTS = 5  # workers that may die while they start, beyond the number of workers
PATIENCE = 300.0  # seconds to wait for a cluster to have a CPU for the first worker
REACH = 10.0  # seconds for a cluster's address to answer
_QUIET = {"log_to_driver": False, "configure_logging": False}


class RayCrew:
    """Actors on a Ray cluster, or on a Ray that is started on this machine."""

    def __init__(
        self,
        function: Callable[[bytes], bytes],
        *,
        address: str,
        workers: int | None,
        local_workers: int,
        memory: int | None = None,
    ) -> None:
        self._ray = _import_ray()
        self._function, self._name = pickle.dumps(function), repr(function)
        self._memory = memory
        self._ours = ExitStack()  # what ends with us: a Ray that the caller has joined does not
        if not self._ray.is_initialized():
            if address == "local":
                self._ours.enter_context(_local(self._ray, workers or local_workers))
            else:
                _join(self._ray, address)
                self._ours.callback(self._ray.shutdown)
        self.workers = workers or int(self._ray.cluster_resources().get("CPU", 1))
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)
        self._staff: list[Any] = []
        self._starting: set[Any] = set()
        self._failed_starts = 0

    def hire(self) -> tuple[Any, Any]:
        worker = self._actor.remote()
        self._staff.append(worker)
        ready = worker.load.remote(self._function, self._name, self._memory)
        self._starting.add(ready)
        return worker, ready

    def submit(self, worker: Any, unit: bytes) -> Any:
        return worker.run.remote(unit)

    def wait(self, tickets: list[Any], *, timeout: float | None) -> set[Any]:
        """As of a crew; workers without a CPU, after a node died, wait for one."""
        all_starting = self._starting.issuperset(tickets)
        done, _ = self._ray.wait(tickets, timeout=PATIENCE if all_starting else timeout)
        if not done and all_starting:
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

    def dismiss(self, worker: Any, *, kill: bool) -> None:  # noqa: ARG002 - it always does
        # an actor that Ray calls dead may only be out of reach, and still work
        self._staff.remove(worker)
        self._kill(worker)

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 - actors hold nothing to finish
        for worker in self._staff:
            self._kill(worker)
        self._ours.close()

    def _kill(self, worker: Any) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker)


class _Actor:
    """One worker, in a process of the cluster."""

    def load(self, function: bytes, name: str, memory: int | None) -> bytes:
        self._function = load_function(function, name, where="a module of every node")
        if memory is not None:
            limit_memory(memory)
        return b""

    def run(self, unit: bytes) -> bytes:
        answer: bytes = self._function(unit)
        return answer


def _import_ray() -> Any:
    keep_private()
    # Ray reads it when it is imported; what the user has set stays
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a FutureWarning
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


@contextmanager
def _local(ray: Any, workers: int) -> Iterator[None]:
    """A Ray on this machine, on its loopback address, with its files in a folder that goes with it.

    A token keeps other users of this machine out; if none is given, Ray would keep one in ~/.ray.
    """
    if not any(name.startswith("RAY_AUTH_") for name in os.environ):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # /tmp: the paths of the sockets in it may have a hundred bytes, and TMPDIR is long on a Mac
    parent = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 - TemporaryDirectory is safe
    with TemporaryDirectory(
        prefix="earmark-ray-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        with _loopback_only():
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                _temp_dir=folder,
                **_QUIET,
            )
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Ray, started meanwhile, takes 127.0.0.1 as it does on a Mac, and asks no cloud what it is.

    Else it looks for the address that reaches the internet; and the process of the dashboard, of
    which nothing but the reports on usage is left without one, asks the metadata services of three
    clouds even where the reports are off. Ray has no public setting for either.
    """
    from ray._private import node, ray_constants

    cluster = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before = os.environ.get(cluster), ray_constants.ENABLE_RAY_CLUSTER, node.Node.start_api_server
    os.environ[cluster] = "0"  # what Ray's processes read, as the next line is what we read
    ray_constants.ENABLE_RAY_CLUSTER = False
    node.Node.start_api_server = _no_dashboard
    try:
        yield
    finally:
        if before[0] is None:
            del os.environ[cluster]
        else:
            os.environ[cluster] = before[0]
        ray_constants.ENABLE_RAY_CLUSTER, node.Node.start_api_server = before[1:]


def _no_dashboard(node: Any, **_: Any) -> None:
    node._webui_url = None


def _join(ray: Any, address: str) -> None:
    what_to_do = "Start one with `ray start --head`, or give --ray local"
    if address != "auto":
        _reach(address, what_to_do)
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise WorkerDied(
            f"cannot join a Ray cluster at {address!r}: {error} {what_to_do}{_about_tokens()}"
        ) from error


def _about_tokens() -> str:
    """What to do where Ray has kept a token of an earlier cluster, which it then asks all for."""
    token = Path("~/.ray/auth_token").expanduser()
    if "RAY_AUTH_MODE" in os.environ or not token.is_file():
        return ""
    return (
        f". Ray found {token} and so asks for tokens; if the cluster was started without, set "
        "RAY_AUTH_MODE=disabled and run this again"
    )


def _reach(address: str, what_to_do: str) -> None:
    """Fail soon where Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        raise BadValue(f"{address!r} is not a Ray address. Give local, auto or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH).close()
    except OSError as error:
        raise WorkerDied(f"no Ray cluster answers at {address}: {error}. {what_to_do}") from error
