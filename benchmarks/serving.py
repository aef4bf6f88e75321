"""The server under load, beside `earmark tag` on the same clips in the same run.

    python -m benchmarks.serving FOLDER [--model earmark] [--clients 32] [--seconds 120]

Clients on this machine send one clip after the other, each on a connection of its own; they take
their share of the cores, which `earmark tag` has for itself. The command runs before and after, so
that a machine that grows busier is seen. CPU seconds are those of all processes of a side, start-up
included: they say more than the clock on a machine that others use. Memory is that of all the
server's processes together. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.watching import watched

PATIENCE = 300  # seconds for one answer


class Load:
    """What the clients met."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[int | str] = collections.Counter()
        self.seconds: list[float] = []  # of each clip that was tagged
        self.ended: list[float] = []

    def client(self, url: str, clips: itertools.cycle[tuple[str, bytes]], until: float) -> None:
        with requests.Session() as session:
            while time.perf_counter() < until:
                name, content = next(clips)
                started = time.perf_counter()
                try:
                    answer = session.post(url, files={"file": (name, content)}, timeout=PATIENCE)
                except requests.RequestException as error:
                    self.statuses[type(error).__name__] += 1
                    continue
                self.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    self.seconds.append(time.perf_counter() - started)
                    self.ended.append(time.perf_counter())
                elif answer.status_code == 503:
                    time.sleep(float(answer.headers["Retry-After"]))


def start(model: str) -> tuple[subprocess.Popen[str], str]:
    """A server on a free port, warm, and its address."""
    command = [sys.executable, "-m", "earmark", "serve", "--port", "0", "--model", model]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    url = server.stderr.readline().split("listens at ")[1].split()[0]
    threading.Thread(target=server.stderr.read, daemon=True).start()
    return server, url


def megabytes(server: subprocess.Popen[str]) -> float:
    family = [psutil.Process(server.pid)]
    family += family[0].children(recursive=True)
    return sum(one.memory_full_info().pss for one in family) / 1e6


def cpu_seconds() -> float:
    """Of all processes that were started and have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load(model: str, clips: list[Path], *, clients: int, seconds: float) -> dict[str, Any]:
    cpu_before = cpu_seconds()
    server, url = start(model)
    try:
        sent = [(path.name, path.read_bytes()) for path in clips]
        for clip in sent[:2]:
            requests.post(f"{url}/api/tag", files={"file": clip}, timeout=PATIENCE)
        met = Load()
        cycle, lock = itertools.cycle(sent), threading.Lock()

        class Shared:
            def __next__(self) -> tuple[str, bytes]:
                with lock:
                    return next(cycle)

        begun = time.perf_counter()
        threads = [
            threading.Thread(target=met.client, args=(f"{url}/api/tag", Shared(), begun + seconds))
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            memory.append(megabytes(server))
            time.sleep(min(1.0, seconds / 20))
        whole = [end for end in met.ended if end <= begun + seconds]
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
    finally:
        server.kill()
        server.wait()
    centiles = statistics.quantiles(met.seconds, n=100, method="inclusive")
    quarter = max(1, len(memory) // 4)
    return {
        "clips_per_second": len(whole) / seconds,
        "cpu_seconds_per_clip": round((cpu_seconds() - cpu_before) / len(met.seconds), 3),
        "seconds_p50_p95_p99": [round(centiles[n - 1], 3) for n in (50, 95, 99)],
        "answers": {str(status): n for status, n in met.statuses.items()},
        "memory_mb_first_quarter": round(max(memory[:quarter])),
        "memory_mb_last_quarter": round(max(memory[-quarter:])),
        "exit_code": code,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="earmark")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    clips = [path for path in paths if path.suffix != ".csv"][: arguments.clips]
    command = [sys.executable, "-m", "earmark", "tag", "-", "--json", "--model", arguments.model]

    def tag() -> tuple[float, float]:
        used = cpu_seconds()
        seconds = watched(command, stdin="\n".join(map(str, clips)), answers=len(clips)).seconds
        rate, used = len(clips) / seconds, (cpu_seconds() - used) / len(clips)
        print(f"earmark tag: {rate:.2f} clips/s, {used:.3f} CPU s a clip", flush=True)
        return rate, used

    before = tag()
    served = load(arguments.model, clips, clients=arguments.clients, seconds=arguments.seconds)
    print(f"earmark serve: {served['clips_per_second']:.2f} clips/s, {served}", flush=True)
    after = tag()
    rates, used = zip(before, after, strict=True)
    print(
        json.dumps(
            {
                "cores": os.cpu_count(),
                "clients": arguments.clients,
                "seconds": arguments.seconds,
                "tag_clips_per_second": [round(rate, 3) for rate in rates],
                "tag_cpu_seconds_per_clip": [round(one, 3) for one in used],
                "ratio": round(served["clips_per_second"] / statistics.mean(rates), 3),
            }
            | served
        )
    )


if __name__ == "__main__":
    main()
