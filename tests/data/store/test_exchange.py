"""Stores in other formats, and back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import stores
from numpy_claims import npy_that_claims

from earmark.data.store import exporting
from earmark.data.store.exporting import write_numpy, write_tars
from earmark.data.store.importing import NewSplits, import_store
from earmark.data.store.reader import Store, open_store
from earmark.data.store.verify import verify_store
from earmark.data.store.writer import write_shards
from earmark.errors import BadStore, BadValue, FeatureMismatch
from earmark.features import PRESETS

Writer = Callable[[Store, Path], list[Path]]
WRITERS: list[Writer] = [write_tars, write_numpy]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("exchange")
    stores.write_audio(folder / "previews", 10, missing=[3])
    store_format = stores.tiny_format()
    write_shards(
        stores.catalog(10),
        folder / "store",
        store_format=store_format,
        audio=folder / "previews",
        workers=1,
    )
    return open_store(folder / "store")


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_exported_and_imported_is_the_same(
    store: Store, tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CLIPS_PER_FILE", 4)
    paths = write(store, tmp_path / "out")
    assert len(paths) == 3
    import_store(tmp_path / "out", tmp_path / "back")
    assert verify_store(tmp_path / "back", workers=1) == []
    with open_store(tmp_path / "back") as back:
        assert (back.ids, back.splits, back.tags) == (store.ids, store.splits, store.tags)
        assert back.settings == store.settings
        np.testing.assert_array_equal(back.labels, store.labels)
        np.testing.assert_array_equal(back.labelled, store.labelled)
        np.testing.assert_array_equal(back.raw(range(9)), store.raw(range(9)))


@pytest.mark.parametrize("write", WRITERS)
def test_an_export_has_the_same_bytes_each_time(
    store: Store, tmp_path: Path, write: Writer
) -> None:
    write(store, tmp_path / "a")
    write(store, tmp_path / "b")
    assert stores.bytes_of(tmp_path / "a") == stores.bytes_of(tmp_path / "b")


def test_numpy_pairs_are_what_numpy_reads(store: Store, tmp_path: Path) -> None:
    assert write_numpy(store, tmp_path) == [tmp_path / "0-9_spectrum.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "0-9_spectrum.npy"), store.log_mels(range(9)))
    np.testing.assert_array_equal(np.load(tmp_path / "0-9_labels.npy"), store.labels)


def test_tars_hold_a_clip_and_its_description_side_by_side(store: Store, tmp_path: Path) -> None:
    (path,) = write_tars(store, tmp_path)
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert names[:4] == ["000000000.npy", "000000000.json", "000000001.npy", "000000001.json"]
        clip = np.load(io.BytesIO(tar.extractfile("000000004.npy").read()))
        about = json.load(tar.extractfile("000000004.json"))
    np.testing.assert_array_equal(clip, store.log_mels([4])[0])
    assert about == {"id": "S005", "split": "test", "tags": ["rock", "sad"]}


def test_one_split_can_be_exported(store: Store, tmp_path: Path) -> None:
    write_numpy(store, tmp_path / "out", split="valid")
    import_store(tmp_path / "out", tmp_path / "back")
    with open_store(tmp_path / "back") as back:
        assert back.ids == ["S001", "S004", "S007"]
    there = r"no clips of the split 'none'\. Choose one of: test, train, valid"
    with pytest.raises(BadValue, match=there):
        write_numpy(store, tmp_path / "other", split="none")


def test_the_reports_own_pairs_are_read(tmp_path: Path) -> None:
    source = tmp_path / "report"
    source.mkdir()
    rng = np.random.default_rng(0)
    clips = rng.uniform(-60, 20, (5, 96, 1366))
    labels = rng.random((5, 50)) < 0.1
    # later clips first, and in the shape that Keras wants
    np.save(source / "3-5_spectrum.npy", clips[3:, None])
    np.save(source / "3-5_labels.npy", labels[3:])
    np.save(source / "0-3_spectrum.npy", clips[:3])
    np.save(source / "0-3_labels.npy", labels[:3])
    with pytest.raises(BadValue, match="name with --features how"):
        import_store(source, tmp_path / "store")
    import_store(source, tmp_path / "store", features="cs2470")
    with open_store(tmp_path / "store") as store:
        assert store.ids == ["0", "1", "2", "3", "4"]
        assert store.settings == PRESETS["cs2470"]
        np.testing.assert_array_equal(store.labels, labels)
        assert store.labelled.all()
        np.testing.assert_allclose(store.log_mels(range(5)), clips, rtol=2**-11)


@pytest.mark.parametrize(
    ("spectra", "labels", "message"),
    [
        (np.zeros((2, 96, 1366)), np.zeros((3, 50), bool), "2 clips, 0-2_labels.npy labels"),
        (np.zeros((2, 96, 1366)), np.zeros((2, 49), bool), "there are 50 tags"),
        (np.zeros((2, 96, 1000)), np.zeros((2, 50), bool), "give float32"),
        (np.zeros((2, 96, 1366), int), np.zeros((2, 50), bool), "give float32"),
        (np.full((2, 96, 1366), np.nan), np.zeros((2, 50), bool), "values that cannot be dB"),
        (np.zeros((2, 96, 1366)), np.array([None]), "cannot be read"),
        (np.array(1.0), np.zeros((2, 50), bool), "cannot be read"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(
    tmp_path: Path, spectra: np.ndarray, labels: np.ndarray, message: str
) -> None:
    np.save(tmp_path / "0-2_spectrum.npy", spectra)
    np.save(tmp_path / "0-2_labels.npy", labels, allow_pickle=True)
    with pytest.raises(BadStore, match=message):
        import_store(tmp_path, tmp_path / "store", features="choi2016")


def test_labels_that_claim_more_than_a_memory_holds_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "0-2_spectrum.npy", np.zeros((2, 96, 1366)))
    (tmp_path / "0-2_labels.npy").write_bytes(npy_that_claims(10**15, 50, dtype="|b1"))
    with pytest.raises(BadStore, match=r"0-2_labels\.npy cannot be read"):
        import_store(tmp_path, tmp_path / "store", features="choi2016")


def test_features_that_contradict_the_files_are_refused(store: Store, tmp_path: Path) -> None:
    write_numpy(store, tmp_path / "out")
    with pytest.raises(FeatureMismatch, match="rate 8000 instead of 12000"):
        import_store(tmp_path / "out", tmp_path / "back", features="choi2016")


def test_a_folder_without_clips_and_a_taken_store_are_refused(store: Store, tmp_path: Path) -> None:
    write_numpy(store, tmp_path / "out")
    import_store(tmp_path / "out", tmp_path / "back")
    with pytest.raises(BadStore, match="already holds shards"):
        import_store(tmp_path / "out", tmp_path / "back")
    (tmp_path / "out" / "0-9_spectrum.npy").unlink()
    with pytest.raises(BadStore, match="holds no"):
        import_store(tmp_path / "out", tmp_path / "empty")


def test_a_cut_tar_is_named(store: Store, tmp_path: Path) -> None:
    (path,) = write_tars(store, tmp_path / "out")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(BadStore, match=r"clips-000000\.tar"):
        import_store(tmp_path / "out", tmp_path / "back")


def packed(files: dict[str, bytes], path: Path, *, mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def members(store: Store, folder: Path) -> dict[str, bytes]:
    """What an export's tar holds, and its about.json in `folder`."""
    (path,) = write_tars(store, folder)
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    path.unlink()
    return files


@pytest.mark.parametrize("name", ["clips.tar", "clips.tar.gz", "clips.tgz"])
@pytest.mark.parametrize(
    "place", ["{}", "./{}", "v1.0/{}", "./a.b/c.d/{}"], ids=["plain", "dot", "dotted", "deep"]
)
def test_tars_that_others_packed_in_their_own_order_are_read(
    store: Store, tmp_path: Path, name: str, place: str
) -> None:
    files = members(store, tmp_path / "in")
    # tar --sort=name: .json before .npy, folders in between, and files of others
    files = {place.format(key): files[key] for key in sorted(files)}
    files |= {place.format("README.txt"): b"hello"}
    packed(files, tmp_path / "in" / name, mode="w" if name.endswith(".tar") else "w:gz")
    import_store(tmp_path / "in", tmp_path / "back")
    with open_store(tmp_path / "back") as back:
        assert back.ids == store.ids
        np.testing.assert_array_equal(back.raw(range(9)), store.raw(range(9)))
        np.testing.assert_array_equal(back.labels, store.labels)


def test_gnu_tar_itself_is_read(store: Store, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("there is no tar")
    for name, data in members(store, tmp_path / "in").items():
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(data)
    archive = tmp_path / "in" / "own.tar.gz"
    subprocess.run(
        ["tar", "--sort=name", "-czf", archive, "-C", tmp_path / "files", "."], check=True
    )
    import_store(tmp_path / "in", tmp_path / "back")
    with open_store(tmp_path / "back") as back:
        assert back.ids == store.ids


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("000000003.npy"), "000000003 have no partner"),
        (lambda files: files.update({"000000003.json": b"[" * 200_000}), "nested too deeply"),
        (lambda files: files.update({"000000003.json": b"{" + b" " * 2**20}), "too many for one"),
        (lambda files: files.update({"000000003.npy": b"x" * 2**20}), "too many for one clip"),
        (lambda files: files.update({"000000003.json": b'{"id": 3}'}), "where texts belong"),
        (lambda files: files.update({"000000003.json": b'{"id": "../x"}'}), "cannot be a file nam"),
        (lambda files: files.update({"000000003.json": b'{"split": "best"}'}), "must be train"),
        (lambda files: files.update({"000000003.json": b"5"}), "is damaged"),
        (lambda files: files.update({"000000003.npy": npy_that_claims(10**15)}), "is damaged"),
    ],
)
def test_tars_that_hold_something_else_are_refused(
    store: Store, tmp_path: Path, change: Callable[[dict[str, bytes]], object], message: str
) -> None:
    files = members(store, tmp_path / "in")
    change(files)
    packed(files, tmp_path / "in" / "bad.tar")
    with pytest.raises(BadStore, match=message):
        import_store(tmp_path / "in", tmp_path / "back")


def test_tags_in_any_order_become_those_of_the_vocabulary(store: Store, tmp_path: Path) -> None:
    files = members(store, tmp_path / "in")
    files["000000000.json"] = json.dumps({"tags": ["sad", "rock", "sad"]}).encode()
    packed(files, tmp_path / "in" / "own.tar")
    import_store(tmp_path / "in", tmp_path / "back")
    assert verify_store(tmp_path / "back", workers=1) == []
    with open_store(tmp_path / "back") as back:
        assert back.ids[0] == "000000000"
        assert back.labels[0].tolist() == [tag in ("rock", "sad") for tag in back.tags]


def pairs(folder: Path, *, artists: bool) -> Path:
    """Fifty clips of ten artists, as the report's files, which know no splits."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.save(folder / "0-50_spectrum.npy", rng.uniform(-60, 20, (50, 16, 33)).astype(np.float32))
    np.save(folder / "0-50_labels.npy", rng.random((50, 3)) < 0.4)
    about = {"features": stores.TINY.to_dict(), "tags": list(stores.TAGS)}
    (folder / "about.json").write_text(json.dumps(about))
    if artists:
        lines = [f"TR{n}, artist {n % 10}\n" for n in range(50)]
        (folder / "0-50_songs.csv").write_text("id, artist\n" + "".join(lines))
    return folder


def test_an_import_draws_splits(tmp_path: Path) -> None:
    source = pairs(tmp_path / "in", artists=False)
    import_store(source, tmp_path / "back", splits=NewSplits(0.06, 0.1))
    import_store(source, tmp_path / "again", splits=NewSplits(0.06, 0.1))
    assert stores.bytes_of(tmp_path / "back") == stores.bytes_of(tmp_path / "again")
    with open_store(tmp_path / "back") as back:
        assert Counter(back.splits) == {"train": 42, "valid": 3, "test": 5}
    with pytest.raises(BadValue, match="no song has an artist"):
        import_store(source, tmp_path / "other", splits=NewSplits(0.06, 0.1, by="artist"))


def test_an_import_keeps_the_songs_of_an_artist_together(tmp_path: Path) -> None:
    source = pairs(tmp_path / "in", artists=True)
    import_store(source, tmp_path / "back", splits=NewSplits(0.2, 0.2, by="artist"))
    with open_store(tmp_path / "back") as back:
        assert Counter(back.splits) == {"train": 30, "valid": 10, "test": 10}
        of_artist = {
            (int(i[2:]) % 10, split) for i, split in zip(back.ids, back.splits, strict=True)
        }
    assert len(of_artist) == 10


@pytest.mark.parametrize("write", WRITERS)
def test_validation_alone_leaves_the_test_songs_of_the_files(
    store: Store, tmp_path: Path, write: Writer
) -> None:
    write(store, tmp_path / "out")
    import_store(tmp_path / "out", tmp_path / "back", splits=NewSplits(0.5))
    with open_store(tmp_path / "back") as back:
        assert Counter(back.splits)["valid"] == 3
        np.testing.assert_array_equal(back.indices("test"), store.indices("test"))
