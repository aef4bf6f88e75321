"""MTG-Jamendo's ragged lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.data.catalog.catalog import Song
from earmark.data.catalog.from_jamendo import read_jamendo
from earmark.errors import BadCatalog

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
META = "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL"


def row(n: int, *tags: str, artist: str = "artist_000014") -> str:
    return "\t".join(
        [f"track_{n:07}", artist, "album_000031", f"{n % 100:02}/{n}.mp3", "124.6", *tags]
    )


def write(path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes("".join(line + end for line in (header, *lines)).encode())
    return path


def test_rows_of_any_number_of_tags_become_songs(tmp_path: Path) -> None:
    path = write(
        tmp_path / "autotagging.tsv",
        row(214, "genre---rock", "mood/theme---happy"),
        row(215, "genre---rock"),
        row(216),
        end="\r\n",  # as Python's csv module writes them
    )
    catalog, report = read_jamendo([path])
    assert catalog[0] == Song(
        "track_0000214",
        artist="artist_000014",
        path="14/214.mp3",
        seconds=124.6,
        tags=("genre---rock", "mood/theme---happy"),
    )
    assert [song.tags for song in catalog][1:] == [("genre---rock",), None]
    assert report["without_labels"].examples == ["track_0000216"]


def test_the_files_of_a_split_folder_are_its_splits(tmp_path: Path) -> None:
    folder = tmp_path / "split-0"
    for n, split in enumerate(("train", "validation", "test")):
        write(folder / f"autotagging_top50tags-{split}.tsv", row(n, "genre---rock"))
    (folder / "README.tsv").write_text("not a list")
    catalog, _ = read_jamendo([folder])
    assert {song.id: song.split for song in catalog} == {
        "track_0000000": "train",
        "track_0000001": "valid",
        "track_0000002": "test",
    }
    named, _ = read_jamendo(sorted(folder.glob("autotagging*")))
    assert named == catalog


def test_one_subset_of_a_split_folder_has_to_be_chosen(tmp_path: Path) -> None:
    write(tmp_path / "autotagging-train.tsv", row(1, "genre---rock"))
    write(tmp_path / "autotagging_genre-train.tsv", row(2, "genre---rock"))
    with pytest.raises(BadCatalog, match="subsets autotagging, autotagging_genre; none is chosen"):
        read_jamendo([tmp_path])
    with pytest.raises(BadCatalog, match=r"not 'genre'\. Choose one"):
        read_jamendo([tmp_path], subset="genre")
    assert read_jamendo([tmp_path], subset="autotagging_genre").catalog.ids == ["track_0000002"]


def test_a_track_in_two_splits_stays_out_of_training(tmp_path: Path) -> None:
    write(tmp_path / "a-train.tsv", row(1, "x"), row(2, "x"))
    write(tmp_path / "a-test.tsv", row(1, "x"))
    catalog, report = read_jamendo([tmp_path])
    assert {song.id: song.split for song in catalog} == {
        "track_0000001": "test",
        "track_0000002": "train",
    }
    assert report["ids_in_two_splits"].count == 1


def test_audio_is_looked_for_in_the_folder_also_of_the_smaller_download(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", row(14, "x"), row(15, "x"), row(16, "x"), row(17, "x"))
    audio = tmp_path / "audio"
    for name in ("14/14.mp3", "15/15.low.mp3"):
        (audio / name).parent.mkdir(parents=True)
        (audio / name).write_bytes(b"audio")
    (audio / "17").mkdir()
    (audio / "17" / "17.mp3").touch()
    catalog, report = read_jamendo([path], audio=audio)
    assert [song.path for song in catalog] == [
        str(audio / name) for name in ("14/14.mp3", "15/15.low.mp3", "16/16.mp3", "17/17.mp3")
    ]
    assert report["files_missing"].examples == [
        str(audio / "16/16.mp3"),
        str(audio / "17/17.mp3"),  # empty
    ]


def test_the_meta_file_gives_names_whatever_quotes_they_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", row(1, "x"), row(2, "x"), row(3, "x"))
    meta = write(
        tmp_path / "raw.meta.tsv",
        'track_0000001\ta\tb\tThe "12 inch\tMötley\tAlbum\t2010-01-01\thttp://x',
        "track_0000002\ta\tb\tTitle\t\tName after an empty field\tAlbum\t2010-01-01\thttp://x",
        "track_0000003\ttoo short",
        header=META,
    )
    catalog, report = read_jamendo([path], meta=meta)
    assert [(song.artist, song.title) for song in catalog] == [
        ("Mötley", 'The "12 inch'),
        ("Name after an empty field", "Title"),
        ("artist_000014", ""),
    ]
    assert report["without_name"].examples == ["track_0000003"]
    assert report["malformed_names"].examples == [f"{meta}, line 4"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["track_1\tartist"], "line 2: 2 values; a line should have TRACK_ID"),
        ([row(1, "x"), row(1, "y")], r"line 3: the id 'track_0000001' is at .*line 2 too"),
        ([row(1, "x").replace("124.6", "long")], "line 2: 'long' is not a length in seconds"),
        ([row(1, "x").replace("track_", "track/")], "line 2: the id 'track/0000001' cannot be"),
    ],
)
def test_what_does_not_parse_is_named_with_its_line(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    with pytest.raises(BadCatalog, match=words):
        read_jamendo([write(tmp_path / "a.tsv", *lines)])


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match="line 1: not an MTG-Jamendo list"):
        read_jamendo([write(tmp_path / "a.tsv", header="id,path")])
    path = write(tmp_path / "b.tsv", row(1, "x"))
    with pytest.raises(BadCatalog, match=r"line 1: not an MTG-Jamendo list.*TRACK_NAME"):
        read_jamendo([path], meta=path)
    with pytest.raises(BadCatalog, match=r"holds the subsets \(none\)"):
        (tmp_path / "empty").mkdir()
        read_jamendo([tmp_path / "empty"])
