"""`earmark curve` and `earmark sweep`, as a shell runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from tiny_store import write_tiny_store
from typer.testing import CliRunner

from earmark.cli import app
from earmark.errors import BadValue

SMALL = ["--set=model.widths=[8,8]", "--set=model.pools=[[4,2],[4,2]]", "--set=model.pad=0"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "store"
    return write_tiny_store(folder, n=96, splits=("train", "train", "valid", "test"))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_curve_has_a_row_for_each_number_of_songs_and_goes_on(store, tmp_path):
    folder = tmp_path / "curve"
    command = ["curve", "smoke", "--store", store, "-o", folder, *SMALL]
    done = run(*command, "--songs", "24", "--json")
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout)
    model = (folder / "24.onnx").read_bytes()

    done = run(*command, "--songs", "all,24,12", "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["songs"] for row in rows] == [12, 24, 48]
    assert rows[1] == first
    assert (folder / "24.onnx").read_bytes() == model
    assert "24 songs:" not in done.stderr  # it was there
    for row in rows:
        assert row["n_tracks"] == 24
        for key, ci in (("roc_auc", "ci"), ("samples_roc_auc", "samples_ci")):
            assert row[ci][0] < row[key] < row[ci][1]
    with (folder / "curve.csv").open() as file:
        assert [int(row["songs"]) for row in csv.DictReader(file)] == [12, 24, 48]
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    trained = json.loads((folder / "12" / "record.json").read_text())
    assert trained["data"]["n_train"] == 12

    done = run(*command, "--songs", "12")
    assert "measured on 24 songs of test" in done.stdout
    assert f"{rows[0]['roc_auc']:.3f}" in done.stdout


@pytest.mark.parametrize(
    ("songs", "said"),
    [
        ("100", "asks for 100 songs, and 48 can be learned from"),
        ("0", "asks for 0 songs"),
        ("many", "'many' is not a number"),
        ("", "'' is not a number"),
    ],
)
def test_numbers_of_songs_that_cannot_be_are_refused_before_any_training(
    songs, said, store, tmp_path
):
    done = run("curve", "smoke", "--store", store, "-o", tmp_path / "c", "--songs", songs, *SMALL)
    assert isinstance(done.exception, BadValue)
    assert said in str(done.exception)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("command", [("curve", "--songs", "12"), ("sweep",)])
def test_torchrun_is_refused(command, store, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    name, *options = command
    done = run(name, "smoke", "--store", store, "-o", tmp_path / "out", *options)
    assert f"earmark {name} trains in one process" in str(done.exception)


def test_a_split_without_songs_is_refused_before_any_training(store, tmp_path):
    done = run(
        "curve", "smoke", "--store", store, "-o", tmp_path / "c", "--songs", 12, "--split", "x",
        *SMALL,
    )  # fmt: skip
    assert "no song is in the split 'x'" in str(done.exception)
    assert not (tmp_path / "c").exists()


def test_a_sweep_ends_with_its_table(store, tmp_path):
    command = ["sweep", "smoke", "--store", store, "-o", tmp_path / "sweep", *SMALL]
    done = run(*command, "--set", "optimiser.rate=0.01,0.02")
    assert done.exit_code == 0, done.output
    assert "macro ROC-AUC" in done.stdout
    assert "smoke-rate=0.01 " in done.stdout
    done = run(*command, "--set", "optimiser.rate=0.01,0.02", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["settings"]["optimiser.rate"] for row in rows} == {"0.01", "0.02"}
    assert rows[0]["roc_auc"] >= rows[1]["roc_auc"]


def test_a_sweep_of_which_some_runs_failed_says_so_in_its_exit_code(store, tmp_path):
    command = ["sweep", "smoke", "--store", store, "-o", tmp_path / "sweep", *SMALL]
    done = run(*command, "--set", "augment.crop_frames=0,40")
    assert done.exit_code == 3, done.output
    assert "failed" in done.stdout
    assert "clips have 32 frames" in done.stderr
    done = run(*command, "--set", "augment.crop_frames=40")
    assert done.exit_code == 1
