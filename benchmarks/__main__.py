"""How fast earmark is, beside what a user would pick instead: python -m benchmarks.

    python -m benchmarks -o docs/reference/performance.md   # make bench: half an hour, two cores
    python -m benchmarks --tiny                     # does it still run? half a minute
    python -m benchmarks --only tags startup --rounds 5
    python -m benchmarks --only growth --growth 10 100 1000 10000

Writes the page with its plot and a JSON file of all rows beside it. Each row is kept as soon as it
is measured (in the --work folder, with the music and the stores that are made once): a run that was
killed goes on where it was. Another commit, other sizes or other versions begin anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
import time
from pathlib import Path

from benchmarks.suite.context import TINY, Context, Sizes, as_json, make_context
from benchmarks.suite.page import page
from benchmarks.suite.plot import write_plot
from benchmarks.suite.records import Records, machine
from benchmarks.suite.stages import STAGES, tasks
from benchmarks.suite.summary import Summary
from benchmarks.suite.watching import CommandFailed

TINY_STAGES = tuple(stage for stage in STAGES if stage != "ray")  # whose cluster takes too long


def main() -> int:
    options = arguments()
    sizes = TINY if options.tiny else Sizes()
    changes = {name: getattr(options, name) for name in ("rounds", "clips", "growth", "long")}
    sizes = dataclasses.replace(sizes, **{k: v for k, v in changes.items() if v is not None})
    stages = tuple(options.only or (TINY_STAGES if options.tiny else STAGES))
    context = make_context(options.work / "tiny" if options.tiny else options.work, sizes)
    started = time.perf_counter()
    header = {"machine": machine(), "setting": as_json(context)}
    records = Records(context.work / "records.jsonl", header)
    load = f"load before the run {_load()}"
    try:
        measure(records, context, stages)
    except CommandFailed as error:
        say(f"error: {error}")
        return 1
    target = options.output or context.work / "performance.md"
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    summary = Summary(records, context)
    plot, results = target.with_suffix(".svg"), target.with_suffix(".json")
    write_plot(summary, plot)
    results.write_text(json.dumps({**records.header, "rows": records.rows}, indent=1) + "\n")
    words = page(summary, command=command, load=load, plot=plot.name, results=results.name)
    target.write_text(words, encoding="utf-8")
    say(f"{target} after {time.perf_counter() - started:.0f} s")
    return 0


def measure(records: Records, context: Context, stages: tuple[str, ...]) -> None:
    """Do what is not done, and keep each row."""
    todo = list(tasks(context, stages))
    if records.is_continued:
        done = sum(records.has(**task.key) for task in todo)
        say(f"{done} of {len(todo)} measurements are there already, in {records.path}")
    for number, task in enumerate(todo, start=1):
        if records.has(**task.key):
            continue
        began = time.perf_counter()
        row = task.run()
        records.add({**task.key, **row})
        found = f"{row['rate']:.2f} a second" if "rate" in row else row.get("missing", "")
        words = " · ".join(filter(None, (task.stage, task.material, task.way, found)))
        say(f"{number}/{len(todo)} {words} ({time.perf_counter() - began:.0f} s)")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, help="the page; in the work folder without it")
    parser.add_argument("--tiny", action="store_true", help="few short clips, one round, no Ray")
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="STAGE", help=str(STAGES))
    parser.add_argument("--rounds", type=int, help=f"{Sizes.rounds}; more go on with what is there")
    parser.add_argument("--clips", type=int, help=f"for the fast ways; {Sizes.clips}")
    parser.add_argument("--growth", type=int, nargs="+", metavar="CLIPS", help=str(Sizes.growth))
    parser.add_argument("--long", type=int, nargs="+", metavar="SECONDS", help=str(Sizes.long))
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="kept folder")
    return parser.parse_args()


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    sys.exit(main())
