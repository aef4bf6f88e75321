"""Chapters of recordings made of known songs: how many changes are found, at which price.

    python -m studies.chapters ../shared/songs [--recordings 2] [--songs 8]

Each song is two clips, heard twice: two minutes. A change is found where a chapter begins within 8
seconds of it. Then each song is looked at alone, where a change is a false one.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import random
from collections import defaultdict
from pathlib import Path

import numpy as np

from earmark import chapters, taggrams
from earmark.arrays import Float32Array
from earmark.audio import load_audio
from earmark.tagger import Tagger
from earmark.taggrams import Taggram

_NEAR = 8.0  # seconds
_PRICES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0)


def recording(tagger: Tagger, songs: list[list[Path]]) -> tuple[list[float], Taggram]:
    """Where each song begins, and the taggram of all."""
    rate = tagger.card.features.rate
    begins: list[float] = []
    parts: list[Float32Array] = []
    for clips in songs:
        begins.append(sum(part.size for part in parts) / rate)
        parts += [load_audio(clip, rate=rate).samples for clip in (clips * 4)[:4]]
    return begins, taggrams.taggram(tagger, np.concatenate(parts), rate=rate)


def part(gram: Taggram, start: float, end: float) -> Taggram:
    """The cells between two times."""
    inside = (gram.seconds >= start) & (gram.seconds < end)
    seconds = gram.seconds[inside]
    return dataclasses.replace(
        gram, seconds=seconds - seconds[0], scores=gram.scores[inside], duration=end - start
    )


def near(times: list[float], others: list[float]) -> int:
    """How many of the times lie near one of the others."""
    return sum(any(abs(time - other) <= _NEAR for other in others) for time in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=2)
    parser.add_argument("--songs", type=int, default=8)
    arguments = parser.parse_args()
    clips = defaultdict(list)
    with (arguments.folder / "songs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clips[row["artist"], row["title"]].append(arguments.folder / row["path"])
    several = [paths for paths in clips.values() if len(paths) == 2]
    draw = random.Random(1)
    tagger = Tagger.load()
    made = [
        recording(tagger, draw.sample(several, arguments.songs))
        for _ in range(arguments.recordings)
    ]
    print("price  found  of  false  in songs alone")
    for price in _PRICES:
        chapters.PRICE = price
        found = total = false = alone = 0
        for begins, gram in made:
            starts = [one.start for one in chapters.chapters(gram, tagger.card)][1:]
            found, total = found + near(begins[1:], starts), total + len(begins) - 1
            false += len(starts) - near(starts, begins)
            for start, end in zip(begins, [*begins[1:], gram.duration], strict=True):
                song = part(gram, start + _NEAR, end - _NEAR)
                alone += len(chapters.chapters(song, tagger.card)) - 1
        print(f"{price:5g}  {found:5}  {total:2}  {false:5}  {alone:5}")


if __name__ == "__main__":
    main()
