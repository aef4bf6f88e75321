"""The Million Song split: what is read, what is counted, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy_claims import npy_that_claims

from earmark.data.catalog.catalog import Song, read_catalog, write_catalog
from earmark.data.catalog.from_msd import read_msd
from earmark.data.catalog.vocabulary import count_tags
from earmark.errors import BadCatalog
from earmark.tags import MSD_50, msd_50_priors


def track_id(n: int) -> str:
    return f"TRABCDE{n:011X}"


A, B, C, D, E = map(track_id, range(5))


def write_split(folder: Path, split: str, lines: str, labels: np.ndarray | None = None) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{split}_x_msd_id.txt").write_bytes(lines.encode())
    if labels is not None:
        np.save(folder / f"{split}_y.npy", labels)


def write_names(folder: Path, *lines: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "unique_tracks.txt"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def name_line(song: str, artist: str, title: str) -> bytes:
    return f"{song}<SEP>SOQMMHC12AB0180CB8<SEP>{artist}<SEP>{title}".encode()


def labels_of(*rows: int) -> np.ndarray:
    """One row a song, with a single tag each."""
    return np.eye(50, dtype=bool)[list(rows)]


def counts(report: object) -> dict[str, int]:
    """The findings that were met."""
    return {kind: f.count for kind, f in report.issues.items() if f.count}  # type: ignore[attr-defined]


def test_ids_names_and_labels_meet(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n{B}\n")
    write_split(tmp_path, "test", f"{C}\n", labels_of(2))
    tracks = write_names(tmp_path, name_line(C, "Ärtist", "T<SEP>2"), name_line(A, "X", " Y "))
    catalog, report = read_msd(tmp_path, tracks)
    assert list(catalog) == [
        Song(A, "X", "Y", "train"),
        Song(B, "", "", "train"),
        Song(C, "Ärtist", "T<SEP>2", "test", tags=("alternative",)),
    ]
    assert catalog.tags == MSD_50
    assert counts(report) == {"ids_without_name": 1, "labels_missing": 1}
    assert report["ids_without_name"].examples == [B]
    assert report["labels_missing"].examples == [str(tmp_path / "train_y.npy")]


def test_without_a_track_list_no_song_has_a_name(tmp_path: Path) -> None:
    write_split(tmp_path, "valid", f"{A}\n{B}\n", labels_of(0, 1))
    catalog, report = read_msd(tmp_path)
    assert [song.tags for song in catalog] == [("rock",), ("pop",)]
    assert counts(report) == {"ids_without_name": 2}


def test_songs_without_a_whole_name_are_left_out_on_request(tmp_path: Path) -> None:
    write_split(tmp_path, "test", f"{A}\n{B}\n{C}\n", labels_of(0, 1, 2))
    tracks = write_names(tmp_path, name_line(B, "X", "Y"), name_line(C, "only an artist", ""))
    catalog, report = read_msd(tmp_path, tracks, named_only=True)
    assert list(catalog) == [Song(B, "X", "Y", "test", tags=("pop",))]
    assert counts(report) == {"ids_without_name": 2}
    everything, _ = read_msd(tmp_path, tracks)
    assert everything.song(C).artist == "only an artist"


def test_phantom_ids_are_named_and_take_no_labels(tmp_path: Path) -> None:
    # four lines that hold something, four rows of labels; a line end at the end begins no line
    text = f"\ufeff{A}\r\n\r\nTRSHORT\n{B}\n  \n{C}\n"
    write_split(tmp_path, "test", text, labels_of(0, 1, 2, 3))
    catalog, report = read_msd(tmp_path)
    assert [(song.id, song.tags) for song in catalog] == [
        (A, ("rock",)),
        (B, ("alternative",)),
        (C, ("indie",)),
    ]
    assert counts(report) == {"phantom_ids": 3, "ids_without_name": 3}
    file = tmp_path / "test_x_msd_id.txt"
    assert report["phantom_ids"].examples == [
        f"{file}, line 2: ''",
        f"{file}, line 3: 'TRSHORT'",
        f"{file}, line 5: ''",
    ]


def test_an_id_that_stands_twice_keeps_its_first_labels(tmp_path: Path) -> None:
    write_split(tmp_path, "test", f"{A}\n{A}\n{B}\n", labels_of(0, 1, 2))
    catalog, report = read_msd(tmp_path)
    assert [(song.id, song.tags) for song in catalog] == [(A, ("rock",)), (B, ("alternative",))]
    assert report["duplicate_ids"].examples == [f"{tmp_path / 'test_x_msd_id.txt'}, line 2: {A}"]


def test_an_id_in_two_splits_stays_out_of_training(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n{B}\n{C}\n", labels_of(0, 1, 2))
    write_split(tmp_path, "valid", f"{C}\n{B}\n", labels_of(3, 4))
    write_split(tmp_path, "test", f"{B}\n", labels_of(5))
    catalog, report = read_msd(tmp_path)
    assert [(song.id, song.split, song.tags) for song in catalog] == [
        (A, "train", ("rock",)),
        (C, "valid", ("indie",)),
        (B, "test", ("female vocalists",)),
    ]
    assert report["ids_in_two_splits"].count == 3
    assert f"{C}: train and valid" in report["ids_in_two_splits"].examples


def test_lines_that_are_not_utf8_are_read_all_the_same(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n{B}\n")
    tracks = write_names(
        tmp_path,
        A.encode() + b"<SEP>SO<SEP>Beyonc\xe9<SEP>D\xc3\xa9j\xc3\xa0",
        D.encode() + b"<SEP>SO<SEP>\xff\x81<SEP>x",
        name_line(B, "next\x85line", "a\rb"),
    )
    catalog, report = read_msd(tmp_path, tracks)
    assert (catalog.song(A).artist, catalog.song(A).title) == ("Beyoncé", "Déjà")
    assert catalog.song(B).artist == "next\x85line"
    assert report["bad_utf8"].count == 2
    assert "Beyonc\\\\xe9" in report["bad_utf8"].examples[0]


def test_odd_lines_of_the_track_list_are_counted_and_skipped(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n")
    tracks = write_names(
        tmp_path,
        name_line(A, "first", "one"),
        name_line(A, "second", "two"),
        b"TRXXXXX<SEP>SO<SEP>short id<SEP>x",
        b"no fields",
        b"",
        name_line(E, "not in the split", "x"),
    )
    catalog, report = read_msd(tmp_path, tracks)
    assert catalog.song(A).artist == "first"
    assert counts(report) == {
        "duplicate_names": 1,
        "malformed_names": 3,
        "names_without_id": 1,
        "labels_missing": 1,
    }
    assert report["names_without_id"].examples == [E]
    assert report["malformed_names"].examples[1] == f"{tracks}, line 4: 'no fields'"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (labels_of(0), r"test_y.npy has 1 rows for the 2 ids of test_x_msd_id.txt"),
        (labels_of(0, 1, 2), r"has 3 rows for the 2 ids"),
        (
            labels_of(0, 1)[:, :49],
            r"has the shape \(2, 49\); it should have one row an id and 50 columns",
        ),
        (labels_of(0, 1).ravel(), r"has the shape \(100,\)"),
        (labels_of(0, 1) * 2, "numbers other than 0 and 1"),
        (np.full((2, 50), np.nan), "numbers other than 0 and 1"),
        (labels_of(0, 1).astype("U1"), "holds <U1; labels should be true or false"),
    ],
)
def test_labels_that_do_not_fit_the_ids_are_refused(
    tmp_path: Path, labels: np.ndarray, words: str
) -> None:
    write_split(tmp_path, "test", f"{A}\n{B}\n", labels)
    with pytest.raises(BadCatalog, match=words):
        read_msd(tmp_path)


def test_all_wrong_arrays_are_named_at_once(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n", labels_of(0, 1))
    write_split(tmp_path, "valid", f"{B}\n")
    (tmp_path / "valid_y.npy").write_text("no array")
    write_split(tmp_path, "test", f"{C}\n")
    np.save(tmp_path / "test_y.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadCatalog) as caught:
        read_msd(tmp_path)
    for name in ("train_y.npy", "valid_y.npy", "test_y.npy"):
        assert name in str(caught.value)
    assert "move them away to go on with unknown labels" in str(caught.value)


def test_labels_that_claim_more_than_a_memory_holds_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "test", f"{A}\n")
    (tmp_path / "test_y.npy").write_bytes(npy_that_claims(10**14, 50))
    with pytest.raises(BadCatalog, match=r"test_y\.npy cannot be read as an array of labels"):
        read_msd(tmp_path)


@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
def test_zeros_and_ones_of_another_type_are_labels(tmp_path: Path, kind: str) -> None:
    write_split(tmp_path, "test", f"{A}\n{B}\n", labels_of(0, 1).astype(kind))
    catalog, report = read_msd(tmp_path)
    assert np.array_equal(catalog.labels(), labels_of(0, 1))
    assert report["labels_not_bool"].examples == [f"{tmp_path / 'test_y.npy'}: {kind}"]


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match=r"no track ids in .*train_x_msd_id.txt"):
        read_msd(tmp_path)
    write_split(tmp_path, "test", "\n\n")
    with pytest.raises(BadCatalog, match="no track ids in"):
        read_msd(tmp_path)


def test_a_track_list_that_is_none_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", f"{A}\n")
    with pytest.raises(BadCatalog, match=r"no line of .* reads TRACKID<SEP>"):
        read_msd(tmp_path, tmp_path / "train_x_msd_id.txt")
    with pytest.raises(BadCatalog, match=r"cannot read .*none\.txt: No such file"):
        read_msd(tmp_path, tmp_path / "none.txt")


def test_the_real_split_has_the_published_figures(shared: Path, tmp_path: Path) -> None:
    catalog, report = read_msd(shared / "msd", shared / "msd" / "unique_tracks_5000.txt")
    splits = np.array(catalog.splits)
    sizes = {name: int((splits == name).sum()) for name in ("train", "valid", "test")}
    assert sizes == {"train": 201_680, "valid": 12_634, "test": 28_540}
    assert counts(report) == {
        "ids_without_name": 242_854 - 1_230,
        "names_without_id": 5_000 - 1_230,
        "labels_missing": 1,
    }
    assert np.array_equal(catalog.labelled, splits != "train")
    for split in ("valid", "test"):
        stored = np.load(shared / "msd" / f"{split}_y.npy")
        assert np.array_equal(catalog.labels()[splits == split], stored)
    per_track = catalog.labels()[splits == "test"].sum(axis=1).mean()
    assert per_track == pytest.approx(1.66, abs=0.005)
    priors = count_tags(catalog) / catalog.labelled.sum()
    assert np.allclose(priors, msd_50_priors(), atol=1e-7)

    write_catalog(catalog, tmp_path / "msd.parquet")
    assert read_catalog(tmp_path / "msd.parquet") == catalog


def test_the_named_songs_of_the_real_split_are_1230(shared: Path) -> None:
    tracks = shared / "msd" / "unique_tracks_5000.txt"
    catalog, _ = read_msd(shared / "msd", tracks, named_only=True)
    splits = catalog.splits
    assert (len(catalog), splits.count("train"), splits.count("test")) == (1_230, 1_088, 142)
    assert all(song.artist and song.title for song in catalog)
