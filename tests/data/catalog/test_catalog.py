"""The catalog as columns, as songs and as a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.catalog.catalog import Catalog, Song, read_catalog, write_catalog
from earmark.data.catalog.schema import is_id
from earmark.data.catalog.vocabulary import count_tags, keep_tags, tag_lists
from earmark.errors import BadCatalog, BadValue, DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
IDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
    min_size=1,
    max_size=12,
).filter(is_id)
TAGS = ("rock", "Hip-Hop", "mood/theme---happy", "60s", "ü")

songs = st.builds(
    Song,
    id=IDS,
    artist=TEXT,
    title=TEXT,
    split=st.sampled_from(["train", "valid", "test", "", "0", "4"]),
    path=TEXT,
    seconds=st.none() | st.floats(0, 1e5),
    # a song's tags stand in the order of the vocabulary
    tags=st.none() | st.sets(st.sampled_from(TAGS)).map(lambda s: tuple(t for t in TAGS if t in s)),
)
song_lists = st.lists(songs, max_size=8, unique_by=lambda song: song.id)


@settings(deadline=None, max_examples=50)  # a busy disk is no failure
@given(song_lists)
def test_songs_come_back_from_a_file_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, songs: list[Song]
) -> None:
    path = tmp_path_factory.mktemp("round") / "songs.parquet"
    catalog = Catalog.from_songs(songs, tags=TAGS, source="csv")
    write_catalog(catalog, path)
    again = read_catalog(path)
    assert list(again) == songs
    assert again == catalog
    assert again.tags == TAGS
    assert again.source == "csv"


@settings(deadline=None)
@given(song_lists)
def test_columns_say_the_same_as_songs(songs: list[Song]) -> None:
    catalog = Catalog.from_songs(songs, tags=TAGS)
    assert catalog.ids == [song.id for song in songs]
    assert catalog.splits == [song.split for song in songs]
    assert catalog.labelled.tolist() == [song.tags is not None for song in songs]
    expected = [[tag in (song.tags or ()) for tag in TAGS] for song in songs]
    assert catalog.labels().tolist() == expected
    assert catalog.labels().shape == (len(songs), len(TAGS))
    assert count_tags(catalog).tolist() == np.sum(expected, axis=0, initial=0).tolist() or not songs


def test_the_same_catalog_is_the_same_bytes(tmp_path: Path) -> None:
    catalog = Catalog.from_songs([Song("a", tags=("x",)), Song("b")])
    write_catalog(catalog, tmp_path / "one")
    write_catalog(catalog, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_tags_without_a_vocabulary_stand_by_frequency_and_then_by_name() -> None:
    catalog = Catalog.from_songs(
        [Song("1", tags=("b", "c")), Song("2", tags=("c", "a")), Song("3", tags=("d", "a", "c"))]
    )
    assert catalog.tags == ("c", "a", "b", "d")
    assert catalog[1].tags == ("c", "a")


def test_unknown_labels_are_not_the_same_as_no_tags() -> None:
    catalog = Catalog.from_songs([Song("1", tags=()), Song("2", tags=None)], tags=["x"])
    assert catalog.labelled.tolist() == [True, False]
    assert not catalog.labels().any()


def test_a_song_is_found_by_its_id_and_by_its_row() -> None:
    catalog = Catalog.from_songs([Song("a", title="A"), Song("b", title="B")])
    assert catalog.song("b").title == "B"
    assert catalog[-1] == catalog.song("b")
    with pytest.raises(IndexError):
        catalog[2]
    with pytest.raises(BadCatalog, match="no song 'c' among the 2"):
        catalog.song("c")


def test_select_keeps_songs_and_vocabulary() -> None:
    catalog = Catalog.from_songs([Song("a", tags=("x",)), Song("b", tags=("y",))])
    chosen = catalog.select(np.array([False, True]))
    assert list(chosen) == [Song("b", tags=("y",))]
    assert chosen.tags == catalog.tags


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([Song("")], "cannot be file names"),
        ([Song("../up")], "cannot be file names"),
        ([Song(".hidden")], "cannot be file names"),
        ([Song("a\nb")], "cannot be file names"),
        ([Song("é" * 101)], "cannot be file names"),
        ([Song("a"), Song("b"), Song("a", title="again")], "1 ids more than once: 'a'"),
        ([Song("a", split="dev")], "splits that are not train.*'dev'"),
        ([Song("a", tags=("",))], "empty tag"),
    ],
)
def test_songs_that_break_a_rule_are_refused(bad: list[Song], words: str) -> None:
    with pytest.raises(BadCatalog, match=words):
        Catalog.from_songs(bad)


def test_a_tag_outside_the_vocabulary_is_refused_by_name() -> None:
    with pytest.raises(BadCatalog, match="1 tags that are not in the vocabulary: 'metal'"):
        Catalog.from_songs([Song("a", tags=("metal", "pop"))], tags=["pop"])


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("tags", [["y", "x"]], "tags of 'a' that are doubled or not in the vocabulary's order"),
        ("tags", [["x", "x"]], "tags of 'a' that are doubled"),
        ("tags", [[None]], "tags that are not in the vocabulary: None"),
        ("artist", [None], "1 rows without a value for artist"),
        ("seconds", ["long"], "a column of another type"),
        ("other", ["x"], r"columns .*'other'\]; expected \['id'"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(
    column: str, values: list[object], words: str
) -> None:
    table = Catalog.from_songs([Song("a")]).table
    if column in table.schema.names:
        table = table.drop_columns(column)
        names = Catalog.from_songs([]).table.schema.names
        table = table.append_column(column, pa.array(values)).select(names)
    else:
        table = table.append_column(column, pa.array(values))
    with pytest.raises(BadCatalog, match=words):
        Catalog(table, tags=("x", "y"))


def test_values_replace_a_column_of_text() -> None:
    catalog = Catalog.from_songs([Song("a"), Song("b", tags=("x",))])
    assert catalog.replace("path", ["/1", "/2"])[1] == Song("b", path="/2", tags=("x",))
    assert (catalog == "a catalog") is False


@settings(deadline=None)
@given(TEXT)
def test_an_id_is_fine_for_a_song_exactly_when_it_is_fine_for_a_table(text: str) -> None:
    if is_id(text):
        assert Catalog.from_songs([Song(text)]).ids == [text]
    else:
        with pytest.raises(BadCatalog, match="cannot be file names"):
            Catalog.from_songs([Song(text)])


def test_the_frequent_tags_stay_ties_by_name() -> None:
    catalog = Catalog.from_songs(
        [Song("1", tags=("b", "z")), Song("2", tags=("a", "z")), Song("3"), Song("4", tags=("c",))],
        tags=["c", "b", "a", "z", "never"],
    )
    kept = keep_tags(catalog, top=2)
    assert kept.tags == ("z", "a")
    assert [song.tags for song in kept] == [("z",), ("z", "a"), None, ()]
    assert keep_tags(catalog, min_songs=2).tags == ("z",)
    assert keep_tags(catalog).tags == ("z", "a", "b", "c")
    with pytest.raises(BadValue, match="the most frequent is on 2"):
        keep_tags(catalog, min_songs=3)
    with pytest.raises(BadValue, match="ask for 1 or more"):
        keep_tags(catalog, top=0)


@settings(deadline=None)
@given(song_lists, st.integers(1, 6))
def test_cutting_tags_leaves_the_labels_of_the_tags_that_stay(songs: list[Song], top: int) -> None:
    catalog = Catalog.from_songs(songs, tags=TAGS)
    if not count_tags(catalog).any():
        return
    kept = keep_tags(catalog, top=top)
    columns = [TAGS.index(tag) for tag in kept.tags]
    assert np.array_equal(kept.labels(), catalog.labels()[:, columns])
    assert np.array_equal(kept.labelled, catalog.labelled)


def test_a_label_matrix_becomes_the_column_of_tags() -> None:
    labels = np.array([[True, False], [True, True], [False, False]])
    known = np.array([True, False, True])
    assert tag_lists(labels, known=known, tags=("x", "y")).to_pylist() == [["x"], None, []]


# --- files that are no catalog --------------------------------------------------------------


def test_a_missing_catalog_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match=r"cannot read the catalog .*none\.parquet: No such file"):
        read_catalog(tmp_path / "none.parquet")
    with pytest.raises(BadCatalog, match="Is a directory"):
        read_catalog(tmp_path)


def test_a_text_file_is_no_catalog_and_the_way_on_is_told(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_text("id,path\na,b\n")
    with pytest.raises(
        BadCatalog, match=r"songs\.csv is not a Parquet file.*earmark data catalog csv"
    ):
        read_catalog(path)


def test_a_parquet_file_of_someone_else_is_no_catalog(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "foreign")
    with pytest.raises(BadCatalog, match="no catalog of earmark"):
        read_catalog(tmp_path / "foreign")


@pytest.mark.parametrize("size", [0, 3, 100, 700])
def test_a_catalog_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut"
    write_catalog(Catalog.from_songs([Song(f"song {n}", tags=("x",)) for n in range(99)]), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadCatalog, match="cut"):
        read_catalog(path)


def _with_card(path: Path, card: object) -> None:
    table = Catalog.from_songs([Song("a", tags=("x",))]).table
    encoded = json.dumps(card).encode()
    pq.write_table(table.replace_schema_metadata({b"earmark": encoded}), path)


CARD = {"format": "earmark.catalog", "version": 1, "source": "", "tags": ["x"]}


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (CARD | {"version": 2}, "version 2; this earmark knows version 1"),
        (CARD | {"format": "earmark.store"}, "of format 'earmark.store'"),
        (CARD | {"tags": "x"}, "lacks tags"),
        (CARD | {"tags": ["y"]}, "tags that are not in the vocabulary: 'x'"),
        ({"format": "earmark.catalog"}, "metadata cannot be read"),
        ([], "metadata cannot be read"),
    ],
)
def test_metadata_that_we_do_not_know_is_refused(tmp_path: Path, card: object, words: str) -> None:
    _with_card(tmp_path / "odd", card)
    with pytest.raises(BadCatalog, match=words):
        read_catalog(tmp_path / "odd")


def test_the_metadata_of_these_tests_is_otherwise_fine(tmp_path: Path) -> None:
    _with_card(tmp_path / "fine", CARD)
    assert list(read_catalog(tmp_path / "fine")) == [Song("a", tags=("x",))]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_a_full_disk_leaves_the_old_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "songs.parquet"
    write_catalog(Catalog.from_songs([Song("old")]), path)
    # the temporary file of the write is a link to a device that has no room
    monkeypatch.setattr("secrets.token_hex", lambda _: "full")
    (tmp_path / ".earmark-full.part").symlink_to("/dev/full")
    many = [Song(os.urandom(20).hex()) for _ in range(20_000)]
    with pytest.raises(DataError, match=r"cannot write to .*songs\.parquet"):
        write_catalog(Catalog.from_songs(many), path)
    assert read_catalog(path).ids == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["songs.parquet"]
