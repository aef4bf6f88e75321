"""`earmark train` and `earmark export`, as a shell runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_model
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from tiny_store import write_tiny_store
from typer.testing import CliRunner

from earmark.cli import app
from earmark.errors import BadRecipe, BadValue, DataError, ModelNotFound

SMALL = [
    "--set",
    "model.widths=[8,8]",
    "--set",
    "model.pools=[[4,2],[4,2]]",
    "--set",
    "model.pad=0",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_store(tmp_path_factory.mktemp("store") / "store")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_is_trained_and_exported(store, tmp_path):
    done = run("train", "smoke", "--store", store, "-o", tmp_path / "run", *SMALL)
    assert done.exit_code == 0, done.output
    assert "2 epochs, best" in done.stdout
    assert "held in memory" in done.stderr
    assert "epoch 2 of 2: loss" in done.stderr

    done = run("export", tmp_path / "run", "-o", tmp_path / "tiny.onnx", "--name", "tiny")
    assert done.exit_code == 0, done.output
    assert "tiny.onnx: tiny, 4 tags, within" in done.stdout
    assert (tmp_path / "tiny.onnx").is_file()


def test_json_is_one_object_and_nothing_else(store, tmp_path):
    done = run("train", "smoke", "--store", store, "-o", tmp_path / "run", "--json", *SMALL)
    result = json.loads(done.stdout)
    assert result["epochs"] == 2
    assert 0 <= result["roc_auc"] <= 1

    done = run("export", tmp_path / "run", "-o", tmp_path / "w.onnx", "--waveform", "--json")
    assert json.loads(done.stdout)["tags"] == ["low", "high", "early", "loud"]


def test_a_model_becomes_a_graph_that_takes_samples(tmp_path):
    model = tiny_model.write(tmp_path / "tiny.onnx")
    done = run("export", model, "-o", tmp_path / "w.onnx", "--waveform")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'w.onnx'}: tiny, 50 tags\n"
    for wrong in ([model], [model, "--waveform", "--name", "mine"], ["earmark"]):
        done = run("export", *wrong, "-o", tmp_path / "x.onnx")
        assert isinstance(done.exception, BadValue)
        assert "with --waveform it becomes a graph" in str(done.exception)
    done = run("export", "no-such-model", "-o", tmp_path / "x.onnx", "--waveform")
    assert isinstance(done.exception, ModelNotFound)
    done = run("export", model, "-o", tmp_path / "x.json", "--waveform")
    assert "x.json does not end in .onnx" in str(done.exception)
    assert not list(tmp_path.glob("x.*"))


def test_errors_are_ours(store, tmp_path):
    done = run("train", "smoke", "--store", store, "-o", tmp_path / "run", "--set", "model.x=1")
    assert isinstance(done.exception, BadRecipe)
    done = run("export", tmp_path / "nothing", "-o", tmp_path / "tiny.onnx")
    assert isinstance(done.exception, DataError)
    assert run("train", "smoke").exit_code == 2
