"""From real Million Song ids to a verified store, killed and resumed on the way, in two parts.

    python -m benchmarks.ids_to_store [--shared ../shared] [--songs 1230] [--keep FOLDER]

The songs are those of the split that the first 5,000 lines of unique_tracks.txt name. A service on
loopback answers as iTunes does and serves real clips; it rejects some requests and cuts some
replies. Every step is a command of earmark, printed as it is run; docs/guides/million-song.md walks
through them.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from music_service import Asked, Fault, MusicService, ServedSong, cut, status

EARMARK = [sys.executable, "-m", "earmark", "data"]
SHORTEST_CLIP = 45_000  # bytes of a clip at 24 kbit/s that is long enough for the whole window


def named_songs(shared: Path, n_songs: int) -> list[ServedSong]:
    """The songs that the service has: real artists and titles, real clips that go round."""
    ids = set()
    for split in ("train", "valid", "test"):
        ids |= set((shared / "msd" / f"{split}_x_msd_id.txt").read_text().split())
    lines = (shared / "msd" / "unique_tracks_5000.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("<SEP>") for line in lines]
    rows = [row for row in rows if row[0] in ids][:n_songs]
    clips = sorted((shared / "q4" / "audio").iterdir())
    clips = [clip for clip in clips if clip.stat().st_size > SHORTEST_CLIP]
    # the list has "_" where the service has a comma
    names = [[name.replace("_ ", ", ") for name in row[2:4]] for row in rows]
    return [
        ServedSong(number, artist, title, audio=clips[number % len(clips)])
        for number, (artist, title) in enumerate(names)
    ]


def misbehaving(seed: int) -> Callable[[Asked], Fault | None]:
    """Two in a hundred requests are rejected, one in a hundred replies is cut."""
    generator = random.Random(seed)

    def fault(_: Asked) -> Fault | None:
        share = generator.random()
        if share < 0.02:
            return generator.choice([status(403), status(429)])
        return cut(0.5, announced=generator.random() < 0.5) if share < 0.03 else None

    return fault


def earmark(*words: object, kill_after: float | None = None, fails: bool = False) -> str:
    """Run `earmark data ...`, or kill it on the way; returns what it printed."""
    command = [*EARMARK, *map(str, words)]
    print(f"$ earmark data {shlex.join(map(str, words))}", flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        printed, _ = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        print(f"  killed with SIGKILL after {kill_after:g} s")
        return ""
    if process.returncode and not fails:
        raise SystemExit(f"exit code {process.returncode}: {printed}")
    return printed


def through(folder: Path, shared: Path, n_songs: int) -> dict[str, object]:
    """The whole sequence; what came out of it."""
    catalog, store = folder / "msd.parquet", folder / "store"
    earmark(
        "catalog", "msd", "--splits", shared / "msd",
        "--tracks", shared / "msd" / "unique_tracks_5000.txt", "--named-only", "-o", catalog,
    )  # fmt: skip
    songs = named_songs(shared, n_songs)
    with MusicService(songs) as service:
        service.fault = misbehaving(0)
        parts = [folder / "part1", folder / "part2"]
        for number, part in enumerate(parts, start=1):
            words = (
                "previews", catalog, "-o", part, "--source", "itunes", "--accept-terms",
                "--endpoint", service.url, "--rate", 0, "--cooldown", 0.2, "--part", f"{number}/2",
            )  # fmt: skip
            earmark(*words, kill_after=5 if n_songs > 200 else 2)
            print(earmark(*words, fails=True))
        print(earmark("retry", parts[0], "--endpoint", service.url, "--json", fails=True))
        print(earmark("merge", *parts, "-o", folder / "all", "--json"))
    state = json.loads(earmark("status", folder / "all", "--json"))
    shards = ("shards", catalog, "-o", store, "--audio", folder / "all",
             "--features", "choi2016", "--clips-per-shard", 200)  # fmt: skip
    earmark(*shards, kill_after=20 if n_songs > 200 else 6)
    print(earmark(*shards, fails=True))
    print(earmark("verify", store, fails=n_songs < len(songs)))
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--songs", type=int, default=1230)
    parser.add_argument("--keep", type=Path, help="Work here, and leave everything there.")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        state = through(folder, arguments.shared.resolve(), arguments.songs)
    print(json.dumps(state | {"seconds": round(time.perf_counter() - started, 1)}))


if __name__ == "__main__":
    main()
