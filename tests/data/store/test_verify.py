"""What `verify` finds in stores that are broken on purpose."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stores

from earmark.data.store.format import StoreFormat, crc32c
from earmark.data.store.reader import open_store
from earmark.data.store.verify import StoreProblem, verify_store
from earmark.data.store.writer import write_shards
from earmark.errors import BadStore
from earmark.features import PRESETS
from earmark.files import sha256


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


def test_a_shard_of_another_format_is_found(store: Path, tmp_path: Path) -> None:
    stores.write_audio(tmp_path / "previews", 4, missing=[3])
    tiny = stores.tiny_format()
    renamed = dataclasses.replace(tiny.features, name="other")
    for options, words in (
        ({"clips_per_shard": 9}, "has the clips_per_shard 9; the store has 4"),
        ({"dtype": "uint8"}, "has the dtype uint8; the store has float16"),
        ({"features": renamed}, "has the features other; the store has tiny"),
    ):
        other = tmp_path / words
        store_format = dataclasses.replace(tiny, **options)
        write_shards(
            stores.catalog(4), other, store_format=store_format, audio=tmp_path / "previews",
            workers=1,
        )  # fmt: skip
        shutil.copy(other / "shard-00000.parquet", store / "shard-00000.parquet")
        found = verify_store(store, workers=1)
        assert StoreProblem("shard-00000.parquet", words) in found


def test_a_shard_of_another_catalog_is_found(store: Path, whole: Path) -> None:
    shutil.copy(whole / "shard-00001.parquet", store / "shard-00002.parquet")
    shutil.copy(whole / "shard-00001.npy", store / "shard-00002.npy")
    files = {finding.file for finding in verify_store(store, workers=1)}
    assert files == {"shard-00002.parquet", "shard-00002.npy"}


def test_a_folder_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadStore, match="is not a store"):
        verify_store(tmp_path)


# -- files that are whole, and are not what a store holds


def rewrite(store: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Another table in the first shard, with an index that knows its bytes."""
    sidecar = store / "shard-00000.parquet"
    table = pq.read_table(sidecar)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), sidecar)
    index = json.loads((store / "store.json").read_text())
    index["shards"][0]["sidecar_sha256"] = sha256(sidecar)
    (store / "store.json").write_text(json.dumps(index))


def column(name: str, values: list[object]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(place, table.field(name), pa.array(values, table.field(name).type))

    return change


def cast(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(place, name, table[name].cast(kind))

    return change


def swapped(one: str, other: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        names = {one: other, other: one}
        columns = [table[names.get(name, name)] for name in table.schema.names]
        return pa.table(columns, names=table.schema.names)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cast("clip", pa.int64()), "columns of a sidecar"),
        (cast("offset", pa.float64()), "columns of a sidecar"),
        (cast("crc32c", pa.int64()), "columns of a sidecar"),
        (cast("id", pa.large_string()), "columns of a sidecar"),
        (lambda table: table.select(table.schema.names[::-1]), "columns of a sidecar"),
        (lambda table: table.drop_columns(["seconds"]), "columns of a sidecar"),
        (swapped("offset", "step"), "an offset or a step"),
        (swapped("id", "split"), "splits that are not"),
        (swapped("error", "id"), "rows have no id"),
        (column("id", ["S000", "S001", "S000", "S003"]), "there twice: 'S000'"),
        (column("id", ["S000", "../x", "S002", "S003"]), "cannot be file names: '../x'"),
        (column("id", ["S000", None, "S002", "S003"]), "1 rows have no id"),
        (column("tags", [["metal"], [], None, []]), "not of this store: 'metal'"),
        (column("tags", [[None], [], None, []]), "not of this store: None"),
        (column("tags", [["jazz", "rock"], [], None, []]), "not in the order"),
        (column("tags", [["rock", "rock"], [], None, []]), "doubled"),
        (column("clip", [0, 2, 1, None]), "one clip after the other"),
        (column("clip", [0, 1, -1, None]), "one clip after the other"),
        (column("offset", [0, float("nan"), 0, None]), "1 clips have an offset"),
        (column("offset", [0, None, 0, None]), "1 clips have no offset"),
        (column("seconds", [1, float("inf"), None, None]), "no length"),
        (column("error_kind", [None, "x", None, "no_audio"]), "error_kind is there"),
        (column("error", [None] * 4), "error is there for songs with a clip, or missing"),
    ],
)
def test_what_an_export_could_not_read_is_found_and_refused(
    store: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    rewrite(store, change)
    assert any(message in found.problem for found in verify_store(store, workers=1))
    with pytest.raises(BadStore, match="shard-00000"):
        open_store(store)


def test_clips_that_are_not_numbers_are_found(store: Path) -> None:
    clips = np.load(store / "shard-00000.npy", mmap_mode="r+")
    clips[1, 3, 3] = np.nan
    clips.flush()
    rewrite(store, column("crc32c", [*(crc32c(clip) for clip in clips), None]))
    assert [found.problem for found in verify_store(store, workers=1)] == [
        "clips of values that are not numbers: 1 (S001)"
    ]


def test_an_id_in_two_shards_is_found(store: Path) -> None:
    rewrite(store, column("id", ["S000", "S001", "S009", "S003"]))
    (found,) = verify_store(store, workers=1)
    assert found == StoreProblem("store.json", "1 ids are in more than one row: 'S009'")


@pytest.mark.parametrize("name", ["shard-00000.npy", "shard-00000.parquet", "store.json"])
def test_a_pipe_is_not_waited_for(store: Path, name: str) -> None:
    (store / name).unlink()
    os.mkfifo(store / name)
    if name == "store.json":
        with pytest.raises(BadStore, match="is not a file"):
            verify_store(store, workers=1)
    else:
        problems = verify_store(store, workers=1)
        assert StoreProblem(name, "is not a file") in problems
    with pytest.raises(BadStore, match="is not a file"):
        open_store(store)


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["rock", "rock", "sad"]},
        {"tags": [1, 2, 3]},
        {"songs": "10"},
        {"largest_step": []},
        {"shards": [{"name": "../x", "songs": 1, "clips": 1, "sidecar_sha256": ""}]},
        {"shards": [{"name": "shard-00000", "songs": "1", "clips": 1, "sidecar_sha256": ""}]},
        {"shards": [{"name": "shard-00000", "songs": 1, "clips": 2, "sidecar_sha256": ""}]},
        {"shards": 5},
        {"features": []},
    ],
)
def test_an_index_that_earmark_did_not_write_is_refused(
    store: Path, change: dict[str, object]
) -> None:
    index = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(index | change))
    with pytest.raises(BadStore, match=r"store\.json"):
        verify_store(store, workers=1)


def test_an_index_nested_too_deeply_is_refused(store: Path) -> None:
    (store / "store.json").write_text("[" * 200_000)
    with pytest.raises(BadStore, match="nested too deeply"):
        verify_store(store, workers=1)


# -- repair


@pytest.mark.parametrize("damage", ["clip", "sidecar", "header", "missing", "index", "rows"])
def test_repair_makes_what_is_damaged_again_and_the_bytes_are_the_same(
    store: Path, whole: Path, damage: str
) -> None:
    before = stores.bytes_of(store)
    match damage:
        case "clip":
            flip(store / "shard-00001.npy", -1)
        case "sidecar":
            flip(store / "shard-00001.parquet", 100)
        case "header":
            flip(store / "shard-00001.npy", 70)
        case "missing":
            (store / "shard-00001.npy").unlink()
        case "index":
            flip(store / "shard-00001.npy", -1)
            (store / "store.json").write_text("{")
        case "rows":
            rewrite(store, swapped("offset", "step"))
    stamp = (store / "shard-00002.npy").stat().st_mtime_ns
    write_shards(
        stores.catalog(10),
        store,
        store_format=stores.tiny_format(),
        audio=whole.parent / "previews",
        workers=1,
        repair=True,
    )
    assert stores.bytes_of(store) == before
    assert (store / "shard-00002.npy").stat().st_mtime_ns == stamp  # it was whole


def test_repair_of_another_store_changes_nothing(store: Path, whole: Path) -> None:
    flip(store / "shard-00001.npy", -1)
    before = stores.bytes_of(store)
    with pytest.raises(BadStore, match="made with other songs_sha256"):
        write_shards(
            stores.catalog(9),
            store,
            store_format=stores.tiny_format(),
            audio=whole.parent / "previews",
            workers=1,
            repair=True,
        )
    assert stores.bytes_of(store) == before
