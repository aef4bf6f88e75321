"""A catalog file from a song list: the options of `make_catalog`."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.data.catalog import (
    Catalog,
    CatalogOptions,
    Song,
    make_catalog,
    read_catalog,
    read_csv,
)
from earmark.data.catalog.import_report import Imported, ImportReport
from earmark.errors import BadValue

SONGS = [
    Song(f"s{n}", f"artist {n // 2}", split="test" if n < 4 else "train", tags=("rock",) * (n % 2))
    for n in range(20)
]


@pytest.fixture
def imported() -> Imported:
    return Imported(Catalog.from_songs(SONGS, tags=["rock", "jazz"]), ImportReport.of())


def test_without_options_the_songs_stay_as_they_are(imported: Imported, tmp_path: Path) -> None:
    summary = make_catalog(imported, tmp_path / "c.parquet")
    assert read_catalog(tmp_path / "c.parquet") == imported.catalog
    assert (summary.songs, summary.labelled, len(summary.tags)) == (20, 20, 2)


def test_rare_tags_go_and_songs_are_split_anew(imported: Imported, tmp_path: Path) -> None:
    options = CatalogOptions(top_tags=1, split_by="artist", fractions=(0.5, 0.0, 0.5))
    summary = make_catalog(imported, tmp_path / "c.parquet", options=options)
    made = read_catalog(tmp_path / "c.parquet")
    assert made.tags == ("rock",)
    assert [(split.split, split.songs) for split in summary.splits] == [("train", 10), ("test", 10)]
    assert summary.n_shared_artists == 0


def test_a_share_for_validation_leaves_the_test_songs(imported: Imported, tmp_path: Path) -> None:
    make_catalog(imported, tmp_path / "c.parquet", options=CatalogOptions(validation=0.25))
    made = read_catalog(tmp_path / "c.parquet")
    assert made.splits[:4] == ["test"] * 4
    assert (made.splits.count("valid"), made.splits.count("train")) == (4, 12)


@pytest.mark.parametrize("others", [{}, {"split_by": "song", "validation": 0.1}])
def test_fractions_without_effect_are_refused(others: dict[str, object]) -> None:
    with pytest.raises(BadValue, match="fractions go with split_by"):
        CatalogOptions(fractions=(0.8, 0.1, 0.1), **others)  # type: ignore[arg-type]


def test_a_list_that_was_read_becomes_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "songs.csv").write_text("id,tags,split\n1,rock|pop,train\n2,,test\n")
    summary = make_catalog(read_csv(tmp_path / "songs.csv"), tmp_path / "c.parquet")
    assert (summary.songs, summary.labelled) == (2, 1)
