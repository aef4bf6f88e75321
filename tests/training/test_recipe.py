"""Recipes: TOML in, every default written once, every unknown key refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.errors import BadRecipe
from earmark.training.recipe import Recipe, make_recipe, read_recipe

START = ["init=weights.h5", "data.targets=labels"]  # what some recipes need to be told
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_each_recipe_that_earmark_brings_is_found_by_its_name(path):
    recipe = read_recipe(path.stem, changes=START)
    assert recipe == read_recipe(path, changes=START)
    assert recipe.name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_survives_json(path):
    recipe = read_recipe(path, changes=START)
    assert make_recipe(recipe.to_dict(), source="json") == recipe


def test_the_report_is_as_the_report_says():
    recipe = read_recipe("cs2470")
    assert (recipe.loop.epochs, recipe.loop.batch, recipe.optimiser.rate) == (8, 10, 0.003)
    assert (recipe.model.block_dropout, recipe.model.dropout) == (0.1, 0.3)
    assert recipe.features == "cs2470"
    assert recipe.model.standardise == (0.0, 1.0)
    assert 1366 + 2 * recipe.model.pad == 1514


def test_changes_are_toml_and_what_is_no_toml_is_text():
    changes = ["optimiser.rate=3e-3", "model.widths=[1, 2, 3, 4]", "init=some file.h5", "seed=7"]
    recipe = read_recipe("smoke", changes=changes)
    assert recipe.optimiser.rate == 0.003
    assert recipe.model.widths == (1, 2, 3, 4)
    assert recipe.init == "some file.h5"
    assert recipe.seed == 7
    assert recipe.loop.epochs == read_recipe("smoke").loop.epochs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model.wdths=[1]", "unknown key 'model.wdths'"),
        ("optimser.rate=1", "unknown key 'optimser'"),
        ("augment.mixp=1", "unknown key 'augment.mixp'"),
        ("loop.epochs=0", "loop.epochs is 0"),
        ("loop.batch='x'", "loop.batch is 'x'"),
        ("augment.mixup=-1", "mixup is -1.0"),
        ("model.recurrent=lstm", "model.recurrent is 'lstm'"),
        ("features=foo", "no features 'foo'"),
        ("optimiser.probe=0.1", r"^\S+: optimiser\.probe needs init, as it fits"),
        ("model.widths=[1]", "model: 1 widths and 4 pools"),
        (
            "model={recurrent='none', beside='max'}",
            'beside is "max", but a network without a recurrent part',
        ),
        ("rate", "Write key=value"),
        ("name.x=1", "name is a value"),
    ],
)
def test_a_wrong_key_or_value_is_named(change, said):
    with pytest.raises(BadRecipe, match=said):
        read_recipe("smoke", changes=["name=a", change])


def test_a_recipe_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "bad.toml").write_text("[model\n")
    with pytest.raises(BadRecipe, match="is not valid TOML"):
        read_recipe(tmp_path / "bad.toml")
    with pytest.raises(BadRecipe, match=r"one of earmark's own: .*smoke"):
        read_recipe("nothing-of-that-name")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(BadRecipe, match="not UTF-8"):
        read_recipe(tmp_path / "latin.toml")


def test_targets_are_a_file_or_the_labels_and_an_empty_name_is_refused():
    with pytest.raises(BadRecipe, match=r"data\.targets names no file.*data\.targets=labels"):
        read_recipe("cnn-gru", changes=["init=weights.h5", 'data.targets=""'])
    recipe = read_recipe("cnn-gru", changes=["init=weights.h5", "data.targets=teachers.npz"])
    assert recipe.data.targets == "teachers.npz"
    labels = read_recipe("cnn-gru", changes=["init=weights.h5", "data.targets=labels"])
    assert labels.data.targets is None


def test_the_former_name_of_a_recipe_leads_to_the_new_one():
    with pytest.raises(BadRecipe, match="the recipe default is called cnn-gru now"):
        read_recipe("default")


def test_a_recipe_cannot_be_changed_once_it_is_read():
    recipe = read_recipe("smoke")
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 1


def test_a_fold_may_be_written_as_a_number():
    assert read_recipe("smoke", changes=["data.train=1"]).data.train == "1"


def test_defaults_are_a_recipe():
    assert Recipe(name="plain").to_dict()["loop"]["epochs"] == 30
