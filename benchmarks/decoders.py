"""FFmpeg or libsndfile, from a file to mono samples: python -m benchmarks.decoders.

Milliseconds of CPU for 30 s on one core, in turns. libsndfile reads no m4a; where it is faster,
earmark stays with FFmpeg all the same: it counts what is damaged, keeps time where packets are
missing, and trims the encoder's delay in one way for all formats.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import soundfile

from benchmarks.suite import material
from earmark.audio.decoding import decode
from earmark.audio.downmix import Tally

BLOCK = 1 << 16  # samples of a channel, as earmark takes them
Work = Callable[[Path], object]


def ffmpeg(path: Path) -> None:
    """As earmark does."""
    for _ in decode(path, start=0.0, tally=Tally()):
        pass


def libsndfile(path: Path) -> None:
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(BLOCK, dtype="float32", always_2d=True):
            mono = block[:, 0] + block[:, 1]
            mono *= 0.5


def in_turns(ways: dict[str, Work], paths: tuple[Path, ...], rounds: int) -> dict[str, float]:
    """Median milliseconds a file."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.process_time()
            for path in paths:
                work(path)
            times[name].append(1e3 * (time.process_time() - started) / len(paths))
    return {name: statistics.median(of) for name, of in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="of all ways, in turns; 9")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="kept folder")
    options = parser.parse_args()
    for kind in ("mp3", "flac"):
        files = material.clips(options.work, kind, 8).files
        ways: dict[str, Work] = {"FFmpeg": ffmpeg, "libsndfile": libsndfile}
        for name, milliseconds in in_turns(ways, files, options.rounds).items():
            print(f"{kind}  {name:12}{milliseconds:7.1f} ms")


if __name__ == "__main__":
    main()
