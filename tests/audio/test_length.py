"""The length of a file, and its middle, without decoding what lies between."""

from __future__ import annotations

import dataclasses

import av
import numpy as np
import pytest
from audio_files import (
    FORMATS,
    music,
    overwrite,
    seconds_decoded,
    write_audio,
    write_format,
)

from earmark import windows
from earmark.audio import budget, decoding, length, load_audio, resample
from earmark.audio.length import length_of
from earmark.errors import UnreadableAudio
from earmark.features import PRESETS

RATE = 22_050  # Hz
COARSE = {"raw.aac", "v2.wma", "aac.mka", "s16.wv"}  # only decoding all of them tells
SECOND = dataclasses.replace(PRESETS["choi2016"], rate=RATE, window_samples=RATE)


@pytest.fixture(scope="module")
def song():
    return np.tile(music(8, seed=11), 2)[:, : 15 * 44_100 + 1]


@pytest.fixture(scope="module")
def files(tmp_path_factory, song):
    folder = tmp_path_factory.mktemp("songs")
    return {name: write_format(folder, name, song) for name in FORMATS}


@pytest.fixture
def small(monkeypatch):
    """Looks for the middle of small files too."""
    monkeypatch.setattr(length, "_LARGE", 0)


def heard(path, choose, **options):
    track = windows.Track(path, target_rate=RATE, **options)
    [window] = choose(track, settings=SECOND)
    return track, window


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - COARSE))
def test_it_is_that_of_the_decoded_file_at_any_rate(files, name):
    found = length_of(files[name])
    assert found is not None
    for rate in (found.rate, RATE, 12_000, 11_025, 48_000):
        assert found.at(rate) == load_audio(files[name], rate=rate).samples.size
    assert found.cut_short is None


@pytest.mark.parametrize("name", sorted(COARSE))
def test_formats_with_a_coarse_clock_do_not_tell(files, name):
    assert length_of(files[name]) is None


@pytest.mark.parametrize("n", [44_100, 44_101, 44_102, 44_103])
@pytest.mark.parametrize(("rate", "target"), [(44_100, 22_050), (48_000, 22_050), (8_000, 12_000)])
def test_it_is_rounded_as_soxr_rounds(n, rate, target):
    samples = resample(np.zeros(n, np.float32), rate=rate, target_rate=target)
    assert length.FileLength(n, rate, None).at(target) == samples.size


def test_a_file_that_is_cut_short_says_so(tmp_path, files):
    for name in ("cbr.mp3", "plain.flac", "s16.wav", "faststart.m4a"):
        path = tmp_path / name
        path.write_bytes(files[name].read_bytes()[: files[name].stat().st_size // 2])
        found, whole = length_of(path), load_audio(path, rate=RATE)
        assert whole.cut_short is not None
        if found is not None:
            assert str(found.cut_short) == str(whole.cut_short)
            assert found.at(RATE) == whole.samples.size
    assert length_of(tmp_path / "cbr.mp3") is not None  # so that this has tested something


@pytest.mark.parametrize("name", ["plain.flac", "plain.opus", "flac.ogg"])
def test_where_packets_are_missing_only_decoding_tells(tmp_path, files, name):
    path = tmp_path / name
    content = files[name].read_bytes()
    path.write_bytes(content[: len(content) // 3] + content[len(content) // 2 :])
    assert length_of(path) is None


def retimed(source, target, *, step, jitter=0):
    """A copy of an m4a whose packets come `step` ticks apart, every other one `jitter` later."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(given.streams.audio[0])
        for i, packet in enumerate(p for p in given.demux(audio=0) if p.size):
            packet.stream = stream
            packet.pts = packet.dts = step * i + jitter * (i % 2)
            out.mux(packet)
    return target


def test_a_clock_that_the_audio_does_not_keep_is_not_believed(tmp_path, files):
    exact = retimed(files["aac.m4a"], tmp_path / "exact.m4a", step=1024)
    assert length_of(exact) is not None
    for name, step, jitter in (("slow", 1030, 0), ("fast", 1010, 0), ("unsteady", 1024, 300)):
        path = retimed(files["aac.m4a"], tmp_path / f"{name}.m4a", step=step, jitter=jitter)
        assert length_of(path) is None, name


def test_a_rate_that_changes_on_the_way_does_not_tell(tmp_path, song):
    parts = [
        write_audio(tmp_path / f"{i}.mp3", song[:, : 3 * rate], codec="libmp3lame", rate=rate)
        for i, rate in enumerate((44_100, 48_000, 44_100))
    ]
    path = tmp_path / "three.mp3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert length_of(path) is None
    assert length_of(parts[0]) is not None


def test_codecs_that_remember_too_much_do_not_tell(tmp_path, song):
    for name, codec in (("a.wav", "adpcm_ima_wav"), ("b.aiff", "adpcm_ima_qt"), ("c.mp4", "ac3")):
        path = write_audio(tmp_path / name, song, codec=codec)
        assert length_of(path) is None, name


def test_damage_at_the_end_does_not_tell(tmp_path, files):
    path = tmp_path / "faststart.m4a"  # its packets are where they were
    path.write_bytes(files[path.name].read_bytes())
    overwrite(path, at=0.995, n=900)
    assert length_of(path) is None


def test_more_hours_than_a_file_can_hold_are_refused(files, monkeypatch):
    monkeypatch.setattr(budget, "FREE_SECONDS", 10.0)
    monkeypatch.setattr(budget, "BYTES_A_SECOND", 1 << 30)
    with pytest.raises(UnreadableAudio, match="hours of audio"):
        length_of(files["cbr.mp3"])
    assert length_of(files["cbr.mp3"], limits=False) is not None


def test_a_chain_of_ogg_files_and_an_unfinished_one_do_not_tell_or_say_so(tmp_path, files):
    chain = tmp_path / "radio.ogg"
    chain.write_bytes(files["vorbis.ogg"].read_bytes() + files["flac.ogg"].read_bytes())
    assert length_of(chain) is None
    content = files["plain.opus"].read_bytes()
    chain.write_bytes(content[: content.rindex(b"OggS")])
    found = length_of(chain)
    assert found is not None
    assert found.cut_short is not None


def test_small_files_and_short_ones_are_not_looked_at(files, monkeypatch):
    assert length_of(files["cbr.mp3"], least=1.0) is None
    monkeypatch.setattr(length, "_LARGE", 0)
    assert length_of(files["cbr.mp3"], least=14.0) == length_of(files["cbr.mp3"])
    assert length_of(files["cbr.mp3"], least=16.0) is None


def test_a_file_without_audio_is_refused(tmp_path):
    path = tmp_path / "song.mp3"
    path.write_bytes(b"ID3" + bytes(5000))
    with pytest.raises(UnreadableAudio, match="no audio in it"):
        length_of(path)
    for missing in (tmp_path / "none.mp3", tmp_path):
        with pytest.raises(UnreadableAudio):
            windows.Track(missing, target_rate=RATE).seek_centre(RATE)


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_the_centre_of_the_whole(files, name, small):
    by_seeking, window = heard(files[name], windows.centre_of)
    whole, expected = heard(files[name], windows.centre)
    assert (window.start, window.n_valid) == (expected.start, expected.n_valid)
    assert np.abs(window.samples - expected.samples).max() < 1e-5
    assert by_seeking.n_samples == whole.n_samples
    assert by_seeking.cut_short is whole.cut_short is None
    is_sought = windows.Track(files[name], target_rate=RATE).seek_centre(RATE) is not None
    assert is_sought == (name not in COARSE)


def test_the_noise_that_aac_makes_up_is_all_that_differs(tmp_path, song, small):
    path = write_audio(tmp_path / "noise.m4a", song, codec="aac", bit_rate=64_000)
    _, window = heard(path, windows.centre_of)
    _, expected = heard(path, windows.centre)
    assert window.start == expected.start
    apart = window.samples - expected.samples
    assert 0 < np.sqrt(np.mean(apart**2)) < 0.1 * np.sqrt(np.mean(expected.samples**2))


def test_what_is_far_from_the_middle_is_not_decoded(files, small, monkeypatch):
    decoded = seconds_decoded(monkeypatch, decoding, length)
    heard(files["cbr.mp3"], windows.centre_of)
    assert sum(decoded) < 7  # seconds, of 15


@pytest.mark.parametrize("max_seconds", [1.5, 9.0, 15.0, 40.0])
def test_the_track_ends_where_it_is_told_to_and_is_not_read_beyond(files, small, max_seconds):
    track, window = heard(files["plain.flac"], windows.centre_of, max_seconds=max_seconds)
    whole, expected = heard(files["plain.flac"], windows.centre, max_seconds=max_seconds)
    assert window.start == expected.start
    assert np.array_equal(window.samples, expected.samples)
    assert track.n_samples == whole.n_samples
    assert track.seek_centre(RATE) is None


def test_a_cut_file_is_not_called_so_where_the_user_cut_it(tmp_path, files, small):
    path = tmp_path / "cut.mp3"
    path.write_bytes(files["cbr.mp3"].read_bytes()[: files["cbr.mp3"].stat().st_size // 2])
    track, _ = heard(path, windows.centre_of)
    assert track.cut_short is not None
    track, _ = heard(path, windows.centre_of, max_seconds=5.0)
    assert track.cut_short is None


@pytest.mark.parametrize("name", ["plain.flac", "v2.wma"])
def test_the_level_is_that_of_the_middle_however_it_is_reached(tmp_path, song, name, small):
    quiet = song.copy()
    quiet[:, 5 * 44_100 : 10 * 44_100] *= 1e-3
    track, window = heard(write_format(tmp_path, name, quiet), windows.centre_of)
    assert track.level.peak == np.abs(window.samples).max() < 0.01


@pytest.mark.parametrize("name", ["plain.flac", "cbr.mp3", "aac.m4a", "s16.wav"])
@pytest.mark.parametrize("at", [0.15, 0.5, 0.98])
def test_a_damaged_file_has_the_same_middle(tmp_path, files, name, at, small):
    path = tmp_path / name
    path.write_bytes(files[name].read_bytes())
    overwrite(path, at=at, n=30)
    track, window = heard(path, windows.centre_of)
    whole, expected = heard(path, windows.centre)
    assert window.start == expected.start
    if name != "aac.m4a":  # what AAC makes of damage depends on what came before
        assert np.abs(window.samples - expected.samples).max() < 1e-5
    assert track.damaged_packets <= whole.damaged_packets
    if (name, at) == ("plain.flac", 0.5):
        assert track.damaged_packets > 0
