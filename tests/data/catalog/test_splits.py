"""Splits that anyone can make again, and that keep artists whole."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.catalog.catalog import SPLITS, Catalog, Song
from earmark.data.catalog.from_csv import read_csv
from earmark.data.catalog.from_msd import read_msd
from earmark.data.catalog.splits import artist_key, split_songs, split_validation
from earmark.data.catalog.summary import song_tags, summarise
from earmark.data.catalog.vocabulary import keep_tags
from earmark.errors import BadValue

FRACTIONS = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.9, 0.1, 0.0), (0.0, 0.0, 1.0)])


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Songs of a few artists, some without, some without labels, in any split."""
    rows = st.tuples(
        st.sampled_from(["Abba", "ABBA ", "Björk", "Korn", "", "X", "Y", "Z"]),
        st.sampled_from(["train", "valid", "test", ""]),
        st.none() | st.sets(st.sampled_from("abc")),
    )
    drawn = draw(st.lists(rows, min_size=1, max_size=40))
    return Catalog.from_songs(
        [
            Song(f"s{n}", artist, split=split, tags=None if tags is None else tuple(tags))
            for n, (artist, split, tags) in enumerate(drawn)
        ],
        tags="abc",
    )


def with_an_artist(catalog: Catalog) -> Catalog:
    return Catalog.from_songs([*catalog, Song("one more", "Somebody")], tags=catalog.tags)


def by_id(catalog: Catalog) -> dict[str, str]:
    return dict(zip(catalog.ids, catalog.splits, strict=True))


def many_songs(n: int) -> Catalog:
    return Catalog.from_songs([Song(f"song {i}", f"artist {i % (n // 4)}") for i in range(n)])


@settings(deadline=None)
@given(catalogs(), FRACTIONS, st.integers(0, 3))
def test_no_artist_is_in_two_splits(
    catalog: Catalog, fractions: tuple[float, ...], seed: int
) -> None:
    catalog = with_an_artist(catalog)
    split = split_songs(catalog, by="artist", fractions=fractions, seed=seed)
    assert summarise(split).n_shared_artists == 0
    assert split.ids == catalog.ids
    assert set(split.splits) <= {s for s, f in zip(SPLITS, fractions, strict=True) if f > 0}
    assert np.array_equal(split.labels(), catalog.labels())


@settings(deadline=None)
@given(catalogs(), FRACTIONS, st.sampled_from(["artist", "song"]), st.randoms())
def test_a_split_depends_on_nothing_but_songs_and_seed(
    catalog: Catalog, fractions: tuple[float, ...], by: str, order: random.Random
) -> None:
    songs = list(with_an_artist(catalog))
    order.shuffle(songs)
    shuffled = Catalog.from_songs(songs, tags=catalog.tags)
    one = split_songs(with_an_artist(catalog), by=by, fractions=fractions, seed=7)  # type: ignore[arg-type]
    two = split_songs(shuffled, by=by, fractions=fractions, seed=7)  # type: ignore[arg-type]
    assert by_id(one) == by_id(two)


@settings(deadline=None)
@given(catalogs(), FRACTIONS, st.integers(0, 3))
def test_songs_at_random_have_the_exact_sizes(
    catalog: Catalog, fractions: tuple[float, ...], seed: int
) -> None:
    split = split_songs(catalog, by="song", fractions=fractions, seed=seed).splits
    for name, fraction in zip(SPLITS, fractions, strict=True):
        assert abs(split.count(name) - fraction * len(catalog)) <= 1


@settings(deadline=None)
@given(catalogs(), st.floats(0.01, 0.99), st.sampled_from(["artist", "song"]))
def test_validation_songs_never_come_from_the_test_songs(
    catalog: Catalog, fraction: float, by: str
) -> None:
    catalog = with_an_artist(catalog)
    split = split_validation(catalog, fraction=fraction, by=by)  # type: ignore[arg-type]
    before, after = np.array(catalog.splits), np.array(split.splits)
    assert np.array_equal(before == "test", after == "test")
    assert set(after[before != "test"]) <= {"train", "valid"}
    if by == "song":
        n = int((before != "test").sum())
        assert abs((after == "valid").sum() - fraction * n) <= 1


def test_another_seed_is_another_split() -> None:
    catalog = many_songs(200)
    for by in ("artist", "song"):
        one, two, again = (
            split_songs(catalog, by=by, seed=seed)  # type: ignore[arg-type]
            for seed in (0, 1, 0)
        )
        assert one.splits != two.splits
        assert one == again


def test_the_split_of_a_seed_never_changes() -> None:
    # pinned: another machine, another Python, another NumPy, next year
    songs = Catalog.from_songs([Song(f"s{n}", f"a{n // 2}", tags=("t",)) for n in range(12)])
    artist = split_songs(songs, by="artist", fractions=(0.5, 0.25, 0.25), seed=0)
    song = split_songs(songs, by="song", fractions=(0.5, 0.25, 0.25), seed=0)
    # by second letters: tRain, vAlid, tEst
    assert "".join(name[1] for name in artist.splits) == "eerrrraarraa"
    assert "".join(name[1] for name in song.splits) == "rrearererara"


def test_the_hash_seed_of_python_has_no_say() -> None:
    program = (
        "from earmark.data.catalog.catalog import Catalog, Song\n"
        "from earmark.data.catalog.splits import split_songs\n"
        "songs = [Song(f's{n}', f'a{n // 3}', tags=('x', 'y')) for n in range(60)]\n"
        "print(*split_songs(Catalog.from_songs(songs), by='artist').splits)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_artists_are_split_near_the_sizes_asked_for_and_with_their_tags(shared: object) -> None:
    reading = read_csv(
        f"{shared}/q4/tracks.csv", tag_columns=["genres", "moods"], split_column="fold"
    )
    catalog = keep_tags(reading.catalog, top=50)
    for seed in range(3):
        split = split_songs(catalog, by="artist", seed=seed)
        labels, names = split.labels(), np.array(split.splits)
        for name, fraction in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
            mine = names == name
            assert mine.mean() == pytest.approx(fraction, abs=0.01)
            # each of the 50 tags has its share of the split; at random some have double or none
            share = labels[mine].sum(axis=0) / labels.sum(axis=0)
            assert share == pytest.approx(np.full(50, fraction), rel=0.4)


def test_the_report_split_of_the_million_song_ids_is_94_to_6(shared: object) -> None:
    catalog, _ = read_msd(f"{shared}/msd")
    split = split_validation(catalog, seed=0)
    names = np.array(split.splits)
    n = 201_680 + 12_634
    assert (names == "test").sum() == 28_540
    assert (names == "valid").sum() == round(0.06 * n)
    assert np.array_equal(names == "test", np.array(catalog.splits) == "test")


def test_one_artist_of_nearly_everything_goes_to_training_whole() -> None:
    songs = [Song(f"v{n}", "Various") for n in range(70)] + [
        Song(f"s{n}", f"a{n}") for n in range(30)
    ]
    split = split_songs(Catalog.from_songs(songs), by="artist")
    assert set(split.splits[:70]) == {"train"}
    assert split.splits.count("train") == 80


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2), (0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0, 1)]
)
def test_fractions_that_make_no_whole_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(BadValue, match="should be three, of train, valid and test"):
        split_songs(many_songs(8), fractions=fractions)


def test_what_cannot_be_split_is_refused() -> None:
    nameless = Catalog.from_songs([Song("a"), Song("b")])
    with pytest.raises(BadValue, match="no song has an artist"):
        split_songs(nameless, by="artist")
    with pytest.raises(BadValue, match="cannot split by 'album'"):
        split_songs(nameless, by="album")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="has the folds 1, where each is tested in turn"):
        split_validation(Catalog.from_songs([Song("a", split="1")]))
    with pytest.raises(BadValue, match="all songs are in test, so none is left"):
        split_validation(Catalog.from_songs([Song("a", split="test")]))
    with pytest.raises(BadValue, match="not between 0 and 1"):
        split_validation(many_songs(8), fraction=6)


def test_spellings_of_an_artist_are_one_artist() -> None:
    assert artist_key(" The  BEATLES ") == artist_key("the beatles")
    assert artist_key("\uff22jörk") == artist_key("Bjo\u0308rk")
    assert artist_key("Straße") == artist_key("STRASSE")


def test_a_summary_counts_what_is_there() -> None:
    catalog = Catalog.from_songs(
        [
            Song("1", "Abba", "t", "train", "/a", tags=("x", "y")),
            Song("2", "ABBA", "", "test", "", tags=("x",)),
            Song("3", "Korn", "t", "10", "", tags=()),
            Song("4", "", "t", "2", "", tags=None),
        ]
    )
    summary = summarise(catalog)
    assert [(s.split, s.songs, s.labelled) for s in summary.splits] == [
        ("train", 1, 1),
        ("test", 1, 1),
        ("2", 1, 0),
        ("10", 1, 1),
    ]
    assert [(t.tag, t.songs, t.prior) for t in summary.tags] == [
        ("x", 2, pytest.approx(2 / 3)),
        ("y", 1, pytest.approx(1 / 3)),
    ]
    assert summary.tags[0].by_split == {"train": 1, "test": 1, "2": 0, "10": 0}
    assert (summary.artists, summary.n_shared_artists, summary.n_shared_songs) == (2, 1, 2)
    assert summary.shared_artists[0].artist == "Abba"
    assert summary.shared_artists[0].by_split == {"train": 1, "test": 1}
    assert (summary.without_artist, summary.without_title, summary.without_path) == (1, 1, 3)
    assert song_tags(catalog, catalog[3]) is None
    assert song_tags(catalog, catalog[2]) == []
    assert [t.tag for t in song_tags(catalog, catalog[0]) or []] == ["x", "y"]


def test_priors_of_an_unlabelled_catalog_are_unknown() -> None:
    summary = summarise(Catalog.from_songs([Song("a")], tags=["x"]))
    assert summary.tags[0].prior is None
    assert summary.labelled == 0
