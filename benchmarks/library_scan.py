"""What a scan of songs of 3 to 4 minutes costs, whole and quick: python -m benchmarks.library_scan.

    python -m benchmarks.library_scan [--model earmark] [--songs 500] [--clips FOLDER]

The songs are made here: each is some of the clips (or, without --clips, of examples/make_music.py)
one after the other, as MP3. A piece is encoded once, so that 500 songs are made in a minute.
`earmark library scan` runs as a user runs it, start-up included. Peak memory is that of all
processes together, sampled; it should not grow with the number of songs.
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
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import psutil

from benchmarks.family import megabytes_at_most

RATE = 44_100  # Hz
FEWEST, MOST = 6, 8  # pieces of 30 seconds in a song


def encoded(path: Path, samples: np.ndarray) -> bytes:
    """A piece as MP3 frames that need none before them, so that pieces can stand in any order."""
    bare = {"write_xing": "0", "id3v2_version": "0"}
    with av.open(str(path), "w", format="mp3", options=bare) as container:
        stream = container.add_stream(
            "libmp3lame", rate=RATE, layout="mono", options={"reservoir": "0"}
        )
        stream.bit_rate = 128_000
        for start in range(0, samples.size, RATE):
            block = np.ascontiguousarray(samples[None, start : start + RATE], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(block, "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def pieces_of(clips: Path | None, number: int) -> list[np.ndarray]:
    """Clips of 30 seconds to make songs from."""
    if clips is not None:
        from earmark.audio import load_audio

        paths = sorted(path for path in clips.iterdir() if path.is_file())[:number]
        return [load_audio(path, rate=RATE).samples for path in paths]
    from examples.make_music import make_song

    return [make_song(30, seed=seed)[0] for seed in range(number)]


def make_songs(folder: Path, number: int, *, clips: Path | None) -> float:
    """Songs in a folder, each of six to eight pieces; their seconds together."""
    rng = np.random.default_rng(0)
    samples = pieces_of(clips, min(40, 8 + number))
    pieces = [encoded(folder / "piece.mp3", piece) for piece in samples]
    (folder / "piece.mp3").unlink()
    total = 0.0
    for i in range(number):
        chosen = rng.permutation(len(pieces))[: rng.integers(FEWEST, MOST + 1)]
        (folder / f"{i:04}.mp3").write_bytes(b"".join(pieces[k] for k in chosen))
        total += sum(samples[k].size for k in chosen) / RATE
    return total


def run(words: list[str]) -> tuple[float, float, float, dict[str, int]]:
    """Seconds, MB at the first and at the second half's peak, and the counts of a scan."""
    started = time.perf_counter()
    samples: list[float] = []
    with tempfile.TemporaryFile("w+") as answer:
        command = [sys.executable, "-m", "earmark", "library", "scan", *words, "--json"]
        process = subprocess.Popen(command, stdout=answer, stderr=subprocess.DEVNULL)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                with suppress(psutil.NoSuchProcess):
                    samples.append(megabytes_at_most(process.pid))  # workers are spawned

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        done.set()
        watcher.join()
        seconds = time.perf_counter() - started
        answer.seek(0)
        counts = json.loads(answer.readlines()[-1])
    half = max(1, len(samples) // 2)
    return seconds, max(samples[:half], default=0), max(samples[half:], default=0), counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="earmark")
    parser.add_argument("--songs", type=int, default=500)
    parser.add_argument("--clips", type=Path, help="a folder of clips to make the songs from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder) / "music"
        music.mkdir()
        total = make_songs(music, options.songs, clips=options.clips)
        print(f"{options.songs} songs, {total / 3600:.1f} hours, {os.cpu_count()} cores")
        for name, extra in (("whole", []), ("quick", ["--quick"])):
            library = str(Path(folder) / f"{name}.sqlite")
            words = [str(music), "--model", options.model, "--library", library, *extra]
            seconds, first, second, counts = run(words)
            if counts["heard"] != options.songs:
                raise SystemExit(f"only {counts} of {options.songs} songs were heard")
            print(
                f"{name}: {seconds:.1f} s, {seconds / options.songs:.2f} s a song, "
                f"{total / seconds:.0f} times as fast as playing; memory {first:.0f} MB in the "
                f"first half, {second:.0f} MB in the second"
            )
            seconds, *_, counts = run(words)
            print(f"  again, unchanged: {seconds:.1f} s for {counts['unchanged']} songs")


if __name__ == "__main__":
    main()
