"""Training on a store at an address."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
from tiny_recipe import tiny_recipe

from earmark.training import train
from earmark.training.checkpoint import read_checkpoint
from earmark.training.run_folder import BEST, RECORD


def test_training_reads_a_store_at_an_address_and_learns_the_same(store: Path, tmp_path: Path):
    memory = fsspec.filesystem("memory")  # of fsspec, in this process
    memory.put(str(store), "/training-store", recursive=True)
    try:
        for place, run in (("memory://training-store", "there"), (store, "here")):
            train(tiny_recipe(loop={"epochs": 1}), place, tmp_path / run)
    finally:
        memory.rm("/training-store", recursive=True)
    there, here = (read_checkpoint(tmp_path / run / BEST)[0] for run in ("there", "here"))
    assert there.keys() == here.keys()
    for name in here:
        np.testing.assert_array_equal(there[name], here[name])
    records = [json.loads((tmp_path / run / RECORD).read_text()) for run in ("there", "here")]
    assert records[0]["data"] == records[1]["data"]
