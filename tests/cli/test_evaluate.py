"""`earmark evaluate`, end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import evaluation_data as made
import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny_model
import typer
from pyarrow import csv
from typer.testing import CliRunner

from earmark import metrics
from earmark.cli import evaluate
from earmark.errors import BadValue, EarmarkError
from earmark.evaluation.measures import measure
from earmark.metrics import STATISTICS

app = typer.Typer()
app.callback()(lambda: None)  # a second command would do as well: `evaluate` keeps its name
evaluate.add_commands(app)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    catalog = made.songs(folder)
    made.csv_of(catalog, folder / "songs.csv")
    made.store(catalog, folder / "store", audio=folder)
    tiny_model.write(folder / "a.onnx")
    tiny_model.write(folder / "b.onnx", seed=1, name="other")
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, ["evaluate", *arguments, "--replicates", "5"])
        if isinstance(done.exception, EarmarkError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_store_gives_one_line_of_json_with_the_keys_that_scripts_read(run):
    result = json.loads(run("a.onnx", "--store", "store", "--json").stdout)
    assert result["n_tracks"] == 8
    for name in ("roc_auc", "average_precision"):
        assert {"macro", "micro", "samples", "ci"} <= result[name].keys()
        assert len(result[name]["ci"]) == 2
    first = result["per_tag"][0]
    assert {"tag", "positives", "roc_auc", "ci", "average_precision"} <= first.keys()
    assert (first["tag"], first["positives"]) == ("rock", 4)
    assert result["skipped_tags"] == ["House"]
    assert result["precision_at_k"].keys() == {"score", "lift", "evidence"}
    assert (result["split"], result["n_unlabelled"], len(result["model_sha256"])) == ("test", 1, 64)


def test_a_person_gets_tables_and_what_was_left_out(run):
    output = run("a.onnx", "--store", "store").stdout
    assert "tiny on 8 songs of test, 2 tags" in output
    assert "grey, at the end: 2 of 2 tags have fewer than 20 songs" in output
    assert {"macro", "micro", "samples", "rock"} <= set(output.split())
    assert "left out, because all songs carry them or none does: House" in output
    assert "not in the model: no such tag" in output
    assert "1 song without known tags was left out" in output


def test_a_csv_of_audio_gives_the_same_numbers_as_its_store(run):
    of_audio = json.loads(
        run("a.onnx", "--catalog", "songs.csv", "--workers", "1", "--json").stdout
    )
    of_store = json.loads(run("a.onnx", "--store", "store", "--json").stdout)
    # the order of all scores is the same, whatever float16 did to them
    assert of_audio["roc_auc"] == of_store["roc_auc"]
    assert of_audio["center"] is True


def test_a_report_is_written_and_named(run, tmp_path):
    done = run("a.onnx", "--store", "store", "-o", str(tmp_path / "report"), "--json")
    numbers = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert numbers == json.loads(done.stdout)
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    assert "report.html" in done.stderr


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_scores_of_each_song_are_written_beside_its_labels(run, folder, tmp_path, suffix):
    path = tmp_path / f"scores{suffix}"
    broken = folder / "gone.csv"
    broken.write_text((folder / "songs.csv").read_text().replace("s1.wav", "gone.wav"))
    audio = ("--catalog", str(broken), "--workers", "1")
    done = run("a.onnx", *audio, "--scores", str(path), "--json", code=3)
    assert f"the scores of each song are in {path}" in done.stderr
    table = pq.read_table(path) if suffix == ".parquet" else csv.read_csv(path)
    rows = table.to_pylist()
    assert table.column_names[:6] == ["model", "id", "path", "error", "score.rock", "label.rock"]
    assert [row["id"] for row in rows] == ["s0", *(f"s{i}" for i in range(2, 8)), "s1"]
    assert "gone.wav" in rows[-1]["error"]
    assert rows[-1]["score.rock"] is None
    heard = rows[:-1]
    labels, scores = (
        np.array([row[f"{what}.rock"] for row in heard]) for what in ("label", "score")
    )
    of_rock = next(r for r in json.loads(done.stdout)["per_tag"] if r["tag"] == "rock")
    assert metrics.roc_auc(labels, scores) == of_rock["roc_auc"]


def test_two_models_have_their_scores_in_one_table(run, tmp_path):
    path = tmp_path / "scores.parquet"
    run("a.onnx", "b.onnx", "--store", "store", "--scores", str(path))
    models = pq.read_table(path)["model"].to_pylist()
    assert models == ["tiny"] * 8 + ["other"] * 8


def test_a_name_for_scores_that_chooses_no_format_is_refused_before_anything_is_heard(run):
    with pytest.raises(BadValue, match=r"scores.txt must end in .parquet or .csv"):
        run("a.onnx", "--store", "nowhere", "--scores", "scores.txt")


def test_two_models_are_compared_on_the_same_songs(run, tmp_path):
    arguments = ("a.onnx", "b.onnx", "--store", "store")
    result = json.loads(run(*arguments, "-o", str(tmp_path), "--json").stdout)
    assert (result["a"]["model"], result["b"]["model"]) == ("tiny", "other")
    assert result["a"].keys() == result["b"].keys()
    assert result["seed"] == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<td>seed</td><td>0</td>") == 2
    expected = result["b"]["roc_auc"]["macro"] - result["a"]["roc_auc"]["macro"]
    assert result["difference"]["roc_auc"]["macro"]["difference"] == pytest.approx(expected)
    assert "B - A" in run(*arguments).stdout


def test_robustness_is_a_table_of_conditions(run, monkeypatch):
    from earmark.evaluation import distortions, robustness

    few = {name: distortions.DISTORTIONS[name] for name in ("as it is", "gain -12 dB")}
    monkeypatch.setattr(
        robustness.robustness, "__kwdefaults__",
        {**(robustness.robustness.__kwdefaults__ or {}), "conditions": tuple(few)},
    )  # fmt: skip
    output = run("a.onnx", "--catalog", "songs.csv", "--robustness", "--workers", "1").stdout
    assert "gain -12 dB" in output


# what is in these, a sentence says
DESCRIBED = {"precision_at_k", "nothing_heard", *(f"difference.{name}" for name in STATISTICS)}


def paths(value, path=""):
    """Every key of JSON, as docs/reference/formats/evaluation.md writes it."""
    if isinstance(value, list):
        return {path} | set().union(*(paths(one, path) - {path} for one in value))
    if not isinstance(value, dict):
        return {path}
    if path in DESCRIBED:
        return {path}
    return {path} | set().union(
        *(paths(one, f"{path}.{key}" if path else key) for key, one in value.items())
    )


def test_each_key_of_the_json_is_documented_and_no_other(run, folder, monkeypatch):
    from earmark.evaluation import robustness

    monkeypatch.setitem(robustness.robustness.__kwdefaults__, "conditions", ("as it is",))
    broken = folder / "one-gone.csv"
    broken.write_text((folder / "songs.csv").read_text().replace("s1.wav", "gone.wav"))
    audio = ("a.onnx", "--catalog", str(broken), "--robustness", "--workers", "1", "--json")
    written = paths(json.loads(run(*audio, code=3).stdout))
    of_store = ("a.onnx", "b.onnx", "--store", "store", "--json")
    compared = json.loads(run(*of_store).stdout)
    written |= paths(compared["a"]) | {"a", "b"}
    written |= paths(compared["difference"] | {"per_tag": None}, "difference")
    many = measure(made.scored(), generator=np.random.default_rng(0), n=2)
    written |= paths(many["confusions"], "confusions")  # eight songs are too few for one
    page = Path(__file__).parents[2] / "docs" / "reference" / "formats" / "evaluation.md"
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    documented = [key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(documented) == sorted(written - {""})


def test_a_song_that_cannot_be_heard_has_its_line_and_exit_code_3(run, folder):
    broken = folder / "broken.csv"
    broken.write_text((folder / "songs.csv").read_text().replace("s1.wav", "gone.wav"))
    done = run("a.onnx", "--catalog", "broken.csv", "--workers", "1", "--json", code=3)
    result = json.loads(done.stdout)
    assert (result["n_tracks"], result["n_failed"]) == (7, 1)
    assert "gone.wav" in done.stderr
    assert "gone.wav" in result["failures"][0]["path"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.onnx"], "exactly one of the two"),
        (["a.onnx", "--store", "store", "--catalog", "songs.csv"], "exactly one of the two"),
        (["a.onnx", "b.onnx", "a.onnx", "--store", "store"], "3 models are given"),
        (["a.onnx", "--store", "store", "--robustness"], "only audio can be distorted"),
        (["a.onnx", "--store", "store", "--whole"], "no whole: give a catalog"),
        (["a.onnx", "--store", "store", "--audio", "."], "a store has no audio"),
        (["a.onnx", "--catalog", "songs.csv", "--audio", "."], "relative to that file"),
        (["a.onnx", "--store", "store", "--same", "sad"], "write DATA_TAG=MODEL_TAG"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_heard(run, arguments, words):
    with pytest.raises(BadValue, match=words):
        run(*arguments)
