"""A disk that fails, and the order of flushes and renames: strace makes and sees them."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.reliability.commands import Result, is_fault, run
from benchmarks.reliability.works import WORKS, fresh, undisturbed

# and the latest call that is the first to fail. Not write(), which processes talk by, too: Python's
# own resource tracker then waits for ever. `full` makes it fail where files are written.
CALLS = {"fsync": 12, "fdatasync": 12, "rename": 12, "pwrite64": 60}
_LEFT_OUT = {"well": True, "left_out": "strace is not here, or may not trace"}
_INSIDE = "RELIABILITY_MOUNTS"  # set where mounts are this process's own


def faults(folder: Path, sizes: argparse.Namespace) -> Result:
    """System calls fail from some moment on; then the disk is well, and the work is done."""
    if not can_trace():
        return _LEFT_OUT
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    for name, work in WORKS.items():
        made, expected, _ = undisturbed(work, folder / name)
        for _ in range(sizes.faults):
            trace, words = injection(random_)
            with fresh(made, folder / name / "place") as place:
                code, _, told = run(*work.command(place), under=trace)
                counts[f"exit code {code}"] += 1
                if is_fault(told):
                    print(f"faults, {name}, {words}: {code}: {told}", file=sys.stderr)
                    well = False
                well = work.finish(place, expected, after=f"{name}, {words}") and well
    return {"well": well, "faults": counts}


def injection(random_: random.Random) -> tuple[list[str], str]:
    """strace, as it makes a system call fail from some moment on; and the same in words."""
    call, error = random_.choice([*CALLS]), random_.choice(["EIO", "ENOSPC"])
    when = random_.randint(1, CALLS[call])
    inject = f"--inject={call}:error={error}:when={when}+"
    return ["strace", "-f", "-o", os.devnull, inject], f"{call} {error} {when}"


def full(folder: Path, sizes: argparse.Namespace) -> Result:
    """A disk, a tmpfs, with too little room; then it has more, and the work is done."""
    if _INSIDE not in os.environ:
        return _full_inside(sizes)
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    for name, work in WORKS.items():
        made, expected, _ = undisturbed(work, folder / name)
        place = folder / name / "place"
        place.mkdir()
        used = sum(path.stat().st_size for path in made.rglob("*"))
        for _ in range(sizes.faults):
            room = round(4096 * 2 ** random_.uniform(4, 11))  # 64 kB to 8 MB
            _mount(place, f"size={used + room}")
            shutil.copytree(made, place, symlinks=True, dirs_exist_ok=True)
            code, _, told = run(*work.command(place))
            counts[f"exit code {code}"] += 1
            if is_fault(told):
                print(f"full, {name}, {room}: {code}: {told}", file=sys.stderr)
                well = False
            _mount(place, "remount,size=1g")
            well = work.finish(place, expected, after=f"{name}, {room} bytes of room") and well
            subprocess.run(["umount", place], check=True)
    return {"well": well, "full": counts}


def _full_inside(sizes: argparse.Namespace) -> Result:
    """The same attack in a process that may mount, as any user may in a namespace of their own."""
    command = ["unshare", "--mount", "--user", "--map-root-user", sys.executable, "-m"]
    command += ["benchmarks.reliability", "--only", "full"]
    command += ["--faults", str(sizes.faults), "--seed", str(sizes.seed)]
    environment = os.environ | {_INSIDE: "1"}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    except FileNotFoundError:
        return {"well": True, "left_out": "unshare is not here"}
    if not done.stdout:
        return {"well": True, "left_out": "this user may not mount"}
    return dict(json.loads(done.stdout))


def _mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"]).returncode == 0


def flushes(folder: Path, _: argparse.Namespace) -> Result:
    """The order of fsync and rename, as strace sees it."""
    if not can_trace():
        return _LEFT_OUT
    well, counts = True, Counter[str]()
    for name, work in WORKS.items():
        place, seen = folder / name, folder / f"{name}.txt"
        place.mkdir()
        work.make(place)
        calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
        trace = ("strace", "-f", "-y", "-e", calls, "-o", str(seen))
        code = run(*work.command(place), under=trace)[0]
        lines = seen.read_text().splitlines()
        for number, line in enumerate(lines):
            renamed = re.search(r'rename\("([^"]+)", "([^"]+)"\) += 0', line)
            if renamed is None or not renamed[2].startswith(str(folder)):
                continue
            source, target = renamed.groups()
            before = any(f"<{source}>" in each for each in lines[:number])
            after = any(f"<{Path(target).parent}>" in each for each in lines[number:])
            counts[name] += 1
            if not (before and after):
                print(f"flushes, {name}: {line}: {before}, {after}", file=sys.stderr)
                well = False
        well = well and code == 0
    return {"well": well, "renames": counts}
