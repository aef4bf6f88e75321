"""Loudness of what sounds, and samples at a set level: laws that hold for any gain and silence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from earmark import loudness
from earmark.errors import BadValue, FeatureMismatch
from earmark.features import PRESETS, LogMel, log_mel
from earmark.loudness import at_level

RATE = 8_000
seeds = st.integers(0, 2**32 - 1)


def bursts(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Noise whose level jumps every tenth of a second, by up to 60 dB; the loudest at -20 dB."""
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.uniform(-80, -20, int(10 * seconds) + 1), RATE // 10)
    n = int(seconds * RATE)
    return (rng.normal(size=n) * 10 ** (steps[:n] / 20)).astype(np.float32)


@given(seeds, st.floats(-40, 32), st.floats(0.01, 4), st.floats(-60, 0))
@hypothesis_settings(max_examples=100, deadline=None)
def test_no_gain_changes_what_is_heard_at_a_level(seed, decibels, seconds, level):
    samples = bursts(seed, seconds)
    gained = samples * np.float32(10 ** (decibels / 20))
    here, there = (at_level(x, rate=RATE, level=level) for x in (samples, gained))
    assume(loudness.loudness(samples, rate=RATE) > -49)  # so that none is turned down to silence
    assert loudness.loudness(here, rate=RATE) == pytest.approx(level, abs=0.02)
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5 * np.abs(here).max())


@given(seeds, st.sampled_from([-1.0, 1.0]), st.floats(-0.5, 0.5))
@hypothesis_settings(max_examples=50, deadline=None)
def test_polarity_and_a_constant_offset_do_not_matter(seed, sign, offset):
    samples = bursts(seed)
    assume(loudness.loudness(samples, rate=RATE) > -60)
    moved = (sign * samples + offset).astype(np.float32)
    here, there = (at_level(x, rate=RATE, level=-20) for x in (samples, moved))
    np.testing.assert_allclose(sign * here, there, atol=1e-4 * np.abs(here).max())


@given(seeds, st.floats(0, 60), st.floats(0, 60))
@hypothesis_settings(max_examples=50, deadline=None)
def test_silence_around_music_does_not_make_it_louder(seed, before, behind):
    samples = (0.1 * np.random.default_rng(seed).normal(size=5 * RATE)).astype(np.float32)
    silence = [np.zeros(int(seconds * RATE), dtype=np.float32) for seconds in (before, behind)]
    framed = np.concatenate([silence[0], samples, silence[1]])
    alone = loudness.loudness(samples, rate=RATE)
    # a block may hold the edge of the music
    assert loudness.loudness(framed, rate=RATE) == pytest.approx(alone, abs=0.5)


def test_a_quiet_passage_counts_less_than_its_length():
    rng = np.random.default_rng(0)
    song = rng.normal(size=20 * RATE).astype(np.float32) * np.float32(0.1)
    song[: 10 * RATE] *= np.float32(0.01)  # the first half 40 dB lower
    assert loudness.loudness(song, rate=RATE) == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize("frequency", [50, 440, 3000])
def test_a_sine_at_full_scale_has_minus_three_decibels(frequency):
    sine = np.sin(2 * np.pi * frequency * np.arange(4 * RATE) / RATE).astype(np.float32)
    assert loudness.loudness(sine, rate=RATE) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("offset", [0.0, 0.3, -1 / 128])
@pytest.mark.parametrize("noise", [0.0, 1e-5, 2.0**-16])
def test_silence_and_dither_stay_silence(offset, noise):
    rng = np.random.default_rng(0)
    samples = (offset + noise * rng.normal(size=10 * RATE)).astype(np.float32)
    assert at_level(samples, rate=RATE, level=-14) is samples


@given(seeds, st.floats(-34, 12), st.sampled_from([1_000, 5_000, 40_000]))
@hypothesis_settings(max_examples=50, deadline=None)
@pytest.mark.parametrize("name", PRESETS)
def test_with_a_level_the_log_mel_does_not_depend_on_gain(name, seed, decibels, n):
    settings = dataclasses.replace(PRESETS[name], level=-14.0)
    samples = np.resize(bursts(seed), n)
    gained = samples * np.float32(10 ** (decibels / 20))
    assume(loudness.loudness(samples, rate=settings.rate) > -55)
    here, there = (log_mel(x, settings=settings) for x in (samples, gained))
    np.testing.assert_allclose(
        here, there, atol=5e-3
    )  # at -92 dB, where a float32 has few digits left


def test_files_from_before_the_setting_mean_none_and_are_written_as_before():
    plain = PRESETS["choi2016"]
    assert "level" not in plain.to_dict()
    assert LogMel.from_dict(plain.to_dict()) == plain
    levelled = dataclasses.replace(plain, level=-14.0)
    assert levelled.to_dict() == plain.to_dict() | {"level": -14.0}
    assert LogMel.from_dict(levelled.to_dict()) == levelled
    for mine, theirs in ((plain, levelled), (levelled, plain)):
        with pytest.raises(FeatureMismatch, match=f"level {theirs.level} instead of {mine.level}"):
            mine.require(theirs, what="the store")


@pytest.mark.parametrize("level", [0.1, -90.0, float("nan")])
def test_a_level_that_clips_or_is_silence_is_refused(level):
    with pytest.raises(BadValue, match="level"):
        dataclasses.replace(PRESETS["choi2016"], level=level)
