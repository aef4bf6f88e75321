"""The Keras twin: torch's function, batches, curve and files, and its own way to be killed."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import keras_backend
import numpy as np
import pytest
import torch
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from network_kinds import KINDS, TASK, clips, name_of, trained
from published_weights import write_cs2470
from tiny_recipe import MODEL_TOML, tiny_recipe
from typer.testing import CliRunner

from earmark.cli import app
from earmark.data.store.reader import open_store
from earmark.errors import BadRecipe, BadValue, MissingExtra
from earmark.features import PRESETS
from earmark.published import convert
from earmark.runtime import Model
from earmark.training import batches
from earmark.training.checkpoint import read_checkpoint
from earmark.training.export.exporter import export_run
from earmark.training.export.from_graph import from_model_file
from earmark.training.learner import Learner
from earmark.training.loop import train
from earmark.training.processes import Processes
from earmark.training.recipe import read_recipe
from earmark.training.start import published_network

keras = pytest.importorskip("keras", exc_type=ImportError)
from earmark.training.keras import KerasLearner, copy_back, predict, twin  # noqa: E402

pytestmark = pytest.mark.filterwarnings(keras_backend.IGNORED)

TOLERANCE = 1e-4  # of logits: two frameworks sum in other orders
STEPS = 6  # an epoch, of 48 songs in batches of 8


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_recipe(**WHOLE), store, folder, framework="keras")
    return folder


WHOLE = {
    "augment": {"roll": True, "mixup": 0.3, "masks": 1, "gain_db": 2.0},
    "optimiser": {"clip": 1.0},
    "loop": {"average": 0.9, "checkpoint_steps": 4},
}


def history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def validated(run: Path, store: Path) -> tuple[torch.Tensor, np.ndarray]:
    """The validation clips, and the logits that the run keeps of them."""
    with open_store(store) as opened:
        x = torch.from_numpy(opened.log_mels(opened.indices("valid")))
    return x, read_checkpoint(run / "best.npz")[0]["valid.logits"]


def assert_same_weights(run: Path, other: Path) -> None:
    for name in ("last.npz", "best.npz"):
        a, b = read_checkpoint(run / name)[0], read_checkpoint(other / name)[0]
        assert a.keys() == b.keys()
        assert [key for key in a if not np.array_equal(a[key], b[key])] == []


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_twin_is_the_same_function_and_its_weights_go_back(kind):
    model, new = trained(**kind), trained(**kind)
    network = twin(model)
    x = clips(3)
    with torch.no_grad():
        np.testing.assert_allclose(predict(network, x.numpy()), model(x), atol=TOLERANCE)
        for weight in new.state_dict().values():
            weight.zero_()
        copy_back(network, new)
        assert torch.equal(new(x), model(x))


def test_a_twin_hears_other_lengths_where_nothing_is_tied_to_a_frame():
    model = trained(recurrent="gru")
    x = clips(2, n_frames=50)
    with torch.no_grad():
        np.testing.assert_allclose(predict(twin(model), x.numpy()), model(x), atol=TOLERANCE)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "model": {"recurrent": "classic-gru", "input_norm": "frame"},
            "optimiser": {"name": "adam", "schedule": "constant", "clip": 0.0},
            "loop": {"average": 0.0},
        },
    ],
    ids=["adamw", "adam"],
)
def test_it_learns_what_torch_learns(changes, store, tmp_path):
    parts = {key: WHOLE.get(key, {}) | changes.get(key, {}) for key in (*WHOLE, *changes)}
    parts["model"] = parts.get("model", {}) | {"block_dropout": 0.0, "dropout": 0.0}  # its own dice
    for framework in ("torch", "keras"):
        train(tiny_recipe(**parts), store, tmp_path / framework, framework=framework)
    # The variance of a norm is kept with n - 1 by torch and with n by Keras: 16 * 32 * 8 values
    for torchs, ours in zip(history(tmp_path / "torch"), history(tmp_path / "keras"), strict=True):
        assert ours["loss"] == pytest.approx(torchs["loss"], abs=1e-4)
        assert ours["valid_loss"] == pytest.approx(torchs["valid_loss"], abs=1e-3)
        assert ours["rate"] == torchs["rate"]
    assert history(tmp_path / "keras")[-1]["loss"] < history(tmp_path / "keras")[0]["loss"] - 0.02


def test_what_was_learned_before_learns_at_its_own_rate():
    recipe = tiny_recipe(
        optimiser={"body_rate": 0.1, "weight_decay": 0.5},
        model={**dataclasses.asdict(trained().settings), "block_dropout": 0.0, "dropout": 0.0},
    )
    new, processes = frozenset({"output.weight", "output.bias"}), Processes(torch.device("cpu"))
    labels = (torch.rand(8, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    models = [trained(block_dropout=0.0, dropout=0.0) for _ in range(2)]
    plain = Learner(models[0], recipe, task=TASK, processes=processes, n_steps=3, new=new)
    ours = KerasLearner(models[1], recipe, task=TASK, processes=processes, n_steps=3, new=new)
    for step in range(3):
        plain.step(clips(8, seed=step), labels)
        ours.network.train_on_batch(clips(8, seed=step).numpy(), labels.numpy())
    copy_back(ours.network, models[1])
    expected, found = (dict(model.named_parameters()) for model in models)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=2e-4, rtol=0, msg=name)


def test_a_run_has_the_files_of_every_run_and_those_of_keras(run, store):
    record = json.loads((run / "record.json").read_text())
    assert record["framework"]["name"] == "keras"
    assert record["framework"]["backend"] == keras.config.backend()
    assert record["results"]["epochs"] == 3
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == [line["loss"] for line in history(run)]
    x, kept = validated(run, store)
    best = keras.models.load_model(run / "best.keras")
    np.testing.assert_allclose(predict(best, x.numpy()), kept, atol=1e-6)
    last = keras.models.load_model(run / "last.keras")
    assert int(last.optimizer.iterations) == 3 * STEPS


def test_a_run_is_exported_as_every_run_and_scores_as_it_validated(run, store, tmp_path):
    card = export_run(run, tmp_path / "tiny.onnx")
    assert card.training["framework"]["name"] == "keras"
    assert card.calibration is not None
    x, kept = validated(run, store)
    logits, _ = Model(tmp_path / "tiny.onnx").run(x.numpy())
    np.testing.assert_allclose(logits, kept, atol=TOLERANCE)
    back = twin(from_model_file(tmp_path / "tiny.onnx"))
    np.testing.assert_allclose(predict(back, x.numpy()), kept, atol=TOLERANCE)


def test_a_run_of_torch_is_exported_to_keras(store, tmp_path):
    train(tiny_recipe(), store, tmp_path / "run")
    card = export_run(tmp_path / "run", tmp_path / "tiny.keras")
    assert card.training["largest_difference_to_torch"] <= TOLERANCE
    with pytest.raises(BadValue, match=r"does not end in .onnx"):
        export_run(tmp_path / "run", tmp_path / "tiny.keras", waveform=True)
    x, kept = validated(tmp_path / "run", store)
    network = keras.models.load_model(tmp_path / "tiny.keras")
    np.testing.assert_allclose(predict(network, x.numpy()), kept, atol=TOLERANCE)


def stop_in_the_midst(store, folder):
    """A run that is told to end at its ninth batch; the process of a test has other libraries
    loaded, which have ideas of their own about signals."""
    torch.set_num_threads(1)  # as one_thread does here
    augment, seen = batches.augment, 0

    def ask(*arguments, **options):
        nonlocal seen
        seen += 1
        if seen == 9:
            signal.raise_signal(signal.SIGTERM)
        return augment(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "augment", ask)
        result = train(tiny_recipe(**WHOLE), store, folder, framework="keras")
    assert result.stopped_by == "SIGTERM"
    assert result.epochs == 1


def test_a_run_that_was_asked_to_stop_goes_on_from_that_step(run, store, tmp_path):
    folder = tmp_path / "run"
    process = get_context("spawn").Process(target=stop_in_the_midst, args=(store, folder))
    process.start()
    process.join()
    assert process.exitcode == 0
    facts = read_checkpoint(folder / "last.npz")[1]["progress"]
    assert 0 < facts["step"] < STEPS
    told: list[str] = []
    recipe = tiny_recipe(**WHOLE)
    train(recipe, store, folder, framework="keras", resume=True, tell=told.append)
    assert f"resumes after epoch 1, step {facts['step']} of the next" in told
    assert_same_weights(folder, run)
    losses = [line["loss"] for line in history(folder)]
    assert losses == pytest.approx([line["loss"] for line in history(run)], rel=1e-6)


RECIPE = f"""
name = "tiny"
{MODEL_TOML}
[augment]
roll = true
mixup = 0.3
masks = 1
gain_db = 2.0
[optimiser]
rate = 0.01
clip = 1.0
[loop]
epochs = 40
batch = 8
precision = "f32"
checkpoint_minutes = 0
checkpoint_steps = 1
average = 0.9
"""


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(store, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe = read_recipe(tmp_path / "tiny.toml", changes=["loop.epochs=3"])
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "earmark", "train", str(tmp_path / "tiny.toml")]
    command += ["--store", str(store), "-o", str(run), "--framework", "keras"]
    process = subprocess.Popen(
        [*command, "--set", "loop.epochs=3"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )
    while process.poll() is None and not (run / "last.npz").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == -signal.SIGKILL, said
    facts = read_checkpoint(run / "last.npz")[1]["progress"]
    assert facts["epoch"] < 3
    assert train(recipe, store, run, framework="keras", resume=True).epochs == 3
    train(recipe, store, tmp_path / "whole", framework="keras")
    assert_same_weights(run, tmp_path / "whole")


def test_the_command_trains_and_stops_early(store, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    words = ["train", tmp_path / "tiny.toml", "--store", store, "-o", tmp_path / "run", "--json"]
    words += ["--framework", "keras", "--set", "loop.patience=1", "--set", "optimiser.rate=1e-9"]
    words += ["--set", "loop.average=0", "--set", "loop.checkpoint_steps=0"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert f"in f32 by Keras on {keras.config.backend()}" in done.stderr
    result = json.loads(done.stdout)
    assert result["epochs"] == result["best_epoch"] + 1 < 40
    assert 0 <= result["roc_auc"] <= 1


def test_a_run_goes_on_with_the_framework_it_was_begun_with(run, store):
    with pytest.raises(
        BadRecipe, match=r"was started with keras\. Resume it with --framework keras"
    ):
        train(tiny_recipe(**WHOLE), store, run, resume=True)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"loop": {"precision": "bf16"}}, 'loop.precision = "bf16"'),
        ({"loop": {"precision": "f16"}}, 'loop.precision = "f16"'),
        ({"loop": {"accumulate": 2}}, "loop.accumulate = 2"),
        ({"data": {"held": "gpu"}}, 'data.held = "gpu"'),
        ({"loss": {"name": "focal"}}, r"\[loss\]"),
        ({"network": "own_networks.short_chunk"}, 'network = "own_networks.short_chunk"'),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(parts, said, store, tmp_path):
    with pytest.raises(BadRecipe, match=said):
        train(tiny_recipe(**parts), store, tmp_path / "run", framework="keras")


def test_torchrun_is_refused(store, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadValue, match="Start it without torchrun"):
        train(tiny_recipe(), store, tmp_path / "run", framework="keras")


def test_without_keras_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "earmark.training.keras")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtra, match=r"\[keras\]"):
        importlib.import_module("earmark.training.keras")


def test_without_its_backend_the_way_to_another_is_named(tmp_path, monkeypatch):
    (tmp_path / "keras.py").write_text("import a_backend_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("keras", "earmark.training.keras"):
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(BadValue, match=r"backend a_backend_that_is_not_there.*KERAS_BACKEND"):
        importlib.import_module("earmark.training.keras")


def decibels(n: int, seed: int = 0) -> np.ndarray:
    features = PRESETS["cs2470"]
    noise = np.random.default_rng(seed).normal(size=(n, features.n_mels, features.n_frames))
    return np.maximum(noise * 14.6 - 31, -80).astype(np.float32)


def assert_scores_as_the_importer(weights: Path, x: np.ndarray, folder: Path) -> None:
    network = twin(published_network(weights))
    card = convert("cs2470", weights, folder / "model.onnx")
    expected, _ = Model(folder / "model.onnx").run(x)
    scores = card.scores(predict(network, x))
    np.testing.assert_allclose(scores, card.scores(expected), atol=1e-5)


def test_weights_like_the_reports_score_in_keras_as_their_model_file_does(tmp_path):
    weights = write_cs2470(tmp_path / "weights.h5")
    assert_scores_as_the_importer(weights, decibels(2), tmp_path)


def test_the_weights_of_the_report_score_in_keras_as_their_model_file_does(shared, tmp_path):
    weights = shared / "published" / "cs2470_trained_model.h5"
    names = ("bensound-cute", "bensound-dubstep")
    x = np.concatenate([np.load(shared / "published" / f"{name}.npy")[0] for name in names])
    assert_scores_as_the_importer(weights, x.astype(np.float32), tmp_path)


@pytest.mark.slow
def test_jax_computes_the_same_and_goes_on_as_if_nothing_had_been(tmp_path):
    pytest.importorskip("jax", reason="jax, another backend of Keras, is not installed")
    script = Path(__file__).parents[1] / "support" / "keras_on_jax.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["backend"] == "jax"
    assert found["largest_difference"] < TOLERANCE
    assert found["losses"]["keras"] == pytest.approx(found["losses"]["torch"], abs=1e-4)
