"""What callers give to be heard: each kind gives the same samples; all else is refused."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from audio_files import tone, write_audio

from earmark.audio import load_audio
from earmark.audio.given import file_or_samples, mono
from earmark.errors import BadValue, UnreadableAudio
from earmark.signal_check import doubts

RATE = 8_000


def sine():
    return tone(440, seconds=0.25, rate=RATE)[0]


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.flac"
    return write_audio(path, tone(440, seconds=1, rate=RATE), codec="flac", rate=RATE)


@pytest.mark.parametrize(
    ("dtype", "full_scale", "silence"),
    [("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 2**7, 2**7), ("float64", 1, 0)],
)
def test_each_type_of_numbers_has_its_own_full_scale(dtype, full_scale, silence):
    given = sine().astype(np.float64) * full_scale
    samples = mono((given + silence).astype(dtype), rate=RATE)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, sine(), atol=1e-7 if dtype == "float64" else 1 / full_scale)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n_channels", [2, 6])
def test_channels_are_the_shorter_side_and_are_mixed_as_those_of_a_file(axis, n_channels, tmp_path):
    generator = np.random.default_rng(0)
    channels = generator.normal(0, 0.1, (n_channels, RATE)).astype(np.float32)
    channels[1, RATE // 2 :] = -channels[0, RATE // 2 :]  # in antiphase from the middle on
    path = write_audio(tmp_path / "channels.wav", channels, codec="pcm_f32le", rate=RATE)
    expected = load_audio(path, rate=RATE).samples
    np.testing.assert_allclose(mono(np.moveaxis(channels, 0, axis), rate=RATE), expected, atol=1e-6)
    alone = np.moveaxis(channels[:1], 0, axis)
    np.testing.assert_array_equal(mono(alone, rate=RATE), channels[0])


def test_tensors_and_lists_are_arrays_too():
    learning = torch.from_numpy(sine()).requires_grad_()
    np.testing.assert_array_equal(mono(learning, rate=RATE), sine())
    np.testing.assert_array_equal(mono(learning[None].half().double(), rate=RATE).shape, (2000,))
    np.testing.assert_allclose(mono([0.0, 0.5, -0.5], rate=RATE), [0, 0.5, -0.5])


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "BytesIO", "open file"])
def test_bytes_and_open_files_hold_what_their_file_holds(kind, song, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = song.read_bytes()
    expected = load_audio(song, rate=RATE).samples
    with song.open("rb") as file:
        given = {
            "bytes": data, "bytearray": bytearray(data), "memoryview": memoryview(data),
            "BytesIO": io.BytesIO(data), "open file": file,
        }[kind]  # fmt: skip
        with file_or_samples(given, rate=None) as path:
            assert isinstance(path, Path)
            np.testing.assert_array_equal(load_audio(path, rate=RATE).samples, expected)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_an_error_names_what_was_given_and_not_our_temporary_file(tmp_path):
    with (
        pytest.raises(UnreadableAudio, match=r"cannot read the given bytes: FFmpeg finds"),
        file_or_samples(b"words " * 100, rate=None) as path,
    ):
        load_audio(path, rate=RATE)
    named = tmp_path / "song.mp3"
    named.write_bytes(b"words " * 100)
    with (
        named.open("rb") as file,
        pytest.raises(UnreadableAudio, match=r"the open file \S+song\.mp3: FFmpeg finds"),
        file_or_samples(file, rate=None) as path,
    ):
        load_audio(path, rate=RATE)


@pytest.mark.parametrize(
    ("source", "rate", "words"),
    [
        (None, None, "a NoneType cannot be heard: give the path of a file, its bytes"),
        (3.0, RATE, "a float cannot be heard"),
        (["a.mp3", "b.mp3"], None, "For a list of files call tag_files"),
        ((np.zeros(3), RATE), None, "a tuple is no array of samples"),
        (np.zeros(9), None, "without their rate"),
        (np.zeros(9), 0.5, "rate is 0.5"),
        (np.zeros((9, 2)), 8000.0, "rate is 8000.0"),
        (np.zeros(0), RATE, "no samples"),
        (np.zeros((2, 3, 4)), RATE, r"shape \(2, 3, 4\) are not clear"),
        (np.zeros((80, 90)), RATE, "at most 64 channels"),
        (np.zeros((2, 2)), RATE, r"shape \(2, 2\) are not clear"),
        (np.zeros(9, dtype=np.int64), RATE, "full scale of int64 samples is not known"),
        (np.zeros(9, dtype=np.complex64), RATE, "full scale of complex64"),
        (torch.zeros(9, dtype=torch.bfloat16), RATE, "a Tensor is no array"),
        (b"RIFF", RATE, "a file states its own rate"),
        ("song.mp3", RATE, "a file states its own rate"),
        (io.StringIO("words"), None, "the open file gives text"),
        (np.full(9, -1e30), RATE, r"reach 1e\+30, and full scale is 1: divide them by theirs"),
    ],
)
def test_what_cannot_be_heard_is_refused_and_the_message_says_what_to_give(source, rate, words):
    with pytest.raises(BadValue, match=words), file_or_samples(source, rate=rate):
        pass


def test_an_open_file_that_cannot_be_read_as_bytes_is_refused(song, tmp_path):
    with (
        song.open(encoding="utf-8") as text,
        pytest.raises(BadValue, match=r"song\.flac gives text: open it with open\(path, 'rb'\)"),
        file_or_samples(text, rate=None),
    ):
        pass
    with (tmp_path / "new.wav").open("wb") as only_written:
        pass
    with pytest.raises(BadValue, match=r"cannot be read .* give the path of a file"):
        file_or_samples(only_written, rate=None).__enter__()


def test_an_open_file_that_was_read_to_its_end_says_so():
    file = io.BytesIO(b"RIFF")
    file.seek(0, os.SEEK_END)
    with (
        pytest.raises(UnreadableAudio, match=r"no bytes from its position on. Call seek\(0\)"),
        file_or_samples(file, rate=None),
    ):
        pass


def test_samples_far_beyond_full_scale_are_doubted_and_no_others():
    sounding = {"unrest": 5.0, "sound": "music"}
    assert doubts(peak=2.0, **sounding) == ()
    (doubt,) = doubts(peak=20_000.0, **sounding)
    assert doubt.kind == "scale"
    assert "reach 20000, and full scale is 1" in doubt.message
    both = doubts(peak=20_000.0, unrest=5.0, sound="speech")
    assert [one.kind for one in both] == ["scale", "speech"]
