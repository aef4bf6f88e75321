"""soxr or FFmpeg, from one rate to another: python -m benchmarks.resamplers.

Milliseconds of CPU for 30 s from 44.1 kHz, in turns; and the level of tones on both sides of the
new rate's half. A tone above it must not be heard: it would fold back as another one.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import argparse
import statistics
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
import av.filter
import numpy as np
import soxr

from benchmarks.turns import in_turns

RATE = 44_100  # Hz
BLOCK = 1 << 16  # samples
SECONDS = 30
PLACES = (0.9, 0.95, 0.99, 1.01, 1.05, 1.1, 1.5)  # of the tones, times half the new rate
Work = Callable[[np.ndarray], np.ndarray]


def soxr_hq(samples: np.ndarray, *, rate: int) -> np.ndarray:
    """As earmark does."""
    resampler = soxr.ResampleStream(RATE, rate, 1, dtype="float32", quality="HQ")
    parts = [resampler.resample_chunk(block) for block in _blocks(samples)]
    parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


def swresample(samples: np.ndarray, *, rate: int, taps: int, cutoff: float) -> np.ndarray:
    """FFmpeg's, with a Kaiser window; taps: of its filter at the higher rate of the two."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE)
    )
    words = f"{rate}:filter_size={taps}:cutoff={cutoff}:filter_type=kaiser:kaiser_beta=12"
    resampler, sink = graph.add("aresample", words), graph.add("abuffersink")
    source.link_to(resampler)
    resampler.link_to(sink)
    graph.configure()
    parts: list[np.ndarray] = []
    for place, block in enumerate(_blocks(samples)):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[None]), "flt", "mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), place * BLOCK
        source.push(frame)
        _pull(sink, parts)
    source.push(None)
    _pull(sink, parts)
    return np.concatenate(parts)


def _pull(sink: av.filter.FilterContext, parts: list[np.ndarray]) -> None:
    while True:
        try:
            parts.append(sink.pull().to_ndarray()[0])
        except (av.BlockingIOError, av.EOFError):
            return


def _blocks(samples: np.ndarray) -> list[np.ndarray]:
    return [samples[i : i + BLOCK] for i in range(0, samples.size, BLOCK)]


def level(work: Work, hertz: float) -> float:
    """dB of what comes out for a tone at full scale."""
    tone = np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE).astype(np.float32)
    middle = work(tone)[8_000:-8_000].astype(np.float64)
    return float(10 * np.log10(2 * np.mean(middle**2) + 1e-20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="of all ways, in turns; 9")
    parser.add_argument("--rate", type=int, default=24_000, help="new rate, Hz; 24000")
    options = parser.parse_args()
    ways: dict[str, Work] = {"soxr HQ": partial(soxr_hq, rate=options.rate)}
    for taps, cutoff in ((32, 0.97), (128, 0.96), (192, 0.957), (256, 0.957)):
        ways[f"FFmpeg, {taps} taps"] = partial(
            swresample, rate=options.rate, taps=taps, cutoff=cutoff
        )
    noise = np.random.default_rng(0).normal(size=SECONDS * RATE).astype(np.float32) / 10
    times = in_turns(ways, [noise], options.rounds)
    hertz = [place * options.rate / 2 for place in PLACES]
    print(f"{'':18}{'ms':>8}" + "".join(f"{h:8.0f} Hz" for h in hertz))
    for name, work in ways.items():
        levels = "".join(f"{level(work, h):8.0f} dB" for h in hertz)
        print(f"{name:18}{statistics.median(times[name]):8.1f}{levels}")


if __name__ == "__main__":
    main()
