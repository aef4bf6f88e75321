"""How a large library answers: python -m benchmarks.library_size [--files 50000] [--songs 100000].

A second scan of many unchanged files, which are made here and are never opened, since the library
already knows their size and time; the command on these and eight new songs, until its first answer;
and the songs most like one, by exact search, among many: the search alone, and with reading the
embeddings from the file as `earmark library similar` does. As a command that takes its start
besides, which `earmark library similar --help` costs too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.suite.material import clips
from benchmarks.suite.watching import watched
from earmark import files
from earmark.features import PRESETS
from earmark.library.changes import find_changes
from earmark.library.database import Library, LibraryModel
from earmark.library.playlists.similar import example_of, similar
from earmark.library.song import ScannedFile
from earmark.model_file import Card
from earmark.tagger import Tagger
from earmark.tags import MSD_50, msd_50_priors

CARD = Card(
    "random", MSD_50, PRESETS["choi2016"], tuple(map(float, msd_50_priors())), "random", "MIT"
)
DIMENSIONS = 480  # of the embedding of the shipped model
A_FOLDER = 12  # files in one, as albums have


def make_files(folder: Path, number: int) -> list[Path]:
    """Files with names of audio and a few bytes in each, a dozen in a folder."""
    paths = []
    for i in range(number):
        path = folder / f"artist {i // 120:04}" / f"album {i // A_FOLDER:05}" / f"{i:06}.mp3"
        if i % A_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"song")
        paths.append(path)
    return paths


def fill(library: Library, model: LibraryModel, paths: list[Path], *, stat: bool) -> None:
    """Rows for files, with random scores and embeddings."""
    rng = np.random.default_rng(0)
    for i, path in enumerate(paths):
        status = path.stat() if stat else None
        song = ScannedFile(
            path, status.st_size if status else 1, status.st_mtime_ns if status else 1,
            i.to_bytes(32, "big"), float(rng.uniform(60, 400)),
            scores=rng.random(len(model.card.tags), dtype=np.float32) ** 3,
        )  # fmt: skip
        library.put(model, song, embedding=rng.normal(size=DIMENSIONS).astype(np.float32))


def first_answer(folder: Path, *, known: int, new: Sequence[Path]) -> float:
    """Seconds from the start of `earmark library scan --json` to its first line.

    known : songs that the library has heard and that lie beside the new ones, made here
    """
    tagger, music, path = Tagger.load(), folder / "music", folder / "library.sqlite"
    with Library.open(path, make=True) as library:
        model = library.add_model(files.sha256(tagger.model.path), tagger.card)
        fill(library, model, make_files(music, known), stat=True)
    for number, song in enumerate(new):
        os.link(song, music / f"new {number:02}{song.suffix}")
    command = ["-m", "earmark", "library", "scan", str(music), "--library", str(path), "--json"]
    return watched([sys.executable, "-W", "ignore", *command]).came[0]


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Seconds, the median of some runs."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _no_tagger() -> Tagger:
    raise SystemExit("the song is in the library and needs no model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--songs", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="kept folder")
    options = parser.parse_args()
    work = options.work.resolve()  # as a library names its files
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder) / "music"
        with Library.open(Path(folder) / "files.sqlite", make=True) as library:
            model = library.add_model("0" * 64, CARD)
            started = time.perf_counter()
            fill(library, model, make_files(music, options.files), stat=True)
            print(f"{options.files} rows made in {time.perf_counter() - started:.1f} s")
            found = find_changes(library, model, [music])
            if found.unchanged != options.files or found.new:
                raise SystemExit("the library does not know its own files")
            print(f"second scan: {timed(lambda: find_changes(library, model, [music]), 3):.2f} s")
        with tempfile.TemporaryDirectory(dir=work) as beside:  # links go no further
            new = clips(work, "mp3", 8).files
            seconds = first_answer(Path(beside), known=options.files, new=new)
            print(f"a scan of them and {len(new)} new songs: first answer after {seconds:.2f} s")
        with Library.open(Path(folder) / "songs.sqlite", make=True) as library:
            model = library.add_model("0" * 64, CARD)
            paths = [Path(f"/music/{i // A_FOLDER}/{i}.mp3") for i in range(options.songs)]
            fill(library, model, paths, stat=False)
            index = library.index(model)
            query = index.vectors(np.array([options.songs // 2]))[0]
            search = timed(lambda: index.nearest(query, n=20))
            load = timed(lambda: library.index(model))
            example = example_of(library, model, paths[options.songs // 2], load=_no_tagger)
            whole = timed(lambda: similar(library, model, example))
            print(
                f"similar among {options.songs}: search {search * 1e3:.1f} ms, reading the "
                f"embeddings {load * 1e3:.0f} ms, both with the songs {whole * 1e3:.0f} ms"
            )


if __name__ == "__main__":
    main()
