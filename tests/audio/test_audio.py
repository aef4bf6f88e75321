"""Any file to mono samples: formats, channels, rates, levels, parts, blocks, memory."""

from __future__ import annotations

import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import audio_files
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.audio import AUDIO_SUFFIXES, decoding, load_audio, probe, resample, stream_audio
from earmark.errors import BadValue, EarmarkError

RATE = 12_000  # Hz, what the published models hear
# Formats that do not say how long the encoder's delay is, or say so wrongly.
DELAYED = {"bare.mp3", "raw.aac", "v2.wma"}
EXACT = audio_files.FORMATS.keys() - audio_files.MILLISECOND_CLOCKS  # to a sample, in time


@pytest.fixture(scope="module")
def song():
    return audio_files.music(8, seed=3)


@pytest.fixture(scope="module")
def songs(song, tmp_path_factory):
    """One song in every format."""
    folder = tmp_path_factory.mktemp("songs")
    return {name: audio_files.write_format(folder, name, song) for name in audio_files.FORMATS}


def peak_hz(samples, rate=RATE):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return spectrum.argmax() * rate / samples.size


def amplitude(samples):
    """Of a sine; its ends are left out, for filters and codecs ring there."""
    middle = samples[samples.size // 4 : -samples.size // 4]
    return float(np.sqrt(2 * np.mean(middle**2)))


def misfit(samples, expected, *, lag):
    """RMS of the difference in parts of the expected RMS, inside both, `lag` samples apart."""
    n = min(samples.size, expected.size) - 2000
    difference = samples[1000 + lag : n + lag] - expected[1000:n]
    return np.sqrt(np.mean(difference**2) / np.mean(expected[1000:n] ** 2))


def test_audio_suffixes_are_lower_case_and_hold_the_usual_ones():
    assert {".mp3", ".m4a", ".flac", ".ogg", ".opus", ".wav", ".aiff", ".wma"} <= AUDIO_SUFFIXES
    assert all(s.startswith(".") and s == s.lower() for s in AUDIO_SUFFIXES)


# Formats, channels, rates, levels


@pytest.mark.parametrize("name", audio_files.FORMATS)
def test_every_format_decodes_to_the_song_it_holds(songs, song, name):
    audio = load_audio(songs[name], rate=RATE)
    expected = resample(song.mean(axis=0), rate=44_100, target_rate=RATE)
    assert audio.samples.dtype == np.float32
    assert audio.damaged_packets == 0
    assert not audio.is_cut
    assert audio.seconds == pytest.approx(8.0, abs=0.05)
    lags = range(-800, 800) if name in DELAYED else [0]
    error = min(misfit(audio.samples, expected, lag=lag) for lag in lags)
    assert error < (1e-4 if name in audio_files.LOSSLESS else 0.2)


@pytest.mark.parametrize("name", sorted(audio_files.LOSSLESS | {"cbr.mp3", "plain.opus"}))
def test_formats_that_count_their_padding_are_cut_to_the_sample(songs, name):
    assert load_audio(songs[name], rate=44_100).samples.size == 8 * 44_100


@pytest.mark.parametrize("name", audio_files.FORMATS)
def test_probe_tells_what_a_file_holds(songs, name):
    info = probe(songs[name])
    assert info.rate == audio_files.FORMATS[name].get("encoded_rate", 44_100)
    assert info.channels == 2
    # a raw stream has no header that says how long it is, only a bit rate
    assert info.duration == pytest.approx(8.0, rel=0.1 if name == "raw.aac" else 0.01)
    codecs = {"mp3", "aac", "alac", "flac", "vorbis", "opus", "wmav2", "wavpack"}
    assert info.codec in codecs or info.codec.startswith("pcm_")


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "wavpack", "aac"])
@pytest.mark.parametrize(
    ("channels", "layout"),
    [(1, "mono"), (2, "stereo"), (6, "5.1"), (8, "7.1"), (16, "hexadecagonal")],
)
def test_channels_are_averaged(tmp_path, codec, channels, layout):
    # wavpack and aac decode to planes, of which PyAV's own reader loses count from the eighth on
    samples = np.zeros((channels, 44_100), dtype=np.float32)
    samples[0] = audio_files.tone(1000, level=0.8)[0]
    suffix = {"wavpack": ".wv", "aac": ".m4a"}.get(codec, ".wav")
    path = audio_files.write_audio(
        tmp_path / f"tone{suffix}", samples, codec=codec, layout=layout, bit_rate=64_000 * channels
    )
    assert probe(path).channels == channels
    heard = load_audio(path, rate=RATE).samples
    assert peak_hz(heard) == pytest.approx(1000, abs=2)
    assert amplitude(heard) == pytest.approx(0.8 / channels, rel=0.02)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("target_rate", [12_000, 16_000, 44_100])
def test_a_tone_keeps_its_pitch_and_level_at_every_rate(tmp_path, rate, target_rate):
    tone = audio_files.tone(1234, rate=rate)
    path = audio_files.write_audio(tmp_path / "t.flac", tone, codec="flac", rate=rate)
    audio = load_audio(path, rate=target_rate)
    assert audio.rate == target_rate
    assert audio.seconds == pytest.approx(1.0, abs=1e-4)
    assert peak_hz(audio.samples, target_rate) == pytest.approx(1234, abs=2)
    assert amplitude(audio.samples) == pytest.approx(0.5, rel=1e-4)


def test_what_lies_above_the_band_does_not_fold_back_into_it(tmp_path):
    # at 12 kHz a tone of 6.5 kHz would be heard at 5.5 kHz; FFmpeg's resampler leaves -13 dB of it
    tone = audio_files.tone(6500, rate=44_100, level=0.9)
    path = audio_files.write_audio(tmp_path / "high.wav", tone, codec="pcm_f32le")
    assert amplitude(load_audio(path, rate=RATE).samples) < 0.9 * 10 ** (-120 / 20)


@pytest.mark.parametrize(
    ("codec", "step"),
    [
        ("pcm_u8", 2**-7), ("pcm_s16le", 2**-15), ("pcm_s24le", 2**-23), ("pcm_s32le", 2**-24),
        ("pcm_f32le", 2**-24), ("pcm_f64le", 2**-24), ("pcm_s16be", 2**-15),
    ],
)  # fmt: skip
def test_every_way_to_store_numbers_has_its_full_scale_at_one(tmp_path, codec, step):
    ramp = np.linspace(-1, 1, 44_100, endpoint=False, dtype=np.float32)[None]
    suffix = ".aiff" if codec.endswith("be") else ".wav"
    path = audio_files.write_audio(tmp_path / f"ramp{suffix}", ramp, codec=codec)
    heard = load_audio(path, rate=44_100).samples
    assert np.abs(heard - ramp[0]).max() <= 2 * step


@pytest.mark.parametrize(
    ("file_format", "subtype"),
    [
        ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"),
        ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("AIFF", "PCM_24"), ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"), ("W64", "PCM_16"), ("CAF", "PCM_24"), ("AU", "FLOAT"),
    ],
)  # fmt: skip
def test_samples_are_those_that_libsndfile_reads(tmp_path, song, file_format, subtype):
    path = tmp_path / f"song.{file_format.lower()}"
    soundfile.write(path, song.T, 44_100, format=file_format, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    heard = load_audio(path, rate=44_100).samples
    assert np.abs(heard - expected.mean(axis=1)).max() < 1e-6


def test_a_title_in_an_old_encoding_does_not_matter(tmp_path):
    path = tmp_path / "old.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * RATE))
    title = b"LIST\x12\x00\x00\x00INFOINAM\x06\x00\x00\x00caf\xe9s\x00"
    path.write_bytes(path.read_bytes() + title)
    assert load_audio(path, rate=RATE).seconds == 1.0


# A change within the file


def test_rate_and_channels_may_change_within_an_mp3(tmp_path):
    parts = [(500, 44_100, 1), (900, 22_050, 2), (700, 32_000, 2)]
    joined = tmp_path / "joined.mp3"
    with joined.open("wb") as file:
        for hz, rate, channels in parts:
            tone = audio_files.tone(hz, seconds=3, rate=rate, channels=channels)
            one = audio_files.write_audio(
                tmp_path / "one.mp3", tone, codec="libmp3lame", rate=rate,
                options={"write_xing": "0", "id3v2_version": "0"},
            )  # fmt: skip
            file.write(one.read_bytes())
    heard = load_audio(joined, rate=RATE).samples
    assert heard.size / RATE == pytest.approx(9, abs=0.3)
    for k, (hz, _, _) in enumerate(parts):
        third = heard[round((3 * k + 0.5) * RATE) : round((3 * k + 2.5) * RATE)]
        assert peak_hz(third) == pytest.approx(hz, abs=2)
        assert amplitude(third) == pytest.approx(0.48, rel=0.05)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("second", [(48_000, 2), (24_000, 1)])
def test_an_ogg_chain_is_heard_to_its_end(tmp_path, subtype, second):
    chain = tmp_path / "radio.ogg"
    links = [(500, 48_000, 2), (900, *second), (700, 48_000, 2)]
    with chain.open("wb") as file:
        for hz, rate, channels in links:
            tone = audio_files.tone(hz, seconds=3, rate=rate, channels=channels)
            soundfile.write(tmp_path / "one.ogg", tone.T, rate, format="OGG", subtype=subtype)
            file.write((tmp_path / "one.ogg").read_bytes())
    whole = load_audio(chain, rate=RATE)
    assert whole.damaged_packets == 0
    assert whole.seconds == pytest.approx(9, abs=0.05)
    for k, (hz, _, _) in enumerate(links):
        third = whole.samples[round((3 * k + 0.5) * RATE) : round((3 * k + 2.5) * RATE)]
        assert peak_hz(third) == pytest.approx(hz, abs=2)
    part = load_audio(chain, rate=RATE, start=7.5, seconds=1)
    assert np.array_equal(part.samples, whole.samples[90_000:102_000])
    assert probe(chain).duration is None


# Parts


@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.parametrize(("start", "seconds"), [(0.0, 1.0), (1.234, 0.5), (5.4321, 1.7)])
def test_a_part_is_that_slice_of_the_whole(songs, name, start, seconds):
    whole = load_audio(songs[name], rate=RATE).samples
    part = load_audio(songs[name], rate=RATE, start=start, seconds=seconds).samples
    expected = whole[round(start * RATE) :][: round(seconds * RATE)]
    assert part.shape == expected.shape
    assert np.abs(part - expected).max() < 1e-5


@pytest.mark.parametrize("name", sorted(audio_files.MILLISECOND_CLOCKS))
def test_a_part_is_right_to_two_milliseconds_where_clocks_are_coarse(songs, name):
    whole = load_audio(songs[name], rate=RATE).samples
    part = load_audio(songs[name], rate=RATE, start=5.4321, seconds=1.7).samples
    errors = [
        np.abs(whole[round(5.4321 * RATE) + lag :][: part.size] - part).mean()
        for lag in range(-100, 101)
    ]
    assert min(errors) < 0.01
    assert abs(int(np.argmin(errors)) - 100) <= 0.002 * RATE


@settings(max_examples=25, deadline=None)
@given(
    start=st.floats(0, 9),
    seconds=st.none() | st.floats(1e-4, 9),
    rate=st.sampled_from([8_000, 12_000, 16_000, 44_100]),
)
def test_any_part_at_any_rate_is_that_slice_of_the_whole(songs, start, seconds, rate):
    path = songs["plain.flac"]
    whole = load_audio(path, rate=rate).samples
    part = load_audio(path, rate=rate, start=start, seconds=seconds).samples
    n = None if seconds is None else max(1, round(seconds * rate))
    expected = whole[round(start * rate) :][:n]
    assert part.shape == expected.shape
    assert np.allclose(part, expected, atol=1e-6)


def test_a_part_past_the_end_is_empty_and_one_across_the_end_is_short(songs):
    assert load_audio(songs["s16.wav"], rate=RATE, start=8.0).samples.size == 0
    assert load_audio(songs["cbr.mp3"], rate=RATE, start=500.0, seconds=5).samples.size == 0
    assert load_audio(songs["s16.wav"], rate=RATE, start=7.5, seconds=9).seconds == 0.5


@pytest.mark.parametrize("name", ["cbr.mp3", "aac.m4a", "plain.opus", "plain.flac"])
def test_a_late_part_is_reached_without_decoding_what_comes_before(
    tmp_path, song, monkeypatch, name
):
    path = audio_files.write_format(tmp_path, name, np.tile(song, 4))
    decoded = audio_files.seconds_decoded(monkeypatch, decoding)
    assert load_audio(path, rate=RATE, start=28, seconds=1).seconds == 1
    assert sum(decoded) < 10  # seconds, of 32


# Blocks


@pytest.mark.parametrize("block_seconds", [0.01, 1.0, 3.7, 100.0])
def test_the_blocks_of_a_stream_are_what_is_loaded_at_once(songs, block_seconds):
    blocks = list(stream_audio(songs["cbr.mp3"], rate=RATE, block_seconds=block_seconds))
    whole = load_audio(songs["cbr.mp3"], rate=RATE).samples
    assert {block.size for block in blocks[:-1]} <= {round(block_seconds * RATE)}
    assert 0 < blocks[-1].size <= round(block_seconds * RATE)
    assert np.array_equal(np.concatenate(blocks), whole)


def test_resampling_in_blocks_is_resampling_at_once(songs, song):
    heard = load_audio(songs["float.wav"], rate=RATE).samples
    at_once = resample(song.mean(axis=0), rate=44_100, target_rate=RATE)
    assert np.abs(heard - at_once).max() < 1e-7


def test_a_stream_can_be_listened_to_twice(songs):
    stream = stream_audio(songs["plain.flac"], rate=RATE, start=2, seconds=3)
    first, second = (np.concatenate(list(stream)) for _ in range(2))
    assert stream.rate == RATE
    assert stream.damaged_packets == 0
    assert np.array_equal(first, second)


def test_threads_decode_side_by_side(songs):
    names = list(audio_files.FORMATS) * 2
    alone = [load_audio(songs[name], rate=RATE, start=1, seconds=2).samples for name in names]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda n: load_audio(songs[n], rate=RATE, start=1, seconds=2).samples, names)
        )
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


_PEAK_OF_A_STREAM = """
import sys, psutil
from earmark.audio import load_audio, stream_audio
path, seconds = sys.argv[1], 0.0
load_audio(path, rate=12000, seconds=60)
before = peak = psutil.Process().memory_info().rss
for block in stream_audio(path, rate=12000):
    seconds += block.size / 12000
    peak = max(peak, psutil.Process().memory_info().rss)
print(seconds, (peak - before) / 2**20)
"""


def test_hours_are_streamed_in_the_memory_of_minutes(tmp_path):
    # mp3 frames in a row are an mp3: ninety minutes, 250 MB as samples
    minute = audio_files.write_audio(
        tmp_path / "minute.mp3", audio_files.tone(400, seconds=60, rate=8_000), rate=8_000,
        codec="libmp3lame", bit_rate=8_000, options={"write_xing": "0", "id3v2_version": "0"},
    )  # fmt: skip
    hours = tmp_path / "hours.mp3"
    hours.write_bytes(minute.read_bytes() * 90)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK_OF_A_STREAM, str(hours)],
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds > 1.5 * 3600
    assert megabytes < 40


# Settings


def test_a_cap_stops_decoding_and_says_so(songs):
    whole = load_audio(songs["plain.flac"], rate=RATE)
    capped = load_audio(songs["plain.flac"], rate=RATE, start=1, max_seconds=2.5)
    assert capped.is_cut
    assert capped.seconds == 2.5
    assert np.allclose(capped.samples, whole.samples[12_000:42_000], atol=1e-6)
    assert not load_audio(songs["plain.flac"], rate=RATE, max_seconds=8).is_cut
    assert not load_audio(songs["plain.flac"], rate=RATE, seconds=2, max_seconds=2).is_cut


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"rate": 12_000.5}, "rate"),
        ({"rate": RATE, "start": -1}, "start"),
        ({"rate": RATE, "start": float("nan")}, "start"),
        ({"rate": RATE, "start": float("inf")}, "start"),
        ({"rate": RATE, "start": 1e300}, "start"),
        ({"rate": RATE, "seconds": 0}, "seconds"),
        ({"rate": RATE, "seconds": float("nan")}, "seconds"),
        ({"rate": RATE, "seconds": float("inf")}, "seconds"),
        ({"rate": RATE, "max_seconds": 0}, "max_seconds"),
        ({"rate": RATE, "max_seconds": float("inf")}, "max_seconds"),
    ],
)
def test_an_impossible_argument_is_named(songs, arguments, name):
    with pytest.raises(BadValue, match=rf"^{name} is .* but must be"):
        load_audio(songs["s16.wav"], **arguments)


def test_a_block_without_length_is_refused(songs):
    with pytest.raises(BadValue, match="block_seconds is 0, but must be above 0"):
        stream_audio(songs["s16.wav"], rate=RATE, block_seconds=0)


def test_resample_takes_one_row_of_floats():
    tone = audio_files.tone(440, rate=44_100)[0]
    assert resample(tone.astype(np.float64), rate=44_100, target_rate=RATE).dtype == np.float32
    assert np.array_equal(resample(tone, rate=44_100, target_rate=44_100), tone)
    assert resample(tone[::2], rate=22_050, target_rate=RATE).size == RATE
    assert resample(tone[:0], rate=44_100, target_rate=RATE).size == 0
    with pytest.raises(BadValue, match=r"not float32 \(2, 44100\): average the channels"):
        resample(np.stack([tone, tone]), rate=44_100, target_rate=RATE)
    with pytest.raises(BadValue, match=r"not int16 .* divide integers by full scale"):
        resample(np.zeros(10, dtype=np.int16), rate=44_100, target_rate=RATE)
    with pytest.raises(BadValue, match="rate is 0"):
        resample(tone, rate=44_100, target_rate=0)


def test_errors_of_audio_are_errors_of_earmark():
    with pytest.raises(EarmarkError):
        load_audio("nowhere.mp3", rate=RATE)


# Real music


def test_twenty_real_clips_decode_whole(shared):
    clips = sorted((shared / "q4" / "audio").glob("*.opus"))[:20]
    assert len(clips) == 20
    for clip in clips:
        audio = load_audio(clip, rate=RATE)
        assert audio.damaged_packets == 0
        assert audio.seconds == pytest.approx(probe(clip).duration, abs=0.02)
        assert 0.01 < np.abs(audio.samples).max() < 4


@pytest.mark.parametrize("name", ["bensound-cute", "bensound-dubstep"])
def test_published_clips_decode_whole_and_in_parts(shared, name):
    path: Path = shared / "published" / f"{name}.mp3"
    audio = load_audio(path, rate=RATE)
    assert audio.damaged_packets == 0
    assert audio.seconds == pytest.approx(probe(path).duration, abs=0.1)
    part = load_audio(path, rate=RATE, start=10, seconds=5).samples
    assert np.abs(part - audio.samples[120_000:180_000]).max() < 1e-5


# The example


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_the_example_song_is_the_same_for_the_same_seed(tmp_path, suffix):
    example = Path(__file__).parents[2] / "examples" / "make_music.py"

    def make(name, seed):
        path = tmp_path / (name + suffix)
        command = [sys.executable, str(example), str(path), "--seconds", "3", "--seed", seed]
        subprocess.run(command, check=True, timeout=60)
        return path

    once, again, other = make("once", "5"), make("again", "5"), make("other", "6")
    assert once.read_bytes() == again.read_bytes() != other.read_bytes()
    assert load_audio(once, rate=RATE).seconds == pytest.approx(3, abs=0.05)


def test_blocks_that_are_too_long_to_be_made_at_once_grow_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "song.wav"
    audio_files.write_audio(path, audio_files.music(3.0), codec="pcm_s16le")
    whole = load_audio(path, rate=12_000).samples
    monkeypatch.setattr("earmark.audio._MOST_ROOM", 1000)
    for seconds in (0.05, 0.7, 2.0, 1e9):
        blocks = list(stream_audio(path, rate=12_000, block_seconds=seconds))
        assert all(block.size == round(seconds * 12_000) for block in blocks[:-1])
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert len(blocks) == 1
