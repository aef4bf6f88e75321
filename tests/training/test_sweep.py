"""Sweeps: which runs there are, that they go on, and that one that fails fails alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from few_threads import one_thread  # noqa: F401 - a fixture for every test here

from earmark.errors import BadRecipe, BadValue, MissingExtra
from earmark.training import sweeps
from earmark.training.sweeps import Setting, read_setting, sweep

RECIPE = """
[model]
pad = 0
widths = [8, 8]
pools = [[4, 2], [4, 2]]
units = 8
[loop]
epochs = 2
batch = 8
precision = "f32"
checkpoint_minutes = 0
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)


def settings(*texts: str) -> list[Setting]:
    return [read_setting(text) for text in texts]


def names(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/record.json"))


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("optimiser.rate=.0003,.001", Setting("optimiser.rate", (".0003", ".001"))),
        ("loop.batch = 8", Setting("loop.batch", ("8",))),
        ("model.widths=[8,8],[4, 4]", Setting("model.widths", ("[8,8]", "[4, 4]"))),
        ("model.pools=[[4,2],[4,2]]", Setting("model.pools", ("[[4,2],[4,2]]",))),
        ("optimiser.rate=1e-4..1e-2", Setting("optimiser.rate", low=1e-4, high=1e-2)),
    ],
)
def test_settings_are_read(text, setting):
    assert read_setting(text) == setting


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate", "Write KEY=VALUE,VALUE"),
        ("rate=", "Write KEY=VALUE,VALUE"),
        ("rate=1,,2", "an empty value"),
        ("rate=1,1", "one twice"),
        ("rate=a..b", "Write two numbers"),
        ("rate=2..1", "from a lower to a higher"),
    ],
)
def test_settings_that_cannot_be_read_are_refused(text, said):
    with pytest.raises(BadValue, match=said):
        read_setting(text)


def test_every_combination_is_trained_and_ranked(recipe, store, tmp_path):
    folder = tmp_path / "sweep"
    runs = sweep(
        [recipe],
        store,
        folder=folder,
        settings=settings("optimiser.rate=0.001,0.02", "model.units=4,8", "loop.epochs=1"),
    )
    assert names(folder) == sorted(run.name for run in runs)
    assert "tiny-rate=0.001-units=4" in names(folder)
    assert len(runs) == 4
    scores = [run.roc_auc or 0.0 for run in runs]
    assert scores == sorted(scores, reverse=True)
    with (folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [run.name for run in runs]
    assert {row["optimiser.rate"] for row in rows} == {"0.001", "0.02"}
    assert float(rows[0]["roc_auc"]) == runs[0].roc_auc
    assert "loop.epochs" not in rows[0]  # all runs have it
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_goes_on_and_trains_nothing_twice(recipe, store, tmp_path, monkeypatch):
    wanted = settings("optimiser.rate=0.001,0.002,0.003")
    whole = sweep([recipe], store, folder=tmp_path / "whole", settings=wanted)
    trained = []

    def train(recipe, *arguments, **options):
        trained.append(recipe.optimiser.rate)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(recipe, *arguments, **options)

    real = sweeps.train
    monkeypatch.setattr(sweeps, "train", train)
    with pytest.raises(KeyboardInterrupt):
        sweep([recipe], store, folder=tmp_path / "run", settings=wanted)
    before = (tmp_path / "run" / "tiny-rate=0.001" / "record.json").read_bytes()
    again = sweep([recipe], store, folder=tmp_path / "run", settings=wanted)
    assert (tmp_path / "run" / "tiny-rate=0.001" / "record.json").read_bytes() == before
    assert [run.as_json() for run in again] == [run.as_json() for run in whole]


def test_a_run_that_fails_is_a_row_and_the_others_go_on(recipe, store, tmp_path):
    told = []
    runs = sweep(
        [recipe],
        store,
        folder=tmp_path / "sweep",
        settings=settings("optimiser.rate=0.01,1e30", "model.input_norm=none",
                          "optimiser.schedule=constant"),
        tell=told.append,
    )  # fmt: skip
    assert [run.result is None for run in runs] == [False, True]
    assert "the weights have diverged" in str(runs[1].error)
    assert any("error: tiny-rate=1e30" in words for words in told)
    rows = (tmp_path / "sweep" / "sweep.csv").read_text()
    assert "diverged" in rows


def test_several_recipes_are_compared(recipe, store, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace("units = 8", "units = 4"))
    folder = tmp_path / "sweep"
    sweep([recipe, str(other)], store, folder=folder, settings=settings("loop.epochs=1"))
    assert names(folder) == ["other", "tiny"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tiny.toml").write_text(RECIPE)
    with pytest.raises(BadValue, match="two runs would have the name tiny"):
        sweep([recipe, str(tmp_path / "more" / "tiny.toml")], store, folder=folder)


def test_a_key_that_is_wrong_is_refused_before_any_run(recipe, store, tmp_path):
    with pytest.raises(BadRecipe, match=r"unknown key 'optimiser\.speed'"):
        sweep(
            [recipe],
            store,
            folder=tmp_path / "sweep",
            settings=settings("optimiser.rate=0.01,0.02", "optimiser.speed=1"),
        )
    assert names(tmp_path / "sweep") == []


def test_optuna_draws_from_ranges_and_the_same_again(recipe, store, tmp_path):
    pytest.importorskip("optuna")
    wanted = settings("optimiser.rate=1e-4..1e-1", "model.units=4..9", "loop.epochs=1")
    runs = [
        sweep([recipe], store, folder=tmp_path / folder, settings=wanted, trials=3)
        for folder in ("a", "a", "b")
    ]
    assert names(tmp_path / "a") == names(tmp_path / "b")
    assert len(names(tmp_path / "a")) == 3
    assert [run.as_json() for run in runs[0]] == [run.as_json() for run in runs[1]]
    for name in names(tmp_path / "a"):
        recipe_of = json.loads((tmp_path / "a" / name / "record.json").read_text())["recipe"]
        assert 1e-4 <= recipe_of["optimiser"]["rate"] <= 1e-1
        assert recipe_of["model"]["units"] in range(4, 10)


def test_what_optuna_needs_is_said(recipe, store, tmp_path, monkeypatch):
    wanted = settings("optimiser.rate=1e-4..1e-1")
    with pytest.raises(BadValue, match=r"has a range.*--trials"):
        sweep([recipe], store, folder=tmp_path / "a", settings=wanted)
    pytest.importorskip("optuna")
    with pytest.raises(BadValue, match="settings of one recipe"):
        sweep([recipe, recipe], store, folder=tmp_path / "a", settings=wanted, trials=2)
    with pytest.raises(BadValue, match="no validation ROC-AUC"):
        without = [*wanted, read_setting('data.valid=""')]
        sweep([recipe], store, folder=tmp_path / "a", settings=without, trials=2)
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"\[sweep\]"):
        sweep([recipe], store, folder=tmp_path / "b", settings=wanted, trials=2)
