"""What breaks at 10 and at 100 million songs: python -m benchmarks.scale [PART] [--songs N...]

Each part runs the code of earmark on real counts, in a process of its own, and prints a JSON line
for each count: CPU seconds, bytes on disk and of memory. The table at the end multiplies the last
of them to 10 and 100 million songs; docs/explanation/scale.md says what follows from it.

ledger    a ledger of previews: adding, claiming, counting, resuming
store     a store of 1000 songs a shard, whose clips are holes in sparse files: opening it
files     the audio files of a folder, as `data shards` looks songs up in them
sampler   the order of an epoch, and the batches of one process
engine    units through the scheduler, with workers that do nothing
limiter   machines that share one limit of requests, each with a pace of its own, in simulated time
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SONGS = (1_000_000, 3_000_000)
AIMS = (10_000_000, 100_000_000)
TAGS = 50
LIMIT, HOURS = 60.0, 6  # requests a minute that a simulated host allows, and for how long
BATCH = 64  # songs of a run of previews in flight, clips of a step
Row = dict[str, Any]


def memory() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Stopwatch:
    """CPU seconds of the parts of a measurement: what else the machine does shall not count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        self.seconds[name] = round(time.process_time() - started, 3)
        return result


def ledger(n: int, folder: Path) -> Row:
    from dataclasses import replace

    from earmark.data.previews.entry import LedgerEntry, State
    from earmark.data.previews.ledger import Ledger

    def entries() -> Iterator[LedgerEntry]:
        return (LedgerEntry(f"TR{i:012}", f"Artist {i // 9}", f"Title {i}") for i in range(n))

    watch, path = Stopwatch(), folder / "ledger.sqlite"
    with Ledger.open(path, make=True) as made:
        watch("add", lambda: made.add(entries()))
        # nine of ten are through, as late in a run, when each question has most to look at
        done = (replace(entry, state=State.DOWNLOADED, file="x", size=1) for entry in entries())
        watch("write outcomes", lambda: made.put(entry for i, entry in enumerate(done) if i % 10))
    with Ledger.open(path) as opened:
        watch("claim 64", lambda: opened.claim(BATCH, seconds=600))
        watch("renew leases", lambda: opened.renew_leases(seconds=600))
        watch("count states", opened.counts)
        watch("finished since", lambda: opened.finished_since(time.time() - 900))
        watch("add again", lambda: opened.add(entries()))
        watch("read outcomes", lambda: sum(1 for _ in opened.entries([State.DOWNLOADED])))
        watch("take over", opened.take_over)
    return {"seconds": watch.seconds, "disk": path.stat().st_size}


def store(n: int, folder: Path) -> Row:
    from earmark.data.store import open_store
    from earmark.data.store.format import (
        ShardRow,
        StoredClip,
        StoreFormat,
        npy_header,
        shard_card,
        shard_name,
        write_shard,
    )
    from earmark.data.store.index import Shard, StoreIndex, read_index, write_index
    from earmark.features import PRESETS
    from earmark.files import sha256

    made, watch = StoreFormat(PRESETS["choi2016"]), Stopwatch()
    # the sidecar is written with clips of no frames; the clips themselves are a hole in a file
    tags = tuple(f"tag {number}" for number in range(TAGS))
    nothing = SimpleNamespace(data=b"")
    clip = StoredClip(nothing, 0.0, 1.0, 0, 30.0)  # type: ignore[arg-type]
    card = shard_card(made, tags=tags, songs_sha256="0" * 64)
    drawn = random.Random(1)

    def rows(first: int) -> Iterator[ShardRow]:
        for number in range(first, first + 1000):
            split = ("train", "train", "train", "valid", "test")[number % 5]
            of_song = [tags[i] for i in sorted(drawn.sample(range(TAGS), 3))]
            path = f"audio/TR{number:012}.m4a"
            yield ShardRow(f"TR{number:012}", split, of_song, path, clip, None)

    def write() -> None:
        shards = []
        for number, first in enumerate(range(0, n, 1000)):
            write_shard(folder, number, rows(first), card=card)
            name = shard_name(number)
            header = npy_header(1000, made)
            os.truncate(folder / f"{name}.npy", len(header) + 1000 * made.clip_bytes)
            shards.append(Shard(name, 1000, 1000, sha256(folder / f"{name}.parquet")))
        write_index(folder, StoreIndex(made, tags, None, {}, tuple(shards)))

    watch("write", write)
    watch("read index", lambda: read_index(folder))
    before = memory()
    opened = watch("open", lambda: open_store(folder, resident=False))
    held = memory() - before
    watch("one clip", lambda: opened.raw([n - 1]))
    sidecars = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    opened.close()
    return {
        "seconds": watch.seconds,
        "disk": sidecars + (folder / "store.json").stat().st_size,
        "clips": n * made.clip_bytes,
        "memory": held,
        "peak": peak - before,
    }


def files(n: int, folder: Path) -> Row:
    from earmark.data.catalog.song_audio import SongAudio

    # names alone: a real folder of that many would take the inodes of this machine
    watch, before = Stopwatch(), memory()
    paths = (folder / f"TR{number:012}.m4a" for number in range(n))
    known = watch("look at", lambda: SongAudio(paths, root=folder))
    held = memory() - before
    watch("look up 1000", lambda: [known.of(f"TR{i:012}", "") for i in range(1000)])
    return {"seconds": watch.seconds, "memory": held}


def sampler(n: int, _: Path) -> Row:
    from earmark.training.batches import shuffled

    watch, before = Stopwatch(), memory()
    batches = watch("an epoch's order", lambda: shuffled(n, batch=BATCH, seed=1, epoch=0))
    return {"seconds": watch.seconds, "memory": memory() - before, "steps": len(batches)}


class _Idle:
    """Workers of the scheduler that do nothing, in this process: what is left is the driver."""

    workers = 64

    def hire(self) -> tuple[Any, Any]:
        return object(), self._ticket(b"")

    def submit(self, worker: Any, unit: bytes) -> Any:  # noqa: ARG002
        return self._ticket(pickle.dumps((None, None)))

    def wait(self, tickets: list[Any], *, timeout: float | None) -> set[Any]:  # noqa: ARG002
        return set(tickets)

    def result(self, ticket: Any) -> bytes | None:
        answer: bytes = ticket.result()
        return answer

    def dismiss(self, worker: Any, *, kill: bool) -> None: ...

    def close(self, *, finished: bool) -> None: ...

    def _ticket(self, answer: bytes) -> Future[bytes]:
        ticket: Future[bytes] = Future()
        ticket.set_result(answer)
        return ticket


def engine(n: int, _: Path) -> Row:
    from earmark.engine.units import _in_order

    watch, before = Stopwatch(), memory()
    units = (f"s3://bucket/music/TR{number:012}.m4a" for number in range(n))
    outcomes = _in_order(_Idle(), units, deadline=None)
    watch("schedule", lambda: sum(1 for _ in outcomes))
    return {"seconds": watch.seconds, "memory": memory() - before}


class _Simulated(asyncio.SelectorEventLoop):
    """An event loop that does not wait: its clock jumps to the next thing to do."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self.now = 0.0
        self._select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now

    def _jump(self, timeout: float | None = None) -> Any:
        self.now += timeout or 1e-6  # time goes on while the loop works, or rounding would stop it
        return self._select(0)


def limiter(n: int, _: Path) -> Row:
    """n machines that share a limit: each asks as often as all of it allows, or its share."""
    rows = {}
    for name, share in (("each the whole limit", 1.0), ("each its share", 1 / n)):
        rows[name] = _simulate(n, per_minute=LIMIT, share=share)
    return {"machines": n, **rows}


def _simulate(n: int, *, per_minute: float, share: float) -> Row:
    from earmark.data.previews import rate_limit
    from earmark.data.previews.failures import GaveUp, RateLimited

    loop = _Simulated()
    rate_limit.time = SimpleNamespace(monotonic=loop.time)  # type: ignore[assignment, attr-defined]
    told = {"answered": 0, "rejected": 0, "given up": 0}
    left, since = per_minute, 0.0  # a minute's worth at once, refilled all the time

    async def ask() -> None:
        nonlocal left, since
        await asyncio.sleep(0.1)
        left = min(per_minute, left + (loop.now - since) * per_minute / 60)
        since = loop.now
        if left < 1:
            told["rejected"] += 1
            raise RateLimited("429")
        left -= 1
        told["answered"] += 1

    async def connection(pace: rate_limit.Pace) -> None:
        while True:
            try:
                async with pace.turn():
                    await ask()
            except RateLimited:
                pass
            except GaveUp:
                told["given up"] += 1
                return

    async def work() -> None:
        machines = [
            rate_limit.Pace("host", rate_limit.RatePolicy(per_minute * share)) for _ in range(n)
        ]
        tasks = [asyncio.ensure_future(connection(pace)) for pace in machines for _ in range(2)]
        await asyncio.sleep(HOURS * 3600)
        for task in tasks:
            task.cancel()

    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
        rate_limit.time = time  # type: ignore[attr-defined]
    possible = per_minute * 60 * HOURS
    return told | {"used": round(told["answered"] / possible, 3)}


PARTS = {part.__name__: part for part in (ledger, store, files, sampler, engine, limiter)}
MACHINES = (1, 4, 16, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--songs", type=float, nargs="+", default=SONGS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"unknown parts {sorted(unknown)}; there are {', '.join(PARTS)}")
    counts = [int(n) for n in options.songs]
    if options.one:
        with tempfile.TemporaryDirectory(prefix="earmark-scale-") as folder:
            print(json.dumps(PARTS[options.parts[0]](counts[0], Path(folder))))
        return
    rows = [
        (part, n, _alone(part, n))
        for part in options.parts
        for n in (MACHINES if part == "limiter" else counts)
    ]
    for part in options.parts:
        _show(part, [(n, row) for name, n, row in rows if name == part])


def _alone(part: str, n: int) -> Row:
    """A part in a process of its own, so that its memory is nothing else's."""
    command = [sys.executable, "-m", "benchmarks.scale", part, "--songs", str(n), "--one"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout)
    print(json.dumps({"part": part, "n": n, **row}), flush=True)
    return row


def _show(part: str, rows: list[tuple[int, Row]]) -> None:
    """A table: what was measured, and what the largest of it makes of the aims."""
    if part == "limiter":
        return
    n, largest = rows[-1]
    values = {f"{name}, s": value for name, value in largest.get("seconds", {}).items()}
    values |= {f"{name}, MB": largest[name] / 1e6 for name in ("disk", "memory") if name in largest}
    print(f"\n{part:24}{n:>14,}" + "".join(f"{aim:>16,}" for aim in AIMS))
    for name, value in values.items():
        print(f"{name:24}{value:14,.2f}" + "".join(f"{value * aim / n:16,.1f}" for aim in AIMS))


if __name__ == "__main__":
    main()
