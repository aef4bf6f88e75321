"""Where the time of a clip goes, part by part: python -m benchmarks.suite.parts < paths.

Milliseconds of CPU a clip on one core, as a line of JSON. The parts take turns, each on what the
one before it made. So each finds its own data in the cache, and the whole, which does not, takes
longer than they do together.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from benchmarks.suite import limit, ways
from benchmarks.turns import in_turns
from earmark import zoo
from earmark.audio.budget import Budget
from earmark.audio.decoding import _PIECE, Piece, decode, frames_of
from earmark.audio.downmix import Mixer, Tally, sides
from earmark.audio.opening import opened
from earmark.features import _BLOCK, PRESETS, LogMel, log_mel
from earmark.inference import Options
from earmark.runtime import Model
from earmark.tagger import Tagger
from earmark.windows import centre

TURNS = 7
Part = Callable[[int], object]  # on the clip of that number
STORE = PRESETS["choi2016"]  # what the tables of shards are made with


def measure(tagger: Tagger, paths: list[Path]) -> dict[str, float]:
    """Milliseconds a clip of each part, the median of all turns."""
    pieces = [list(decode(path, start=0.0, tally=Tally())) for path in paths]
    parts: dict[str, Part] = {
        "decode": lambda i: ways.only_decode(str(paths[i])),
        "decode, mono": lambda i: sum(1 for _ in decode(paths[i], start=0.0, tally=Tally())),
        "mono": _mixing(paths),
    }
    for name, settings in {"": tagger.card.features, " of the store": STORE}.items():
        parts |= {f"{part}{name}": work for part, work in _front_end(pieces, settings).items()}
    settings = tagger.card.features
    mels = [log_mel(_window(of, settings), settings=settings)[None] for of in pieces]
    parts["network"] = lambda i: tagger.model.run(mels[i])
    parts["whole"] = lambda i: tagger.tag(paths[i], options=Options(center=True))
    times = in_turns(parts, range(len(paths)), TURNS)
    flop = limit.flop_of_a_window(tagger.model.path)
    arithmetic = 1000 * flop / limit.gemm_peak()["f32"]
    return {name: statistics.median(of) for name, of in times.items()} | {"arithmetic": arithmetic}


def _mixing(paths: list[Path]) -> Part:
    """Decoded frames of clips, which are at hand, to mono."""
    runs = [_runs(path) for path in paths]

    def mix(i: int) -> None:
        mixer = Mixer(rate=runs[i][0][0].sample_rate, first=0)
        for run in runs[i]:
            mixer.mix(*sides(run, loudest=math.inf, tally=Tally(), held=mixer.held))

    return mix


def _runs(path: Path) -> list[list[Any]]:
    """The frames of a clip, as many together as `decode` takes."""
    runs: list[list[Any]] = [[]]
    with opened(path, budget=Budget(path)) as (container, stream, _):
        for frame in frames_of(container, stream, Tally()):
            if sum(one.samples for one in runs[-1]) >= _PIECE:
                runs.append([])
            runs[-1].append(frame)
    return runs


def _front_end(pieces: list[list[Piece]], settings: LogMel) -> dict[str, Part]:
    """From mono samples of clips to their spectrograms."""
    windows = [_window(of, settings) for of in pieces]
    return {
        "soxr": lambda i: _resampled(pieces[i], settings.rate),
        "FFT": _transforms(settings),
        "log-mel": lambda i: log_mel(windows[i], settings=settings),
    }


def _resampled(pieces: list[Piece], rate: int) -> list[np.ndarray]:
    resampler = soxr.ResampleStream(pieces[0].rate, rate, 1, dtype="float32", quality="HQ")
    rest = np.zeros(0, dtype=np.float32)
    return [
        *(resampler.resample_chunk(piece.samples) for piece in pieces),
        resampler.resample_chunk(rest, last=True),
    ]


def _window(pieces: list[Piece], settings: LogMel) -> np.ndarray:
    [window] = centre(_resampled(pieces, settings.rate), settings=settings)
    return window.samples


def _transforms(settings: LogMel) -> Part:
    """The Fourier transforms of a window, and nothing else, as NumPy does them fastest."""
    block = _BLOCK  # frames
    frames = np.zeros((block, settings.n_fft), dtype=np.float32)
    spectrum = np.empty((block, 1 + settings.n_fft // 2), dtype=np.complex64)

    def transform(_: int) -> None:
        for first in range(0, settings.n_frames, block):
            n = min(block, settings.n_frames - first)
            np.fft.rfft(frames[:n], axis=1, norm="forward", out=spectrum[:n])  # type: ignore[arg-type]

    return transform


def main() -> None:
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    tagger = Tagger(Model(zoo.resolve(zoo.SHIPPED), threads=1))
    print(json.dumps(measure(tagger, paths)))


if __name__ == "__main__":
    main()
