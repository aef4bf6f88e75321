"""Several processes on one run, started by torchrun: the same batches, one set of weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from tiny_recipe import tiny_recipe
from tiny_store import write_tiny_store

from earmark.errors import BadRecipe
from earmark.training.batches import shuffled
from earmark.training.checkpoint import read_checkpoint
from earmark.training.loop import train
from earmark.training.processes import join_processes

# Nothing that depends on what else a process holds: the norms see its share of the batch only.
RECIPE = """
[model]
pad = 0
widths = [8, 8]
pools = [[4, 2], [4, 2]]
units = 8
input_norm = "none"
block_dropout = 0.0
dropout = 0.0
[optimiser]
rate = 0.01
[loop]
epochs = 2
batch = 8
precision = "f32"
"""


def test_the_shares_of_all_processes_are_the_batches_of_one():
    alone = shuffled(50, batch=8, seed=3, epoch=2)
    shares = [shuffled(50, batch=8, seed=3, epoch=2, part=part, parts=2) for part in range(2)]
    assert len(alone) == len(shares[0]) == len(shares[1]) == 6
    for step, whole in enumerate(alone):
        both = np.concatenate([shares[0][step], shares[1][step]])
        assert len(shares[0][step]) == len(shares[1][step]) == 4
        assert sorted(both) == sorted(whole)


def test_a_batch_that_processes_cannot_share_is_refused_before_they_meet(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "no such machine")  # where the processes would meet
    with (
        pytest.raises(BadRecipe, match="batch is 9, which 2 processes cannot share"),
        join_processes(batch=9),
    ):
        pass


@pytest.mark.slow
def test_two_processes_learn_from_the_same_batches_and_keep_one_set_of_weights(tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60)  # 15 validate: not the same for both
    (tmp_path / "recipe.toml").write_text(RECIPE)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "earmark", "train", str(tmp_path / "recipe.toml")]
    done = subprocess.run(
        [*command, "--store", str(store), "-o", str(run), "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 2  # one process speaks
    assert "of each of 2 processes" in done.stderr

    record = json.loads((run / "record.json").read_text())
    assert (record["processes"], record["data"]["n_valid"]) == (2, 15)
    arrays, facts = read_checkpoint(run / "best.npz")
    assert arrays["valid.logits"].shape == (15, 4)
    assert facts["line"]["step"] in (5, 10)

    # one process on the same batches: the norms of the blocks see all of them at once, so the
    # losses agree, but not to the last digit
    alone = train(tiny_recipe(**_parts()), store, tmp_path / "alone")
    assert alone.epochs == 2
    losses = [_losses(folder) for folder in (run, tmp_path / "alone")]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)


def _parts() -> dict[str, dict[str, object]]:
    import tomllib

    return tomllib.loads(RECIPE)


def _losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "history.jsonl").read_text().splitlines()]
