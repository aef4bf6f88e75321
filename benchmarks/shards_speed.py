"""Audio to shards, beside the original way, on the same clips in one run.

    python -m benchmarks.shards_speed ../shared/q4/audio [--clips 40] [--rounds 5] [--work DIR]

The original way: librosa.load and librosa.feature.melspectrogram, clip by clip, as the CS2470
report had it; in one process, and over two processes (for m4a it needs ffmpeg on the PATH). Ours:
`write_shards` with two workers. Start-up and writing are included in all. The clips are the
folder's first ones of 29 s or more, transcoded to 44.1 kHz stereo m4a (AAC 256 kbit/s) and mp3
(LAME 192 kbit/s), as shops serve them; --work keeps them for another run.

Rounds are interleaved and ratios are taken within a round, since the machine is noisy. CPU time a
clip is that of all processes, less what the same command takes for one clip: start-up, which a
long run does not notice, is left out of it. Peak memory is the largest resident set that any one
process ever had (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import av

FORMATS = {"m4a": ("aac", 256_000), "mp3": ("libmp3lame", 192_000)}

ORIGINAL = """
import sys, librosa, numpy as np
paths, target = sys.stdin.read().splitlines(), sys.argv[1]
clips = []
for path in paths:
    samples, _ = librosa.load(path, sr=12000)
    spare = len(samples) - 349440
    samples = samples[spare // 2 :][:349440] if spare > 0 else np.pad(samples, (0, -spare))
    mel = librosa.feature.melspectrogram(y=samples, sr=12000, n_fft=512, hop_length=256, n_mels=96)
    clips.append(librosa.power_to_db(mel**2).astype(np.float16))
np.save(target, np.stack(clips))
"""
EARMARK = """
import sys
from pathlib import Path
from earmark.data.catalog import Catalog, Song
from earmark.data.shard_format import Form
from earmark.data.shards import write_shards
from earmark.features import PRESETS
if __name__ == "__main__":
    target, workers = sys.argv[1:]
    songs = [Song(Path(path).stem, path=path) for path in sys.stdin.read().splitlines()]
    form = Form(PRESETS["choi2016"])
    index = write_shards(Catalog.from_songs(songs), target, form=form, workers=int(workers))
    assert index.n_clips == len(songs), index.failures
"""


def transcode(source: Path, target: Path) -> None:
    codec, bit_rate = FORMATS[target.suffix[1:]]
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream(codec, rate=44_100, layout="stereo", bit_rate=bit_rate)
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", 44_100, 1024)
        for frame in (*reader.decode(audio=0), None):
            for part in resampler.resample(frame):
                writer.mux(stream.encode(part))
        writer.mux(stream.encode(None))


def peak_of_workers(
    process: subprocess.Popen[str], done: threading.Event, peaks: list[int]
) -> None:
    """The largest VmHWM of any child of a process, in bytes."""
    import psutil

    while not done.wait(0.05):
        try:
            family = psutil.Process(process.pid).children(recursive=True)
            for child in family:
                status = Path(f"/proc/{child.pid}/status").read_text()
                peaks.append(int(status.split("VmHWM:")[1].split()[0]) * 1024)
        except (psutil.Error, OSError, IndexError):
            continue


def run(script: str, shares: list[list[Path]], words: list[str]) -> tuple[float, float, list[int]]:
    """Seconds, CPU seconds and peak memories of processes, one for each share of the paths."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done, peaks, watchers = threading.Event(), [], []
    started = time.perf_counter()
    processes = []
    for number, share in enumerate(shares):
        process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                script,
                *(word.replace("N", str(number)) for word in words),
            ],
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1" if len(shares) > 1 else "2"},
        )
        process.stdin.write("\n".join(map(str, share)))
        process.stdin.close()
        watcher = threading.Thread(target=peak_of_workers, args=(process, done, peaks))
        watcher.start()
        watchers.append(watcher)
        processes.append(process)
    for process in processes:
        if process.wait():
            raise SystemExit(f"{script} failed")
    seconds = time.perf_counter() - started
    done.set()
    for watcher in watchers:
        watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, peaks


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--work", type=Path, help="folder of transcoded clips, kept")
    arguments = parser.parse_args()
    if "m4a" in arguments.formats and shutil.which("ffmpeg") is None:
        raise SystemExit("librosa reads no m4a without ffmpeg on the PATH; or: --formats mp3")
    with tempfile.TemporaryDirectory() as name:
        work = arguments.work or Path(name)
        work.mkdir(exist_ok=True)
        for kind in arguments.formats:
            clips = transcoded(arguments.folder, work, kind, arguments.clips)
            measure(Path(name), kind, clips, arguments.rounds)


def transcoded(folder: Path, work: Path, kind: str, n: int) -> list[Path]:
    clips: list[Path] = []
    for source in sorted(folder.iterdir()):
        if len(clips) == n:
            break
        with av.open(str(source)) as container:
            long = (container.duration or 0) / av.time_base >= 29
        if long:
            clips.append(work / f"{source.stem}.{kind}")
            if not clips[-1].exists():
                transcode(source, clips[-1])
    return clips


def measure(folder: Path, kind: str, clips: list[Path], rounds: int) -> None:
    (folder / "original.py").write_text(ORIGINAL)
    (folder / "earmark_.py").write_text(EARMARK)
    rates: dict[str, list[float]] = {"one process": [], "two processes": [], "earmark": []}
    cpu: dict[str, list[float]] = {"one process": [], "earmark": []}  # ms a clip
    peaks: list[int] = []
    for number in range(rounds):
        for way, into in rates.items():
            if way == "earmark":
                script, shares = folder / "earmark_.py", [clips]
                words = [str(folder / f"store-{kind}-{number}"), "2"]
            else:
                script = folder / "original.py"
                shares = [clips] if way == "one process" else [clips[::2], clips[1::2]]
                words = [str(folder / "clips-N.npy")]
            seconds, whole, seen = run(str(script), shares, words)
            into.append(len(clips) / seconds)
            if way in cpu:
                _, start, _ = run(str(script), [clips[:1]], [words[0] + "-one.npy", *words[1:]])
                cpu[way].append(1000 * (whole - start) / (len(clips) - 1))
            if way == "earmark":
                peaks += seen
    ratios = {
        way: [ours / theirs for ours, theirs in zip(rates["earmark"], rates[way], strict=True)]
        for way in ("one process", "two processes")
    }
    ratios["CPU time"] = [a / b for a, b in zip(*cpu.values(), strict=True)]
    print(f"{kind}: {len(clips)} clips, {rounds} rounds, {len(os.sched_getaffinity(0))} cores")
    for way, values in rates.items():
        print(f"  {way:<24} {spread(values)} clips/s")
    for way, values in cpu.items():
        print(f"  CPU, {way:<19} {spread(values)} ms a clip")
    for way, values in ratios.items():
        print(f"  ratio by {way:<15} {spread(values)}")
    print(f"  peak memory of a process {max(peaks) / 1e6:.0f} MB", flush=True)
    medians = {way: round(statistics.median(values), 2) for way, values in ratios.items()}
    print(json.dumps({"format": kind, "ratios": medians, "peak_mb": round(max(peaks) / 1e6)}))


if __name__ == "__main__":
    main()
