"""Fields in the files of every format: where other programs look for them, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import mediafile
import mutagen
import numpy as np
import pytest
from audio_files import FORMATS, music, write_format
from mutagen import id3

from earmark.audio import load_audio
from earmark.errors import UnwritableTags
from earmark.library.writing.tag_file import read_fields, read_names, write_fields

UNTAGGED = ("raw.aac", "aac.mka")  # formats that mutagen writes no tags to
FIELDS = {
    "genre": ("Jazz", "R&B", "Drum/Bass"),
    "mood": ("Calm", "Trübe"),
    "EARMARK_MODEL": ("tiny 0123456789ab",),
    "EARMARK_SCORES": ("jazz=0.91", "rnb=0.40"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of each format."""
    folder, song = tmp_path_factory.mktemp("files"), music(1.5)
    return {name: write_format(folder, name, song) for name in FORMATS}


@pytest.fixture
def fresh(files, tmp_path):
    """A function that copies the file of a format here."""
    return lambda name: Path(shutil.copy(files[name], tmp_path))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_several_values_come_back_from_every_format_and_the_audio_stays(fresh, name):
    path = fresh(name)
    before = load_audio(path, rate=12_000).samples
    if name in UNTAGGED:
        with pytest.raises(UnwritableTags, match="cannot write tags in this format"):
            write_fields(path, FIELDS)
        with pytest.raises(UnwritableTags, match="cannot write tags in this format"):
            read_fields(path, FIELDS)
        return
    write_fields(path, {"artist": ("Anna",), "title": ("Song",), "album": ("First",)})
    write_fields(path, FIELDS)
    assert read_fields(path, FIELDS) == FIELDS
    assert read_names(path) == ("Anna", "Song", "First")
    after = load_audio(path, rate=12_000).samples
    assert after.tobytes() == before.tobytes()
    once = path.read_bytes()
    write_fields(path, FIELDS)
    assert path.read_bytes() == once
    write_fields(path, {"mood": (), "EARMARK_SCORES": ()})
    gone = {"mood": (), "EARMARK_SCORES": ()}
    assert read_fields(path, FIELDS) == FIELDS | gone


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(UNTAGGED)))
def test_another_program_reads_the_genres_one_by_one(fresh, name):
    path = fresh(name)
    write_fields(path, FIELDS)
    try:
        other = mediafile.MediaFile(path)
    except mediafile.FileTypeError:
        pytest.skip("mediafile does not know this format")
    assert tuple(other.genres) == FIELDS["genre"]
    assert other.title is None


@pytest.mark.parametrize(
    ("name", "genre", "mood"),
    [
        ("aac.m4a", "\xa9gen", "----:com.apple.iTunes:MOOD"),
        ("plain.flac", "genre", "mood"),
        ("plain.opus", "genre", "mood"),
        ("s16.wv", "Genre", "Mood"),
        ("v2.wma", "WM/Genre", "WM/Mood"),
    ],
)
def test_genre_and_mood_stand_in_the_fields_that_others_use(fresh, name, genre, mood):
    path = fresh(name)
    write_fields(path, FIELDS)
    tags = mutagen.File(path).tags
    assert [str(value) for value in tags[genre]] == list(FIELDS["genre"])
    moods = [v.decode() if isinstance(v, bytes) else str(v) for v in tags[mood]]
    assert moods == list(FIELDS["mood"])


def tagged(fresh, *frames, version):
    """An mp3 with an ID3v2 tag of a version."""
    path = fresh("bare.mp3")
    tags = id3.ID3()
    for frame in frames:
        tags.add(frame)
    tags.save(path, v2_version=version)
    return path


def test_id3v24_keeps_its_version_and_has_a_frame_for_the_mood(fresh):
    path = tagged(fresh, id3.TDRC(text=["1999-12-31"]), version=4)
    write_fields(path, FIELDS)
    tags = id3.ID3(path, translate=False)
    assert tags.version == (2, 4, 0)
    assert tags["TCON"].text == list(FIELDS["genre"])
    assert tags["TMOO"].text == list(FIELDS["mood"])
    assert tags.getall("TXXX:MOOD") == []
    assert str(tags["TDRC"]) == "1999-12-31"


def test_id3v23_keeps_its_version_its_frames_and_its_many_values(fresh):
    path = tagged(
        fresh,
        id3.TYER(text=["1999"]), id3.TDAT(text=["3112"]), id3.TPE1(encoding=1, text=["Änna"]),
        version=3,
    )  # fmt: skip
    write_fields(path, FIELDS)
    tags = id3.ID3(path, translate=False)
    assert tags.version == (2, 3, 0)
    assert tags["TCON"].text == list(FIELDS["genre"])
    assert "TMOO" not in tags
    assert tags["TXXX:MOOD"].text == list(FIELDS["mood"])
    assert tags["TYER"].text == ["1999"]
    assert tags["TDAT"].text == ["3112"]
    assert "TDRC" not in tags
    assert read_fields(path, FIELDS) == FIELDS


def test_a_mood_in_either_place_of_id3_counts_and_is_not_doubled(fresh):
    both = (id3.TMOO(text=["Calm"]), id3.TXXX(desc="mood", text=["calm", "Calm", "Sad"]))
    path = tagged(fresh, *both, version=4)
    assert read_fields(path, ["mood"]) == {"mood": ("Calm", "calm", "Sad")}
    write_fields(path, {"mood": ("Sad",)})
    tags = id3.ID3(path)
    assert tags["TMOO"].text == ["Sad"]
    assert tags.getall("TXXX") == []


def test_numbers_for_genres_are_read_as_the_names_they_stand_for(fresh):
    path = tagged(fresh, id3.TCON(text=["(8)(9)Doom"]), version=3)
    assert read_fields(path, ["genre"]) == {"genre": ("Jazz", "Metal", "Doom")}


def test_a_file_with_only_an_id3v1_tag_keeps_what_it_said(fresh):
    path = fresh("bare.mp3")
    old = b"TAG" + b"Title".ljust(30, b"\0") + b"Artist".ljust(30, b"\0") + b"\0" * 64 + b"\xff"
    path.write_bytes(path.read_bytes() + old)
    assert read_names(path) == ("Artist", "Title", "")
    write_fields(path, {"genre": ("Jazz",)})
    assert read_names(path) == ("Artist", "Title", "")
    assert path.read_bytes()[-128:-1].startswith(b"TAGTitle")


def test_an_id3v22_tag_becomes_v23_and_keeps_what_it_said(fresh):
    path = fresh("bare.mp3")
    frame = b"TT2" + (6).to_bytes(3, "big") + b"\0Title"
    path.write_bytes(b"ID3\x02\0\0" + bytes([0, 0, 0, len(frame)]) + frame + path.read_bytes())
    write_fields(path, {"genre": ("Jazz", "Blues")})
    assert id3.ID3(path).version == (2, 3, 0)
    assert read_names(path) == ("", "Title", "")
    assert read_fields(path, ["genre"]) == {"genre": ("Jazz", "Blues")}


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(UNTAGGED)))
@pytest.mark.parametrize("seed", range(3))
def test_broken_tags_are_an_error_of_ours_or_none(fresh, name, seed):
    path = fresh(name)
    write_fields(path, FIELDS | {"artist": ("Anna",)})
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, min(2000, len(content)), 30):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    try:
        write_fields(path, {"genre": ("Pop",)})
    except UnwritableTags as error:
        assert str(path) in str(error)  # noqa: PT017 - both ends are right
    assert all(isinstance(name, str) for name in read_names(path))
