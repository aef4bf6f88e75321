"""Make a small labelled collection: songs of four parts, each of which a song has or has not.

    python examples/make_labelled_music.py songs --songs 120

writes songs/*.flac, six seconds each, and songs/songs.csv with their tags (drums, bass, chords,
tune) and artists. The same seed gives the same songs. They are for learning how earmark trains and
measures: real music is harder by far.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import make_music
import numpy as np
from make_music import RATE, add, kick, noise, pitch, pluck

TAGS = ("drums", "bass", "chords", "tune")
SECONDS = 6.0
SONGS_OF_AN_ARTIST = 3  # they share key and tempo


def make_song(tags: set[str], *, artist: int, seed: int) -> np.ndarray:
    """A song with these parts, float32 (2, SECONDS * RATE) in [-1, 1]."""
    style, random = np.random.default_rng([1, artist]), np.random.default_rng([2, seed])
    beat = 60 / style.uniform(90, 130)  # seconds
    key = int(style.integers(45, 57))  # MIDI note of the lowest step
    song = (0.002 * random.standard_normal((2, round(SECONDS * RATE)))).astype(np.float32)
    for number in range(int(SECONDS / beat) + 1):
        start, root = number * beat, (0, 5, 3, 4)[number // 4 % 4]
        if "drums" in tags:
            add(song, start, kick() if number % 2 == 0 else noise(random, 0.2), 0.35, pan=0.5)
            add(song, start + beat / 2, noise(random, 0.04), 0.1, pan=0.7)
        if "bass" in tags:
            add(song, start, pluck(pitch(key - 12, root), beat, harmonics=3), 0.25, pan=0.5)
        if "chords" in tags and number % 4 == 0:
            for step in (root, root + 2, root + 4):
                sound = pluck(pitch(key + 12, step), 4 * beat, harmonics=5)
                add(song, start, sound, 0.12, pan=0.35)
        if "tune" in tags:
            step = root + int(random.choice((0, 2, 4, 5, 7)))
            sound = pluck(pitch(key + 24, step), beat, harmonics=7)
            add(song, start, sound, 0.2, pan=0.6)
    return (0.8 * song / max(np.abs(song).max(), 0.1)).astype(np.float32)


def write_collection(folder: Path, *, songs: int, seed: int = 0) -> None:
    """Write the songs and songs.csv into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with (folder / "songs.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "path", "tags", "artist"))
        for number in range(songs):
            tags = [tag for tag in TAGS if random.random() < 0.5]
            artist = number // SONGS_OF_AN_ARTIST
            name = f"song-{number:03d}.flac"
            song = make_song(set(tags), artist=artist, seed=seed + number)
            make_music.write(folder / name, song)
            # a lone | says that there are none; an empty cell, that nobody knows
            table.writerow((f"song-{number:03d}", name, "|".join(tags) or "|", f"Band {artist}"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a small labelled collection of songs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_collection(arguments.folder, songs=arguments.songs, seed=arguments.seed)
    print(f"{arguments.songs} songs and songs.csv in {arguments.folder}")


if __name__ == "__main__":
    main()
