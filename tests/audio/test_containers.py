"""Each pair of codec and container that FFmpeg writes and decodes, heard as FFmpeg decodes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from audio_files import music, write_audio

from earmark.audio import load_audio, probe
from earmark.audio.packet_hash import audio_hash

SECONDS = 3

# codec -> what write_audio gets besides, and the containers that take it
PAIRS: dict[str, tuple[dict[str, Any], str]] = {
    "aac": ({}, "3gp adts asf avi f4v flv ipod ismv latm matroska mov mp4 mpegts nut"),
    "ac3": ({"encoded_rate": 48_000}, "ac3 avi matroska mov mp4 mpeg mpegts rm w64 wav"),
    "eac3": ({"encoded_rate": 48_000}, "avi eac3 matroska mov mp4 mpegts wav"),
    "alac": ({}, "caf ipod matroska mov mp4"),
    "flac": ({}, "asf avi caf flac matroska mp4 ogg w64 wav wtv"),
    "mp2": ({"encoded_rate": 48_000}, "asf avi matroska mp2 mpeg mpegts wav"),
    "libmp3lame": ({}, "asf avi caf flv matroska mov mp3 mp4 mpegts nut wav wtv"),
    "libopus": ({"encoded_rate": 48_000}, "matroska mp4 mpegts ogg opus webm"),
    "vorbis": ({"codec_options": {"strict": "-2"}}, "avi matroska ogg webm"),
    "wavpack": ({}, "matroska wv"),
    "tta": ({}, "matroska tta"),
    "wmav2": ({"bit_rate": 128_000}, "asf avi wav"),
    "adpcm_ms": ({}, "avi wav"),
    "adpcm_ima_qt": ({}, "aiff mov"),
    "g722": ({"encoded_rate": 16_000}, "asf avi g722 w64 wav"),
    "libopencore_amrnb": ({"encoded_rate": 8_000}, "3gp amr avi mov"),
    "pcm_s16le": ({}, "asf avi caf matroska mov nut w64 wav"),
    "pcm_s16be": ({}, "aiff au caf mov"),
    "pcm_f32le": ({}, "caf matroska mov wav"),
    "pcm_mulaw": ({}, "au avi caf mov wav"),
    "sbc": ({}, "sbc"),
    "aptx": ({}, "aptx"),
}
ONE_CHANNEL = ("g722", "libopencore_amrnb")


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return music(SECONDS, seed=2)


def seconds_by_ffmpeg(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize("codec", PAIRS)
def test_what_ffmpeg_decodes_is_heard_whole_whatever_the_container(tmp_path, song, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg does not write {codec}")
    options, containers = PAIRS[codec]
    samples = song[:1] if codec in ONE_CHANNEL else song
    for container in containers.split():
        path = write_audio(
            tmp_path / f"song.{container}", samples, codec=codec, container=container,
            **options,
        )  # fmt: skip
        heard = load_audio(path, rate=12_000)
        assert heard.seconds == pytest.approx(seconds_by_ffmpeg(path), abs=0.1), container
        assert heard.seconds == pytest.approx(SECONDS, abs=0.3), container
        assert heard.cut_short is None, container
        assert np.abs(heard.samples).max() > 0.01, container
        assert probe(path).codec
        assert len(audio_hash(path)) == 32


def test_a_late_part_of_an_avi_is_the_part_that_was_asked_for(tmp_path, song):
    path = write_audio(tmp_path / "song.avi", np.tile(song, 8), codec="eac3", encoded_rate=48_000)
    whole = load_audio(path, rate=12_000).samples
    part = load_audio(path, rate=12_000, start=10, seconds=2).samples
    assert np.allclose(part, whole[120_000:144_000], atol=1e-4)
