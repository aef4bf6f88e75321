"""Stores as they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import stores
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.store import reader as store_module
from earmark.data.store.reader import FailedSong, Store, open_store, widen
from earmark.data.store.writer import write_shards
from earmark.errors import BadStore, BadValue

N = 11  # songs, of which S003 has no audio
IDS = [f"S{number:03d}" for number in range(N) if number != 3]


@pytest.fixture(scope="module", params=["float16", "uint8"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    stores.write_audio(folder / "previews", N, missing=[3])
    store_format = stores.tiny_format(request.param)
    write_shards(
        stores.catalog(N),
        folder / "store",
        store_format=store_format,
        audio=folder / "previews",
        workers=1,
    )
    return folder / "store"


@pytest.fixture(params=[True, False], ids=["resident", "on disk"])
def store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    with open_store(folder, resident=request.param) as store:
        yield store


def whole(folder: Path) -> np.ndarray:
    """All clips as NumPy reads the files."""
    return np.concatenate([np.load(path) for path in sorted(folder.glob("*.npy"))])


def test_ten_million_songs_have_the_memory_of_their_few_splits_once(store: Store) -> None:
    assert len({id(split) for split in store.splits}) == len(set(store.splits)) == 3


def test_the_columns_are_those_of_the_songs_that_have_a_clip(store: Store) -> None:
    songs = [stores.song(number) for number in range(N) if number != 3]
    assert len(store) == 10
    assert store.ids == IDS
    assert store.splits == [song.split for song in songs]
    assert store.tags == stores.TAGS
    assert store.settings == stores.TINY
    assert store.labelled.tolist() == [song.tags is not None for song in songs]
    assert store.labels.shape == (10, 3)
    for song, row in zip(songs, store.labels, strict=True):
        assert tuple(np.array(stores.TAGS)[row]) == (song.tags or ())
    assert (store.seconds == 1.5).all()
    assert store.failures == (FailedSong("S003", "", "no_audio", "no audio file"),)
    assert store.indices("valid").tolist() == [1, 3, 6, 9]


@given(
    st.lists(st.integers(0, 9), max_size=40), st.sampled_from(["float16", "uint8"]), st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_a_batch_holds_the_clips_at_its_indices(
    tmp_path_factory: pytest.TempPathFactory, indices: list[int], dtype: str, resident: bool
) -> None:
    folder = store_of(tmp_path_factory, dtype)
    clips = whole(folder)
    with open_store(folder, resident=resident) as store:
        raw = store.raw(indices)
        np.testing.assert_array_equal(raw, clips[indices])
        scaled = store.offsets[indices, None, None] + store.steps[indices, None, None] * raw.astype(
            np.float32
        )
        decibels = store.log_mels(indices)
        assert decibels.dtype == np.float32
        np.testing.assert_allclose(decibels, scaled, rtol=1e-6, atol=1e-5)  # one rounding more


_written: dict[str, Path] = {}


def store_of(tmp_path_factory: pytest.TempPathFactory, dtype: str) -> Path:
    if dtype not in _written:
        folder = tmp_path_factory.mktemp(dtype)
        stores.write_audio(folder / "previews", N, missing=[3])
        write_shards(
            stores.catalog(N),
            folder / "store",
            store_format=stores.tiny_format(dtype),
            audio=folder / "previews",
            workers=1,
        )
        _written[dtype] = folder / "store"
    return _written[dtype]


def test_a_batch_goes_into_an_array_that_is_given(store: Store, folder: Path) -> None:
    out = np.empty((3, 16, 33), store.format.dtype)
    assert store.raw(np.array([9, 0, 9]), out=out) is out
    np.testing.assert_array_equal(out, whole(folder)[[9, 0, 9]])
    decibels = np.empty((3, 16, 33), np.float32)
    assert store.log_mels([9, 0, 9], out=decibels) is decibels
    np.testing.assert_array_equal(decibels, store.log_mels([9, 0, 9]))


@pytest.mark.parametrize("shape", [(2, 16, 33), (3, 16, 34)])
def test_an_array_of_another_shape_is_refused(store: Store, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match=r"it must be contiguous \w+ \(3, 16, 33\)"):
        store.raw([0, 1, 2], out=np.empty(shape, store.format.dtype))
    with pytest.raises(BadValue, match=r"it must be contiguous float32 \(3, 16, 33\)"):
        store.log_mels([0, 1, 2], out=np.empty(shape, np.float32))


@pytest.mark.parametrize("indices", [[-1], [0, 10]])
def test_indices_outside_the_store_are_refused(store: Store, indices: list[int]) -> None:
    with pytest.raises(BadValue, match="the store has 10 clips"):
        store.raw(indices)


@pytest.mark.parametrize("indices", [[0.0], [True], [[0]]])
def test_what_are_no_indices_is_refused(store: Store, indices: list[object]) -> None:
    with pytest.raises(BadValue, match="one row of whole numbers"):
        store.log_mels(indices)


def test_threads_may_share_a_store(store: Store, folder: Path) -> None:
    clips = whole(folder)
    batches = [np.random.default_rng(seed).integers(0, 10, 30) for seed in range(40)]
    with ThreadPoolExecutor(4) as threads:
        for indices, raw in zip(batches, threads.map(store.raw, batches), strict=True):
            np.testing.assert_array_equal(raw, clips[indices])


def test_a_store_that_fits_is_resident_and_another_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(folder) as store:
        assert store.resident
        n_bytes = len(store) * store.format.clip_bytes
    monkeypatch.setattr(store_module, "free_memory", lambda: 2 * n_bytes - 1)
    with open_store(folder) as store:
        assert not store.resident


def test_widening_is_exact_for_every_finite_half() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    out = np.empty(halves.size, np.float32)
    widen(halves, out=out)
    np.testing.assert_array_equal(out.view(np.int32), halves.astype(np.float32).view(np.int32))


def test_a_folder_without_a_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadStore, match=r"is not a store: it has no store\.json"):
        open_store(tmp_path)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A store to break."""
    for name, data in stores.bytes_of(folder).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_a_store_that_is_not_finished_says_how_to_finish_it(copy: Path) -> None:
    (copy / "store.json").unlink()
    with pytest.raises(BadStore, match="is not finished: run the same `earmark data shards` again"):
        open_store(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "of version 7; this earmark knows version 1"),
        ({"format": "other"}, "is of format 'other'"),
        ({"clips": 11}, "its counts do not agree"),
        ({"dtype": "int4"}, "unknown settings .*int4"),
        ({"features": {"rate": 1}}, "unknown settings"),
        ({"shards": [{}]}, "is damaged"),
        ({"tags": ["rock"]}, "has other settings than the store"),
    ],
)
def test_an_index_that_is_not_understood_is_refused(
    copy: Path, change: dict[str, object], message: str
) -> None:
    index = json.loads((copy / "store.json").read_text())
    (copy / "store.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(BadStore, match=message):
        open_store(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "earmark.store"'])
def test_an_index_that_is_no_json_is_refused(copy: Path, text: str) -> None:
    (copy / "store.json").write_text(text)
    with pytest.raises(BadStore, match=r"store\.json"):
        open_store(copy)


def test_missing_and_cut_files_are_named(copy: Path) -> None:
    clips = copy / "shard-00001.npy"
    data = clips.read_bytes()
    clips.write_bytes(data[:-1])
    with pytest.raises(BadStore, match=r"shard-00001\.npy is damaged: it should hold 4 clips"):
        open_store(copy)
    clips.unlink()
    with pytest.raises(BadStore, match=r"cannot read .*shard-00001\.npy"):
        open_store(copy)
    clips.write_bytes(data)
    sidecar = copy / "shard-00002.parquet"
    sidecar.write_bytes(sidecar.read_bytes()[:-9])
    with pytest.raises(BadStore, match=r"shard-00002\.parquet is damaged"):
        open_store(copy)
    sidecar.unlink()
    with pytest.raises(BadStore, match=r"shard-00002\.parquet is missing"):
        open_store(copy)
