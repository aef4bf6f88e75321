"""Does it stay as fast and as small: more clips, longer songs, and units on a Ray cluster.

python -m benchmarks.suite.growth [--units 1000]      the overhead of the engine alone, as JSON
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import time
from contextlib import closing
from importlib.util import find_spec

from benchmarks.suite import material
from benchmarks.suite.context import Context
from benchmarks.suite.records import Row
from earmark import engine, zoo
from earmark.privacy import keep_private

NODES = 2  # of the Ray cluster, each with one CPU


def clips(context: Context, n: int) -> Row:
    """`earmark tag -` on n clips, start-up included."""
    paths = context.clips(context.sizes.formats[0]).paths(n, context.work)
    words = ("earmark", "tag", "-", "--json", "--model", zoo.SHIPPED)
    seen = context.watched(*words, stdin="\n".join(map(str, paths)), answers=n)
    return {
        "n": n,
        "seconds": seen.seconds,
        "rate": n / seen.seconds,
        "cpu_seconds": seen.cpu_seconds,
        "peak_mb": seen.peak_mb,
    }


def song(context: Context, seconds: int) -> Row:
    """`earmark tag` on one song, start-up included."""
    path = material.long_song(context.work, seconds=seconds)
    words = ("earmark", "tag", str(path), "--json", "--model", zoo.SHIPPED)
    seen = context.watched(*words, answers=1)
    if seconds > 3600:
        path.unlink()  # 144 MB for ten hours
    return {
        "n": seconds,
        "seconds": seen.seconds,
        "rate": seconds / seen.seconds,
        "cpu_seconds": seen.cpu_seconds,
        "peak_mb": seen.peak_mb,
    }


def ray(context: Context) -> Row:
    """What the engine takes for a unit that does nothing: processes, and a cluster of two nodes."""
    if find_spec("ray") is None:
        return {"missing": "Ray is not installed: pip install 'earmark[ray]'"}
    words = ("benchmarks.suite.growth", "--units", str(context.sizes.ray_units))
    return {"seconds_a_unit": json.loads(context.watched(*words).lines[-1])}


def overhead(n: int, *, ray: str | None) -> float:
    """Seconds a unit of -x, from the first outcome to the last."""
    units = range(n + 1)
    with closing(engine.map_units(operator.neg, units, workers=NODES, ray=ray)) as outcomes:
        next(outcomes)
        started = time.perf_counter()
        values = [outcome.value for outcome in outcomes]
        taken = time.perf_counter() - started
    assert values == [-unit for unit in units[1:]]
    return taken / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1000)
    units = parser.parse_args().units
    keep_private()
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    from ray.cluster_utils import Cluster

    found = {"processes": overhead(units, ray=None)}
    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for _ in range(NODES):
            cluster.add_node(num_cpus=1, **small)
        cluster.wait_for_nodes()
        found["ray"] = overhead(units, ray=cluster.address)
    finally:
        cluster.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
