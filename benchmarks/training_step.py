"""How long a training step takes, beside the paper written down in plain PyTorch.

    python -m benchmarks.training_step [--batch 8] [--steps 6]

Both learn from the same batch of 96 x 1366 clips with Adam, each in a process of its own, one step
at a time in turns, so that what else the machine does falls on both. Plain is what one writes
first: channels first, float32, ELU before the pool, and the allocator as it comes. The third row
gives plain our allocator setting, to show what that alone is worth.

Then ours learns from a store on disk, read by threads, and tells the share of time it waited.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from earmark.training.learner import Learner

Step = Callable[[Any, Any], float]  # clips and labels to the loss
N_MELS, N_FRAMES, N_TAGS = 96, 1366, 50
CHILDREN = ("plain", "ours", "plain, memory kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--child", choices=CHILDREN)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.batch)
        return
    seconds = in_turns(options.batch, options.steps)
    plain = statistics.median(seconds["plain"])
    print(f"one step of {options.batch} clips, median of {options.steps} (least), in turns")
    for name, times in seconds.items():
        per_clip = 1000 / options.batch
        median = statistics.median(times)
        print(
            f"  {name:20} {median * per_clip:7.1f} ms a clip ({min(times) * per_clip:.1f})"
            f"  {plain / median:5.2f} x"
        )
    share, rate = reading(options.batch, options.steps)
    print(f"from a store on disk: {rate:.1f} clips a second, {100 * share:.2f} % of it waiting")


def in_turns(batch: int, n_steps: int) -> dict[str, list[float]]:
    children = {
        name: subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.training_step",
                "--child",
                name,
                "--batch",
                str(batch),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in CHILDREN
    }
    seconds: dict[str, list[float]] = {name: [] for name in CHILDREN}
    for turn in range(n_steps + 2):
        for name, process in children.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("step\n")
            process.stdin.flush()
            taken = float(process.stdout.readline())
            if turn >= 2:  # the first ones warm up
                seconds[name].append(taken)
    for process in children.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return seconds


def child(name: str, batch: int) -> None:
    """Take a step for each line of stdin; print how long it took."""
    import torch

    from earmark.training.fast_cpu import keep_freed_memory

    if name != "plain":
        keep_freed_memory()
    random = np.random.default_rng(0)
    clips = torch.from_numpy(random.normal(-31, 14.6, (batch, N_MELS, N_FRAMES)).astype(np.float32))
    labels = torch.from_numpy((random.random((batch, N_TAGS)) < 0.05).astype(np.float32))
    step = ours() if name == "ours" else plain()
    for _ in sys.stdin:
        started = time.perf_counter()
        step(clips, labels)
        print(time.perf_counter() - started, flush=True)


def ours() -> Step:
    learner = new_learner()
    return lambda clips, labels: learner.step(clips, labels).item()


def new_learner() -> Learner:
    import torch

    from earmark.features import PRESETS
    from earmark.training.learner import Learner
    from earmark.training.processes import Processes
    from earmark.training.recipe import read_recipe
    from earmark.training.task import Task

    recipe = read_recipe("choi2016", changes=["model.recurrent=gru", "model.input_norm=channel"])
    tags = tuple(f"tag{number}" for number in range(N_TAGS))
    task = Task(tags, PRESETS["choi2016"], tuple([0.05] * N_TAGS), (-31.0, 14.6))
    processes = Processes(torch.device("cpu"))
    network = task.network(recipe)
    return Learner(network, recipe, task=task, processes=processes, n_steps=1000)


def plain() -> Step:
    import torch
    import torch.nn.functional as F  # noqa: N812 - its name everywhere

    from benchmarks.suite.plain_crnn import seeded

    model = seeded(N_TAGS)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)

    def step(clips: Tensor, labels: Tensor) -> float:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(clips), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.item()

    return step


def reading(batch: int, n_steps: int) -> tuple[float, float]:
    """(share of time that ours waits for a store on disk, clips a second)."""
    import torch

    from earmark.training.batches import shuffled
    from earmark.training.clips import open_clips
    from earmark.training.fast_cpu import keep_freed_memory

    keep_freed_memory()
    learner = new_learner()
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder), n=batch * (n_steps + 2))
        source = open_clips(folder, held="disk", device=torch.device("cpu"))
        clips = source.clips(np.arange(len(source.store)))
        labels = torch.from_numpy(source.store.labels).float()
        places = shuffled(len(labels), batch=batch, seed=0, epoch=0)
        started, waited = 0.0, 0.0
        for number, (chosen, x) in enumerate(zip(places, clips.batches(places), strict=True)):
            if number == 2:
                started, waited = time.perf_counter(), clips.waited
            learner.step(x, labels[torch.from_numpy(chosen)])
        taken = time.perf_counter() - started
        return (clips.waited - waited) / taken, batch * n_steps / taken


def write_store(folder: Path, *, n: int) -> None:
    from earmark.data.store.format import (
        ShardRow,
        StoredClip,
        StoreFormat,
        crc32c,
        pack,
        shard_card,
        write_shard,
    )
    from earmark.data.store.index import make_index, write_index
    from earmark.features import PRESETS

    store_format, random = StoreFormat(PRESETS["choi2016"]), np.random.default_rng(0)
    tags = tuple(f"tag{number}" for number in range(N_TAGS))

    def row(place: int) -> ShardRow:
        x = random.normal(-31, 14.6, store_format.clip_shape).astype(np.float32)
        codes, offset, step = pack(x, dtype=store_format.dtype)
        carried = [tag for tag in tags if random.random() < 0.05]
        clip = StoredClip(codes, offset, step, crc32c(codes), 29.12)
        return ShardRow(str(place), "train", carried, "", clip, None)

    card = shard_card(store_format, tags=tags, songs_sha256="0" * 64)
    write_shard(folder, 0, map(row, range(n)), card=card)
    write_index(folder, make_index(folder, ["shard-00000"], store_format=store_format, tags=tags))


if __name__ == "__main__":
    main()
