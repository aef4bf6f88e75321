"""What `verify` finds in stores that are broken on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import stores

from earmark.data.store.format import StoreFormat
from earmark.data.store.verify import StoreProblem, verify_store
from earmark.data.store.writer import write_shards
from earmark.errors import BadStore
from earmark.features import PRESETS


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    stores.write_audio(folder / "previews", 10, missing=[3])
    write_shards(
        stores.catalog(10),
        folder / "store",
        store_format=stores.tiny_format(),
        audio=folder / "previews",
        workers=1,
    )
    return folder / "store"


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0b00010000
    path.write_bytes(data)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_whole_store_has_no_findings(store: Path, workers: int) -> None:
    assert verify_store(store, workers=workers) == []


@pytest.mark.parametrize(("place", "clip"), [(128, "0 (S000)"), (-1, "2 (S002)")])
def test_one_flipped_bit_of_a_clip_is_found(store: Path, place: int, clip: str) -> None:
    flip(store / "shard-00000.npy", place)
    assert verify_store(store, workers=1) == [
        StoreProblem("shard-00000.npy", f"damaged clips: {clip}")
    ]


def test_one_flipped_bit_anywhere_in_a_sidecar_is_found(store: Path) -> None:
    sidecar = store / "shard-00001.parquet"
    data = sidecar.read_bytes()
    for place in range(0, len(data), 37):
        flip(sidecar, place)
        assert any(
            finding.file == "shard-00001.parquet" for finding in verify_store(store, workers=1)
        ), place
        sidecar.write_bytes(data)


def test_a_flipped_bit_of_a_header_is_found(store: Path) -> None:
    flip(store / "shard-00001.npy", 70)
    (finding,) = verify_store(store, workers=1)
    assert finding == StoreProblem("shard-00001.npy", "its header is not that of 4 float16 clips")


def test_missing_files_are_found(store: Path) -> None:
    (store / "shard-00000.parquet").unlink()
    (store / "shard-00001.npy").unlink()
    assert verify_store(store, workers=1) == [
        StoreProblem("shard-00000.parquet", "is missing"),
        StoreProblem("shard-00001.npy", "is missing"),
    ]


def test_a_shard_that_is_cut_short_is_found(store: Path) -> None:
    path = store / "shard-00002.npy"
    path.write_bytes(path.read_bytes()[:-500])
    first, second = verify_store(store, workers=1)
    assert "bytes; 2 clips have" in first.problem
    assert second.problem == "damaged clips: 1 (S009)"


def test_a_shard_too_many_is_found(store: Path) -> None:
    shutil.copy(store / "shard-00000.npy", store / "shard-00007.npy")
    assert verify_store(store, workers=1) == [StoreProblem("shard-00007", "is not in store.json")]


def test_a_shard_with_foreign_features_is_found(store: Path, tmp_path: Path) -> None:
    stores.write_audio(tmp_path / "previews", 4, missing=[3])
    store_format = StoreFormat(PRESETS["choi2016"], clips_per_shard=4)
    other = tmp_path / "other"
    write_shards(
        stores.catalog(4), other, store_format=store_format, audio=tmp_path / "previews", workers=1
    )
    shutil.copy(other / "shard-00000.parquet", store / "shard-00000.parquet")
    problems = [
        f.problem for f in verify_store(store, workers=1) if f.file == "shard-00000.parquet"
    ]
    assert any("has other features (choi2016)" in problem for problem in problems)
    assert any("rate 12000 instead of 8000" in problem for problem in problems)


def test_a_shard_of_another_catalog_is_found(store: Path, whole: Path) -> None:
    shutil.copy(whole / "shard-00001.parquet", store / "shard-00002.parquet")
    shutil.copy(whole / "shard-00001.npy", store / "shard-00002.npy")
    files = {finding.file for finding in verify_store(store, workers=1)}
    assert files == {"shard-00002.parquet", "shard-00002.npy"}


def test_a_folder_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadStore, match="is not a store"):
        verify_store(tmp_path)
