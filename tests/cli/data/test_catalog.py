"""`earmark data catalog` and `earmark data inspect`, as typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from earmark.cli import main
from earmark.data.catalog.catalog import Catalog, Song, read_catalog, write_catalog

LIST = """id,path,tags,artist,split,title
1,a.mp3,rock|pop,Abba,train,One
2,b.mp3,rock,Abba,test,Two
3,c.mp3,,Korn,,
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Earmark(Protocol):
    def __call__(self, *words: str | Path) -> Ran: ...


@pytest.fixture
def earmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Earmark:
    """Run the command line in this process."""

    def run(*words: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["earmark", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
            raise SystemExit(0)  # main returns where all is well
        code = exit_.value.code
        return Ran(int(code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    path = tmp_path / "songs.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def test_a_csv_becomes_a_catalog_and_words_go_to_stderr(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    ran = earmark("data", "catalog", "csv", songs, "-o", tmp_path / "new" / "c.parquet")
    assert (ran.code, ran.out) == (0, "")
    assert "3 songs, 2 of them labelled" in ran.err
    assert "2 tags; songs by split: train 1, test 1, none 1" in ran.err
    assert "1 artist has songs in more than one split" in ran.err
    assert "3 audio files that are not there or are empty: kept in the catalog" in ran.err
    assert read_catalog(tmp_path / "new" / "c.parquet").song("1").tags == ("rock", "pop")


def test_a_list_without_tags_says_so_and_which_columns_may_hold_them(
    earmark: Earmark, tmp_path: Path
) -> None:
    songs = tmp_path / "songs.csv"
    songs.write_text("id,path,genres,moods\n1,a.mp3,rock|pop,sad\n2,b.mp3,jazz,\n")
    ran = earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["tags"] == 0
    assert "warning: no song has a tag" in ran.err
    assert "Name it with --tags: genres, moods" in ran.err
    ran = earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c", "--tags", "genres")
    assert "3 tags" in ran.err
    assert "warning" not in ran.err


def test_json_is_one_line_with_every_kind_of_finding(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    ran = earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c", "--json")
    (line,) = ran.out.splitlines()
    said = json.loads(line)
    assert said["catalog"] == str(tmp_path / "c")
    assert (said["songs"], said["labelled"], said["tags"]) == (3, 2, 2)
    assert said["splits"] == {"train": 1, "test": 1, "": 1}
    assert said["findings"]["files_missing"]["count"] == 3
    assert said["findings"]["duplicate_ids"]["count"] == 0
    assert said["findings"]["without_labels"]["examples"] == ["3"]


def test_songs_can_be_split_anew_by_artist(earmark: Earmark, songs: Path, tmp_path: Path) -> None:
    words = ["data", "catalog", "csv", songs, "-o", tmp_path / "c", "--split-by", "artist"]
    assert earmark(*words, "--fractions", "0.5,0.5,0", "--seed", "3").code == 0
    splits = dict(zip("123", read_catalog(tmp_path / "c").splits, strict=True))
    assert splits["1"] == splits["2"] != splits["3"]


def test_validation_leaves_the_test_songs_alone(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    words = ["data", "catalog", "csv", songs, "-o", tmp_path / "c", "--validation", "0.5"]
    assert earmark(*words).code == 0
    splits = read_catalog(tmp_path / "c").splits
    assert splits[1] == "test"
    assert sorted([splits[0], splits[2]]) == ["train", "valid"]


@pytest.mark.parametrize(
    "words",
    [
        ["--fractions", "1,0,0"],
        ["--fractions", "1,0,0", "--split-by", "song", "--validation", "0.1"],
        ["--split-by", "album"],
        ["--top-tags", "0"],
    ],
)
def test_options_that_do_not_go_together_are_a_matter_of_usage(
    earmark: Earmark, songs: Path, tmp_path: Path, words: list[str]
) -> None:
    assert earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c", *words).code == 2
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--split-by", "song", "--fractions", "a,b,c"], "'a,b,c' should be numbers"),
        (["--split-by", "song", "--fractions", "1,1,1"], "should be three, of train"),
        (["--validation", "6"], "not between 0 and 1"),
        (["--tags", "mood"], "no column mood"),
        (["--min-songs", "9"], "no tag is on 9 songs or more"),
    ],
)
def test_values_that_make_no_sense_are_errors_of_one_line(
    earmark: Earmark, songs: Path, tmp_path: Path, words: list[str], complaint: str
) -> None:
    ran = earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c", *words)
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line
    assert not (tmp_path / "c").exists()


def test_inspect_shows_splits_tags_and_shared_artists(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c")
    ran = earmark("data", "inspect", tmp_path / "c")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["split", "songs", "labelled"] in rows
    assert ["train", "1", "1"] in rows
    assert ["(none)", "1", "0"] in rows
    assert ["tag", "songs", "prior", "train", "test", "(none)"] in rows
    assert ["pop", "1", "0.5000", "1", "0", "0"] in rows
    assert "1 artist is in more than one split, with 2 songs" in ran.out
    assert "Abba: train 1, test 1" in ran.out

    said = json.loads(earmark("data", "inspect", tmp_path / "c", "--json").out)
    assert said["songs"] == 3
    assert said["tags"][1] == {
        "tag": "pop",
        "songs": 1,
        "prior": 0.5,
        "by_split": {"train": 1, "test": 0, "": 0},
    }
    assert said["shared_artists"] == [{"artist": "Abba", "by_split": {"train": 1, "test": 1}}]


def test_inspect_shows_the_tags_of_a_song_with_counts_and_priors(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c")
    shown = earmark("data", "inspect", tmp_path / "c", "1").out
    assert "rock (2 songs, prior 1.0000)" in shown
    assert "pop (1 song, prior 0.5000)" in shown
    assert "tags     unknown" in earmark("data", "inspect", tmp_path / "c", "3").out

    said = json.loads(earmark("data", "inspect", tmp_path / "c", "2", "--json").out)
    assert (said["id"], said["artist"], said["split"]) == ("2", "Abba", "test")
    assert [(tag["tag"], tag["songs"], tag["prior"]) for tag in said["tags"]] == [("rock", 2, 1.0)]
    unknown = json.loads(earmark("data", "inspect", tmp_path / "c", "3", "--json").out)
    assert unknown["tags"] is None


def test_inspect_tells_no_tags_from_unknown_tags(earmark: Earmark, tmp_path: Path) -> None:
    write_catalog(Catalog.from_songs([Song("a", tags=())], tags=["x"]), tmp_path / "c")
    assert "tags     none" in earmark("data", "inspect", tmp_path / "c", "a").out


def test_a_catalog_that_is_none_and_a_song_that_is_none_are_errors(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    ran = earmark("data", "inspect", songs)
    assert ran.code == 1
    assert "songs.csv is not a Parquet file" in ran.err
    earmark("data", "catalog", "csv", songs, "-o", tmp_path / "c")
    ran = earmark("data", "inspect", tmp_path / "c", "99")
    assert (ran.code, ran.out) == (1, "")
    assert "no song '99' among the 3" in ran.err


def test_an_output_that_cannot_be_written_is_an_error(
    earmark: Earmark, songs: Path, tmp_path: Path
) -> None:
    ran = earmark("data", "catalog", "csv", songs, "-o", songs / "below a file" / "c")
    assert ran.code == 1
    assert "error: cannot write to" in ran.err


def test_jamendo_and_mtat_lists_become_catalogs(earmark: Earmark, tmp_path: Path) -> None:
    jamendo = tmp_path / "a-test.tsv"
    jamendo.write_text(
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
        "track_1\tartist_1\talbum_1\t01/1.mp3\t60\tgenre---rock\tmood/theme---happy\n"
    )
    ran = earmark(
        "data", "catalog", "jamendo", jamendo, "-o", tmp_path / "j", "--audio", tmp_path / "none"
    )
    assert ran.code == 0
    assert "1 audio files that are not there" in ran.err
    assert read_catalog(tmp_path / "j").splits == ["test"]

    mtat = tmp_path / "annotations_final.csv"
    mtat.write_text('"clip_id"\t"rock"\t"flute"\t"mp3_path"\n"2"\t"1"\t"0"\t"c/x.mp3"\n')
    assert (
        earmark("data", "catalog", "mtat", mtat, "-o", tmp_path / "m", "--top-tags", "1").code == 0
    )
    assert list(read_catalog(tmp_path / "m")) == [
        Song("2", split="valid", path="c/x.mp3", tags=("rock",))
    ]


def test_the_real_lists_become_catalogs(earmark: Earmark, shared: Path, tmp_path: Path) -> None:
    words = ["--splits", shared / "msd", "--tracks", shared / "msd" / "unique_tracks_5000.txt"]
    ran = earmark("data", "catalog", "msd", *words, "-o", tmp_path / "m", "--named-only", "--json")
    said = json.loads(ran.out)
    assert said["splits"] == {"train": 1_088, "test": 142}
    assert said["labelled"] == 142
    assert said["findings"]["labels_missing"]["count"] == 1

    words = ["--tags", "genres", "--tags", "moods", "--split", "fold", "--top-tags", "50"]
    ran = earmark(
        "data", "catalog", "csv", shared / "q4" / "tracks.csv", *words, "-o", tmp_path / "q4"
    )
    assert "50 tags; songs by split: 0 186, 1 186, 2 180, 3 183, 4 165" in ran.err
    assert len(ran.err.splitlines()) == 2
