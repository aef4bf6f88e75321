"""The one-file model: what goes in comes out, and what is not ours is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import pytest
import tiny_model
from hypothesis import given
from hypothesis import strategies as st

from earmark import graph, model_file
from earmark.errors import BadModel, BadValue, FeatureMismatch, ModelNotFound
from earmark.features import PRESETS
from earmark.model_file import Calibration, Card

CARD = Card(
    name="two",
    tags=("calm", "wild"),
    features=PRESETS["won2020"],
    priors=(0.5, 0.1),
    source="a test",
    licence="MIT",
    calibration=Calibration(scale=(1.0, 0.5), offset=(0.0, -1.0)),
    reliability=(0.9, None),
    training={"epochs": 3, "seed": 7},
)


def rewrite_card(path, change):
    """Put another card into a model file, as a program of another version might."""
    model = onnx.load(path)
    card = json.loads(model.metadata_props[0].value)
    change(card)
    model.metadata_props[0].value = json.dumps(card)
    onnx.save(model, path)


@pytest.mark.parametrize("features", PRESETS)
@pytest.mark.parametrize("priors", [(0.5, 0.1), None])
@pytest.mark.parametrize("pooling", ["logits", "scores"])
def test_a_card_survives_its_json(features, priors, pooling):
    card = dataclasses.replace(CARD, features=PRESETS[features], priors=priors, pooling=pooling)
    assert ("pooling" in card.to_dict()) == (pooling == "scores")
    assert Card.from_json(card.to_json()) == card


def test_a_card_of_before_the_later_feature_settings_means_their_defaults():
    values = json.loads(CARD.to_json())
    assert "pre_emphasis" not in values["features"]  # as such a card was written, and still is
    assert Card.from_json(json.dumps(values)).features.pre_emphasis == 0
    values["features"]["later_still"] = 1
    with pytest.raises(FeatureMismatch, match="later_still"):
        Card.from_json(json.dumps(values))


def test_a_model_file_gives_back_its_card_and_is_the_same_bytes_each_time(tmp_path):
    first = tiny_model.write(tmp_path / "a.onnx", training={"epochs": 3}, description="♪")
    second = tiny_model.write(tmp_path / "b.onnx", training={"epochs": 3}, description="♪")
    assert first.read_bytes() == second.read_bytes()
    card = model_file.read_card(first)
    assert card.description == "♪"
    assert card.tags[33] == "Hip-Hop"
    assert card.features == PRESETS["choi2016"]


def test_another_format_version_is_refused_with_both_numbers(tmp_path):
    path = tiny_model.write(tmp_path / "new.onnx")
    rewrite_card(path, lambda card: card.update(format_version=2))
    with pytest.raises(BadModel, match=r"format version 2; this earmark reads version 1. Update"):
        model_file.read_card(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("tags"),
        lambda card: card.update(priors=[0.5]),
        lambda card: card.update(colour="blue"),
        lambda card: card.update(tags=["rock"] * 50),
        lambda card: card["features"].update(hop=0),
        lambda card: card["features"].update(window_samples=10**12),
        lambda card: card["features"].update(n_fft=512.5),
        lambda card: card["features"].update(f_max=float("nan")),
        lambda card: card.update(reliability=[float("nan")] * 50),
        lambda card: card.update(reliability=[2] * 50),
        lambda card: card.update(calibration={"scale": [1e999] * 50, "offset": [0] * 50}),
        lambda card: card.update(tags=[1, *card["tags"][1:]]),
        lambda card: card.update(training=[]),
        lambda card: card.update(features=[]),
        lambda card: card.update(calibration={"scale": ["q"] * 50, "offset": [0] * 50}),
    ],
)
def test_a_damaged_card_is_refused(tmp_path, change):
    path = tiny_model.write(tmp_path / "model.onnx")
    rewrite_card(path, change)
    with pytest.raises(BadModel, match=r"card (is damaged|cannot be read)"):
        model_file.read_card(path)


def test_a_card_nested_too_deeply_is_refused(tmp_path):
    path = tiny_model.write(tmp_path / "model.onnx")
    proto = onnx.load(path)
    proto.metadata_props[0].value = "[" * 200_000
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(BadModel, match="nested too deeply"):
        model_file.read_card(path)


def test_what_is_no_model_of_ours_is_refused_with_the_way_out(tmp_path):
    whole = tiny_model.write(tmp_path / "model.onnx").read_bytes()
    stranger = onnx.load_model_from_string(whole)
    del stranger.metadata_props[:]
    contents = {
        "empty": b"",
        "text": b"this is a song\n" * 50,
        "cut": whole[: len(whole) // 2],
        "stranger": stranger.SerializeToString(),
    }
    for name, data in contents.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        with pytest.raises(BadModel, match=rf"{name}.onnx .*earmark models import"):
            model_file.read_card(path)
    with pytest.raises(ModelNotFound, match="earmark models list"):
        model_file.read_card(tmp_path / "missing.onnx")
    with pytest.raises(ModelNotFound, match="cannot read the model"):
        model_file.read_card(tmp_path)


def test_a_graph_that_breaks_the_contract_is_not_written(tmp_path):
    network = tiny_model.network(features=PRESETS["choi2016"], n_tags=3)
    built = graph.build(network)
    with pytest.raises(BadModel, match="3 logits for 2 tags"):
        model_file.write_model(tmp_path / "m.onnx", built, CARD)
    three = dataclasses.replace(
        CARD, tags=("a", "b", "c"), priors=(0.5,) * 3, calibration=None, reliability=None
    )
    with pytest.raises(BadModel, match=r"takes spectrograms of shape \(96, 1366\)"):
        model_file.write_model(tmp_path / "m.onnx", built, three)
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tags": ()}, "at least one tag"),
        ({"tags": ("calm", "calm")}, "only once"),
        ({"priors": (0.5,)}, "1 priors for 2 tags"),
        ({"priors": (0.5, 0.0)}, "above 0"),
        ({"reliability": (0.5,)}, "1 reliability"),
        ({"reliability": (0.5, float("nan"))}, "from 0 to 1"),
        ({"calibration": Calibration((1.0, float("inf")), (0.0, 0.0))}, "not numbers"),
        ({"licence": None}, "must be texts"),
        ({"calibration": Calibration((1.0,), (0.0, 0.0))}, "1 scale"),
    ],
)
def test_a_card_whose_columns_do_not_match_is_refused(wrong, said):
    with pytest.raises(BadValue, match=said):
        dataclasses.replace(CARD, **wrong)


@given(st.floats(-200, 200, width=32), st.floats(-200, 200, width=32))
def test_scores_are_probabilities_and_calibrated(calm, wild):
    scores = CARD.scores(np.array([calm, wild], dtype=np.float32))
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-float(calm))), abs=1e-6)
    assert scores[1] == pytest.approx(1 / (1 + np.exp(-(0.5 * float(wild) - 1))), abs=1e-6)
    assert (scores >= 0).all()
    assert (scores <= 1).all()
