"""Frames to mono: many at once give what each gives by itself."""

from __future__ import annotations

import av
import numpy as np
import pytest

from earmark.audio.downmix import Tally, mono

LOUDEST = 16.0  # mean square
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
DTYPES = {  # PyAV makes no frames of s64
    "u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64,
}  # fmt: skip


def frame(samples, kind):
    """samples : in [-1, 1], float64 (n_channels, n); kind : FFmpeg's name of the format."""
    dtype = np.dtype(DTYPES[kind.removesuffix("p")])
    if dtype.kind == "u":
        stored = (samples * 100 + 128).round()
    else:
        stored = samples * (2.0 ** (8 * dtype.itemsize - 2) if dtype.kind == "i" else 1.0)
    stored = stored.astype(dtype)
    if not kind.endswith("p"):
        stored = stored.T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(stored), format=kind, layout=LAYOUTS[len(samples)]
    )
    made.sample_rate = 44_100
    return made


@pytest.mark.parametrize("n_channels", LAYOUTS)
@pytest.mark.parametrize("kind", [*DTYPES, *(f"{name}p" for name in DTYPES)])
def test_many_frames_give_what_each_gives_by_itself(kind, n_channels):
    rng = np.random.default_rng(n_channels)
    frames = [frame(rng.uniform(-1, 1, (n_channels, n)), kind) for n in (1024, 1152, 47, 1024, 1)]
    together, apart = Tally(), Tally()
    found = mono(frames, loudest=LOUDEST, tally=together)
    each = [mono([one], loudest=LOUDEST, tally=apart) for one in frames]
    np.testing.assert_allclose(found, np.concatenate(each), atol=1e-7)
    assert found.dtype == np.float32
    assert found.std() > 0.1
    assert together == apart == Tally(damaged=0, sound=len(frames))


@pytest.mark.parametrize("kind", ["flt", "fltp"])
@pytest.mark.parametrize("nonsense", [np.nan, np.inf, 1e30, 5.0])
def test_only_the_frame_that_is_nonsense_becomes_silent(kind, nonsense):
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-1, 1, (2, n)) for n in (900, 64, 1024)]
    parts[1][:] = nonsense
    tally = Tally()
    found = mono([frame(part, kind) for part in parts], loudest=LOUDEST, tally=tally)
    assert tally == Tally(damaged=1, sound=2)
    assert not found[900:964].any()
    np.testing.assert_allclose(found[:900], parts[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[964:], parts[2].mean(axis=0), atol=1e-6)
