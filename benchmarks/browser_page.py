"""The page without a server, in a real browser: how long a song takes, and memory over many songs.

    python -m benchmarks.browser_page FOLDER [--model earmark] [--songs 50] [--seconds 240]

The page is written, hosted on loopback and opened in Chromium. First one song of `--seconds` is
heard three times, in turns with the same song tagged by Python on one core, in seconds of CPU,
which say more than the clock on a machine that others use; then `--songs` files of
the folder, one after the other, with the memory of all of the browser's processes after each. That
a page's memory is flat shows in the last ten beside the ten after the first ten.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import statistics
import tempfile
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
from playwright.sync_api import sync_playwright

from benchmarks.family import descendants, held, of_living
from earmark.audio import AUDIO_SUFFIXES, load_audio
from earmark.tagger import Tagger
from earmark.web.static_page import write_page

PATIENCE = 600_000  # ms


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def hear(page: Any, path: Path) -> float:
    """Seconds of CPU, of all of the browser, from the choice of a file until its tags are there."""
    page.locator("#all-clear").evaluate("(button) => button.click()")
    started = cpu()
    page.locator("#file").set_input_files(str(path))
    page.wait_for_function("(name) => document.title.startsWith(name)", arg=path.name)
    return cpu() - started


def cpu() -> float:
    """Seconds of CPU of all processes that this one started."""
    return sum(sum(times[:2]) for times in of_living(descendants(), psutil.Process.cpu_times))


def memory() -> float:
    """MB of all processes that this one started, shared pages counted once."""
    return sum(of_living(descendants(), held)) / 1e6


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="earmark")
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=240.0)
    asked = parser.parse_args()
    files = sorted(path for path in asked.folder.rglob("*") if path.suffix in AUDIO_SUFFIXES)
    songs = files[: asked.songs]
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    tagger = Tagger.load(asked.model, threads=1)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        written = write_page(folder / "page", model=asked.model)
        print(f"{written.n_files} files, {written.n_bytes / 1e6:.1f} MB")
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=folder / "page")
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")

        long = folder / "long.flac"
        samples = load_audio(songs[0], rate=44_100).samples
        soundfile.write(long, np.resize(samples, round(asked.seconds * 44_100)), 44_100)
        here, there = [], []
        hear(page, songs[0])  # loads the model
        for _ in range(3):
            here.append(hear(page, long))
            started = time.process_time()
            tagger.tag(long)
            there.append(time.process_time() - started)
        print(
            f"{asked.seconds:g} s of FLAC: {statistics.median(here):.1f} s of CPU on the "
            "page, with tags over time, spectrogram and chapters; "
            f"{statistics.median(there):.1f} s in Python, for tags alone"
        )
        seconds, used = [], []
        for song in songs:
            seconds.append(hear(page, song))
            used.append(memory())
        print(f"{len(songs)} songs: {statistics.median(seconds):.1f} s of CPU each (median)")
        early, late = statistics.median(used[10:20] or used), statistics.median(used[-10:])
        print(
            f"memory of all of the browser's processes: {early:.0f} MB after songs 11 to 20, "
            f"{late:.0f} MB after the last ten, {max(used):.0f} MB at most"
        )
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
