"""Tags, expressions, settings and paths from anywhere: a value or one of earmark's errors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from audio_files import tone, write_audio
from fuzzing import damaged, fuzzed
from hypothesis import strategies as st

from earmark.audio.packet_hash import audio_hash
from earmark.library.playlists.expression import parse
from earmark.library.playlists.m3u import Places, m3u8
from earmark.library.settings import default_text, read_settings
from earmark.library.song import ScannedFile
from earmark.library.writing.fields import GENRE
from earmark.library.writing.tag_file import read_fields, read_names, write_fields
from earmark.library.writing.write import write_checked

KINDS = {
    ".mp3": "libmp3lame", ".flac": "flac", ".m4a": "aac", ".opus": "libopus", ".wav": "pcm_s16le",
    ".aiff": "pcm_s16be", ".wma": "wmav2", ".wv": "wavpack",
}  # fmt: skip


@pytest.mark.parametrize("suffix", KINDS)
def test_damaged_tags(tmp_path: Path, suffix: str) -> None:
    """A damaged file is refused, or has what was written, beside audio that is as it was."""
    path, before = tmp_path / f"song{suffix}", tmp_path / f"before{suffix}"
    rate = 48_000 if suffix == ".opus" else 44_100
    write_audio(
        path, tone(300, seconds=0.2, rate=rate), codec=KINDS[suffix], rate=rate, bit_rate=64_000
    )
    write_fields(path, {GENRE: ("Rock", "Pop"), "artist": ("Air",), "OWN": ("0.5",)})
    whole = path.read_bytes()
    head, tail = whole[:600], whole[-300:]
    cut = st.tuples(st.just("head"), damaged(head)) | st.tuples(st.just("tail"), damaged(tail))

    def check(value: tuple[str, bytes]) -> None:
        place, data = value
        data = data + whole[600:] if place == "head" else whole[:-300] + data
        path.write_bytes(data)
        before.write_bytes(data)
        read_names(path)
        write_checked(before, path, {GENRE: ("Jazz",)})
        assert read_fields(path, [GENRE])[GENRE] == ("Jazz",)
        assert audio_hash(path) == audio_hash(before)

    fuzzed(cut, check, 50)


def test_expressions() -> None:
    tags = ("rock", "hip hop", "not", "80s", "new wave")
    settings = read_settings()
    scores = np.random.default_rng(0).random((5, len(tags)), dtype=np.float32)
    words = st.sampled_from([*tags, "and", "or", "(", ")", ",", ">", "<=", ".5", '"', "x", "1e9"])
    texts = st.lists(words | st.text(max_size=3), max_size=25).map(" ".join)

    def check(text: str) -> None:
        match = parse(text, tags=tags, settings=settings)(scores)
        assert match.holds.shape == match.degree.shape == (5,)
        assert match.holds.dtype == bool
        assert ((match.degree >= 0) & (match.degree <= 1)).all()

    fuzzed(texts | st.text(), check, 150)


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    whole = default_text().encode()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        read_settings(path)

    fuzzed(damaged(whole) | st.binary(max_size=60), check, 150)


def test_playlists_lead_to_their_songs(tmp_path: Path) -> None:
    """Each line of a playlist that is no comment is a path, which leads to the song."""
    part = st.binary(min_size=1, max_size=12).map(lambda name: name.translate(None, b"/\0"))
    names = st.lists(
        part.filter(lambda name: name not in (b"", b".", b"..")), min_size=1, max_size=3
    )

    def check(steps: list[bytes]) -> None:
        path = tmp_path.joinpath(*map(os.fsdecode, steps))
        song = ScannedFile(path, 1, 1, title=os.fsdecode(steps[-1]), artist="a\nb", seconds=2.0)
        for places in (Places(), Places(tmp_path), Places(tmp_path / "lists")):
            data, left_out = m3u8([song], places=places)
            lines = [line for line in data.split(b"\n") if line and not line.startswith(b"#")]
            if left_out:
                assert b"\n" in b"".join(steps) or b"\r" in b"".join(steps)
                assert lines == []
                continue
            base = places.relative_to or tmp_path
            (line,) = lines
            assert os.path.normpath(base / os.fsdecode(line)) == os.path.normpath(path)

    fuzzed(names, check, 200)
