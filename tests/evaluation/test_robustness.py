"""The distortions do what they say, and scores are held against the undistorted ones."""

from __future__ import annotations

import evaluation_data as made
import numpy as np
import pytest
import tiny_model

from earmark.audio import budget
from earmark.errors import BadValue, DataError
from earmark.evaluation import distortions
from earmark.evaluation.distortions import DISTORTIONS, RATE
from earmark.evaluation.robustness import robustness
from earmark.evaluation.scores import score_catalog
from earmark.runtime import Model


def tone(hertz, seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def apply(name, samples):
    return DISTORTIONS[name](samples, np.random.default_rng(0))


def decibels(samples):
    return 10 * np.log10(np.mean(np.square(samples[2000:-2000], dtype=np.float64)))


def loudest_hertz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return spectrum.argmax() * RATE / samples.size


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_distortion_gives_finite_float32_of_about_the_same_length(name):
    samples = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    distorted = apply(name, samples)
    assert distorted.dtype == np.float32
    assert np.isfinite(distorted).all()
    assert distorted.size == pytest.approx(samples.size, rel=0.06)
    assert (name == "as it is") == np.array_equal(distorted, samples)


def test_gain_changes_the_level_by_so_many_decibels():
    assert decibels(apply("gain -12 dB", tone(440))) == pytest.approx(
        decibels(tone(440)) - 12, abs=0.01
    )


def test_noise_is_so_many_decibels_below_and_repeatable():
    samples = tone(440)
    added = apply("noise 20 dB below", samples) - samples
    assert decibels(added) == pytest.approx(decibels(samples) - 20, abs=0.2)
    np.testing.assert_array_equal(added, apply("noise 20 dB below", samples) - samples)


def test_a_low_pass_keeps_what_is_below_and_takes_what_is_above():
    assert decibels(apply("low-pass 4 kHz", tone(1000))) == pytest.approx(
        decibels(tone(1000)), abs=0.05
    )
    assert decibels(apply("low-pass 4 kHz", tone(6000))) < -80


def test_an_mp3_sounds_alike_but_is_not_the_same():
    coded = apply("mp3 128 kbit/s", tone(440))
    assert loudest_hertz(coded) == pytest.approx(440, abs=1)
    # LAME turns everything down by 5 %
    assert decibels(coded) == pytest.approx(decibels(tone(440)) - 0.45, abs=0.1)


def test_speed_moves_pitch_and_length_together():
    faster = apply("speed +5 %", tone(1000))
    assert faster.size == pytest.approx(RATE / 1.05, abs=2)
    assert loudest_hertz(faster) == pytest.approx(1050, abs=1.5)


@pytest.mark.parametrize(("name", "factor"), [("pitch +1 semitone", 1), ("pitch -1 semitone", -1)])
def test_pitch_moves_alone(name, factor):
    samples = tone(1000)
    shifted = apply(name, samples)
    assert shifted.size == pytest.approx(samples.size, abs=2)
    assert loudest_hertz(shifted) == pytest.approx(1000 * 2 ** (factor / 12), abs=2)
    assert decibels(shifted) == pytest.approx(decibels(samples), abs=1.5)


def test_stretching_keeps_the_pitch():
    longer = distortions.stretch(tone(1000), factor=1.3)
    assert longer.size == round(1.3 * RATE)
    assert loudest_hertz(longer) == pytest.approx(1000, abs=2)
    with pytest.raises(BadValue, match="too few to stretch"):
        distortions.stretch(tone(1000)[:100], factor=1.3)


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    catalog = made.songs(folder, n=4)
    made.csv_of(catalog, folder / "songs.csv")
    model = Model(tiny_model.write(folder / "model.onnx"))
    return score_catalog(model, catalog, path=folder / "songs.csv", workers=1), model


CONDITIONS = ("as it is", "noise 10 dB below", "low-pass 4 kHz")


def test_each_condition_is_held_against_the_first(heard):
    lines = robustness(*heard, seed=0, conditions=CONDITIONS, workers=1)
    assert [line["condition"] for line in lines] == list(CONDITIONS)
    assert [line["n_tracks"] for line in lines] == [4, 4, 4]
    assert lines[0]["score_difference"] == lines[0]["largest_difference"] == 0
    assert 0 < lines[1]["score_difference"] < lines[1]["largest_difference"] <= 1
    assert all(0 <= line["roc_auc"] <= 1 for line in lines)


def test_robustness_does_not_depend_on_the_number_of_workers(heard):
    one, two = (
        robustness(*heard, seed=0, conditions=CONDITIONS[:2], workers=workers) for workers in (1, 2)
    )
    assert one[1]["score_difference"] == pytest.approx(two[1]["score_difference"], abs=1e-6)


def test_a_file_that_takes_too_long_in_a_worker_is_given_up(heard, monkeypatch):
    scored, model = heard
    monkeypatch.setattr(budget, "DEADLINE", 1e-6)
    with pytest.raises(DataError, match="took longer than 1e-06 seconds"):
        robustness(scored.select([0], [0]), model, seed=0, conditions=CONDITIONS[:1], workers=2)


def test_what_cannot_be_distorted_is_refused(heard):
    scored, model = heard
    with pytest.raises(BadValue, match=r"unknown distortions: echo\. Choose from: as it is"):
        robustness(scored, model, seed=0, conditions=("echo",))
    with pytest.raises(BadValue, match="a store has no audio"):
        robustness(made.scored(), model, seed=0)
