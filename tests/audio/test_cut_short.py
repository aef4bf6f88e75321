"""Files that end before they say that they do, and files that only seem to."""

from __future__ import annotations

import re

import pytest
from audio_files import FORMATS, music, tone, write_audio, write_format

from earmark.audio import load_audio, stream_audio
from earmark.audio.stated import CutShort
from earmark.inference import Options

RATE = 8_000  # Hz
# these have no header that says how long they are, or cannot be opened without their end
SILENT = {"bare.mp3", "raw.aac"}
UNREADABLE = {"aac.m4a", "alac.m4a"}
SAYING = sorted(FORMATS.keys() - SILENT - UNREADABLE)


@pytest.fixture(scope="module")
def song():
    return music(8, seed=7)


@pytest.fixture(scope="module")
def files(tmp_path_factory, song):
    folder = tmp_path_factory.mktemp("whole")
    return {name: write_format(folder, name, song) for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_file_is_not_called_cut_short(files, name):
    assert load_audio(files[name], rate=RATE).cut_short is None


@pytest.mark.parametrize("name", SAYING)
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_half_a_file_and_a_quarter_say_so(tmp_path, files, name, share):
    path = tmp_path / name
    content = files[name].read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    cut = load_audio(path, rate=RATE)
    assert cut.cut_short is not None
    assert cut.cut_short.seconds == pytest.approx(cut.seconds, abs=0.1)
    if name.endswith((".ogg", ".opus")):
        assert cut.cut_short.stated is None
        assert re.fullmatch(r"it is cut short: it ends at 0:0\d, and.*", str(cut.cut_short))
    else:
        assert cut.cut_short.stated == pytest.approx(8, abs=0.1)
        assert re.fullmatch(r"it is cut short: 0:0\d of 0:08", str(cut.cut_short))


@pytest.mark.parametrize("kind", ["pcm_s16le", "aac"])
def test_other_containers_that_state_their_length_are_believed(tmp_path, song, kind):
    for suffix in (".mka", ".webm", ".au", ".flv", ".tta"):
        codec = {".webm": "libopus", ".au": "pcm_s16be", ".tta": "tta"}.get(suffix, kind)
        if (suffix, codec) == (".flv", "pcm_s16le"):
            continue
        rate = 48_000 if codec == "libopus" else None
        path = write_audio(tmp_path / f"a{suffix}", song, codec=codec, encoded_rate=rate)
        assert load_audio(path, rate=RATE).cut_short is None, suffix
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        assert load_audio(path, rate=RATE).cut_short is not None, suffix


def test_a_part_that_ends_before_the_file_does_says_nothing(tmp_path, files):
    path = tmp_path / "half.flac"
    content = files["plain.flac"].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert load_audio(path, rate=RATE, seconds=2).cut_short is None
    stream = stream_audio(path, rate=RATE)
    assert stream.cut_short is None
    list(stream)
    assert stream.cut_short is not None


def test_a_length_that_was_not_known_when_the_file_was_written_is_no_claim(tmp_path, files):
    wav = bytearray(files["s16.wav"].read_bytes())
    at = wav.index(b"data") + 4
    for unknown in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        wav[at : at + 4] = unknown
        (tmp_path / "song.wav").write_bytes(wav[: len(wav) // 2])
        assert load_audio(tmp_path / "song.wav", rate=RATE).cut_short is None
    flac = bytearray(files["plain.flac"].read_bytes())
    flac[21] &= 0xF0  # the lowest 36 bits of the eight bytes from 18 on are the total
    flac[22:26] = bytes(4)
    (tmp_path / "song.flac").write_bytes(flac[: len(flac) // 2])
    assert load_audio(tmp_path / "song.flac", rate=RATE).cut_short is None


def test_an_mp3_that_was_joined_to_another_is_not_called_short(tmp_path, files):
    mp3 = files["vbr.mp3"].read_bytes()
    (tmp_path / "both.mp3").write_bytes(mp3 + mp3)
    heard = load_audio(tmp_path / "both.mp3", rate=RATE)
    assert heard.seconds > 15
    assert heard.cut_short is None


def test_the_clock_counts_minutes_and_hours():
    assert str(CutShort(80.4, 220)) == "it is cut short: 1:20 of 3:40"
    assert str(CutShort(3599.6, 7261)) == "it is cut short: 1:00:00 of 2:01:01"


def test_the_tags_of_a_song_that_was_cut_short_carry_a_warning_and_are_still_music(
    tmp_path, files, tagger
):
    path = tmp_path / "half.mp3"
    content = files["cbr.mp3"].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for options in (Options(), Options(center=True)):
        heard = tagger.tag(path, options=options)
        [warning] = [one for one in heard.as_json()["warnings"] if one["kind"] == "cut_short"]
        assert warning["message"] == "it is cut short: 0:04 of 0:08"
    assert tagger.tag(files["cbr.mp3"]).kind == heard.kind


def test_a_tone_by_another_encoder_is_whole(tmp_path):
    path = write_audio(tmp_path / "t.wma", tone(440, seconds=4), codec="wmav1", bit_rate=128_000)
    assert load_audio(path, rate=RATE).cut_short is None
