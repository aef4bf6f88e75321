"""How quick the page of a large library is: python -m benchmarks.library_page [--songs 100000].

A library with random scores, names and embeddings is made here, and served by a process of its own.
Then, over the network interface of this machine, each several times: what the first page asks
(page, what there is, the first songs with the counts of every tag), searches by expressions and by
names, a correction, similar songs and a journey. The median of each, and the slowest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import requests
import uvicorn

from benchmarks.library_size import DIMENSIONS
from earmark import zoo
from earmark.library.database import Library
from earmark.library.song import ScannedFile
from earmark.model_file import read_card
from earmark.web.app import create_app
from earmark.web.limits import Limits
from earmark.web.server import address, listening, settings
from earmark.web.service import Service
from earmark.web.shelf import Shelf

SEARCHES = (
    {"expression": "jazz"},
    {"expression": "jazz and not rock, happy > .5"},
    {"expression": "(electronic or ambient), not female vocalists, calm"},
    {"words": "artist 12 title"},
    {"expression": "rock", "words": "album 8"},
)


def fill(path: Path, songs: int) -> None:
    """Rows with random scores, most of them low, as a model's are."""
    card = read_card(zoo.resolve(zoo.SHIPPED))
    rng = np.random.default_rng(0)
    with Library.open(path, make=True) as library:
        model = library.add_model("0" * 64, card)
        for i in range(songs):
            artist, album = f"Artist {i // 120}", f"Album {i // 12}"
            song = ScannedFile(
                Path(f"/music/{artist}/{album}/{i:06}.mp3"), 1, 1, i.to_bytes(32, "big"),
                float(rng.uniform(60, 400)), artist=artist, title=f"Title {i}", album=album,
                scores=rng.random(len(card.tags), dtype=np.float32) ** 4, warnings=(),
            )  # fmt: skip
            embedding = rng.normal(size=DIMENSIONS).astype(np.float32)
            library.put(model, song, embedding=embedding)


def timed(
    name: str, ask: Callable[[], requests.Response], server: psutil.Process, times: int
) -> None:
    seconds, before = [], sum(server.cpu_times()[:2])
    for _ in range(times):
        started = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - started)
        answer.raise_for_status()
    milliseconds = 1000 * np.sort(seconds)
    work = 1000 * (sum(server.cpu_times()[:2]) - before) / times
    middle, slowest = np.median(milliseconds), milliseconds[-1]
    print(f"{name:58} {middle:6.0f} ms, slowest {slowest:6.0f} ms, CPU {work:6.0f} ms")


def measure(url: str, server: psutil.Process, times: int) -> None:
    with requests.Session() as session:

        def first_page() -> requests.Response:
            for path in ("/library", "/api/library"):
                session.get(url + path, timeout=60).raise_for_status()
            return session.get(f"{url}/api/library/songs?limit=50", timeout=60)

        timed("first page", first_page, server, times)
        for search in SEARCHES:

            def found(search: dict[str, str] = search) -> requests.Response:
                return session.get(
                    f"{url}/api/library/songs", params={"limit": "50", **search}, timeout=60
                )

            timed(f"search {' '.join(search.values())}", found, server, times)
        fifth = f"{url}/api/library/songs/5/corrections"
        timed(
            "correction",
            lambda: session.post(fifth, json={"tag": "jazz", "holds": True}, timeout=60),
            server,
            times,
        )
        for name, query in (
            ("similar", "song=5"),
            ("journey", "from=5&to=9"),
            ("mix", "like=5&like=9"),
        ):
            place = f"{url}/api/library/{name}?{query}"

            def made(place: str = place) -> requests.Response:
                return session.get(place, timeout=60)

            timed(name, made, server, max(2, times // 4))


def serve(path: str, ready: Connection) -> None:
    """Serve a library until the process is ended; sends the address when it listens."""
    with (
        listening("127.0.0.1", 0) as listener,
        Shelf(Path(path)) as shelf,
        Service(zoo.SHIPPED, limits=Limits(decoders=1)) as service,
    ):
        ready.send(address(listener))
        uvicorn.Server(settings(create_app(service, shelf=shelf))).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=15)
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.sqlite"
        fill(path, arguments.songs)
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(str(path), there))
        started = time.perf_counter()
        process.start()
        try:
            url = here.recv()
            seconds = time.perf_counter() - started
            print(f"{arguments.songs} songs; it listens after {seconds:.1f} s")
            measure(url, psutil.Process(process.pid), arguments.times)
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    main()
