"""Audio files seen from outside: every container gives away that its end is missing."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest
from music_service import tone

from earmark.data.previews.audio_check import Suspect, inspect, keep, measure
from earmark.data.previews.containers import Container, read_container
from earmark.data.previews.failures import BadContent

KINDS = {
    "m4a": ("ipod", "aac", {"movflags": "faststart"}),
    "mp4 with its index last": ("ipod", "aac", {}),
    "mp3": ("mp3", "mp3", {}),
    "mp3 without a header": ("mp3", "mp3", {"write_xing": "0", "id3v2_version": "0"}),
    "aac": ("adts", "aac", {}),
    "opus": ("ogg", "libopus", {}),
    "flac": ("flac", "flac", {}),
    "wav": ("wav", "pcm_s16le", {}),
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three seconds of noise in every kind of file."""
    folder = tmp_path_factory.mktemp("audio")
    return {name: encode(folder / "file", *kind) for name, kind in KINDS.items()}


def encode(path: Path, container: str, codec: str, options: dict[str, str]) -> bytes:
    noise = np.random.default_rng(0).normal(size=(1, 3 * 48_000)) * 3000
    with av.open(path, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=48_000)
        frame = av.AudioFrame.from_ndarray(noise.astype("i2"), format="s16", layout="mono")
        frame.rate = 48_000
        resampler = av.AudioResampler(
            stream.format, "mono", 48_000, frame_size=stream.codec_context.frame_size or 1024
        )
        for part in resampler.resample(frame):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path.read_bytes()


SUFFIXES = {
    "m4a": ".m4a", "mp4 with its index last": ".m4a", "mp3": ".mp3", "mp3 without a header": ".mp3",
    "aac": ".aac", "opus": ".opus", "flac": ".flac", "wav": ".wav",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_known_and_not_called_cut(encoded: dict[str, bytes], kind: str) -> None:
    form = read_container(encoded[kind])
    assert (form.suffix, form.cut) == (SUFFIXES[kind], "")


@pytest.mark.parametrize("kind", ["m4a", "mp4 with its index last", "mp3", "opus", "wav"])
def test_these_tell_themselves_that_they_are_whole(encoded: dict[str, bytes], kind: str) -> None:
    assert read_container(encoded[kind]).complete


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"flac"}))
def test_a_file_that_is_cut_anywhere_is_cut_or_at_least_not_complete(
    encoded: dict[str, bytes], kind: str
) -> None:
    data = encoded[kind]
    forms = [
        read_container(data[:n]) for n in random.Random(1).sample(range(400, len(data) - 1), 200)
    ]
    assert not any(form.complete for form in forms)
    # a cut exactly between two frames of a file that tells no length cannot be seen
    assert sum(bool(form.cut) for form in forms) >= 190


def test_flac_is_found_cut_when_it_is_decoded(encoded: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(encoded["flac"])
    assert measure(path) == pytest.approx(3, abs=0.1)
    path.write_bytes(encoded["flac"][: len(encoded["flac"]) // 2])
    with pytest.raises(BadContent, match="is cut"):
        measure(path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_kept_under_its_own_suffix_and_measured(
    encoded: dict[str, bytes], kind: str, tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    clip = keep(encoded[kind], folder=tmp_path, song_id="TR1")
    assert clip.name == f"TR1{SUFFIXES[kind]}"
    assert clip.seconds == pytest.approx(3, abs=0.1)
    assert (tmp_path / "audio" / clip.name).read_bytes() == encoded[kind]
    assert inspect(tmp_path / "audio" / clip.name) == clip


@pytest.mark.parametrize(
    "data", [b"", b"<html>no</html>", b"\xff" * 3, b"ID3", b"\x00\x00\x00\x18ftypM4A ", b"RIFF"]
)
def test_what_is_no_audio_leaves_no_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    with pytest.raises(BadContent):
        keep(data, folder=tmp_path, song_id="TR1")
    assert list((tmp_path / "audio").iterdir()) == []


def test_a_header_with_nothing_behind_it_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    with pytest.raises(BadContent):
        keep(tone(1)[:40] + bytes(4), folder=tmp_path, song_id="TR1")
    assert list((tmp_path / "audio").iterdir()) == []


def test_a_short_clip_is_suspected_once_where_its_file_cannot_tell(
    encoded: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    data = encoded["mp3 without a header"]
    with pytest.raises(Suspect, match=r"3\.\d s where 30") as caught:
        keep(data, folder=tmp_path, song_id="TR1", expected_seconds=30)
    assert list((tmp_path / "audio").iterdir()) == []
    keep(data, folder=tmp_path, song_id="TR1", expected_seconds=30, suspect=caught.value.sha256)


def test_a_short_clip_whose_file_tells_its_end_is_just_short(
    encoded: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    assert keep(encoded["opus"], folder=tmp_path, song_id="TR1", expected_seconds=30).size


def test_a_file_of_ones_own_is_linked(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    mine = tmp_path / "mine.wav"
    mine.write_bytes(tone(1))
    clip = keep(mine, folder=tmp_path, song_id="TR1")
    assert (tmp_path / "audio" / clip.name).samefile(mine)
    keep(mine, folder=tmp_path, song_id="TR1")  # again is no harm
    assert [path.name for path in (tmp_path / "audio").iterdir()] == ["TR1.wav"]


def test_a_light_check_does_not_decode_but_sees_a_cut(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    assert keep(tone(1), folder=tmp_path, song_id="TR1", check="light").seconds is None
    with pytest.raises(BadContent, match="is cut"):
        keep(tone(1)[:-100], folder=tmp_path, song_id="TR2", check="light")


def test_the_q4_clips_are_complete_and_every_cut_of_them_is_found(shared: Path) -> None:
    clips = sorted((shared / "q4" / "audio").iterdir())[::30]
    rng = random.Random(2)
    for path in clips:
        data = path.read_bytes()
        assert read_container(data) == Container(".opus", complete=True)
        assert not read_container(data[: rng.randrange(200, len(data))]).complete
