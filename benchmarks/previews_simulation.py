"""The whole Million Song split, 242,854 ids, against a service that misbehaves: is a song lost?

    python -m benchmarks.previews_simulation [--songs N] [--parts 2] [--kills 3]

A service on loopback rejects 2 % of the requests, in bursts, and cuts 1 % of the replies, half of
them without a word; it has nothing for 3 % of the songs, and only a karaoke version for 1 %. The
downloader runs as `earmark data previews`, in parts as on several machines; it is killed with
SIGKILL and started again; the parts are merged. Then every id is looked up: it must have its own
audio once, or the outcome that the service meant. Clips are tiny and looked at but not decoded
(--check full decodes them), and the rate is unlimited.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from music_service import Asked, Fault, MusicService, ServedSong, cut, status, tone

SPLIT = 201_680 + 12_634 + 28_540  # ids in the Million Song split that the project trains on
REJECTED, CUT = 0.02, 0.01  # shares of the requests
NOTHING, KARAOKE = 0.03, 0.01  # shares of the songs
LONGEST_BURST = 16  # requests
EARMARK = [sys.executable, "-m", "earmark", "data"]
CLIP = tone(0)


def song_id(number: int) -> str:
    return f"TRSIM{number:09}"


def names(number: int) -> tuple[str, str]:
    """Artist and title; the signs that a URL must escape are in many of them."""
    sign = ("&", "#", "+", "%", "and")[number % 5]
    return f"Band {sign} Sons {number}", f"What {sign} Why {number}"


def kind_of(number: int) -> str:
    share = random.Random(number).random()
    return (
        "nothing" if share < NOTHING else "karaoke" if share < NOTHING + KARAOKE else "downloaded"
    )


def clip(number: int) -> bytes:
    """A WAV file that no other song has."""
    return CLIP[:44] + number.to_bytes(4, "little") + CLIP[48:]


class Songs(Mapping[int, ServedSong]):
    """The songs of the service, made when they are asked for."""

    def __init__(self, n_songs: int) -> None:
        self.n_songs = n_songs

    def __getitem__(self, number: int) -> ServedSong:
        if not 0 <= number < self.n_songs:
            raise KeyError(number)
        artist, title = names(number)
        if kind_of(number) == "karaoke":
            title += " (Karaoke Version)"
        return ServedSong(number, artist, title, audio=clip(number))

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n_songs))

    def __len__(self) -> int:
        return self.n_songs


class Simulated(MusicService):
    """A service with that many songs and those faults."""

    def __init__(self, n_songs: int, seed: int) -> None:
        super().__init__([])
        self.songs = Songs(n_songs)  # type: ignore[assignment]
        self.keep_log = False
        self.random = random.Random(seed)
        self.burst = 0
        self.done: Counter[str] = Counter()
        self.fault = self.misbehave

    def _find(self, term: str) -> list[ServedSong]:
        number = int(term.split()[-1])
        return [] if kind_of(number) == "nothing" else [self.songs[number]]

    def misbehave(self, asked: Asked) -> Fault | None:
        self.done[asked.kind] += 1
        if not self.burst and self.random.random() < REJECTED / (LONGEST_BURST / 2):
            self.burst = self.random.randint(1, LONGEST_BURST)
        if self.burst:
            self.burst -= 1
            self.done["rejected"] += 1
            return self.random.choice([status(403), status(429), status(429, Retry_After=0)])
        if self.random.random() < CUT:
            self.done["cut"] += 1
            return cut(self.random.uniform(0.05, 0.95), announced=self.random.random() < 0.5)
        return None


def serve(n_songs: int, seed: int) -> None:
    """The service as a process: prints its address, and when told to stop what it has done."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Simulated(n_songs, seed) as service:
        print(service.url, flush=True)
        stop.wait()
        repeated = sum(n > 1 for n in service.numbers("search").values())
        print(json.dumps({**service.done, "searched more than once": repeated}), flush=True)


def complete(command: list[str], ends_at: list[float], folder: Path, n_songs: int) -> int:
    """Run a part until it is through, killing it when it has come so far; returns the kills."""
    from earmark.data.previews.download import preview_status
    from earmark.errors import BadLedger

    endpoint = command[command.index("--endpoint") + 1]
    kills = 0
    for share in [*ends_at, 2.0]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(0.5)
            try:
                reached = preview_status(folder)
            except BadLedger:  # not begun yet
                continue
            if reached.total - reached.remaining >= share * n_songs:
                process.kill()
                process.wait()
                kills += 1
                break
        else:
            if process.returncode not in (0, 3):
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    for _ in range(5):
        retry = [*EARMARK, "retry", str(folder), "--endpoint", endpoint]
        if subprocess.run(retry, capture_output=True).returncode == 0:
            return kills
    raise SystemExit(f"{folder}: songs fail again and again")


def verify(folder: Path, n_songs: int) -> dict[str, int]:
    """What is wrong; all zeros if nothing is."""
    from earmark.data.previews.entry import State
    from earmark.data.previews.ledger import Ledger

    meant = {"nothing": State.NO_RESULT, "karaoke": State.REJECTED, "downloaded": State.DOWNLOADED}
    wrong = Counter({"lost": 0, "duplicated": 0, "wrongly no_result": 0, "another song's audio": 0})
    files = Counter(path.stem for path in (folder / "audio").iterdir())
    wrong["duplicated"] = sum(n - 1 for n in files.values())
    seen = 0
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        for entry in ledger.entries():
            seen += 1
            number = int(entry.id[5:])
            expected = meant[kind_of(number)]
            if entry.state is State.NO_RESULT and expected is not State.NO_RESULT:
                wrong["wrongly no_result"] += 1
            elif entry.state is not expected:
                wrong["lost"] += 1
            if entry.state is State.DOWNLOADED:
                audio = folder / "audio" / f"{entry.id}.wav"
                wrong["another song's audio"] += audio.read_bytes() != clip(number)
    wrong["lost"] += n_songs - seen
    return dict(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--songs", type=int, default=SPLIT)
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--check", choices=("light", "full"), default="light")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.songs, options.seed)
        return

    from earmark.data.catalog.catalog import Catalog, Song, write_catalog

    with tempfile.TemporaryDirectory(prefix="earmark-simulation-") as temporary:
        home = Path(temporary)
        catalog = home / "catalog.parquet"
        songs = (Song(song_id(number), *names(number)) for number in range(options.songs))
        write_catalog(Catalog.from_songs(songs, tags=[]), catalog)
        service = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--songs", str(options.songs)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert service.stdout is not None
            url = service.stdout.readline().strip()
            started = time.monotonic()
            kills: list[int] = []

            def work(part: int) -> None:
                n_kills = len(range(part - 1, options.kills, options.parts))
                n_songs = options.songs // options.parts
                folder = home / f"part-{part}"
                command = [
                    *EARMARK, "previews", str(catalog), "-o", str(folder), "--source", "itunes",
                    "--accept-terms", "--endpoint", url, "--rate", "0", "--cooldown", "0.05",
                    "--part", f"{part}/{options.parts}", "--check", options.check,
                    "--concurrency", "2",
                ]  # fmt: skip
                ends_at = [(k + 1) / (n_kills + 1) for k in range(n_kills)]
                kills.append(complete(command, ends_at, folder, n_songs))

            threads = [
                threading.Thread(target=work, args=(part,)) for part in range(1, options.parts + 1)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - started
        finally:
            service.terminate()
            said, _ = service.communicate()
        if len(kills) < options.parts:
            raise SystemExit("a part has not come through")
        merging = time.monotonic()
        folders = [str(home / f"part-{part}") for part in range(1, options.parts + 1)]
        merged = home / "merged"
        subprocess.run([*EARMARK, "merge", *folders, "-o", str(merged)], check=True)
        merging = time.monotonic() - merging
        wrong = verify(merged, options.songs)
        ledger = (merged / "ledger.sqlite").stat().st_size

    print(f"{options.songs} songs in {options.parts} parts, {sum(kills)} SIGKILLs, {said.strip()}")
    print(f"downloaded in {seconds:.0f} s: {options.songs / seconds:.0f} songs a second")
    print(f"merged in {merging:.0f} s; the ledger has {ledger / 1e6:.0f} MB")
    print(", ".join(f"{name}: {number}" for name, number in wrong.items()))
    if any(wrong.values()) or sum(kills) != options.kills:
        raise SystemExit("something is wrong")


if __name__ == "__main__":
    main()
