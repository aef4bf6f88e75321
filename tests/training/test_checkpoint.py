"""Checkpoints: what is no checkpoint is refused, and the message says what to do."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from numpy_claims import npy_that_claims

from earmark.errors import DataError
from earmark.training.checkpoint import read_checkpoint, write_checkpoint


def test_arrays_and_facts_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7)}
    write_checkpoint(tmp_path / "c.npz", arrays, {"progress": {"epoch": 3, "loss": 0.1}})
    read, facts = read_checkpoint(tmp_path / "c.npz")
    assert facts == {"format_version": 1, "progress": {"epoch": 3, "loss": 0.1}}
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def without_facts(path):
    np.savez(path, a=np.zeros(3))


def list_of_facts(path):
    np.savez(path, facts=np.frombuffer(b"[1]", dtype=np.uint8))


def claim(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("facts.npy", npy_that_claims(10**15))


@pytest.mark.parametrize("write", [one_array, without_facts, list_of_facts, claim])
def test_what_is_no_checkpoint_is_refused(tmp_path, write):
    write(tmp_path / "c.npz")
    with pytest.raises(DataError, match=r"c\.npz is damaged, or not a checkpoint of earmark"):
        read_checkpoint(tmp_path / "c.npz")


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    np.savez(tmp_path / "c.npz", facts=np.frombuffer(b'{"format_version": 9}', dtype=np.uint8))
    with pytest.raises(DataError, match="has format version 9; this earmark reads version 1"):
        read_checkpoint(tmp_path / "c.npz")
