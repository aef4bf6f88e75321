"""One network fed through shared memory, or a network in each process: benchmarks.one_network.

    python -m benchmarks.one_network [--rounds 3] [--clips 160]

Clips a second from m4a to logits, in turns: what earmark does, whole clips in a process for each
core; and as many processes that decode and leave spectrograms in a ring of shared memory, from
which the network takes them here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import material
from earmark import audio, engine, windows, zoo
from earmark.engine.processes import worker_environment
from earmark.features import log_mel
from earmark.model_file import read_card
from earmark.runtime import Model

SLOTS = 16  # of the ring
WARM = 16  # clips before the clock starts
LONGEST = 60.0  # seconds without a clip, after which a process must have died
FEATURES = read_card(zoo.resolve(zoo.SHIPPED)).features
SHAPE = (SLOTS, FEATURES.n_mels, FEATURES.n_frames)


def spectrogram(path: Path) -> np.ndarray:
    """The centre crop's."""
    blocks = audio.stream_audio(path, rate=FEATURES.rate)
    [window] = windows.centre(blocks, settings=FEATURES)
    return log_mel(window.samples, settings=FEATURES)


def whole_clips(todo: Any, done: Any) -> None:
    """The work of a process that does it all."""
    model = Model(zoo.resolve(), threads=1)
    while (path := todo.get()) is not None:
        done.put(model.run(spectrogram(path)[None])[0])


def into_memory(todo: Any, done: Any, name: str, free: Any) -> None:
    """The work of a process that decodes."""
    memory = SharedMemory(name)
    ring = np.ndarray(SHAPE, np.float32, memory.buf)
    while (path := todo.get()) is not None:
        found = spectrogram(path)
        slot = free.get()
        ring[slot] = found
        done.put(slot)
    del ring
    memory.close()


def clips_a_second(
    paths: list[Path],
    work: Callable[..., None],
    *given: Any,
    finish: Callable[[Any], object] = lambda _: None,
) -> float:
    """Of processes that do `work`, with `finish` done here on what each clip leaves."""
    context = get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    crew = [
        context.Process(target=work, args=(todo, done, *given), daemon=True)
        for _ in range(engine.cpu_count())
    ]
    with worker_environment(1):  # native thread
        for process in crew:
            process.start()
    for path in [*paths, *[None] * len(crew)]:
        todo.put(path)
    try:
        for _ in range(WARM):
            finish(done.get(timeout=LONGEST))
        started = time.perf_counter()
        for _ in range(len(paths) - WARM):
            finish(done.get(timeout=LONGEST))
        return (len(paths) - WARM) / (time.perf_counter() - started)
    finally:
        for process in crew:
            process.terminate()
            process.join()


def through_memory(paths: list[Path], threads: int) -> float:
    """Clips a second; threads : of the one network."""
    model = Model(zoo.resolve(), threads=threads)
    memory = SharedMemory(create=True, size=4 * int(np.prod(SHAPE)))
    free = get_context("spawn").Queue()
    for slot in range(SLOTS):
        free.put(slot)

    def finish(slot: int) -> None:
        model.run(np.ndarray(SHAPE, np.float32, memory.buf)[slot : slot + 1])
        free.put(slot)

    try:
        return clips_a_second(paths, into_memory, memory.name, free, finish=finish)
    finally:
        memory.close()
        memory.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of all ways, in turns; 3")
    parser.add_argument("--clips", type=int, default=160, help="a round; 160")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="kept folder")
    options = parser.parse_args()
    if options.clips <= WARM:
        parser.error(f"{WARM} clips come before the clock starts: --clips must be more")
    os.environ.pop("EARMARK_MODEL", None)
    paths = material.clips(options.work, "m4a", 8).paths(options.clips, options.work)
    ways: dict[str, Callable[[], float]] = {
        "whole clips in each process": lambda: clips_a_second(paths, whole_clips),
        "shared memory, one core for the network": lambda: through_memory(paths, 1),
        "shared memory, all cores for it": lambda: through_memory(paths, engine.cpu_count()),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for name, run in ways.items():
            rates[name].append(run())
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    first = next(iter(rates.values()))
    for name, of in rates.items():
        times = statistics.median(np.divide(of, first))
        print(f"{name:42}{statistics.median(of):6.1f} clips a second{times:7.2f}")


if __name__ == "__main__":
    main()
