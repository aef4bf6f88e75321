"""Audio to tags: `earmark tag` beside the loop a user would write, on the same clips in one run.

    python -m benchmarks.tagging FOLDER --model choi2016 [--clips 900]

The loop: librosa.load, librosa.feature.melspectrogram, a plain PyTorch CRNN, one centre crop a
clip, one clip at a time, on all cores. earmark runs as a user runs it, start-up included; once with
--center, which is the same work, and once as it is by default (every second of a clip is heard).
Peak memory is that of all processes together, sampled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

LOOP = """
import sys, librosa, numpy as np, torch
from benchmarks.plain_crnn import seeded
network = seeded().eval()
for path in sys.stdin.read().splitlines():
    samples, _ = librosa.load(path, sr=12000)
    spare = len(samples) - 349440
    samples = samples[spare // 2 :][:349440] if spare > 0 else np.pad(samples, (0, -spare))
    mel = librosa.feature.melspectrogram(y=samples, sr=12000, n_fft=512, hop_length=256, n_mels=96)
    decibels = librosa.power_to_db(mel**2)
    with torch.no_grad():
        scores = torch.sigmoid(network(torch.from_numpy(decibels)[None]))
    print(path, float(scores.max()))
"""


def timed(command: list[str], stdin: str, lines: int) -> tuple[float, float]:
    """Seconds, and MB at the peak over the process and its children."""
    peak = 0
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as answer:
        given.write(stdin)
        given.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=answer)
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                try:
                    family = [psutil.Process(process.pid)]
                    family += family[0].children(recursive=True)
                    peak = max(peak, sum(one.memory_full_info().pss for one in family))
                except psutil.Error:
                    continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        answer.seek(0)
        n_lines = len(answer.readlines())
    if n_lines != lines:
        raise SystemExit(f"{command[:4]} answered {n_lines} of {lines} clips")
    return seconds, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="choi2016")
    parser.add_argument("--clips", type=int, default=900)
    parser.add_argument("--loop-clips", type=int, help="fewer for the slow loop; rates compare")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    paths = [path for path in paths if path.suffix != ".csv"][: arguments.clips]
    earmark = [sys.executable, "-m", "earmark", "tag", "-", "--json", "--model", arguments.model]
    few = paths[: arguments.loop_clips]
    rows = {
        "librosa + plain PyTorch loop": ([sys.executable, "-c", LOOP], few),
        "earmark tag --center": ([*earmark, "--center"], paths),
        "earmark tag (whole clips)": (earmark, paths),
    }
    rates = {}
    for name, (command, given) in rows.items():
        seconds, megabytes = timed(command, "\n".join(map(str, given)), len(given))
        rates[name] = len(given) / seconds
        ratio = rates[name] / next(iter(rates.values()))
        print(
            f"{name:<30}{len(given):>5} clips {seconds:8.1f} s {rates[name]:7.2f} clips/s "
            f"{ratio:5.2f} x  peak {megabytes:6.0f} MB",
            flush=True,
        )
    print(json.dumps({"cores": os.cpu_count(), "clips_per_second": rates}))


if __name__ == "__main__":
    main()
