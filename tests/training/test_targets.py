"""Files of targets: what a network is taught beside, or instead of, a store's labels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from numpy_claims import npy_that_claims
from tiny_recipe import tiny_recipe
from tiny_store import write_tiny_store

from earmark.data.store.reader import open_store
from earmark.errors import BadRecipe, BadStore
from earmark.metrics import roc_auc
from earmark.model_file import read_card
from earmark.runtime import Model
from earmark.training.export.exporter import export_run
from earmark.training.loop import train
from earmark.training.recipe import Data
from earmark.training.songs import choose
from earmark.training.targets import Targets, read_targets, write_targets


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "store"
    return write_tiny_store(folder, n=64, splits=["0", "1", "2"], unlabelled=[5])


def taught(store: Path, path: Path, *, without: int = 0) -> Path:
    """Soft targets for all songs but the last: nearly the labels of two tags, by other names."""
    opened = open_store(store)
    values = np.where(opened.labels[:, [3, 0]], 0.9, 0.05).astype(np.float32)
    n = len(opened) - without
    write_targets(path, Targets(tuple(opened.ids[:n]), ("noisy", "deep"), values[:n]))
    return path


def test_targets_come_back_as_they_were_written(tmp_path):
    values = np.array([[0.0, 0.25], [1.0, 0.5], [0.125, 0.75]], dtype=np.float32)
    targets = Targets(("a", "ü", "c"), ("x", "y"), values)
    write_targets(tmp_path / "t.npz", targets)
    read = read_targets(tmp_path / "t.npz")
    assert (read.ids, read.tags) == (targets.ids, targets.tags)
    np.testing.assert_array_equal(read.values, values)
    there, of = read.of(["c", "unknown", "a"])
    assert there.tolist() == [True, False, True]
    np.testing.assert_array_equal(of, [values[2], [0, 0], values[0]])


def test_a_network_learns_targets_under_their_own_names(store, tmp_path):
    path = taught(store, tmp_path / "t.npz")
    recipe = tiny_recipe(
        data={"targets": str(path), "test_fold": 0, "valid": ""}, loop={"epochs": 30}
    )
    train(recipe, store, tmp_path / "run")
    card = export_run(tmp_path / "run", tmp_path / "model.onnx")
    assert card.tags == ("noisy", "deep")
    assert read_card(tmp_path / "model.onnx").priors == card.priors
    assert min(card.priors) > 0.05
    assert max(card.priors) < 0.9
    opened = open_store(store)
    test = np.flatnonzero(np.asarray(opened.splits) == "0")
    logits, _ = Model(tmp_path / "model.onnx").run(opened.log_mels(test))
    assert roc_auc(opened.labels[test][:, [3, 0]], logits) > 0.9


def test_songs_without_targets_are_left_out_and_those_without_labels_are_not(store, tmp_path):
    path = taught(store, tmp_path / "t.npz", without=4)
    songs = choose(open_store(store), Data(targets=str(path), train="all", valid=""), seed=0)
    assert len(songs.train) == 60
    assert 5 in songs.train  # the store has no labels for it
    assert songs.notes == ("training songs left out, as they have no targets: 4",)


def test_a_store_can_be_learned_whole(store):
    assert len(choose(open_store(store), Data(train="all", valid=""), seed=0).train) == 63


def test_all_songs_leave_none_to_validate_on_or_to_test(store, tmp_path):
    with pytest.raises(BadRecipe, match=r"which data\.test_fold and"):
        choose(open_store(store), Data(train="all", test_fold=0), seed=0)
    named = write_tiny_store(tmp_path / "named", n=16)
    with pytest.raises(BadRecipe, match="so none is left to validate on"):
        choose(open_store(named), Data(train="all"), seed=0)


def test_targets_cannot_be_validated_on_labels(store, tmp_path):
    path = taught(store, tmp_path / "t.npz")
    with pytest.raises(BadRecipe, match=r'Set data\.valid = ""'):
        choose(open_store(store), Data(targets=str(path), test_fold=0, valid_fold=1), seed=0)


def test_a_run_does_not_go_on_with_other_targets(store, tmp_path):
    path = taught(store, tmp_path / "t.npz")
    recipe = tiny_recipe(data={"targets": str(path), "test_fold": 0}, loop={"epochs": 1})
    train(recipe, store, tmp_path / "run")
    read = read_targets(path)
    write_targets(path, Targets(read.ids, read.tags, read.values / 2))
    with pytest.raises(BadStore, match="labels_sha256"):
        train(recipe, store, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "as a file of targets"),
        ({"ids": ["a"], "tags": ["x"]}, "as a file of targets"),
        ({"ids": ["a"], "tags": ["x", "y"], "values": [[0.5]]}, r"shape \(1, 1\) for 1 ids and 2"),
        ({"ids": ["a"], "tags": ["x", "x"], "values": [[0.5, 0.5]]}, "1 ids and 1 tags"),
        (
            {"ids": ["a", "a"], "tags": ["x"], "values": [[0.5], [0.5]]},
            "at least one id, and none twice; it holds 2, 1 of",
        ),
        ({"ids": [], "tags": ["x"], "values": np.zeros((0, 1))}, "at least one id"),
        ({"ids": ["a"], "tags": ["x"], "values": [[1.5]]}, "not between 0 and 1"),
        ({"ids": ["a"], "tags": ["x"], "values": [[np.nan]]}, "not between 0 and 1"),
        (
            {"ids": np.array(["a"], dtype=object), "tags": ["x"], "values": [[0.5]]},
            "as a file of targets",
        ),
    ],
)
def test_what_are_no_targets_is_refused_with_the_reason(tmp_path, arrays, message):
    path = tmp_path / "t.npz"
    if arrays is None:
        path.write_text("")
    else:
        np.savez(path, **{key: np.asarray(value) for key, value in arrays.items()})
    with pytest.raises(BadRecipe, match=message):
        read_targets(path)


def test_targets_that_claim_more_than_a_memory_holds_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("ids.npy", npy_that_claims(10**15))
    with pytest.raises(BadRecipe, match="as a file of targets"):
        read_targets(tmp_path / "t.npz")
