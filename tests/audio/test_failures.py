"""Audio that is damaged, missing, no audio, or named and built to lead elsewhere."""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path
from uuid import UUID

import audio_files
import numpy as np
import psutil
import pytest
import soundfile

from earmark.audio import load_audio, probe, resample, stream_audio
from earmark.errors import BadValue, UnreadableAudio

RATE = 12_000  # Hz

CHECKED = ["plain.flac", "flac.ogg", "vorbis.ogg", "plain.opus"]  # formats with checksums
DAMAGEABLE = [*CHECKED, "cbr.mp3", "faststart.m4a", "alac.m4a", "raw.aac", "v2.wma", "aac.mka"]


@pytest.fixture(scope="module")
def song():
    return audio_files.music(8, seed=4)


def unreadable(path, match):
    """Each way to read it says the same; the path is in the error."""
    with pytest.raises(UnreadableAudio, match=match) as caught:
        load_audio(path, rate=RATE)
    assert caught.value.path == Path(path)
    with pytest.raises(UnreadableAudio, match=match):
        probe(path)
    with pytest.raises(UnreadableAudio, match=match):
        list(stream_audio(path, rate=RATE, start=10, seconds=1))


# Damage


@pytest.mark.parametrize("name", DAMAGEABLE)
def test_decoding_goes_on_after_a_hole_and_counts_what_was_lost(tmp_path, song, name, capfd):
    path = audio_files.write_format(tmp_path, name, song)
    whole = load_audio(path, rate=RATE)
    audio_files.overwrite(path, at=0.5, n=4000 if path.stat().st_size < 400_000 else 30_000)
    holed = load_audio(path, rate=RATE)
    assert holed.damaged_packets > 0
    assert holed.seconds == pytest.approx(8, abs=0.7)
    assert np.allclose(holed.samples[:24_000], whole.samples[:24_000], atol=1e-6)
    assert np.isfinite(holed.samples).all()
    assert np.abs(holed.samples).max() < 8
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*CHECKED, "faststart.m4a", "alac.m4a"])
def test_what_follows_a_hole_stays_in_its_place(tmp_path, song, name):
    path = audio_files.write_format(tmp_path, name, song)
    whole = load_audio(path, rate=RATE)
    audio_files.overwrite(path, at=0.5, n=4000 if path.stat().st_size < 400_000 else 30_000)
    holed = load_audio(path, rate=RATE)
    assert holed.samples.size == whole.samples.size
    assert np.allclose(holed.samples[-24_000:], whole.samples[-24_000:], atol=1e-4)
    part = load_audio(path, rate=RATE, start=6.5, seconds=1)
    assert part.damaged_packets == 0
    assert np.allclose(part.samples, whole.samples[78_000:90_000], atol=1e-4)


def test_a_lost_beginning_leaves_silence(tmp_path, song):
    path = audio_files.write_format(tmp_path, "faststart.m4a", song)
    whole = load_audio(path, rate=RATE)
    media = (path.read_bytes().index(b"mdat") + 5) / path.stat().st_size
    audio_files.overwrite(path, at=media, n=20_000)
    holed = load_audio(path, rate=RATE)
    assert holed.damaged_packets > 0
    assert np.allclose(holed.samples[-60_000:], whole.samples[-60_000:], atol=1e-4)


@pytest.mark.parametrize("name", [*DAMAGEABLE, "bare.mp3", "s16.wav", "s16.aiff", "s16.wv"])
def test_a_file_cut_short_gives_what_is_there(tmp_path, song, name):
    path = audio_files.write_format(tmp_path, name, song)
    whole = load_audio(path, rate=RATE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    if name == "alac.m4a":  # its index was at the end
        unreadable(path, "cut short")
        return
    cut = load_audio(path, rate=RATE)
    assert 3 < cut.seconds < 6
    assert np.allclose(cut.samples[:36_000], whole.samples[:36_000], atol=1e-6)


@pytest.mark.parametrize("name", ["cbr.mp3", "raw.aac", "aac.mka", "plain.flac", "v2.wma"])
def test_flipped_bits_end_in_samples_or_in_an_error_never_in_a_crash(tmp_path, song, name):
    path = audio_files.write_format(tmp_path, name, song[:, :88_200])
    content = path.read_bytes()
    for seed in range(40):
        path.write_bytes(content)
        audio_files.flip_bits(path, n=30, seed=seed)
        try:
            samples = load_audio(path, rate=RATE).samples
        except UnreadableAudio:
            continue
        assert np.isfinite(samples).all()
        # AAC decodes some of these to thousands of times full scale
        assert np.abs(samples).max() < 40


def test_a_damaged_flac_frame_is_left_out_rather_than_heard_as_noise(tmp_path, song):
    path = audio_files.write_format(tmp_path, "plain.flac", song)
    clean = load_audio(path, rate=44_100).samples
    audio_files.overwrite(path, at=0.5, n=2)
    damaged = load_audio(path, rate=44_100)
    assert damaged.damaged_packets > 0
    assert damaged.samples.size == clean.size
    assert ((damaged.samples == clean) | (damaged.samples == 0)).all()


def test_nan_and_infinity_become_silence_and_count_as_damage(tmp_path):
    samples = audio_files.tone(440, seconds=2)[0]
    samples[40_000], samples[50_000] = np.nan, np.inf
    soundfile.write(tmp_path / "nan.wav", samples, 44_100, subtype="FLOAT")
    audio = load_audio(tmp_path / "nan.wav", rate=RATE)
    clean = resample(audio_files.tone(440, seconds=2)[0], rate=44_100, target_rate=RATE)
    assert np.isfinite(audio.samples).all()
    assert 0 < audio.damaged_packets <= 2
    assert np.allclose(audio.samples[:9000], clean[:9000], atol=1e-6)
    assert np.allclose(audio.samples[-9000:], clean[-9000:], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_file_without_one_sound_number_is_unreadable(tmp_path, value):
    soundfile.write(tmp_path / "no.wav", np.full(90_000, value), 44_100, subtype="DOUBLE")
    with pytest.raises(UnreadableAudio, match="every sample is NaN or far beyond full scale"):
        load_audio(tmp_path / "no.wav", rate=RATE)
    with pytest.raises(UnreadableAudio, match="every sample is NaN"):
        load_audio(tmp_path / "no.wav", rate=RATE, seconds=0.5)


def test_loud_floats_are_taken_at_their_word(tmp_path):
    tone = audio_files.tone(440, level=0.9)[0]
    soundfile.write(tmp_path / "loud.wav", tone * 32768, 44_100, subtype="FLOAT")
    audio = load_audio(tmp_path / "loud.wav", rate=44_100)
    assert audio.damaged_packets == 0
    assert np.allclose(audio.samples, tone * 32768, rtol=1e-6)


def test_silence_is_audio(tmp_path):
    soundfile.write(tmp_path / "silence.flac", np.zeros(44_100), 44_100)
    assert not load_audio(tmp_path / "silence.flac", rate=RATE).samples.any()


# What is no audio


@pytest.mark.parametrize(
    "content",
    [
        b"This is a text, whatever its name says.\n" * 500,
        b"<!doctype html><html><body>404 Not Found</body></html>",
        bytes(50_000),
        np.random.default_rng(0).bytes(200_000),
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"RIFF\x24\x00\x00\x00WAVE",
        b"OggS\x00\x02",
        b"fLaC",
    ],
    ids=["text", "html", "zeros", "random", "tag only", "wav head", "ogg head", "flac head"],
)
@pytest.mark.parametrize("suffix", [".mp3", ".m4a"])
def test_what_is_no_audio_is_unreadable_whatever_its_suffix(tmp_path, content, suffix, capfd):
    path = tmp_path / f"song{suffix}"
    path.write_bytes(content)
    unreadable(path, r"no audio in it .* fetch it again|no samples .* fetch it again")
    assert capfd.readouterr() == ("", "")


def test_a_wav_without_samples_is_unreadable(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 44_100)
    unreadable(tmp_path / "none.wav", "no samples|no audio")


def test_a_wav_of_one_sample_is_too_short(tmp_path):
    soundfile.write(tmp_path / "one.wav", np.ones(1) / 2, 44_100)
    with pytest.raises(UnreadableAudio, match="shorter than one sample"):
        load_audio(tmp_path / "one.wav", rate=RATE)


def test_an_impossible_rate_is_damage_and_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(4000), 1)
    unreadable(path, "no samples .4000 damaged packets|no samples")


def test_pictures_and_silent_films_are_unreadable(tmp_path):
    unreadable(audio_files.write_silent_film(tmp_path / "film.mp4"), "it holds video, but no audio")
    unreadable(audio_files.write_png(tmp_path / "cover.png"), "it holds video, but no audio")


def test_an_unknown_codec_is_unreadable(tmp_path):
    path = tmp_path / "strange.wav"
    soundfile.write(path, np.zeros(4000), 44_100)
    content = bytearray(path.read_bytes())
    content[20:22] = b"\x99\x99"  # the format tag
    path.write_bytes(content)
    unreadable(path, "in a codec that FFmpeg cannot decode")


@pytest.mark.parametrize("kind", [b"drms", b"enca", b"aavd"])
def test_protected_audio_is_refused_and_not_heard_as_noise(tmp_path, song, kind):
    path = audio_files.write_format(tmp_path, "aac.m4a", song)
    path.write_bytes(path.read_bytes().replace(b"mp4a", kind))
    unreadable(path, "DRM")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        # Content Encryption: secret data, protection type, key, licence; each after its length
        ("2211B3FB-BD23-11D2-B4B7-00A0C955FC6E", struct.pack("<4I", 0, 0, 0, 0)),
        # Extended Content Encryption: data after its length
        ("298AE614-2622-4C17-B935-DAE07EE9289C", struct.pack("<I4s", 4, b"none")),
    ],
)
def test_a_wma_whose_header_says_that_it_is_encrypted_is_refused(tmp_path, song, kind, body):
    path = audio_files.write_format(tmp_path, "v2.wma", song)
    audio_files.add_asf_object(path, UUID(kind), body)
    unreadable(path, "DRM")


def test_a_wma_with_another_object_in_its_header_is_heard(tmp_path, song):
    path = audio_files.write_format(tmp_path, "v2.wma", song)
    before = load_audio(path, rate=RATE).samples
    audio_files.add_asf_object(path, UUID(int=7), b"nobody knows what this is")
    np.testing.assert_array_equal(load_audio(path, rate=RATE).samples, before)


def test_an_empty_file_a_folder_and_nothing_say_so(tmp_path):
    (tmp_path / "empty.mp3").touch()
    unreadable(tmp_path / "empty.mp3", "the file is empty. Fetch it again")
    unreadable(tmp_path, "it is a folder. Give the files in it")
    unreadable(tmp_path / "missing.mp3", "there is no such file. Check the name")
    unreadable(tmp_path / "empty.mp3" / "song.mp3", "no such file|Not a directory")
    unreadable(str(tmp_path / "zero\0byte.mp3"), "its name contains a zero byte")
    unreadable(tmp_path / ("long" * 200), "Check the name")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions are other things on Windows")
def test_a_file_that_may_not_be_read_says_so(tmp_path, song):
    path = audio_files.write_format(tmp_path, "s16.wav", song[:, :4000])
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # root may read everything; nobody may not
    try:
        unreadable(path, "you have no permission to read it. Change its permissions")
    finally:
        os.seteuid(user)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on Windows")
def test_a_pipe_a_device_and_a_socket_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    unreadable(tmp_path / "pipe.mp3", "it is a pipe or device. Write it to a file first")
    unreadable("/dev/zero", "it is a pipe or device")


# Names and playlists that lead elsewhere


@pytest.mark.parametrize(
    "name",
    [
        "-i", "--help.wav", "#1 hit.wav", "100%.wav", "%03d.wav", "two\nlines.wav", "pipe:0",
        "concat:a.wav|b.wav", "file:song.wav", "subfile,,start,0,end,1,,:a", "song.m3u8",
        "naïve ♫.wav", "crypto:a", "data:audio", " ", "~", "a" * 200,
    ],
)  # fmt: skip
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these names")
def test_odd_names_are_only_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    audio_files.write_audio(tmp_path / "a.wav", audio_files.tone(440), codec="pcm_s16le")
    (tmp_path / "a.wav").rename(name)
    assert load_audio(name, rate=RATE).seconds == 1
    assert load_audio(Path(name), rate=RATE).seconds == 1


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode on Windows")
def test_a_name_that_is_no_utf_8_is_opened(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    soundfile.write(tmp_path / "a.wav", audio_files.tone(440)[0], 44_100)
    try:
        (tmp_path / "a.wav").rename(path)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    assert load_audio(path, rate=RATE).seconds == 1


@pytest.fixture
def listener():
    """A web server that should never be called: (its address, the calls it got)."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()

        def listen():
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                calls.append(connection)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", calls
        over.set()
        thread.join()


def test_an_address_that_only_ffmpeg_knows_is_not_called(listener):
    address, calls = listener
    for scheme in ("tcp", "rtsp", "icy+http"):
        with pytest.raises(BadValue, match="no kind of address"):
            load_audio(f"{scheme}://{address}/song.mp3", rate=12000)
    assert not calls


def test_a_playlist_does_not_lead_to_other_files_or_machines(tmp_path, song, listener):
    address, calls = listener
    secret = audio_files.write_format(tmp_path, "raw.aac", song)
    wav = audio_files.write_format(tmp_path, "s16.wav", song)
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    playlists = {
        "a.ffconcat": f"ffconcat version 1.0\nfile {wav.name}\n",
        "b.ffconcat": f"ffconcat version 1.0\nfile '{wav}'\n",
        "c.ffconcat": f"ffconcat version 1.0\nfile http://{address}/a.mp3\n",
        "a.m3u8": hls.format(secret.name),
        "b.m3u8": hls.format(secret.as_uri()),
        "c.m3u8": hls.format(f"http://{address}/a.aac"),
        "a.m3u": f"{wav}\n",
        "a.pls": f"[playlist]\nFile1={wav}\nNumberOfEntries=1\n",
        "a.asx": f'<asx version="3.0"><entry><ref href="http://{address}/a.wma"/></entry></asx>',
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 50040 RTP/AVP 0\n",
    }
    for name, text in playlists.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        unreadable(tmp_path / name, "no audio|playlist")
        (tmp_path / name).rename(tmp_path / "song.mp3")
        unreadable(tmp_path / "song.mp3", "no audio|playlist")
    assert not calls


# Tidiness


def is_open(path):
    return str(path) in {entry.path for entry in psutil.Process().open_files()}


def test_files_are_closed_whatever_happens(tmp_path, song):
    good = audio_files.write_format(tmp_path, "cbr.mp3", song)
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"text" * 1000)
    film = audio_files.write_silent_film(tmp_path / "film.mp4")
    blocks = iter(stream_audio(good, rate=RATE, block_seconds=1))
    next(blocks)
    assert is_open(good)
    del blocks
    assert not is_open(good)
    load_audio(good, rate=RATE, start=6, seconds=1)
    assert not is_open(good)
    for path in (bad, film):
        with pytest.raises(UnreadableAudio):
            load_audio(path, rate=RATE)
        assert not is_open(path)


def test_a_failing_disk_is_an_error_and_not_the_end_of_the_song(tmp_path, song, monkeypatch):
    path = audio_files.write_format(tmp_path, "plain.flac", song)
    real_open = Path.open

    class FailingFile:
        def __init__(self, file):
            self.file, self.seek, self.tell = file, file.seek, file.tell

        def read(self, n=-1):
            if self.file.tell() > 400_000:
                raise OSError(5, "Input/output error")
            return self.file.read(n)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    monkeypatch.setattr(Path, "open", lambda p, *a, **k: FailingFile(real_open(p, *a, **k)))
    with pytest.raises(UnreadableAudio, match=r"reading it failed \(Input/output error\)"):
        load_audio(path, rate=RATE)
