"""The script that measures a GPU, at a size that two cores do: nobody may find it broken there."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from benchmarks import gpu_run
from few_threads import one_thread  # noqa: F401 - a fixture for every test here

from earmark.data.store.reader import open_store
from earmark.data.store.verify import verify_store

SMALL = ("model.widths=[2,2,2,2]", "model.units=4", "loop.precision=f32", "data.held=disk")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "store"
    assert gpu_run.make_store(folder, songs=6) == 6
    return folder


def options(store: Path, child: str) -> argparse.Namespace:
    return argparse.Namespace(
        store=store, child=child, batch=2, epochs=2, seconds=0.0, changes=list(SMALL)
    )


def test_the_store_is_a_store_of_bytes_and_is_made_once(store):
    assert verify_store(store, workers=1) == []
    with open_store(store) as opened:
        assert (opened.format.dtype, opened.format.clip_shape) == ("uint8", (96, 1366))
        assert opened.labels.any()
    assert gpu_run.make_store(store, songs=100) == 6


@pytest.mark.parametrize("name", ["ours", "plain"])
def test_the_speed_of_a_step_is_measured(name, store):
    line = gpu_run.pace(options(store, name))
    assert line["clips_a_second"] > 0
    assert line["seconds_of_the_run"] == pytest.approx(
        12 / line["clips_a_second"], rel=0.15, abs=0.1
    )
    assert line["peak_gpu_memory_bytes"] is None or line["peak_gpu_memory_bytes"] > 0


def test_the_whole_run_is_taken_and_timed(store):
    line = gpu_run.whole_run(options(store, "run"))
    assert (line["batch"], line["precision"]) == (2, "f32")
    assert line["seconds"] >= 0
    assert line["peak_memory_bytes"] > 1e7
    assert not list(store.parent.glob("tmp*"))


def test_larger_batches_are_tried_until_no_more_is_gained(store, monkeypatch):
    paces = {4: 10.0, 8: 19.0, 16: 19.5, 32: 60.0}

    def child(name, batch, options):
        return {"clips_a_second": paces[batch]}

    monkeypatch.setattr(gpu_run, "child", child)
    tried = options(store, "ours")
    tried.largest = 64
    assert gpu_run.largest_good("ours", tried) == 8
    monkeypatch.setattr(gpu_run, "child", lambda *_: None)  # memory ran out at once
    assert gpu_run.largest_good("ours", tried) == 2
