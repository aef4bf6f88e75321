"""Make a few seconds of music: chords, bass, a tune and a beat. The same seed gives the same song.

    python examples/make_music.py song.mp3 --seconds 20 --seed 7

The suffix chooses the format: .wav .flac .mp3 .m4a .ogg .opus .aiff
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44_100  # Hz
CODECS = {
    ".wav": "pcm_s16le",
    ".aiff": "pcm_s16be",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".m4a": "aac",
    ".ogg": "libopus",
    ".opus": "libopus",
}
MAJOR = (0, 2, 4, 5, 7, 9, 11)  # semitones of the scale's steps
PROGRESSIONS = ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (1, 4, 0, 0))  # steps, a chord a bar


def make_song(seconds: float, *, seed: int = 0) -> np.ndarray:
    """A short song, float32 (2, seconds * RATE) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    beat = 60 / rng.uniform(90, 130)  # seconds
    key = int(rng.integers(45, 57))  # MIDI note of the lowest step
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    song = np.zeros((2, round(seconds * RATE)), dtype=np.float32)

    for bar in range(int(seconds / (4 * beat)) + 1):
        start = bar * 4 * beat
        root = progression[bar % 4]
        for step in (root, root + 2, root + 4):
            add(song, start, pluck(pitch(key + 12, step), 4 * beat, harmonics=5), 0.10, pan=0.35)
        for eighth in range(8):
            time = start + eighth * beat / 2
            add(song, time, pluck(pitch(key - 12, root), beat / 2, harmonics=3), 0.20, pan=0.5)
            add(song, time, noise(rng, 0.04), 0.04, pan=0.7)
            if rng.random() < 0.6:
                step = root + int(rng.choice((0, 2, 4, 5, 7)))
                add(song, time, pluck(pitch(key + 24, step), beat, harmonics=7), 0.14, pan=0.6)
        for quarter in range(4):
            add(song, start + quarter * beat, kick(), 0.45 if quarter % 2 == 0 else 0.0, pan=0.5)
            add(song, start + quarter * beat, noise(rng, 0.2), 0.22 * (quarter % 2), pan=0.5)
    return (0.8 * song / np.abs(song).max()).astype(np.float32)


def pitch(key: int, step: int) -> float:
    """Hz of a step of the major scale above a MIDI note."""
    note = key + 12 * (step // 7) + MAJOR[step % 7]
    return float(440 * 2 ** ((note - 69) / 12))


def pluck(hz: float, seconds: float, *, harmonics: int) -> np.ndarray:
    """A string: harmonics that die away, the higher the sooner."""
    t = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * n * hz * t) * np.exp(-(2 + n) * t) / n for n in range(1, harmonics + 1)
    ]
    return np.sum(tones, axis=0) * np.minimum(1, np.minimum(t, t[-1] - t) / 0.005)


def kick() -> np.ndarray:
    """A drum whose pitch falls."""
    t = np.arange(round(0.25 * RATE)) / RATE
    return np.sin(2 * np.pi * (45 * t - 4 * np.exp(-30 * t))) * np.exp(-12 * t)


def noise(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A snare or a cymbal: a burst of noise without its low end."""
    n = round(seconds * RATE)
    return np.diff(rng.standard_normal(n + 1)) * np.exp(-np.arange(n) * 5 / n) / 2


def add(song: np.ndarray, time: float, sound: np.ndarray, level: float, *, pan: float) -> None:
    """Mix a sound into the song; pan 0 is left, 1 is right."""
    at = round(time * RATE)
    place = song[:, at : at + sound.size]
    sides = np.sqrt([[1 - pan], [pan]])
    place += (level * sides * sound[: place.shape[1]]).astype(np.float32)


def write(path: Path, samples: np.ndarray) -> None:
    """Encode float32 (2, n) at RATE in the format of the path's suffix."""
    codec = CODECS[path.suffix.lower()]
    # bitexact: no random serial numbers, so that the same song is the same file
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            codec, rate=48_000 if codec == "libopus" else RATE, layout="stereo"
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a few seconds of music.")
    parser.add_argument("path", type=Path, help=f"song with one of {' '.join(CODECS)}")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.path.suffix.lower() not in CODECS:
        parser.error(f"{arguments.path} must end in one of {' '.join(CODECS)}")
    write(arguments.path, make_song(arguments.seconds, seed=arguments.seed))


if __name__ == "__main__":
    main()
