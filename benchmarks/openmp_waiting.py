"""How OpenMP's threads should wait for each other while training, alone and beside busy processes.

    python -m benchmarks.openmp_waiting [--busy 2] [--batch 8] [--steps 10]

Processes that differ in the settings of OpenMP take the step of benchmarks.training_step, one at a
time in turns. Prints clips a second: the median, and that of the fastest step.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "100,000 turns": {"GOMP_SPINCOUNT": "100000"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", type=int, default=0, help="processes that only count")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    own = {key: value for key, value in os.environ.items() if not key.startswith(("OMP", "GOMP"))}
    command = [sys.executable, "-m", "benchmarks.training_step", "--child", "ours"]
    children = {
        name: subprocess.Popen(
            [*command, "--batch", str(options.batch)],
            env=own | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, settings in SETTINGS.items()
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], text=True)
        for _ in range(options.busy)
    ]
    try:
        for turn in range(options.steps + 2):
            for name, process in children.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("step\n")
                process.stdin.flush()
                taken = float(process.stdout.readline())
                if turn >= 2:  # the first ones warm up
                    seconds[name].append(taken)
    finally:
        for one in [*busy, *children.values()]:
            one.kill()
            one.wait()
    for name, times in seconds.items():
        median, best = (options.batch / of(times) for of in (statistics.median, min))
        print(f"  {name:14} {median:6.1f} clips a second (fastest step {best:.1f})")


if __name__ == "__main__":
    main()
