"""Attacks on earmark, and whether it holds: python -m benchmarks.reliability.

    python -m benchmarks.reliability --short             # each attack once or so: in CI
    python -m benchmarks.reliability --files 500 --kills 60 --faults 40 --minutes 10
    python -m benchmarks.reliability --only kills faults

damaged  files of many formats, truncated, with flipped bits, holes and foreign parts, are tagged
kills    `library scan`, `library write`, `undo` and `data shards` are SIGKILLed at random moments
         until they are done: the result is that of a run that nobody disturbed
faults   the same, and system calls that fail with EIO or ENOSPC (strace injects them)
flushes  each rename of a written file follows a flush of it, and a flush of its folder follows
soak     songs, damaged songs and broken requests for a server, whose memory and handles stay

Prints a line of JSON for each attack; the exit code is 1 if one of them found a fault. Downloads
are attacked by benchmarks/previews_simulation.py, parsers by benchmarks/fuzzing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import psutil
import tiny_model
from audio_files import FORMATS, music, write_format
from music_folder import write_songs
from stores import bytes_of, catalog, write_audio

from earmark.data.catalog.catalog import write_catalog
from earmark.files import sha256

Result = dict[str, Any]
EARMARK = [sys.executable, "-m", "earmark"]
# not write(), which also carries what processes tell each other
_CALLS = ("fsync", "fdatasync", "rename", "pwrite64")
_LONGEST = 300  # seconds of a command, before it counts as hanging


def start(*words: object, under: tuple[str, ...] = (), **how: Any) -> subprocess.Popen[str]:
    """A command of earmark, in a process group of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*under, *EARMARK, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=environment, **how,
    )  # fmt: skip


def run(*words: object, under: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    with start(*words, under=under) as process:
        try:
            said, told = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
    return process.returncode, said, told


def is_fault(told: str) -> bool:
    """Whether words on stderr show a mistake of earmark's."""
    return "Traceback" in told or "bug in earmark" in told


# -- damaged files


def mutated(data: bytes, other: bytes, random_: random.Random) -> bytes:
    """A file's bytes, damaged in one of five ways."""
    kind, at = random_.randrange(5), random_.randrange(1, len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(random_.choice([1, 10, 1000])):
            changed[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        return bytes(changed)
    if kind == 2:
        return data[:at] + bytes(random_.randrange(5000)) + data[at:]
    if kind == 3:
        return data[:at] + data[min(len(data), at + random_.randrange(5000)) :]
    return data[:at] + other[random_.randrange(len(other)) :]


def damaged(folder: Path, sizes: argparse.Namespace) -> Result:
    """Each damaged file has its line; nothing else happens."""
    random_ = random.Random(sizes.seed)
    song, wholes = music(2.0), {}
    for name in FORMATS:
        path = write_format(folder, name, song)
        wholes[name] = path.read_bytes()
        path.unlink()
    (folder / "music").mkdir()
    for number in range(sizes.files):
        name = random_.choice([*wholes])
        data = mutated(wholes[name], random_.choice([*wholes.values()]), random_)
        (folder / "music" / f"{number:05}-{name}").write_bytes(data)
    paths = sorted(map(str, (folder / "music").iterdir()))
    (folder / "list").write_text("\n".join(paths))
    with (folder / "list").open() as listed, start(
        "tag", "-", "--model", tiny_model.write(folder / "tiny.onnx"), "--json", "--workers", 2,
        stdin=listed,
    ) as process:  # fmt: skip
        said, told = process.communicate()
    lines = [json.loads(line) for line in said.splitlines()]
    kinds = Counter(line["error"]["kind"] if "error" in line else "tagged" for line in lines)
    complete = sorted(line["path"] for line in lines) == paths
    mistakes = [
        line["path"] for line in lines if is_fault(line.get("error", {}).get("message", ""))
    ]
    well = complete and process.returncode in (0, 3) and not is_fault(told) and not mistakes
    return {"well": well, "files": len(paths), "formats": len(wholes), "kinds": kinds}


# -- work that is killed, or whose disk fails


class Work:
    """A long command, and what it leaves when it is done.

    command : takes the folder; make : fills an empty folder; result : what must be the same
    """

    def __init__(
        self,
        make: Callable[[Path], None],
        command: Callable[[Path], list[object]],
        result: Callable[[Path], object],
    ) -> None:
        self.make = make
        self.command = command
        self.result = result


def _make_music(folder: Path) -> None:
    write_songs(folder / "music", 8)
    tiny_model.write(folder / "tiny.onnx")


def _scan(folder: Path) -> list[object]:
    model, library = folder / "tiny.onnx", folder / "l.sqlite"
    return ["library", "scan", folder / "music", "--model", model, "--library", library]


def _make_scanned(folder: Path) -> None:
    _make_music(folder)
    assert run(*_scan(folder))[0] == 0


def _make_written(folder: Path) -> None:
    _make_scanned(folder)
    assert run(*_write(folder))[0] == 0


def _make_catalog(folder: Path) -> None:
    write_audio(folder, 24)
    write_catalog(catalog(24), folder / "catalog.parquet")


def _write(folder: Path) -> list[object]:
    return ["library", "write", "--replace", "--yes", "--library", folder / "l.sqlite"]


def _undo(folder: Path) -> list[object]:
    return ["library", "undo", "1", "--yes", "--library", folder / "l.sqlite"]


def _shards(folder: Path) -> list[object]:
    return [
        "data", "shards", folder / "catalog.parquet", "-o", folder / "store", "--audio", folder,
        "--features", "choi2016", "--workers", 2, "--clips-per-shard", 4,
    ]  # fmt: skip


def _heard(folder: Path) -> object:
    _, said, _ = run("library", "show", "--json", "--library", folder / "l.sqlite")
    return [json.loads(line) | {"path": ""} for line in said.splitlines()]


def _songs(folder: Path) -> object:
    return {path.name: sha256(path) for path in (folder / "music").iterdir()}


WORKS = {
    "library scan": Work(_make_music, _scan, _heard),
    "library write": Work(_make_scanned, _write, _songs),
    "library undo": Work(_make_written, _undo, _songs),
    "data shards": Work(_make_catalog, _shards, lambda folder: bytes_of(folder / "store")),
}


@contextmanager
def fresh(made: Path, folder: Path) -> Iterator[Path]:
    """What was made, at the same place each time, for some paths are absolute."""
    shutil.copytree(made, folder, symlinks=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def undisturbed(work: Work, folder: Path) -> tuple[Path, object, float]:
    """(what the work begins with, its result, its seconds)"""
    place, made = folder / "place", folder / "made"
    place.mkdir()
    work.make(place)
    shutil.copytree(place, made, symlinks=True)
    started = time.monotonic()
    code, _, told = run(*work.command(place))
    assert code == 0, told
    seconds, result = time.monotonic() - started, work.result(place)
    shutil.rmtree(place)
    return made, result, seconds


def kills(folder: Path, sizes: argparse.Namespace) -> Result:
    """Killed at random moments and run again, until it is done."""
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    for name, work in WORKS.items():
        (folder / name).mkdir()
        made, expected, seconds = undisturbed(work, folder / name)
        while counts[name] < sizes.kills:
            with fresh(made, folder / name / "place") as place:
                while counts[name] < sizes.kills:
                    with start(*work.command(place)) as process:
                        try:
                            process.communicate(timeout=random_.uniform(0.1, 1.1) * seconds)
                            break
                        except subprocess.TimeoutExpired:
                            os.killpg(process.pid, 9)
                            counts[name] += 1
                            process.communicate()
                code, _, told = run(*work.command(place))
                done = code == 0 or (name == "library undo" and "there is no run" in told)
                same = work.result(place) == expected
                if not (done and same) or is_fault(told):
                    print(f"kills, {name}: {code}, same {same}: {told}", file=sys.stderr)
                    well = False
    return {"well": well, "kills": counts}


def faults(folder: Path, sizes: argparse.Namespace) -> Result:
    """System calls fail from some moment on; then the disk is well, and the work is done."""
    if not can_trace():
        return {"well": True, "left_out": "strace is not here, or may not trace"}
    random_ = random.Random(sizes.seed)
    counts, well = Counter[str](), True
    for name, work in WORKS.items():
        (folder / name).mkdir()
        made, expected, _ = undisturbed(work, folder / name)
        for _ in range(sizes.faults):
            call, error = random_.choice(_CALLS), random_.choice(["EIO", "ENOSPC"])
            when = random_.randint(1, 12 if call != "pwrite64" else 60)
            trace = (
                "strace",
                "-f",
                "-o",
                os.devnull,
                f"--inject={call}:error={error}:when={when}+",
            )
            with fresh(made, folder / name / "place") as place:
                code, _, told = run(*work.command(place), under=trace)
                counts[f"exit code {code}"] += 1
                again, _, told_again = run(*work.command(place))
                done = again == 0 or (name == "library undo" and "there is no run" in told_again)
                same = work.result(place) == expected
                if not (done and same) or is_fault(told) or is_fault(told_again):
                    words = f"{call} {error} {when}: {code}, then {again}, same {same}"
                    print(f"faults, {name}, {words}: {told}{told_again}", file=sys.stderr)
                    well = False
    return {"well": well, "faults": counts}


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"]).returncode == 0


def flushes(folder: Path, _: argparse.Namespace) -> Result:
    """The order of fsync and rename, as strace sees it."""
    if not can_trace():
        return {"well": True, "left_out": "strace is not here, or may not trace"}
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


# -- the server


def soak(folder: Path, sizes: argparse.Namespace) -> Result:
    """A mix of songs and nonsense; what the server holds at the end, beside what it held early."""
    from web_server import Process, send

    random_ = random.Random(sizes.seed)
    song = write_format(folder, "bare.mp3", music(5.0)).read_bytes()
    other = write_format(folder, "plain.flac", music(1.0)).read_bytes()
    requests_ = [
        b"GET / HTTP/1.1\r\n",
        b"\0" * 100,
        b"POST /api/tag HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    ]
    codes, early = Counter[str](), None
    with Process(tiny_model.write(folder / "tiny.onnx")) as server:
        port, began = int(server.url.rsplit(":", 1)[1]), time.monotonic()
        process = psutil.Process(server._process.pid)
        while (passed := time.monotonic() - began) < sizes.minutes * 60:
            kind = random_.randrange(3)
            if kind == 2:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(random_.choice(requests_))
                codes["cut short"] += 1
            else:
                data = song if kind == 0 else mutated(song, other, random_)
                answer = send(server, data)
                codes[str(answer.status_code)] += 1
            if early is None and passed > sizes.minutes * 6:
                early = _held(process)
        late = _held(process)
        server.signal(15)
        code = server.wait()
        told = [line for line in server.lines if not line.startswith("{")][1:]
    early = early or late
    grown = late["megabytes"] - early["megabytes"], late["handles"] - early["handles"]
    ok = not any(500 <= int(status) < 600 for status in codes if status.isdigit())
    well = ok and code == 0 and not told and grown[0] < 50 and grown[1] < 20
    return {"well": well, "answers": codes, "early": early, "late": late, "not_json": told[:3]}


def _held(process: psutil.Process) -> dict[str, float]:
    """The memory and the handles of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return {
        "megabytes": round(sum(each.memory_info().rss for each in family) / 1e6),
        "handles": sum(each.num_fds() for each in family),
    }


ATTACKS = {each.__name__: each for each in (damaged, kills, faults, flushes, soak)}


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
