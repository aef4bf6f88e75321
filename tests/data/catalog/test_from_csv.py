"""A song list of one's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.data.catalog.catalog import Song, read_catalog, write_catalog
from earmark.data.catalog.from_csv import read_csv
from earmark.data.catalog.summary import summarise
from earmark.data.catalog.vocabulary import count_tags, keep_tags
from earmark.errors import BadCatalog


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "songs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_whole_row_becomes_a_song(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"audio")
    path = write(
        tmp_path,
        "id,path,tags,artist,split,title,seconds\n"
        '1,a.mp3,rock | indie pop,"Earth, Wind",train,"say ""hi""",12.5\n'
        "2,/none/b.mp3,rock,,3,,\n",
    )
    catalog, report = read_csv(path)
    assert list(catalog) == [
        Song(
            "1", "Earth, Wind", 'say "hi"', "train", str(tmp_path / "a.mp3"), 12.5,
            ("rock", "indie pop"),
        ),
        Song("2", split="3", path="/none/b.mp3", tags=("rock",)),
    ]  # fmt: skip
    assert report["files_missing"].examples == ["/none/b.mp3"]
    assert catalog.source == "csv"


def test_empty_cells_are_unknown_and_a_lone_bar_is_none_of_the_tags(tmp_path: Path) -> None:
    catalog, report = read_csv(write(tmp_path, "id,tags,path\na,,\nb,|,\nc,x|x|,\n"))
    assert [song.tags for song in catalog] == [None, (), ("x",)]
    assert report["without_labels"].examples == ["a"]
    assert report["without_path"].count == 3
    assert report["files_missing"].count == 0


def test_only_the_column_id_must_be_there(tmp_path: Path) -> None:
    catalog, report = read_csv(write(tmp_path, "genre,id\nrock,a\n\n,b\n"))
    assert list(catalog) == [Song("a"), Song("b")]
    assert report["columns_not_used"].examples == ["genre"]


def test_excel_files_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    catalog, _ = read_csv(write(tmp_path, "\ufeffid,artist\r\na,Björk\r\n"))
    assert list(catalog) == [Song("a", artist="Björk")]


def test_validation_has_many_names(tmp_path: Path) -> None:
    text = "id,split\na,Train\nb,validation\nc, val\nd,TEST\ne,007\nf,\n"
    catalog, _ = read_csv(write(tmp_path, text))
    assert catalog.splits == ["train", "valid", "valid", "test", "7", ""]


def test_tags_and_split_come_from_the_columns_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "id,genres,moods,fold,tags\na,rock,sad;calm,1,x\nb,,,2,x\n")
    catalog, report = read_csv(
        path, tag_columns=["genres", "moods"], split_column="fold", separator=";"
    )
    assert [set(song.tags or ()) for song in catalog] == [{"rock", "sad", "calm"}, set()]
    assert catalog.splits == ["1", "2"]
    assert report["columns_not_used"].examples == ["tags"]
    with pytest.raises(BadCatalog, match="line 1: no column mood; the columns are id, genres"):
        read_csv(path, tag_columns=["mood"])


def test_a_repeated_row_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path, "id,artist\na,X\nb,Y\na,X\n")
    catalog, report = read_csv(path)
    assert catalog.ids == ["a", "b"]
    assert report["duplicate_ids"].examples == [f"{path}, line 4: a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"line 1: no column id; the columns are \(none\)"),
        ("name,path\nx,y\n", "line 1: no column id; the columns are name, path"),
        ("id;path\nx;y\n", "no column id; the columns are id;path"),
        ("id,id\nx,y\n", "a column is there twice"),
        ("id,path\na,b\nc\n", "line 3: 1 values for 2 columns"),
        ("id,path\na,b,c\n", "line 2: 3 values for 2 columns"),
        ("id,path\n,b\n", "line 2: the id '' cannot be a file name"),
        ("id,path\na/b,b\n", "line 2: the id 'a/b' cannot be a file name"),
        ("id,split\na,dev\n", "line 2: the split is 'dev'; use train, valid, test"),
        ("id,seconds\na,long\n", "line 2: 'long' is not a length in seconds"),
        ("id,seconds\na,-1\n", "line 2: '-1' is not a length"),
        ("id,seconds\na,nan\n", "line 2: 'nan' is not a length"),
        ('id,path\na,"b\nc,d\n', "double quote left open"),
        ("id,artist\na,X\nb,Y\na,Z\n", r"line 4: the id 'a' is at .*line 2 too"),
        (
            b"id,artist\na,ok\nb,Beyonc\xe9\n",
            "line 3: the text is not UTF-8. Save the file",
        ),
    ],
)
def test_what_does_not_parse_is_named_with_its_line(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(BadCatalog, match=words) as caught:
        read_csv(write(tmp_path, text))
    assert "songs.csv" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match=r"cannot read .*none\.csv: No such file"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_folder_whose_name_is_no_text_is_refused_where_paths_lie_in_it(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xfcsic"))
    folder.mkdir()
    with pytest.raises(BadCatalog, match=r"not UTF-8.*--audio"):
        read_csv(write(folder, "id,path\n1,a.mp3\n"))
    catalog, _ = read_csv(write(folder, "id,tags\n1,rock\n"))
    assert len(catalog) == 1
    write_catalog(catalog, folder / "catalog.parquet")
    assert list(read_catalog(folder / "catalog.parquet")) == list(catalog)


def test_an_empty_list_is_an_empty_catalog(tmp_path: Path) -> None:
    catalog, _ = read_csv(write(tmp_path, "id,path\n"))
    assert len(catalog) == 0
    assert summarise(catalog).songs == 0


def test_the_4q_clips_become_a_catalog_of_fifty_tags_in_five_folds(shared: Path) -> None:
    reading = read_csv(
        shared / "q4" / "tracks.csv", tag_columns=["genres", "moods"], split_column="fold"
    )
    assert all(finding.count == 0 for finding in reading.report.issues.values())
    catalog = keep_tags(reading.catalog, top=50)
    assert len(catalog) == 900
    assert catalog.labelled.all()
    assert count_tags(catalog).min() == 46
    frequent = dict(zip(catalog.tags, count_tags(catalog).tolist(), strict=True))
    assert list(frequent.items())[:4] == [
        ("Pop/Rock", 368),
        ("Jazz", 167),
        ("Electronic", 141),
        ("International", 116),
    ]
    assert set(catalog.splits) == set("01234")
    summary = summarise(catalog)
    assert (summary.artists, summary.n_shared_artists) == (661, 0)
    assert all(Path(song.path).is_file() for song in catalog)
    tagged = reading.catalog.labels().sum(axis=1)
    assert np.isclose(tagged.mean(), 1.8 + 6.5, atol=0.1)


def test_blanks_around_the_names_of_columns_do_not_count(tmp_path: Path) -> None:
    catalog, report = read_csv(write(tmp_path, "id, path ,\ttags, my artist\n1, /x.mp3, rock, A\n"))
    assert list(catalog) == [Song("1", path="/x.mp3", tags=("rock",))]
    assert report["columns_not_used"].examples == ["my artist"]
