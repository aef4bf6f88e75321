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
from collections.abc import Callable
from pathlib import Path

import soundfile

from benchmarks.suite import material
from benchmarks.turns import in_turns
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="of all ways, in turns; 9")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="kept folder")
    options = parser.parse_args()
    for kind in ("mp3", "flac"):
        files = material.clips(options.work, kind, 8).files
        ways: dict[str, Work] = {"FFmpeg": ffmpeg, "libsndfile": libsndfile}
        for name, milliseconds in in_turns(ways, files, options.rounds).items():
            print(f"{kind}  {name:12}{statistics.median(milliseconds):7.1f} ms")


if __name__ == "__main__":
    main()
