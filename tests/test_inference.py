"""Which windows the options choose, and that the network hears just those samples."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from audio_files import tone, write_audio

from earmark.audio import load_audio
from earmark.errors import BadValue
from earmark.features import log_mel
from earmark.inference import Options, hear, listen, model_of_worker
from earmark.runtime import Model
from earmark.windows import Window

RATE = 12_000
SIZE = 349_440  # samples of a window


class Recorder:
    """A loaded model that keeps the spectrograms which it is asked about."""

    def __init__(self, model):
        self.path, self.runtime, self.card = model.path, model.runtime, model.card
        self.model, self.log_mels = model, []

    def run(self, log_mels):
        self.log_mels.extend(log_mels)
        return self.model.run(log_mels)


@pytest.fixture
def recorder(model):
    return Recorder(Model(model, threads=1))


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """A hundred seconds that rise in pitch and grow louder, at the model's rate."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    loud = np.linspace(0.1, 0.9, 100 * RATE, dtype=np.float32)
    write_audio(path, tone(220, seconds=100, rate=RATE) * loud, codec="pcm_s16le", rate=RATE)
    return path


def quarter_second_stretches(n):
    return [(start, 3000) for start in range(0, n - 3000 + 1, 1500)]


@pytest.mark.parametrize(
    ("options", "expected"),  # (start, samples of the track) of each window
    [
        (Options(), [(0, SIZE), (SIZE, SIZE), (2 * SIZE, SIZE), (1_200_000 - SIZE, SIZE)]),
        (Options(max_seconds=30), [(0, SIZE), (360_000 - SIZE, SIZE)]),
        (Options(max_seconds=1), [(0, RATE)]),
        (Options(center=True), [((1_200_000 - SIZE) // 2, SIZE)]),
        (Options(center=True, max_seconds=40), [((480_000 - SIZE) // 2, SIZE)]),
        (Options(spread=2), [(300_000 - SIZE // 2, SIZE), (900_000 - SIZE // 2, SIZE)]),
        (Options(stretch_seconds=0.25, hop_seconds=0.125, max_seconds=2),
         quarter_second_stretches(24_000)),
        (Options(stretch_seconds=5, max_seconds=2), [(0, 24_000)]),
    ],
)  # fmt: skip
def test_the_network_hears_the_chosen_samples_to_the_bit(recorder, song, options, expected):
    heard = hear(recorder, song, options=options)
    assert list(zip(heard.starts.tolist(), heard.lengths.tolist(), strict=True)) == expected
    features, track = recorder.card.features, load_audio(song, rate=RATE).samples
    for log_mels, (start, n) in zip(recorder.log_mels, expected, strict=True):
        fill = (
            np.resize if options.stretch_seconds else lambda x, size: np.pad(x, (0, size - len(x)))
        )
        clip = fill(track[start : start + n], SIZE)
        np.testing.assert_array_equal(log_mels, log_mel(clip, settings=features))
    logits, embeddings = recorder.model.run(np.stack(recorder.log_mels))
    np.testing.assert_array_equal(heard.logits, logits)
    np.testing.assert_array_equal(heard.embeddings, embeddings)
    covered = options.max_seconds or (2 * SIZE / RATE if options.spread else 100)
    assert heard.seconds == pytest.approx(covered)


def test_samples_are_heard_as_their_file_is(recorder, song):
    track = load_audio(song, rate=RATE)
    for options in (Options(max_seconds=30), Options(center=True), Options(hop_seconds=20)):
        of_file = hear(recorder, song, options=options)
        of_samples = hear(recorder, track.samples, rate=RATE, options=options)
        np.testing.assert_allclose(of_samples.logits, of_file.logits, atol=1e-3)
        assert of_samples.starts.tolist() == of_file.starts.tolist()
        assert of_samples.seconds == pytest.approx(of_file.seconds)


def test_a_spread_over_a_track_that_is_too_short_hears_all_of_it(recorder, song):
    whole, spread = (
        hear(recorder, song, options=options) for options in (Options(), Options(spread=4))
    )
    np.testing.assert_array_equal(spread.logits, whole.logits)
    assert (spread.seconds, spread.peak, spread.unrest) == (whole.seconds, whole.peak, whole.unrest)


@pytest.mark.parametrize(
    "fields",
    [
        {"center": True, "spread": 3},
        {"center": True, "hop_seconds": 5},
        {"center": True, "stretch_seconds": 5},
        {"spread": 3, "hop_seconds": 5},
        {"spread": 3, "stretch_seconds": 5},
        {"spread": 3, "max_seconds": 60},
    ],
)
def test_options_that_contradict_each_other_are_refused(fields):
    with pytest.raises(BadValue, match=f"{' and '.join(fields)} contradict each other"):
        Options(**fields)
    for name, value in fields.items():
        Options(**{name: value})  # each alone is good


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(hop_seconds=30), "leaves gaps"),
        (Options(stretch_seconds=2, hop_seconds=3), "leaves gaps"),
        (Options(stretch_seconds=30), "longer than a window"),
        (Options(spread=3), "spread seeks in a file, and these are samples"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(recorder, options, message):
    with pytest.raises(BadValue, match=message):
        hear(recorder, np.zeros(40 * RATE, dtype=np.float32), rate=RATE, options=options)
    assert recorder.log_mels == []


def test_listening_takes_any_windows(recorder):
    clips = np.random.default_rng(0).normal(0, 0.1, (5, SIZE)).astype(np.float32)
    answers = listen(recorder, (Window(7 * n, clip, SIZE) for n, clip in enumerate(clips)))
    assert answers.starts.tolist() == [0, 7, 14, 21, 28]
    to_mel = partial(log_mel, settings=recorder.card.features)
    expected, _ = recorder.model.run(np.stack([to_mel(clip) for clip in clips]))
    np.testing.assert_array_equal(answers.logits, expected)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0, np.float32), RATE, "no samples to listen to"),
        (np.zeros(9, np.float32), None, "without their rate"),
        (np.zeros(1, np.float32), 192_000, "shorter than one sample"),
    ],
)
def test_samples_that_cannot_be_heard_are_refused(recorder, samples, rate, message):
    with pytest.raises(BadValue, match=message):
        hear(recorder, samples, rate=rate)
    with pytest.raises(BadValue, match=message):
        hear(recorder, samples, rate=rate, options=Options(center=True))


@pytest.mark.parametrize("name", ["hop_seconds", "stretch_seconds", "max_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_lengths_that_are_none_are_refused(name, value):
    with pytest.raises(BadValue, match=f"{name} is {value}; it must be a number above zero"):
        Options(**{name: value})


def test_a_worker_loads_its_model_once(model):
    assert model_of_worker(model, "onnxruntime") is model_of_worker(model, "onnxruntime")
