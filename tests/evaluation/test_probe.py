"""Probing: what the embeddings of a frozen model hold of the tags of a store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_model
import typer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tiny_store import TAGS, write_tiny_store
from typer.testing import CliRunner

from earmark import metrics
from earmark.cli import probe as command
from earmark.data.store.reader import open_store
from earmark.errors import BadValue, FeatureMismatch
from earmark.evaluation import ProbeOptions, probe_model
from earmark.features import PRESETS, LogMel
from earmark.runtime import Model
from earmark.training import linear_probe

# as small as tiny_model's pools let it be
FEATURES = LogMel("small", rate=8000, n_mels=96, f_max=4000.0, window_samples=209 * 256)
SPLITS = ("train", "train", "train", "valid", "test", "test")

app = typer.Typer()
app.callback()(lambda: None)
command.add_commands(app)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, and a store of other tags than it knows."""
    folder = tmp_path_factory.mktemp("probe")
    store = write_tiny_store(folder / "store", n=240, splits=SPLITS, features=FEATURES, seed=3)
    return tiny_model.write(folder / "tiny.onnx", features=FEATURES), store


def options(**changes):
    return ProbeOptions(**({"strengths": (0.01, 0.1, 1.0), "replicates": 20} | changes))


def test_it_is_the_logistic_regression_that_the_validation_songs_choose(files):
    model, path = files
    result, scored = probe_model(model, path, fit=linear_probe, options=options())
    store = open_store(path, resident=False)
    embeddings = Model(model).run(store.log_mels(np.arange(len(store))))[1]
    train, valid, test = (store.indices(split) for split in ("train", "valid", "test"))
    x = StandardScaler().fit(embeddings[train]).transform(embeddings)
    tried = {}
    for strength in (0.01, 0.1, 1.0):
        logits = np.stack(
            [
                LogisticRegression(C=strength, tol=1e-8, max_iter=1000)
                .fit(x[train], store.labels[train, column])
                .decision_function(x)
                for column in range(len(TAGS))
            ],
            axis=1,
        )
        tried[strength] = metrics.roc_auc(store.labels[valid], logits[valid]), logits
    aucs = {one["strength"]: one["valid_roc_auc"] for one in result["probe"]["tried"]}
    assert aucs == pytest.approx({strength: auc for strength, (auc, _) in tried.items()}, abs=0.01)
    chosen = next(one["strength"] for one in result["probe"]["tried"] if one["chosen"])
    expected = metrics.roc_auc(store.labels[test], tried[chosen][1][test])
    assert result["roc_auc"]["macro"] == pytest.approx(expected, abs=0.01)
    assert result["roc_auc"]["macro"] > 0.6  # there is something to hear
    assert scored.tags == TAGS
    assert result["tags_only_in_data"] == []
    assert (result["probe"]["n_train"], result["probe"]["n_valid"]) == (120, 40)
    assert (result["n_tracks"], result["probe"]["n_dimensions"]) == (80, 5)


def test_a_tag_that_no_training_song_carries_is_left_out_and_named(files, tmp_path):
    few = write_tiny_store(tmp_path, n=12, splits=SPLITS, features=FEATURES, seed=38)
    store = open_store(few)
    assert store.labels[store.indices("train")].any(axis=0).tolist() == [True, True, True, False]
    result, scored = probe_model(files[0], few, fit=linear_probe, options=options())
    assert scored.tags == TAGS[:3]
    assert result["tags_only_in_data"] == ["loud"]


def test_the_same_seed_gives_the_same_result(files):
    one, two = (probe_model(*files, fit=linear_probe, options=options())[0] for _ in range(2))
    assert one == two


def test_what_cannot_be_probed_is_refused_with_the_reason(files, tmp_path):
    model, store = files
    other = tiny_model.write(tmp_path / "other.onnx", features=PRESETS["choi2016"])
    with pytest.raises(FeatureMismatch, match="has other features"):
        probe_model(other, store, fit=linear_probe)
    with pytest.raises(BadValue, match="no song is in the split 'dev'"):
        probe_model(model, store, fit=linear_probe, options=options(valid="dev"))
    with pytest.raises(BadValue, match="songs that are learned from cannot measure"):
        options(valid="test")
    with pytest.raises(BadValue, match="above zero"):
        options(strengths=(0.0,))
    alike = write_tiny_store(
        tmp_path / "alike", n=6, splits=SPLITS, features=FEATURES, tags=("x",), seed=0
    )
    with pytest.raises(BadValue, match="there is nothing to learn"):
        probe_model(model, alike, fit=linear_probe, options=options())


def test_the_command_prints_what_an_evaluation_prints_and_writes_its_files(files, tmp_path):
    model, store = map(str, files)
    outputs = ["-o", str(tmp_path), "--scores", str(tmp_path / "scores.csv")]
    arguments = ["probe", model, "--store", store, "--replicates", "5"]
    done = CliRunner().invoke(app, [*arguments, *outputs, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert {"roc_auc", "average_precision", "per_tag", "probe", "commit"} <= result.keys()
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == result
    assert (tmp_path / "scores.csv").read_text().count("\n") == 81
    output = CliRunner().invoke(app, arguments).stdout
    assert "tiny on 80 songs of test, 4 tags" in output


def test_each_key_of_its_json_is_documented(files):
    result, _ = probe_model(*files, fit=linear_probe, options=options())
    page = Path(__file__).parents[2] / "docs" / "reference" / "formats" / "evaluation.md"
    text = page.read_text("utf-8")
    keys = {f"probe.{key}" for key in result["probe"]}
    keys |= {f"probe.tried.{key}" for key in result["probe"]["tried"][0]}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
