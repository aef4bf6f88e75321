"""Frames to mono: many at once give what each gives by itself; what sounds is not cancelled."""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
import pytest
from audio_files import music
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from earmark.audio.downmix import Mixer, Tally, sides

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


def mean(frames, *, loudest, tally):
    return sum(side for side in sides(frames, loudest=loudest, tally=tally) if side is not None)


@pytest.mark.parametrize("n_channels", LAYOUTS)
@pytest.mark.parametrize("kind", [*DTYPES, *(f"{name}p" for name in DTYPES)])
def test_many_frames_give_what_each_gives_by_itself(kind, n_channels):
    rng = np.random.default_rng(n_channels)
    frames = [frame(rng.uniform(-1, 1, (n_channels, n)), kind) for n in (1024, 1152, 47, 1024, 1)]
    together, apart = Tally(), Tally()
    found = mean(frames, loudest=LOUDEST, tally=together)
    each = [mean([one], loudest=LOUDEST, tally=apart) for one in frames]
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
    found = mean([frame(part, kind) for part in parts], loudest=LOUDEST, tally=tally)
    assert tally == Tally(damaged=1, sound=2)
    assert not found[900:964].any()
    np.testing.assert_allclose(found[:900], parts[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[964:], parts[2].mean(axis=0), atol=1e-6)


def mixed(left, right, *, cuts=(), first=0):
    """Mono of a pair of channels, float64 (n,) each, that comes in pieces."""
    mixer = Mixer(rate=RATE, first=first)
    pieces = []
    edges = [0, *sorted(cuts), left.size]
    for begin, end in pairwise(edges):
        even, odd = (
            np.concatenate([held, x[begin:end] / 2], dtype=np.float32, casting="same_kind")
            for held, x in zip(mixer.held, (left, right), strict=True)
        )
        assert mixer.next == first + sum(piece.size for piece in pieces)
        pieces.append(mixer.mix(even, odd, last=end == left.size))
    found = np.concatenate(pieces)
    assert found.size == left.size
    return found


RATE = 7_350
STEP = RATE // 20
SONG = music(6.0)[0, ::6].astype(np.float64)
OTHER = 0.3 * np.random.default_rng(1).normal(size=SONG.size) * SONG.std()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (SONG, SONG),
        (SONG, 0 * SONG),
        (0 * SONG, SONG),
        (SONG, OTHER),
        (SONG, -0.3 * SONG),
        (SONG, np.roll(SONG, 5)),
        (0 * SONG, 0 * SONG),
    ],
    ids=["equal", "left", "right", "unrelated", "a little opposed", "late", "silent"],
)
def test_channels_that_are_not_opposed_are_averaged(left, right):
    even, odd = (np.array(x / 2, dtype=np.float32) for x in (left, right))
    np.testing.assert_array_equal(mixed(left, right), even + odd)


@pytest.mark.parametrize("first", [0, 1, 12_345])
def test_one_channel_is_mono_as_it_is_wherever_it_begins(first):
    mixer, tally = Mixer(rate=RATE, first=first), Tally()
    frames = [frame(part[None], "fltp") for part in np.split(SONG, [1024, 2048])]
    found = [
        mixer.mix(*sides([one], loudest=LOUDEST, tally=tally, held=mixer.held)) for one in frames
    ]
    np.testing.assert_array_equal(np.concatenate(found), SONG.astype(np.float32))
    assert mixer.next == first + SONG.size


@pytest.mark.parametrize("gain", [1.0, 10 ** (-80 / 20), 4.0])
@pytest.mark.parametrize("first", [0, 1, STEP, 12_345])
def test_antiphase_is_what_either_channel_is(gain, first):
    np.testing.assert_allclose(
        mixed(gain * SONG, -gain * SONG, first=first), gain * SONG, rtol=1e-5, atol=1e-6 * gain
    )


def test_antiphase_sounds_from_its_first_sample_after_silence_or_music():
    silence = np.zeros(2 * RATE)
    left = np.concatenate([SONG, silence, SONG, silence])
    right = np.concatenate([-SONG, silence, -SONG, silence])
    np.testing.assert_allclose(mixed(left, right), left, atol=1e-6)
    found = mixed(np.concatenate([SONG, SONG]), np.concatenate([SONG, -SONG]))
    after = SONG.size + 11 * STEP  # when nothing in phase is remembered
    np.testing.assert_allclose(found[after:], SONG[11 * STEP :], atol=1e-6)


@pytest.mark.parametrize("degrees", [0, 60, 90, 120, 150, 170, 180])
def test_a_shifted_phase_costs_no_more_than_the_mean_keeps_at_the_least(degrees):
    time = np.arange(4 * RATE) / RATE
    left, right = (np.sin(2 * np.pi * 440 * time + x) for x in (0, np.radians(degrees)))
    power = np.square(mixed(left, right)).mean() / np.square(left).mean()
    assert power > 0.19


@given(st.floats(-1, 1), st.floats(-0.02, 0.02), st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=100, deadline=None)
def test_a_little_more_antiphase_changes_the_mix_a_little(share, more, seed):
    """No switch: a hundredth of the other channel moves the mix by some hundredths at most."""
    other = np.random.default_rng(seed).normal(size=SONG.size) * SONG.std()
    here, there = (mixed(SONG, x * SONG + 0.3 * other) for x in (share, share + more))
    assert np.abs(here - there).max() <= 8 * abs(more) * np.abs(SONG).max() + 1e-6


@given(
    st.lists(st.integers(1, SONG.size - 1), max_size=12, unique=True),
    st.integers(0, 2 * STEP),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_the_mix_does_not_depend_on_where_it_is_cut(cuts, first):
    time = np.arange(SONG.size) / RATE
    right = SONG * np.sin(2 * np.pi * time / 3) + OTHER  # in and out of phase every three seconds
    whole = mixed(SONG, right, first=first)
    np.testing.assert_allclose(mixed(SONG, right, cuts=cuts, first=first), whole, atol=1e-6)
    assert np.abs(whole - (SONG + right) / 2).max() > 0.1  # it does lean


@pytest.mark.parametrize("layout", ["stereo", "quad", "5.1", "7.1"])
@pytest.mark.parametrize("sign", [1, -1])
def test_silent_channels_change_the_gain_alone(layout, sign):
    n_channels = av.AudioLayout(layout).nb_channels
    samples = np.zeros((n_channels, SONG.size))
    samples[:2] = SONG, sign * SONG
    interleaved = samples.astype(np.float32).T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
    made.sample_rate = RATE
    mixer = Mixer(rate=RATE, first=0)
    found = mixer.mix(*sides([made], loudest=LOUDEST, tally=Tally()), last=True)
    np.testing.assert_allclose(n_channels / 2 * found, SONG, atol=1e-5)
