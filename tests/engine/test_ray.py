"""The engine on real Ray clusters of one machine, whose workers and nodes are really killed."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_units
import psutil
import pytest
import stores
from benchmarks.reliability.machines import actors

from earmark.data.store.writer import write_shards
from earmark.engine import map_units
from earmark.errors import BadValue, MissingExtra, WorkerDied

# Ray opens files and sockets that it leaves to its own processes, and uses old parts of Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and two nodes with two each: a node can die and the head stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # the nodes start Python afresh, which finds our units as the tests do
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        cluster_utils = pytest.importorskip("ray.cluster_utils")
        small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
        cluster = cluster_utils.Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, **small}
        )
        cluster.nodes_to_kill = [cluster.add_node(num_cpus=2, **small) for _ in range(2)]
        cluster.wait_for_nodes()
        yield cluster
        cluster.shutdown()


@pytest.mark.slow
def test_a_killed_worker_and_then_a_killed_node_lose_and_double_nothing(
    cluster: Any, tmp_path: Path
) -> None:
    units = [(number, str(tmp_path)) for number in range(60)]
    outcomes = map_units(engine_units.note_and_sleep, units, ray=cluster.address)
    values = [next(outcomes).value for _ in range(6)]
    actors()[0].kill()
    values += [next(outcomes).value for _ in range(6)]
    cluster.remove_node(cluster.nodes_to_kill[0], allow_graceful=False)
    values += [outcome.value for outcome in outcomes]
    assert values == list(range(60))
    nodes = {path.read_text() for path in tmp_path.iterdir()}
    assert len(nodes) == 2  # both had been at work


@pytest.mark.slow
def test_a_unit_that_kills_its_worker_fails_alone_on_a_cluster(cluster: Any) -> None:
    outcomes = list(map_units(engine_units.kill_at_three, range(8), workers=2, ray=cluster.address))
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, *range(4, 8)]
    assert isinstance(outcomes[3].error, WorkerDied)


@pytest.mark.slow
def test_errors_of_units_arrive_whole_from_a_cluster(cluster: Any) -> None:
    outcomes = list(map_units(engine_units.fail_at_three, range(5), ray=cluster.address))
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4]
    assert isinstance(outcomes[3].error, BadValue)


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes_into_a_store(cluster: Any, tmp_path: Path) -> None:
    stores.write_audio(tmp_path, 9, missing=[3])
    (tmp_path / "audio" / "S003.mp3").write_text("no music")
    for name, where in {"here": {"workers": 1}, "there": {"ray": cluster.address}}.items():
        store_format = stores.tiny_format()
        write_shards(
            stores.catalog(9), tmp_path / name, store_format=store_format, audio=tmp_path, **where
        )
    assert stores.bytes_of(tmp_path / "there") == stores.bytes_of(tmp_path / "here")


@pytest.mark.slow
def test_closing_early_leaves_no_worker_on_the_cluster(cluster: Any) -> None:
    outcomes = map_units(engine_units.sleep, [0.0, 100.0, 100.0], workers=2, ray=cluster.address)
    next(outcomes)
    workers = actors()
    assert workers
    outcomes.close()
    assert not psutil.wait_procs(workers, timeout=20)[1]


@pytest.mark.slow
def test_a_ray_of_this_machine_comes_and_goes_with_the_call() -> None:
    outcomes = map_units(engine_units.square, range(5), workers=2, ray="local")
    assert [outcome.value for outcome in outcomes] == [0, 1, 4, 9, 16]
    assert actors() == []


def test_an_address_where_no_cluster_answers_is_named() -> None:
    pytest.importorskip("ray")
    with socket.socket() as held:  # bound, and nobody listens
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(WorkerDied, match=f"no Ray cluster answers at {address}.*ray start"):
            map_units(engine_units.square, [1], ray=address)


def test_an_address_that_is_none_is_refused() -> None:
    pytest.importorskip("ray")
    with pytest.raises(BadValue, match="Give local, auto or HOST:PORT"):
        map_units(engine_units.square, [1], ray="nonsense")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"\[ray\]"):
        map_units(engine_units.square, [1], ray="local")
