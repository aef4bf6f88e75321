"""Attacks on earmark, and whether it holds: python -m benchmarks.reliability.

    python -m benchmarks.reliability --short             # each attack once or so: in CI
    python -m benchmarks.reliability --files 500 --kills 60 --faults 40 --minutes 10
    python -m benchmarks.reliability --only kills faults

damaged   files of many formats, truncated, with flipped bits, holes and foreign parts, are tagged
kills     `library scan`, `library write`, `undo`, `data shards` and `train` are SIGKILLed at random
          moments until they are done: the result is that of a run that nobody disturbed
ray       `data shards` on a Ray cluster, of which workers, nodes and the command itself are killed
torchrun  `train` of two processes, of which one, the launcher, or all are killed
faults    the same commands, and system calls that fail with EIO or ENOSPC (strace injects)
full      the same on a disk with too little room, which then has more (tmpfs)
flushes   each rename of a written file follows a flush of it, and a flush of its folder follows
beets     imports with the plugin for beets: damaged songs, kills, failing system calls
soak      songs, damaged songs and broken requests for a server, whose memory and handles stay

Prints a line of JSON for each attack; the exit code is 1 if one of them found a fault. Downloads
are attacked by benchmarks/previews_simulation.py, parsers by benchmarks/fuzzing.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reliability.beets import beets
from benchmarks.reliability.damaged import damaged
from benchmarks.reliability.disk import faults, flushes, full
from benchmarks.reliability.kills import kills
from benchmarks.reliability.machines import ray, torchrun
from benchmarks.reliability.soak import soak

ATTACKS = {
    each.__name__: each
    for each in (damaged, kills, ray, torchrun, faults, full, flushes, beets, soak)
}


def main() -> int:
    """Attack, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=[*ATTACKS])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--files", type=int, default=500, help="damaged files")
    parser.add_argument("--kills", type=int, default=25, help="for each command")
    parser.add_argument("--faults", type=int, default=10, help="for each command")
    parser.add_argument("--minutes", type=float, default=10.0, help="of soak")
    parser.add_argument("--seed", type=int, default=0)
    sizes = parser.parse_args()
    if sizes.short:
        sizes.files, sizes.kills, sizes.faults, sizes.minutes = 40, 1, 1, 0.05
    well = True
    for name in sizes.only:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            result = ATTACKS[name](Path(folder), sizes)
            seconds = round(time.monotonic() - began)
            print(json.dumps({"attack": name, **result, "seconds": seconds}), flush=True)
            well = well and result["well"]
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
