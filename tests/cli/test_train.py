"""`earmark train` and `earmark export`, as a shell runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from tiny_store import write_tiny_store
from typer.testing import CliRunner

from earmark.cli import app
from earmark.errors import BadRecipe, BadValue, DataError, ModelNotFound
from earmark.training.waiting import wait_asleep

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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_bar_shows_the_epoch_under_way_in_one_line(store, tmp_path):
    import terminal_screen

    command = [sys.executable, "-m", "earmark", "train", "smoke", "--store", store, "-o", "run"]
    environment = {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    environment.pop("COLUMNS", None)
    seen = terminal_screen.see(
        [*command, "--epochs", 3, *SMALL], columns=80, cwd=tmp_path, env=environment
    )
    assert seen.code == 0, seen.lines
    assert not seen.crowds
    assert seen.bars
    for line in seen.bars:  # the whole line, or as much of it as one reading brought
        assert re.fullmatch(r"epoch \d of 3 [━╸╺ ]+(\d(/(\d.*)?)?)?", line), line
    assert any(re.search(r"/\d .*0:00:\d\d .* loss \d\.\d{4}$", line) for line in seen.bars)
    assert sum("of 3: loss" in line for line in seen.lines) == 3
    assert seen.cursor


def test_a_finished_run_goes_on_with_more_epochs(store, tmp_path):
    command = ["train", "smoke", "--store", store, "-o", tmp_path / "run", *SMALL]
    assert run(*command).exit_code == 0
    done = run(*command, "--resume", "--epochs", 3)
    assert done.exit_code == 0, done.output
    assert "goes on to 3 epochs, where 2 were planned" in done.stderr
    assert "3 epochs, best" in done.stdout


def test_openmp_waits_asleep_unless_the_user_has_said_how(monkeypatch):
    for chosen in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(chosen, raising=False)
    with monkeypatch.context() as own:
        own.setenv("OMP_WAIT_POLICY", "ACTIVE")
        wait_asleep()
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    wait_asleep()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is taken back after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_it_is_said_before_torch_reads_it():
    code = (
        "import sys\n"
        "from earmark.cli import app\n"
        "from earmark.training import waiting\n"
        "def stop():\n"
        "    print('torch' in sys.modules)\n"
        "    raise SystemExit\n"
        "waiting.wait_asleep = stop\n"
        "for words in (['train', 'x'], ['sweep', 'x'], ['curve', 'x', '--songs', '1']):\n"
        "    try: app([*words, '--store', 'x', '-o', 'y'])\n"
        "    except SystemExit: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.split() == ["False"] * 3, done.stderr


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
