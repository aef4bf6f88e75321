"""Work that is spread over a Ray cluster or over the processes of torchrun, of which some die."""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.family import descendants
from benchmarks.reliability.commands import Result
from benchmarks.reliability.kills import kill_all, killed
from benchmarks.reliability.works import (
    Work,
    learned,
    make_catalog,
    make_training,
    shards,
    store_bytes,
    train,
)
from earmark.privacy import keep_private


def ray(folder: Path, sizes: argparse.Namespace) -> Result:
    """A cluster of two nodes and a head: workers, nodes and the command are killed."""
    if importlib.util.find_spec("ray") is None:
        return {"well": True, "left_out": "Ray is not installed"}
    os.environ.update(
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        PYTHONPATH=os.pathsep.join(sys.path),  # nodes start Python afresh
    )
    keep_private()
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes = [cluster.add_node(num_cpus=2, **small) for _ in range(2)]
    cluster.wait_for_nodes()

    def strike(process: subprocess.Popen[str], random_: random.Random) -> str:
        what = random_.choice(["command", "worker", "node"])
        if what == "node":
            cluster.remove_node(nodes.pop(random_.randrange(2)), allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=2, **small))
        elif what == "command" or not _kill_one(actors(), random_):
            what = kill_all(process, random_)
        return what

    work = Work(make_catalog, lambda folder: shards(folder, "--ray", cluster.address), store_bytes)
    try:
        return killed(folder, {"data shards": work}, sizes, strike=strike)
    finally:
        cluster.shutdown()


def actors() -> list[psutil.Process]:
    """The workers of a cluster that this process has started."""
    return [process for process, line in descendants().items() if line.startswith("ray::_Actor")]


def torchrun(folder: Path, sizes: argparse.Namespace) -> Result:
    """Two processes on one training: one of them, the launcher, or all are killed."""

    def command(folder: Path) -> list[Any]:
        launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m"]
        return [sys.executable, "-m", *launch, *train(folder)]

    def strike(process: subprocess.Popen[str], random_: random.Random) -> str:
        ranks = psutil.Process(process.pid).children()
        what = random_.choice(["all", "launcher", "one of two"])
        if what == "launcher":
            process.kill()
        elif what == "all" or not _kill_one(ranks, random_):
            what = kill_all(process, random_)
        return what

    return killed(folder, {"train": Work(make_training, command, learned)}, sizes, strike=strike)


def _kill_one(processes: list[psutil.Process], random_: random.Random) -> bool:
    """Kill one of them; False where none is left."""
    try:
        random_.choice(processes).kill()
    except (IndexError, psutil.NoSuchProcess):
        return False
    return True
