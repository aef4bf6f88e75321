"""MagnaTagATune's wide table."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.data.catalog.catalog import Song
from earmark.data.catalog.from_mtat import read_mtat
from earmark.data.catalog.vocabulary import keep_tags
from earmark.errors import BadCatalog

HEADER = ["clip_id", "no voice", "singer", "duet", "mp3_path"]


def write(path: Path, *rows: list[str], header: list[str] = HEADER) -> Path:
    lines = ["\t".join(f'"{cell}"' for cell in row) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_of_ones_become_tags_and_folders_splits(tmp_path: Path) -> None:
    path = write(
        tmp_path / "annotations_final.csv",
        ["2", "1", "0", "1", "f/american_bach-j_s-117-146.mp3"],
        ["6", "0", "0", "0", "0/x.mp3"],
        ["10", "0", "1", "0", "b/x.mp3"],
        ["11", "0", "1", "0", "c/x.mp3"],
        ["12", "0", "1", "0", "d/x.mp3"],
    )
    catalog, report = read_mtat(path)
    assert catalog.tags == ("no voice", "singer", "duet")
    assert catalog[0] == Song(
        "2", split="test", path="f/american_bach-j_s-117-146.mp3", tags=("no voice", "duet")
    )
    assert catalog[1].tags == ()
    assert catalog.splits == ["test", "train", "train", "valid", "test"]
    assert not any(finding.count for finding in report.issues.values())
    assert keep_tags(catalog, top=1).tags == ("singer",)


def test_the_info_file_names_artists_and_titles(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", ["2", "1", "0", "0", "f/x.mp3"], ["6", "1", "0", "0", "0/x.mp3"]
    )
    info = write(
        tmp_path / "clip_info_final.csv",
        ["2", "1", "BWV54 - I Aria", "American Bach Soloists", "Cantatas", "http://x"],
        header=["clip_id", "track_number", "title", "artist", "album", "url"],
    )
    catalog, report = read_mtat(path, info=info)
    assert [(song.artist, song.title) for song in catalog] == [
        ("American Bach Soloists", "BWV54 - I Aria"),
        ("", ""),
    ]
    assert report["without_name"].examples == ["6"]
    with pytest.raises(BadCatalog, match="not MagnaTagATune's clip_info"):
        read_mtat(path, info=path)


def test_audio_that_is_not_there_or_empty_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", ["2", "1", "0", "0", "f/x.mp3"], ["6", "1", "0", "0", "0/x.mp3"]
    )
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "x.mp3").write_bytes(b"audio")
    catalog, report = read_mtat(path, audio=tmp_path)
    assert [song.path for song in catalog] == [str(tmp_path / "f/x.mp3"), str(tmp_path / "0/x.mp3")]
    assert report["files_missing"].examples == [str(tmp_path / "0/x.mp3")]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["2", "1", "0", "0", "x/y.mp3"]], "line 2: the mp3_path 'x/y.mp3' should start with"),
        ([["2", "1", "0", "0", ""]], "line 2: the mp3_path '' should start with"),
        ([["2", "1", "2", "0", "0/y.mp3"]], "line 2: a tag is '2'; it should be 0 or 1"),
        ([["2", "1", "0", "0/y.mp3"]], "line 2: 4 values for 5 columns"),
        (
            [["2", "1", "0", "0", "0/y.mp3"], ["2", "0", "0", "0", "0/y.mp3"]],
            r"line 3: the id '2' is at .*line 2 too",
        ),
    ],
)
def test_what_does_not_parse_is_named_with_its_line(
    tmp_path: Path, rows: list[list[str]], words: str
) -> None:
    with pytest.raises(BadCatalog, match=words):
        read_mtat(write(tmp_path / "a.csv", *rows))


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match="line 1: not MagnaTagATune's annotations"):
        read_mtat(write(tmp_path / "a.csv", header=["id", "path", "tags"]))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(BadCatalog, match=r"empty\.csv is empty"):
        read_mtat(tmp_path / "empty.csv")
