"""Weights to start from: runs, model files, names; and runs that go on after they were finished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import torch
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from published_weights import write_cs2470
from tiny_recipe import MODEL, tiny_recipe
from tiny_store import TAGS, write_tiny_store

from earmark import zoo
from earmark.data.store.reader import open_store
from earmark.errors import BadModel, BadRecipe, DataError, ModelNotFound
from earmark.runtime import Model
from earmark.training import start
from earmark.training.checkpoint import read_checkpoint
from earmark.training.export.exporter import export_run
from earmark.training.loop import train
from earmark.training.start import measure_norms, start_from, weights_file
from earmark.training.task import Task

KINDS = [
    {},
    {"input_norm": "frame", "recurrent": "classic-gru"},
    {"input_norm": "none", "recurrent": "none", "summary": "mean"},
]


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before") / "run"
    train(tiny_recipe(), store, folder)
    return folder


def weights(run: Path, name: str = "best.npz") -> dict[str, np.ndarray]:
    return read_checkpoint(run / name)[0]


def task_of(run: Path) -> Task:
    return Task.from_dict(json.loads((run / "record.json").read_text())["task"])


def fine(init: object, task: Task, **parts: Any):
    """A recipe whose input is standardised as that of the weights."""
    model = {**MODEL, **parts.pop("model", {}), "standardise": list(task.standardise)}
    return tiny_recipe(init=str(init), model=model, **parts)


@pytest.mark.parametrize("part", ["", "best.npz"])
def test_a_run_starts_from_the_best_weights_of_another(part, run, store, tmp_path):
    told = []
    recipe = fine(run / part, task_of(run), loop={"epochs": 1}, optimiser={"rate": 1e-9})
    train(recipe, store, tmp_path / "run", tell=told.append)
    assert any("(new: nothing)" in words for words in told)
    before, after = weights(run), weights(tmp_path / "run")
    learned = [name for name in before if name.startswith("model.") and "running" not in name]
    assert len(learned) > 10
    for name in learned:
        if "num_batches" not in name:
            np.testing.assert_allclose(after[name], before[name], atol=1e-6)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert len(record["init_sha256"]) == 64


def test_other_tags_get_a_new_output_layer(run, tmp_path):
    other = write_tiny_store(tmp_path / "other", tags=("x", *TAGS[1:]))
    told = []
    recipe = fine(run, task_of(run), loop={"epochs": 1})
    train(recipe, other, tmp_path / "run", tell=told.append)
    assert any("(new: output.bias, output.weight)" in words for words in told)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_model_file_is_learned_on_from_where_it_was(kind, store, tmp_path):
    train(tiny_recipe(model={**MODEL, **kind}), store, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "mine.onnx")
    task = task_of(tmp_path / "run")
    recipe = fine(tmp_path / "mine.onnx", task, model=kind)
    model = task.network(recipe)
    started = start_from(model, tmp_path / "mine.onnx", tags=TAGS, standardise=task.standardise)
    assert started.new == frozenset()
    assert started.folded
    with open_store(store) as opened:
        clips = opened.log_mels(opened.indices("train"))
    x = torch.from_numpy(clips)
    measure_norms(model, [x[:20], x[20:]])
    expected, _ = Model(tmp_path / "mine.onnx").run(clips)
    with torch.inference_mode():
        np.testing.assert_allclose(model.eval()(x).numpy(), expected, atol=2e-4)
        if kind.get("recurrent") != "none":
            return
        # while learning, norms take the mean of the batch: of all clips at once, the same
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        np.testing.assert_allclose(model.train()(x).numpy(), expected, atol=2e-2)


def test_a_run_that_starts_from_a_model_file_begins_where_the_file_is(run, store, tmp_path):
    export_run(run, tmp_path / "mine.onnx")
    recipe = fine(tmp_path / "mine.onnx", task_of(run), optimiser={"rate": 1e-9})
    result = train(recipe, store, tmp_path / "run")
    before = json.loads((run / "record.json").read_text())["results"]["best"]["roc_auc"]
    assert result.roc_auc == pytest.approx(before, abs=0.05)


def test_names_are_the_published_files(tmp_path, monkeypatch):
    fetched = write_cs2470(tmp_path / "weights.h5")
    monkeypatch.setattr(zoo, "fetch", lambda name: fetched if name == "cs2470" else None)
    assert weights_file("cs2470") == fetched
    model = start.published_network("cs2470")
    with torch.inference_mode():
        assert model(torch.zeros(1, 96, 1366)).shape == (1, 50)


def test_what_cannot_be_started_from_says_what_it_is(run, store, tmp_path):
    tiny_model.write(tmp_path / "other.onnx")
    (tmp_path / "song.mp3").write_bytes(b"ID3, some music")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "record.json").write_bytes((run / "record.json").read_bytes())
    for init, error, said in (
        ("earmark", BadRecipe, "network is of another kind.*choi2016, choi2016-cnn, cs2470"),
        ("musicnn-msd", BadRecipe, "of another kind.*earmark probe"),
        (tmp_path / "nothing.h5", ModelNotFound, "are not there. Give init a name"),
        (tmp_path, ModelNotFound, "are not there"),
        (tmp_path / "begun", ModelNotFound, "has no weights yet"),
        (tmp_path / "other.onnx", BadModel, "its card has no recipe"),
        (tmp_path / "song.mp3", BadModel, "holds no weights to start from"),
    ):
        with pytest.raises(error, match=said):
            train(tiny_recipe(init=str(init)), store, tmp_path / "run")
    with pytest.raises(BadRecipe, match=r"trained with model.standardise = .*Use the network"):
        train(tiny_recipe(init=str(run), model={"standardise": [1.0, 2.0]}), store, tmp_path / "a")
    with pytest.raises(BadRecipe, match=r"do not fit the network.*blocks\.0\.conv\.weight"):
        recipe = fine(run, task_of(run), model={"widths": [4, 8]})
        train(recipe, store, tmp_path / "b")


CONSTANT = {"schedule": "constant"}


def test_a_finished_run_goes_on_to_more_epochs_as_if_they_had_been_planned(store, tmp_path):
    def recipe(epochs: int):
        return tiny_recipe(optimiser=CONSTANT, loop={"epochs": epochs})

    train(recipe(2), store, tmp_path / "run")
    told = []
    result = train(recipe(4), store, tmp_path / "run", resume=True, tell=told.append)
    assert result.epochs == 4
    assert "goes on to 4 epochs, where 2 were planned" in told
    assert not any("learning rates" in words for words in told)
    train(recipe(4), store, tmp_path / "whole")
    a, b = weights(tmp_path / "run", "last.npz"), weights(tmp_path / "whole", "last.npz")
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["recipe"]["loop"]["epochs"] == record["results"]["epochs"] == 4
    with pytest.raises(BadRecipe, match=r"loop\.epochs was 4 and is 2"):
        train(recipe(2), store, tmp_path / "run", resume=True)
    assert train(recipe(4), store, tmp_path / "run", resume=True) == result


def test_more_epochs_of_a_schedule_that_has_ended_are_warned_of(store, tmp_path):
    train(tiny_recipe(loop={"epochs": 1}), store, tmp_path)
    told = []
    train(tiny_recipe(loop={"epochs": 2}), store, tmp_path, resume=True, tell=told.append)
    assert any("were those of a run of 1 epochs" in words for words in told)


def test_a_run_of_an_earmark_that_had_fewer_settings_goes_on(store, tmp_path):
    train(tiny_recipe(loop={"epochs": 1}), store, tmp_path)
    path = tmp_path / "record.json"
    record = json.loads(path.read_text())
    del record["recipe"]["loss"], record["recipe"]["loop"]["accumulate"]
    path.write_text(json.dumps(record))
    assert train(tiny_recipe(loop={"epochs": 1}), store, tmp_path, resume=True).epochs == 1


def test_a_damaged_run_is_named(run, store, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("record.json", "best.npz"):
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes()[:-400])
    with pytest.raises(DataError, match="is damaged"):
        train(fine(tmp_path / "run", task_of(run)), store, tmp_path / "other")
