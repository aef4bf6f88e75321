"""Files that would cost far too much for the music in them."""

from __future__ import annotations

import os
import struct
from contextlib import suppress

import pytest
from audio_files import music, tone, write_audio, write_format, write_hours_of_silence

from earmark.audio import budget, load_audio, probe, stream_audio
from earmark.audio.packet_hash import audio_hash
from earmark.errors import UnreadableAudio

RATE = 8_000  # Hz


@pytest.fixture(scope="module")
def song():
    return music(3, seed=6)


@pytest.fixture(scope="module")
def silence(tmp_path_factory):
    """An hour and a half in 12 kB."""
    return write_hours_of_silence(tmp_path_factory.mktemp("silence") / "long.flac", hours=1.5)


def n_samples(path, **options):
    return sum(block.size for block in stream_audio(path, rate=RATE, **options))


def test_hours_in_a_few_bytes_are_refused_and_heard_when_asked_for(silence):
    with pytest.raises(UnreadableAudio, match=r"kB hold more than 1\.0 hours.*--no-limits"):
        n_samples(silence)
    assert n_samples(silence, limits=False) == pytest.approx(1.5 * 3600 * RATE, rel=0.03)
    assert n_samples(silence, seconds=60) == 60 * RATE  # a part does not cost too much


def test_hours_of_real_music_are_within_the_limits():
    opus = 6_000 / 8  # bytes a second, of the lowest rate that music is sold at
    spent = budget.Budget("mix.opus")
    spent._n_bytes = round(10 * 3600 * opus)
    for _ in range(10):
        spent.heard(3600)


def test_a_terabyte_of_nothing_behind_a_song_is_not_read(tmp_path, song, monkeypatch):
    monkeypatch.setattr(budget, "IDLE_BYTES", 1 << 22)
    for name in ("vorbis.ogg", "cbr.mp3", "raw.aac", "aac.mka", "plain.flac"):
        path = write_format(tmp_path, name, song)
        try:
            os.truncate(path, 1 << 40)
        except OSError:
            pytest.skip("this file system has no files of a terabyte")
        for read in (n_samples, audio_hash):
            with suppress(UnreadableAudio):
                read(path)


def test_work_without_audio_comes_to_an_end(tmp_path, song, monkeypatch):
    path = write_format(tmp_path, "s16.wav", song)
    monkeypatch.setattr(budget, "PATIENCE", -10.0)
    with pytest.raises(UnreadableAudio, match=r"s of work gave 0 s of audio"):
        load_audio(path, rate=RATE)
    with pytest.raises(UnreadableAudio, match="of work gave"):
        probe(path)
    assert load_audio(path, rate=RATE, limits=False).seconds == pytest.approx(3)


def test_time_in_which_others_work_is_not_counted(tmp_path, song):
    spent = budget.Budget(tmp_path / "song.mp3")
    for _ in spent.timed(iter(range(3))):
        sum(range(2_000_000))  # the network, between two blocks
    assert spent._work < 0.02


def box(kind, *content):
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def with_edits(m4a, n):
    """The song n times, by a list of edits."""
    start = m4a.index(b"elst") - 4
    [size] = struct.unpack_from(">I", m4a, start)
    edits = struct.pack(">IIHH", 3000, 1024, 1, 0) * n
    new = box(b"elst", struct.pack(">II", 0, n), edits)
    content = bytearray(m4a[:start] + new + m4a[start + size :])
    for parent in (b"edts", b"trak", b"moov"):
        at = content.index(parent) - 4
        [before] = struct.unpack_from(">I", content, at)
        struct.pack_into(">I", content, at, before + len(new) - size)
    return bytes(content)


def test_edits_that_repeat_a_song_without_end_do_not_fill_the_memory(tmp_path, song, monkeypatch):
    path = write_format(tmp_path, "aac.m4a", song)
    m4a = path.read_bytes()
    path.write_bytes(with_edits(m4a, 3))
    assert load_audio(path, rate=RATE).seconds == pytest.approx(9, abs=0.5)
    path.write_bytes(with_edits(m4a, 80_000))  # 130 packets each
    for read in (load_audio, probe):
        with pytest.raises(UnreadableAudio, match="its index has more entries"):
            read(path, **({"rate": RATE} if read is load_audio else {}))
    path.write_bytes(with_edits(m4a, 300))  # the index is small enough, the song is not
    monkeypatch.setattr(budget, "FREE_SECONDS", 60.0)
    with pytest.raises(UnreadableAudio, match="kB hold more than"):
        load_audio(path, rate=RATE)


def test_a_fragment_that_declares_any_number_of_samples_is_refused(tmp_path):
    path = write_audio(
        tmp_path / "song.mp4", tone(440, seconds=3), codec="aac",
        options={"movflags": "frag_keyframe+empty_moov"},
    )  # fmt: skip
    assert load_audio(path, rate=RATE).seconds == pytest.approx(3, abs=0.1)
    run = box(b"trun", struct.pack(">II", 0, 1 << 27))
    path.write_bytes(path.read_bytes() + box(b"moof", box(b"traf", run)))
    with pytest.raises(UnreadableAudio, match="its index has more entries"):
        load_audio(path, rate=RATE)


@pytest.mark.parametrize("box_size", [0, 1, 7, 8, 9, 0xFFFFFFFF])
def test_boxes_of_impossible_sizes_are_left_to_ffmpeg(tmp_path, song, box_size):
    path = write_format(tmp_path, "faststart.m4a", song)
    content = bytearray(path.read_bytes())
    for kind in (b"moov", b"stbl", b"stsz", b"elst"):
        broken = content[:]
        struct.pack_into(">I", broken, content.index(kind) - 4, box_size)
        path.write_bytes(broken)
        try:
            load_audio(path, rate=RATE)
        except UnreadableAudio:
            continue
