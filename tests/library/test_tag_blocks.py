"""Tags in places where a format's own are not: they count, they stay, and undo is exact."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import mutagen
import pytest
from audio_files import music, write_audio, write_format
from music_folder import scan_once, songs
from mutagen import apev2, id3

from earmark.audio.packet_hash import audio_hash
from earmark.audio.trailers import trailers
from earmark.library.settings import read_settings
from earmark.library.writing.tag_file import read_fields, read_names, write_fields
from earmark.library.writing.undo import UndoOutcome, last_run, undo_writing
from earmark.library.writing.write import TagChange, UnwritableFile, plan_writing, write_tags

KINDS = {
    "bare.mp3": None, "plain.flac": None, "s16.wv": None, "s16.wav": None,
    "song.mp2": {"codec": "mp2"},
    "eight.mp3": {"codec": "libmp3lame", "rate": 8_000, "options": {"write_xing": "0"}},
    "song.tta": {"codec": "tta", "sample_format": "s16"},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file of each kind."""
    folder, song = tmp_path_factory.mktemp("made"), music(1.5)
    return {
        name: write_format(folder, name, song)
        if options is None
        else write_audio(folder / name, song, **options)
        for name, options in KINDS.items()
    }


@pytest.fixture
def fresh(made, tmp_path):
    """A function that puts a file of a kind into music/, with bytes before and behind it."""
    (tmp_path / "music").mkdir()

    def copy(name, before=b"", behind=b""):
        path = tmp_path / "music" / name
        path.write_bytes(before + made[name].read_bytes() + behind)
        return path

    return copy


def own(tmp_path, text=""):
    """Settings that take the two best genres of a tiny network, and more of one's own."""
    path = tmp_path / "own.toml"
    path.write_text(f"[group.genre]\nmin = 0\ntop = 2\n[group.mood]\nmin = 0\ntop = 1\n{text}")
    return read_settings(path)


def id3_tag(*, version=4, padding=0, **texts):
    """The bytes of an ID3v2 tag."""
    tags, out = id3.ID3(), BytesIO()
    for name, text in texts.items():
        tags.add(getattr(id3, name)(encoding=3, text=[text]))
    tags.save(out, v1=0, v2_version=version, padding=lambda _: padding)
    return out.getvalue()


def footed(tag):
    """An ID3v2.4 tag as it stands at the end of a file."""
    tag = bytearray(tag)
    tag[5] |= 0x10
    return bytes(tag + b"3DI" + tag[3:10])


def ape_tag(**texts):
    """The bytes of an APEv2 tag."""
    tags, out = apev2.APEv2(), BytesIO()
    tags.update(texts)
    tags.save(out)
    return out.getvalue()


def id3v1(*, title="Title", artist="Artist", genre=255):
    text = b"TAG" + title.encode().ljust(30, b"\0") + artist.encode().ljust(30, b"\0")
    return text + bytes(64) + bytes([genre])


NAMES = {"TPE1": "Anna", "TIT2": "Song", "TCON": "Polka"}
APE = ape_tag(Artist="Anna", Title="Song", Genre="Polka")
TAGGED = {
    "MP3 with APEv2": ("bare.mp3", b"", APE),
    "MP3 with APEv2 and ID3v1": ("bare.mp3", b"", APE + id3v1(title="Song", artist="Anna")),
    "MP3 with ID3v2 and APEv2": ("bare.mp3", id3_tag(TALB="First"), APE),
    "TTA with APEv2": ("song.tta", b"", APE),
    "FLAC with ID3v2": ("plain.flac", id3_tag(**NAMES), b""),
    "FLAC with ID3v1": ("plain.flac", b"", id3v1(title="Song", artist="Anna", genre=75)),
    "MP3 with ID3v2.4 at its end": ("bare.mp3", b"", footed(id3_tag(**NAMES))),
    "MP3 with ID3v2.4 before ID3v1": (
        "bare.mp3", id3_tag(TALB="First"),
        footed(id3_tag(**NAMES)) + id3v1(title="Song", artist="Anna"),
    ),
    "MP3 with two ID3v2": (
        "bare.mp3", id3_tag(version=3, TALB="First", padding=20) + id3_tag(**NAMES, padding=9), b"",
    ),
    "WavPack with ID3v1": ("s16.wv", b"", id3v1(title="Song", artist="Anna", genre=75)),
    "WavPack with APEv2 and ID3v1": ("s16.wv", b"", APE + id3v1(title="Song", artist="Anna")),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAGGED)
def test_a_genre_in_another_block_is_a_genre(library, tagger, fresh, tmp_path, kind):
    path = fresh(*TAGGED[kind])
    before = path.read_bytes()
    assert read_names(path)[:2] == ("Anna", "Song")
    assert read_fields(path, ["genre"]) == {"genre": ("Polka",)}
    scan_once(library, tagger, path.parent)
    assert songs(library)[path.name].artist == "Anna"
    settings = own(tmp_path)

    def written(mode):
        plan = plan_writing(library, library.model(), settings=settings, mode=mode)
        return list(write_tags(library, plan))

    (change,) = written("fill")
    assert "genre" not in change.after
    assert "mood" in change.after
    assert written("fill") == []
    (change,) = written("merge")
    merged = read_fields(path, ["genre"])["genre"]
    assert merged[0] == "Polka"
    assert merged == change.after["genre"]
    assert written("merge") == []
    (change,) = written("replace")
    assert read_fields(path, ["genre"])["genre"] == change.after["genre"]
    assert "Polka" not in change.after["genre"]
    assert written("replace") == []
    assert read_names(path)[:2] == ("Anna", "Song")
    scanned = scan_once(library, tagger, path.parent)[0]
    assert (scanned.unchanged, scanned.heard) == (1, 0)
    for _ in range(3):
        outcomes = [each.outcome for each in undo_writing(library, last_run(library))]
        assert outcomes == [UndoOutcome.restored]
    assert path.read_bytes() == before


def test_what_stands_in_the_other_blocks_stays_there(fresh):
    path = fresh(
        "bare.mp3", id3_tag(TALB="First") + id3_tag(TCON="Polka", TPUB="Second"),
        footed(id3_tag(TCON="Polka", TCOM="Third")) + APE + id3v1(),
    )  # fmt: skip
    with path.open("rb") as file:
        behind = [one.kind for one in trailers(file)]
    assert behind == ["id3v1", "ape", "id3v2"]
    write_fields(path, {"genre": ("Jazz",), "mood": ("Calm",)})
    content = path.read_bytes()
    with path.open("rb") as file:
        assert [one.kind for one in trailers(file)] == behind
        one = trailers(file)
    assert b"Polka" not in content
    for text in (b"Second", b"Third", b"Anna"):
        assert content.count(text) == 1, text
    assert id3.ID3(path)["TALB"].text == ["First"]
    assert content[-1] == 8  # ID3v1's number for Jazz
    assert apev2.APEv2(path)["Genre"] == "Jazz"
    last = id3.ID3(BytesIO(content[one[2].start : one[2].end]))
    assert (last["TCON"].text, last["TCOM"].text) == (["Jazz"], ["Third"])
    assert "Mood" not in apev2.APEv2(path)  # it had none there


def test_a_name_that_id3v1_cut_is_read_whole_where_it_stands_whole(fresh):
    name = "Anna and the Longest Name That There Is"
    path = fresh("bare.mp3", b"", ape_tag(Artist=name) + id3v1(artist=name[:30]))
    assert read_names(path) == (name, "Title", "")


BEHIND = {
    "Lyrics3": b"LYRICSBEGIN" + b"la la la" * 20 + b"LYRICSEND" + id3v1(),
    "Lyrics3v2": b"LYRICSBEGIN" + b"INF00002la" + b"000021LYRICS200" + id3v1(),
    "zeros": bytes(1000),
    "zeros before ID3v1": bytes(1000) + id3v1(),
    "text before ID3v1": b"https://example.org " * 40 + id3v1(),
    "a long ID3v1": b"TAG+" + b"Longer title".ljust(223, b"\0") + id3v1(),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("name", ["bare.mp3", "song.mp2", "song.tta", "s16.wv", "plain.flac"])
def test_what_follows_the_audio_is_no_audio(library, tagger, fresh, made, tmp_path, name, behind):
    if name == "plain.flac" and "text" in behind:
        pytest.skip("nothing tells text from the last frame of a FLAC")
    path = fresh(name, b"", BEHIND[behind])
    before = path.read_bytes()
    assert audio_hash(path) == audio_hash(made[name])
    scan_once(library, tagger, path.parent)
    plan = plan_writing(library, library.model(), settings=own(tmp_path))
    (change,) = write_tags(library, plan)
    assert isinstance(change, TagChange)
    assert read_fields(path, ["genre"])["genre"] == change.after["genre"]
    assert audio_hash(path) == audio_hash(made[name])
    (each,) = undo_writing(library, 1)
    assert each.outcome is UndoOutcome.restored
    assert path.read_bytes() == before


def test_another_song_has_another_hash_whatever_follows_it(fresh, tmp_path):
    other = write_audio(tmp_path / "other.mp3", music(1.5, seed=1), codec="libmp3lame")
    assert audio_hash(fresh("bare.mp3")) != audio_hash(other)
    cut = fresh("bare.mp3")
    whole = audio_hash(cut)
    cut.write_bytes(cut.read_bytes()[:-2000])
    assert audio_hash(cut) != whole


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("song.mp2", b""), ("eight.mp3", b""), ("bare.mp3", bytes(417)), ("song.tta", b""),
        ("plain.flac", id3_tag(TIT2="Song")),
    ],
)  # fmt: skip
def test_files_that_only_their_names_tell_apart_are_written(
    library, tagger, fresh, tmp_path, name, before
):
    path = fresh(name, before)
    content = path.read_bytes()
    scan_once(library, tagger, path.parent)
    for _ in range(2):
        plan = plan_writing(library, library.model(), settings=own(tmp_path))
        (change,) = write_tags(library, plan)
        assert isinstance(change, TagChange), change.error
        assert read_fields(path, ["genre"])["genre"] == change.after["genre"]
        (each,) = undo_writing(library, last_run(library))
        assert each.outcome is UndoOutcome.restored
        assert path.read_bytes() == content


# WAV


def info_chunk(**texts):
    parts = b""
    for name, text in texts.items():
        data = text + b"\0"
        parts += name.encode() + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"LIST" + struct.pack("<I", len(parts) + 4) + b"INFO" + parts


@pytest.fixture
def with_info(fresh):
    """A WAV with INFO before its audio."""
    path = fresh("s16.wav")
    content = path.read_bytes()
    if b"LIST" in content[:200]:  # FFmpeg's own, with its name
        start = content.index(b"LIST")
        size = struct.unpack_from("<I", content, start + 4)[0]
        content = content[:start] + content[start + 8 + size :]
    at = content.index(b"data")
    info = info_chunk(
        IART="Änna".encode("cp1252"), INAM=b"Song", IGNR=b"Polka; Ska", ISFT=b"Gadget"
    )
    content = content[:at] + info + content[at:]
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return path


def test_the_info_of_a_wav_is_read_and_written(library, tagger, with_info, tmp_path):
    path = with_info
    before = path.read_bytes()
    assert read_names(path) == ("Änna", "Song", "")
    assert read_fields(path, ["genre"]) == {"genre": ("Polka", "Ska")}
    scan_once(library, tagger, path.parent)
    settings = own(tmp_path)
    (change,) = write_tags(library, plan_writing(library, library.model(), settings=settings))
    assert "genre" not in change.after
    plan = plan_writing(library, library.model(), settings=settings, mode="replace")
    (change,) = write_tags(library, plan)
    genres = change.after["genre"]
    assert read_fields(path, ["genre"])["genre"] == genres
    info = ffprobe_like(path)
    assert (info["genre"], info["title"], info["encoder"]) == ("; ".join(genres), "Song", "Gadget")
    assert list(mutagen.File(path).tags["TCON"].text) == list(genres)
    for _ in range(2):
        (each,) = undo_writing(library, last_run(library))
        assert each.outcome is UndoOutcome.restored
    assert path.read_bytes() == before


def ffprobe_like(path):
    """What FFmpeg reads of a WAV's INFO: the file without the id3 chunk behind its audio."""
    import av

    content = path.read_bytes()
    at = content.index(b"ID3") - 8
    bare = path.with_name("bare.wav")
    bare.write_bytes(content[:at])
    with av.open(str(bare), metadata_errors="ignore") as file:
        found = dict(file.metadata)
    bare.unlink()
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:4] + b"\xff" * 4 + content[8:], "how long it is"),
        (lambda content: content[:4] + bytes(4) + content[8:], "how long it is"),
        (lambda content: content.replace(data_head(content), b"data\xff\xff\xff\xff"), "how long"),
        (lambda content: b"RF64" + b"\xff" * 4 + content[8:], "RF64"),
        (lambda content: b"RIFX" + content[4:], "RIFX"),
    ],
)
def test_a_wav_that_cannot_be_written_says_the_true_reason(
    library, tagger, fresh, tmp_path, change, said
):
    path = fresh("s16.wav")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Exception, match=said) as caught:
        write_fields(path, {"genre": ("Jazz",)})
    assert "damaged" not in str(caught.value)


def data_head(content):
    at = content.index(b"data")
    return content[at : at + 8]


def test_a_wav_from_a_pipe_is_heard_and_says_why_it_is_not_written(
    library, tagger, fresh, tmp_path
):
    path = fresh("s16.wav")
    content = path.read_bytes()
    content = content.replace(data_head(content), b"data\xff\xff\xff\xff")
    path.write_bytes(content[:4] + b"\xff" * 4 + content[8:])
    scan_once(library, tagger, path.parent)
    (refused,) = plan_writing(library, library.model(), settings=own(tmp_path))
    assert isinstance(refused, UnwritableFile)
    assert "Copy it first" in str(refused.error)


# Limits


def compressed_title(n_bytes):
    """An ID3v2.3 tag whose title unfolds to so many bytes."""
    packer = zlib.compressobj(9)
    body = packer.compress(b"\0")
    body += b"".join(packer.compress(b"A" * (1 << 20)) for _ in range(n_bytes >> 20))
    body += packer.flush()
    frame = b"TIT2" + struct.pack(">I", len(body) + 4) + b"\0\x80" + struct.pack(">I", n_bytes)
    size = len(frame) + len(body)
    seven = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + seven + frame + body


def atoms(depth):
    """MP4 atoms, one inside the other."""
    content = b""
    for _ in range(depth):
        content = struct.pack(">I4s", len(content) + 8, b"trak") + content
    return content


def flac_with_comments(path, number):
    """A FLAC whose block of comments claims and has so many."""
    content = path.read_bytes()
    comments = struct.pack("<II", 0, number) + (struct.pack("<I", 3) + b"a=b") * number
    block = b"\x04" + len(comments).to_bytes(3, "big") + comments
    at = 4 + 4 + 34  # behind STREAMINFO
    path.write_bytes(
        content[:4] + bytes([content[4] & 0x7F]) + content[5:at] + block + content[at:]
    )
    return path


def many_frames(number):
    body = (b"TXXX" + struct.pack(">I", 4) + b"\0\0\0a\0b") * number
    seven = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + seven + body


def test_tags_beyond_the_limits_cost_the_names_and_nothing_else(library, tagger, fresh, tmp_path):
    fresh("bare.mp3", compressed_title(80 << 20))
    path = flac_with_comments(fresh("plain.flac"), 5_000)
    path.write_bytes(id3_tag(TCOM="Someone") + path.read_bytes())
    fresh("eight.mp3", many_frames(5_000))
    fresh("song.mp2", b"", footed(id3_tag(TIT2="Song"))[:-10] + b"3DI\x04\0\x10\x7f\x7f\x7f\x7f")
    path = write_format(tmp_path / "music", "aac.m4a", music(1.5))
    content = path.read_bytes()
    path.write_bytes(content + atoms(3_000))
    counts, _ = scan_once(library, tagger, path.parent)
    assert (counts.heard, counts.failed) == (5, 0)
    assert all(song.title == "" for song in songs(library).values())
    refused = {
        found.song.path.name: str(found.error)
        for found in plan_writing(library, library.model(), settings=own(tmp_path))
        if isinstance(found, UnwritableFile)
    }
    assert refused.keys() == {"bare.mp3", "plain.flac", "eight.mp3", "aac.m4a"}
    assert "unfold to more than 64 MB" in refused["bare.mp3"]
    assert "more than 4,000 entries" in refused["plain.flac"]
    assert "more than 4,000 entries" in refused["eight.mp3"]
    assert "nested too deeply" in refused["aac.m4a"]


def test_a_bomb_in_a_title_takes_no_memory(fresh):
    path = fresh("bare.mp3", compressed_title(300 << 20))
    script = """
import resource, sys
from pathlib import Path
from earmark.library.writing.tag_file import read_names
read_names(Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read_names(Path(sys.argv[1])) == ("", "", "")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    if sys.platform == "win32":
        pytest.skip("resource is of POSIX")
    plain = shutil.copy(path, path.with_name("plain.mp3"))
    Path(plain).write_bytes(path.read_bytes()[-40_000:])
    done = subprocess.run(
        [sys.executable, "-c", script, path, plain], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200  # MB


def test_real_compressed_frames_and_large_pictures_are_read(fresh):
    path = fresh("bare.mp3", compressed_title(1 << 20))
    assert read_names(path)[1] == "A" * (1 << 20)
    path = fresh("song.mp2")
    tags = id3.ID3()
    tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc="", data=bytes(17 << 20)))
    tags.add(id3.TIT2(encoding=3, text=["Song"]))
    tags.save(path)
    assert read_names(path) == ("", "Song", "")
    write_fields(path, {"genre": ("Jazz",)})
    assert len(id3.ID3(path)["APIC:"].data) == 17 << 20
