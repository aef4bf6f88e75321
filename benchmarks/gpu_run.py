"""The CS2470 report's training at its true size on one GPU, beside the plain transcription.

    python -m benchmarks.gpu_run --store FOLDER [--songs 170000] [--epochs 8] [--seconds 60]

A synthetic store of bytes is made in FOLDER, 131 KB a song as real ones take (22 GB for 170,000),
or the largest part of it that the disk has room for. Then, each in a process of its own:

1. ours and plain with batches of 10, for --seconds each
2. ours and plain with larger and larger batches, up to the memory or until no more is gained
3. the whole run, all epochs, with the best of these batches: `earmark train` does no more

Plain gets the clips from where ours has them, which spares it the reading. Prints one JSON object a
line: clips a second, the time that the whole run takes at that pace or took, peak memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.data.store.format import (
    ShardRow,
    StoredClip,
    StoreFormat,
    crc32c,
    pack,
    shard_card,
    write_shard,
)
from earmark.data.store.index import INDEX, make_index, write_index
from earmark.features import PRESETS

if TYPE_CHECKING:
    from torch import Tensor

    from earmark.training.recipe import Recipe

N_TAGS = 50
TAGS = tuple(f"tag{number}" for number in range(N_TAGS))
SHARE_OF_DISK = 0.8
KINDS_OF_CLIP = 64  # that are made; every song is one of them, rolled in time
GAIN = 1.05  # of the pace, for which a batch twice as large is worth its memory
REPORTS_BATCH = 10
WARM_UP, STEPS_PER_LOOK = 2, 5  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=170_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each pace")
    parser.add_argument("--largest", type=int, default=4096, help="batch to try")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--child", choices=("ours", "plain", "run"))
    parser.add_argument("--batch", type=int, default=REPORTS_BATCH, help="the smallest")
    options = parser.parse_args()
    if options.child == "run":
        say(whole_run(options))
        return
    if options.child:
        say(pace(options))
        return
    n = make_store(options.store, songs=options.songs)
    n_bytes = n * StoreFormat(PRESETS["cs2470"], "uint8").clip_bytes
    say({"songs": n, "of": options.songs, "bytes": n_bytes})
    for name in ("ours", "plain"):
        child(name, options.batch, options)
    best = {name: largest_good(name, options) for name in ("ours", "plain")}
    child("run", best["ours"], options)


def child(name: str, batch: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """The line of a process of its own, which is also printed; None where memory ran out."""
    command = [sys.executable, "-m", "benchmarks.gpu_run", "--child", name, "--batch", str(batch)]
    command += ["--store", str(options.store), "--epochs", str(options.epochs)]
    command += ["--seconds", str(options.seconds), *(f"--set={one}" for one in options.changes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        say({"what": name, "batch": batch, "failed": done.returncode})
        return None
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    say(line)
    return line


def largest_good(name: str, options: argparse.Namespace) -> int:
    """The batch beyond which twice as many clips bring less than a twentieth."""
    best, batch, fastest = options.batch, 2 * options.batch, 0.0
    while batch <= options.largest:
        line = child(name, batch, options)
        if line is None or line["clips_a_second"] < GAIN * fastest:
            break
        best, fastest, batch = batch, line["clips_a_second"], 2 * batch
    return best


def pace(options: argparse.Namespace) -> dict[str, Any]:
    """Clips a second over --seconds of steps, and how long all epochs take at that pace."""
    import torch

    from earmark.training.batches import shuffled
    from earmark.training.fast_cpu import keep_freed_memory
    from earmark.training.job import prepare
    from earmark.training.processes import join_processes

    recipe = report(options)
    keep_freed_memory()
    with join_processes(batch=options.batch) as processes:
        device = processes.device
        job = prepare(recipe, options.store, processes=processes)
        step = ours(job, recipe) if options.child == "ours" else plain(device)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for epoch in itertools.count():
                places = shuffled(len(job.labels), batch=options.batch, seed=0, epoch=epoch)
                for chosen, clips in zip(places, job.clips.batches(places), strict=True):
                    yield clips, job.labels[torch.from_numpy(chosen).to(device)].float()

        taken, n_clips, started = 0.0, 0, 0.0
        for number, (clips, labels) in enumerate(batches()):
            if number == WARM_UP:
                finish(device)
                started = time.perf_counter()
            step(clips, labels)
            if number >= WARM_UP:
                n_clips += len(clips)
                if number % STEPS_PER_LOOK == 0 or device.type == "cpu":
                    finish(device)
                    taken = time.perf_counter() - started
                    if taken >= options.seconds:
                        break
    rate = n_clips / taken
    return {
        "what": options.child,
        "batch": options.batch,
        "clips_a_second": round(rate, 1),
        "seconds_of_the_run": round(len(job.labels) * options.epochs / rate, 1),
        **memory(device),
    }


def whole_run(options: argparse.Namespace) -> dict[str, Any]:
    """All epochs, as `earmark train` does them, with the files that it writes."""
    import torch

    from earmark.training import train

    with tempfile.TemporaryDirectory(dir=options.store.parent) as folder:
        result = train(
            report(options), options.store, Path(folder) / "run",
            tell=lambda words: print(words, file=sys.stderr, flush=True),
        )  # fmt: skip
        record = json.loads((result.run / "record.json").read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seconds = record["results"]["seconds"]
    clips = record["data"]["n_train"] * options.epochs
    return {
        "what": "the whole run",
        "batch": options.batch,
        "precision": record["precision"],
        "clips_a_second": round(clips / seconds, 1),
        "seconds": round(seconds, 1),
        "gpu": record["environment"]["gpu"],
        **memory(device),
    }


def report(options: argparse.Namespace) -> Recipe:
    from earmark.training import read_recipe

    changes = [f"loop.batch={options.batch}", f"loop.epochs={options.epochs}", 'data.valid=""']
    return read_recipe("cs2470", changes=[*changes, *options.changes])


def ours(job: Any, recipe: Recipe) -> Callable[[Tensor, Tensor], object]:
    from earmark.training.learner import Learner

    model = job.task.network(recipe)
    return Learner(model, recipe, task=job.task, processes=job.processes, n_steps=1_000_000).step


def plain(device: Any) -> Callable[[Tensor, Tensor], object]:
    import torch
    import torch.nn.functional as F  # noqa: N812 - its name everywhere

    from benchmarks.suite.plain_crnn import seeded

    model = seeded(N_TAGS).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)

    def step(clips: Tensor, labels: Tensor) -> None:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(clips), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def finish(device: Any) -> None:
    """Wait for the GPU."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def memory(device: Any) -> dict[str, int | None]:
    import torch

    from earmark.training.fast_cpu import peak_bytes

    gpu = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return {"peak_memory_bytes": peak_bytes(), "peak_gpu_memory_bytes": gpu}


def make_store(folder: Path, *, songs: int) -> int:
    """A store of so many songs, or of as many as the disk has room for; returns how many."""
    store_format = StoreFormat(PRESETS["cs2470"], "uint8")
    if (folder / INDEX).is_file():
        from earmark.data.store.reader import open_store

        with open_store(folder, resident=False) as opened:
            return len(opened)
    folder.mkdir(parents=True, exist_ok=True)
    room = SHARE_OF_DISK * shutil.disk_usage(folder).free
    songs = min(songs, int(room / store_format.clip_bytes))
    random = np.random.default_rng(0)
    kinds = []
    for _ in range(KINDS_OF_CLIP):
        x = random.normal(-40, 15, store_format.clip_shape).clip(-80, 0).astype(np.float32)
        kinds.append(pack(x, dtype="uint8"))

    def row(place: int) -> ShardRow:
        codes, offset, step = kinds[place % KINDS_OF_CLIP]
        codes = np.roll(codes, place // KINDS_OF_CLIP, axis=1)
        carried = [TAGS[column] for column in np.flatnonzero(random.random(N_TAGS) < 0.03)]
        clip = StoredClip(codes, offset, step, crc32c(codes), 29.12)
        return ShardRow(str(place), "train", carried, "", clip, None)

    size, names = store_format.clips_per_shard, []
    for number, first in enumerate(range(0, songs, size)):
        card = shard_card(store_format, tags=TAGS, songs_sha256=f"{number:064}")
        write_shard(folder, number, map(row, range(first, min(first + size, songs))), card=card)
        names.append(f"shard-{number:05d}")
    write_index(folder, make_index(folder, names, store_format=store_format, tags=TAGS))
    return songs


def say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
