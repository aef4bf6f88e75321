"""Silence and noise are named as such; music is not, however it sounds."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from audio_files import music, tone

from earmark import Tagger
from earmark.audio import load_audio
from earmark.signal_check import STEADY, Doubt, Level, doubts, headline

RATE = 12_000


def noise(slope, *, seconds=30.0):
    """White (0), pink (1) or brown (2) noise at full scale."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=round(seconds * RATE)))
    spectrum /= np.maximum(np.arange(spectrum.size), 1) ** (slope / 2)
    samples = np.fft.irfft(spectrum)
    return (samples / np.abs(samples).max()).astype(np.float32)


def kinds(tagger, samples):
    return [doubt.kind for doubt in tagger.tag(samples, rate=RATE).warnings]


def said(tagger, samples):
    return tagger.tag(samples, rate=RATE).headline


@pytest.mark.parametrize("level", [0.0, 1 / 32_768, 9e-4])
def test_what_nobody_can_hear_is_silent(tagger, level):
    assert kinds(tagger, level * noise(1)) == ["silent"]
    assert kinds(tagger, level * music(3)[0, ::4]) == ["silent"]


@pytest.mark.parametrize(
    "samples",
    [noise(0), noise(1), noise(2), 0.01 * noise(1), tone(440, seconds=30, rate=RATE)[0]],
    ids=["white", "pink", "brown", "quiet", "tone"],
)
def test_noise_and_tones_sound_the_same_throughout(tagger, samples):
    assert kinds(tagger, samples) == ["steady"]


@pytest.mark.parametrize("seconds", [0.001, 3, 20, 70])
def test_music_is_not_doubted(tagger, seconds):
    assert kinds(tagger, music(seconds)[0, ::4]) == []


def test_a_noise_too_short_to_judge_is_not_judged(tagger):
    assert kinds(tagger, noise(0, seconds=5)) == []


def test_silence_and_noise_have_a_headline_and_music_has_none(tagger):
    assert said(tagger, np.zeros(RATE, dtype=np.float32)) == "This is silence"
    assert said(tagger, noise(1)) == "This sounds like noise or hum"
    assert said(tagger, music(3)[0, ::4]) is None
    assert headline(None) is None  # what was not judged is not doubted
    assert headline([Doubt("brief", "it is brief")]) is None  # nor is all that has a warning


def test_a_line_names_the_doubts_and_has_no_empty_list(tagger):
    line = tagger.tag(np.zeros(RATE, dtype=np.float32), rate=RATE).as_json()
    assert line["warnings"] == [
        {"kind": "silent", "message": "it is silent: its tags mean nothing"}
    ]
    assert "warnings" not in tagger.tag(music(3)[0, ::4], rate=RATE).as_json()


def test_no_real_clip_is_doubted_even_turned_down(shared):
    for path in sorted((shared / "q4" / "audio").iterdir())[::9]:
        samples = load_audio(path, rate=RATE).samples
        for decibels in (0, -24, -40):
            level = Level(RATE)
            level.add(np.float32(10 ** (decibels / 20)) * samples)
            assert level.unrest is not None
            assert level.unrest > 3 * STEADY, path.name
            assert doubts(peak=level.peak, unrest=level.unrest) == (), path.name


@pytest.mark.parametrize("channels", [(1, -1), (1, -1, 0, 0, 0, 0)], ids=["stereo", "5.1"])
def test_music_in_antiphase_is_not_silent(tagger, tmp_path, channels):
    song = music(20)[0]
    path = tmp_path / "opposed.wav"
    soundfile.write(path, song[:, None] * np.array(channels), 44_100, format="WAVEX")
    assert tagger.tag(path).warnings == ()


def test_silence_in_antiphase_is_silent_and_noise_is_noise(tagger, tmp_path):
    for level, kind in ((1e-4, "silent"), (0.5, "steady")):
        samples = level * noise(1)[:, None] * np.array([1, -1])
        soundfile.write(tmp_path / "opposed.wav", samples, RATE, subtype="FLOAT")
        assert [doubt.kind for doubt in tagger.tag(tmp_path / "opposed.wav").warnings] == [kind]


@pytest.fixture(scope="module")
def shipped():
    tagger = Tagger.load()
    if "speech" not in tagger.tags:
        pytest.skip("the shipped model has no words for what is not music")
    return tagger


@pytest.mark.parametrize("voice", ["en", "de", "fr+f3", "cmn"])
def test_the_shipped_model_calls_speech_speech(shipped, tmp_path, voice):
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        pytest.skip("no espeak-ng here: apt install espeak-ng")
    words = "One two three four five six seven eight nine ten. 11 12 13 14 15 16 17 18 19. " * 2
    subprocess.run([speaker, "-v", voice, "-w", tmp_path / "a.wav", words], check=True, timeout=60)
    heard = shipped.tag(tmp_path / "a.wav")
    assert (heard.kind, heard.headline, heard.first_genre) == ("speech", "This is speech", None)


def test_the_shipped_model_calls_music_music(shipped, shared):
    files = sorted((shared / "songs" / "audio").iterdir())[::150]
    assert len(files) > 5
    assert {path.name: shipped.tag(path).kind for path in files} == dict.fromkeys(
        (path.name for path in files), "music"
    )
