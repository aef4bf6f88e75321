"""The front end against librosa 0.11, preset by preset, and at its edges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from earmark import features
from earmark.audio import resample
from earmark.errors import BadValue, FeatureMismatch
from earmark.features import PRESETS, LogMel, log_mel, mel_filters, preset

librosa = pytest.importorskip("librosa")
# and a hop that no power of two divides, up to 8 kHz, with 80 dB of the textbook's decibels
SETTINGS = PRESETS | {
    "hop341": LogMel("hop341", rate=16_000, hop=341, f_max=8_000.0, window_samples=465_465)
}

DECIBELS = ["choi2016", "cs2470", "won2020", "hop341"]  # settings that librosa can make whole


def music(rate: int, seconds: float = 5.0) -> np.ndarray:
    """Chords with a beat and some noise, from loud to quiet."""
    generator = np.random.default_rng(0)
    time = np.arange(int(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * f * time) for f in (110, 277.2, 440, 1318.5, 2093))
    beat = np.exp(-8 * (time % 0.5))
    noise = generator.normal(size=time.size)
    return (np.exp(-time) * (0.1 * tones * beat + 0.05 * beat * noise)).astype(np.float32)


def librosa_log_mel(samples: np.ndarray, settings: LogMel) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=settings.rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop,
        n_mels=settings.n_mels,
        fmin=settings.f_min,
        fmax=settings.f_max,
        htk=settings.mel_scale == "htk",
        norm="slaney" if settings.mel_norm == "slaney" else None,
        pad_mode=settings.padding,
        power=2.0,
    )
    # 20 and 40 dB a decade are power_to_db of the squared and of the fourth power
    exponent = settings.decibels / 10
    return librosa.power_to_db(
        mel.astype(np.float64) ** exponent,
        ref=1.0,
        amin=settings.amin**exponent,
        top_db=settings.top_db,
    )


@pytest.mark.parametrize("name", DECIBELS)
@pytest.mark.parametrize("padding", ["constant", "reflect"])
@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
def test_every_preset_and_its_variants_equal_librosa(name, padding, scale, norm):
    settings = dataclasses.replace(SETTINGS[name], padding=padding, mel_scale=scale, mel_norm=norm)
    samples = music(settings.rate)
    ours, theirs = log_mel(samples, settings=settings), librosa_log_mel(samples, settings)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    # the last bits of a float32 FFT differ; 60 dB of mel power below the maximum they still agree
    loud = theirs > theirs.max() - 6 * settings.decibels
    assert loud.mean() > 0.3
    assert np.abs(ours - theirs)[loud].max() < 1e-3
    if settings.top_db is not None:
        floor = theirs.max() - settings.top_db
        assert np.abs(ours - theirs)[theirs > floor].max() < 1e-3


@pytest.mark.parametrize("name", [*DECIBELS, "musicnn"])
def test_the_filter_bank_equals_librosas(name):
    settings = SETTINGS[name]
    theirs = librosa.filters.mel(
        sr=settings.rate, n_fft=settings.n_fft, n_mels=settings.n_mels, fmin=settings.f_min,
        fmax=settings.f_max, htk=settings.mel_scale == "htk",
        norm="slaney" if settings.mel_norm == "slaney" else None,
    )  # fmt: skip
    np.testing.assert_allclose(mel_filters(settings), theirs, rtol=2e-5, atol=1e-8)


def test_musicnn_s_features_are_log10_of_one_and_ten_thousand_times_librosa_s_default_mels():
    samples = music(16_000)
    mel = librosa.feature.melspectrogram(
        y=samples.astype(np.float64), sr=16_000, n_fft=512, hop_length=256, n_mels=96
    )
    ours = log_mel(samples, settings=PRESETS["musicnn"])
    # float32 in the sum mel + 1e-4 and its logarithm; the values go from 0 to 7
    np.testing.assert_allclose(ours, np.log10(1 + 10_000 * mel), atol=1e-5)


def kaldi_filters(*, n_mels, n_fft, rate, high):
    """Kaldi's triangles as feature-window and mel-computations of Kaldi define them, in float64."""

    def to_mel(hz):
        return 1127 * np.log(1 + hz / 700)

    step = to_mel(high) / (n_mels + 1)
    places = to_mel(np.arange(n_fft // 2 + 1) * rate / n_fft)
    filters = np.zeros((n_mels, n_fft // 2 + 1))
    for band in range(n_mels):
        left, centre, right = (step * (band + i) for i in range(3))
        for column, place in enumerate(places[:-1]):  # Kaldi leaves the last bin out
            if left < place <= centre:
                filters[band, column] = (place - left) / (centre - left)
            elif centre < place < right:
                filters[band, column] = (right - place) / (right - centre)
    return filters


def efficientat_log_mel(samples):
    """EfficientAT's front end, in evaluation, from its description; float64 throughout."""
    samples = samples.astype(np.float64)
    samples = samples[1:] - 0.97 * samples[:-1]
    n = np.arange(800)
    window = np.zeros(1024)
    window[112:912] = 0.5 - 0.5 * np.cos(2 * np.pi * n / 799)
    padded = np.pad(samples, 512, mode="reflect")
    starts = range(0, len(padded) - 1023, 320)
    spectra = np.array([np.fft.rfft(padded[start : start + 1024] * window) for start in starts])
    filters = kaldi_filters(n_mels=128, n_fft=1024, rate=32_000, high=15_000)
    return (np.log(filters @ (np.abs(spectra) ** 2).T + 1e-5) + 4.5) / 5


def test_efficientat_s_features_equal_their_definition():
    samples = music(32_000)
    theirs = efficientat_log_mel(samples)
    ours = log_mel(samples, settings=PRESETS["efficientat"])
    assert ours.shape == theirs.shape == (128, 500)  # of 160,000 samples, one less emphasised
    np.testing.assert_allclose(ours, theirs, atol=2e-5)  # float32 under a logarithm, -1.4 to 2


def chords(rate: int) -> np.ndarray:
    """Tones from 60 Hz to 9 kHz that swell and fade, 4 s: the same sound at any rate."""
    time = np.arange(4 * rate) / rate
    frequencies = np.geomspace(60, 9000, 40)
    swell = 1 + np.sin(2 * np.pi * np.outer(np.linspace(0.5, 3, 40), time))
    return (0.02 * swell * np.sin(2 * np.pi * np.outer(frequencies, time))).sum(0).astype("f4")


def test_a_lower_rate_gives_the_values_of_the_rate_that_it_stands_for():
    theirs = PRESETS["efficientat"]
    edge = 700 * ((1 + 15_000 / 700) ** (119 / 129) - 1)  # of mel 118 of 128, Hz
    ours = dataclasses.replace(
        theirs, rate=25_000, n_fft=800, hop=250, hann_samples=625, n_mels=118, f_max=edge,
        like_rate=32_000,
    )  # fmt: skip
    expected = log_mel(chords(32_000), settings=theirs)[:118]
    result = log_mel(chords(25_000), settings=ours)
    assert result.shape == expected.shape == (118, 400)
    # in fifths of a nat; at the ends the signals are reflected about other samples
    difference = np.abs(result - expected)[:, 2:-2]
    assert difference.mean() < 2e-3
    assert difference.max() < 0.2
    at_own = log_mel(chords(25_000), settings=dataclasses.replace(ours, like_rate=None))
    assert np.abs(at_own - expected)[:, 2:-2].mean() > 1e-2


def test_the_shipped_model_s_features_are_mn04_s_lower_mels_on_a_slower_clock():
    theirs = PRESETS["efficientat"]
    ours = dataclasses.replace(PRESETS["efficientat-level"], level=None)
    assert ours.n_frames == theirs.n_frames
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * 48_000).astype(np.float32)
    fast, slow = (resample(noise, rate=48_000, target_rate=s.rate) for s in (theirs, ours))
    expected, result = log_mel(fast, settings=theirs)[:112], log_mel(slow, settings=ours)
    # fewer bins share the lowest mels otherwise; some of 128 have none at either rate
    assert np.abs(result.mean(1) - expected.mean(1))[40:].max() < 0.06


def test_the_kaldi_filter_bank_equals_its_definition():
    settings = PRESETS["efficientat"]
    theirs = kaldi_filters(n_mels=128, n_fft=1024, rate=32_000, high=15_000)
    np.testing.assert_allclose(mel_filters(settings), theirs, atol=1e-6)


def test_clips_of_10_s_and_3_s_pieces_are_cut_out_of_29_s():
    assert PRESETS["efficientat"].n_frames == 2900
    assert PRESETS["musicnn"].n_frames == PRESETS["won2020"].n_frames == 1813


@pytest.mark.parametrize("name", ["choi2016", "cs2470", "hop341"])
def test_one_window_is_1366_frames(name):
    settings = SETTINGS[name]
    assert settings.n_frames == 1366
    assert log_mel(np.ones(settings.window_samples), settings=settings).shape == (96, 1366)
    assert settings.seconds == pytest.approx(29.1, abs=0.03)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("block", [1, 2, 5])
def test_the_frames_are_those_of_all_samples_at_once_in_blocks_of_any_size(
    monkeypatch, name, block
):
    monkeypatch.setattr(features, "_BLOCK", block)
    settings = PRESETS[name]
    hop, share = settings.hop, np.float32(settings.pre_emphasis)
    for n_samples in (2, 257, 513, 514, 1025, 4 * hop, 6 * hop + 1, 8 * hop - 1):
        samples = music(settings.rate, 0.25)[:n_samples]
        mean = samples.mean()
        whole = samples - mean
        whole = whole[1:] - share * whole[:-1] if share else whole
        padded = np.pad(whole, settings.n_fft // 2, mode=settings.padding)
        expected = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[::hop]
        blocks = list(features._frames(samples, settings, mean=mean))
        assert len(blocks) == -(-len(expected) // block)
        np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_the_published_arrays_come_out_of_the_published_clips(shared):
    """To a fraction of a decibel, once the encoder's delay is off, which their decoder left in."""
    from earmark.audio import load_audio
    from earmark.windows import centre_crop

    settings = PRESETS["choi2016"]
    for name in ("bensound-cute", "bensound-dubstep"):
        theirs = np.load(shared / "published" / f"{name}.npy")[0, 0]
        samples = load_audio(shared / "published" / f"{name}.mp3", rate=settings.rate).samples
        differences = []
        for delay in range(-300, 301, 20):  # samples
            delayed = np.roll(samples, delay)
            ours = log_mel(centre_crop(delayed, settings=settings), settings=settings)
            differences.append(np.abs(ours - theirs).mean())
        assert min(differences) < 0.2


@pytest.mark.parametrize("name", PRESETS)
def test_silence_is_the_floor_everywhere(name):
    settings = PRESETS[name]
    result = log_mel(np.zeros(4000), settings=settings)
    assert np.unique(result).size == 1
    assert result[0, 0] == pytest.approx(settings.silence, rel=1e-5, abs=1e-6)
    silent = {"choi2016": -100, "musicnn": 0, "efficientat": -1.402585}
    if name in silent:
        assert settings.silence == pytest.approx(silent[name], abs=1e-6)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("n_samples", [1, 10, 257])
def test_a_clip_of_a_few_samples_has_a_spectrogram(name, n_samples):
    samples = np.linspace(-1, 1, n_samples)
    result = log_mel(samples, settings=PRESETS[name])
    assert result.shape == (PRESETS[name].n_mels, 1 + n_samples // PRESETS[name].hop)
    assert np.isfinite(result).all()


def test_a_spectrogram_is_written_where_it_is_wanted():
    settings, samples = PRESETS["won2020"], music(16_000, 1.0)
    two = np.zeros((2, settings.n_mels, settings.frames_of(samples.size)), dtype=np.float32)
    log_mel(samples, settings=settings, out=two[1])
    np.testing.assert_array_equal(two[1], log_mel(samples, settings=settings))
    assert not two[0].any()
    with pytest.raises(BadValue, match=r"out has the shape \(2, 96, 63\)"):
        log_mel(samples, settings=settings, out=two)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(bad):
    samples = np.zeros(4000)
    samples[17] = bad
    with pytest.raises(BadValue, match="not finite"):
        log_mel(samples, settings=PRESETS["choi2016"])


@pytest.mark.parametrize("shape", [(0,), (2, 1000), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(BadValue, match="mono"):
        log_mel(np.zeros(shape), settings=PRESETS["choi2016"])


@given(st.floats(0.01, 10))
@hypothesis_settings(max_examples=20, deadline=None)
def test_gain_moves_every_value_above_the_floor_by_the_same_decibels(gain):
    settings = dataclasses.replace(SETTINGS["hop341"], top_db=None)
    samples = music(settings.rate, 1.0)
    quiet, loud = (log_mel(g * samples, settings=settings) for g in (1.0, gain))
    heard = quiet > quiet.max() - 40
    assert (loud - quiet)[heard] == pytest.approx(20 * np.log10(gain), abs=2e-3)


def test_settings_survive_json_and_refuse_what_they_do_not_know():
    settings = PRESETS["won2020"]
    assert LogMel.from_dict(settings.to_dict()) == settings
    with pytest.raises(FeatureMismatch, match="window_shape"):
        LogMel.from_dict(settings.to_dict() | {"window_shape": "kaiser"})
    with pytest.raises(FeatureMismatch, match="hop"):
        LogMel.from_dict({k: v for k, v in settings.to_dict().items() if k != "hop"})


@pytest.mark.parametrize("name", DECIBELS)
def test_settings_of_old_are_written_as_ever_and_an_earlier_earmark_reads_them(name):
    written = SETTINGS[name].to_dict()
    assert list(written) == [
        "name", "rate", "n_fft", "hop", "n_mels", "f_min", "f_max", "mel_scale", "mel_norm",
        "padding", "decibels", "amin", "top_db", "window_samples", "short",
    ]  # fmt: skip
    assert LogMel.from_dict(written) == SETTINGS[name]


@pytest.mark.parametrize("name", ["musicnn", "efficientat"])
def test_later_settings_travel_where_they_are_used(name):
    written = PRESETS[name].to_dict()
    assert {"floor", "offset"} <= written.keys()
    assert LogMel.from_dict(written) == PRESETS[name]
    del written["offset"]
    with pytest.raises(FeatureMismatch, match=r"offset 0.0 instead of"):
        PRESETS[name].require(LogMel.from_dict(written), what="the store")


def test_other_features_are_refused_by_name_and_number():
    with pytest.raises(
        FeatureMismatch, match=r"the store has other features.*decibels 40.0 instead of 20.0"
    ):
        PRESETS["choi2016"].require(PRESETS["cs2470"], what="the store")
    PRESETS["choi2016"].require(
        dataclasses.replace(PRESETS["choi2016"], name="x"), what="the store"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 0},
        {"f_max": 7000.0},
        {"padding": "wrap"},
        {"f_min": 6000.0},
        {"mel_scale": "bark"},
        {"hann": "flat"},
        {"floor": "soft"},
        {"pre_emphasis": 1.0},
        {"hann_samples": 513},
        {"hann_samples": 1},
        {"like_rate": 11_025},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(BadValue, match=next(iter(wrong))):
        dataclasses.replace(PRESETS["choi2016"], **wrong)


def test_an_unknown_preset_is_answered_with_the_names_there_are():
    with pytest.raises(BadValue, match=r"choi2016, .*, efficientat, efficientat-level$"):
        preset("mel")
