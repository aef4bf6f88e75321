"""What a user brings along: a network and a loss by name, weights of tags, parts of a batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from network_kinds import TASK, clips, trained
from tiny_recipe import MODEL, tiny_recipe
from tiny_store import TAGS

from earmark.data.store.reader import open_store
from earmark.errors import BadModel, BadRecipe, BadValue
from earmark.model_file import read_card
from earmark.runtime import Model
from earmark.training.checkpoint import read_checkpoint
from earmark.training.export.exporter import export_run
from earmark.training.export.from_graph import from_model_file
from earmark.training.learner import Learner
from earmark.training.loop import train
from earmark.training.objective import make_loss
from earmark.training.processes import Processes
from earmark.training.recipe import Loss

CPU = torch.device("cpu")


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "history.jsonl").read_text().splitlines()]


def arrays(run: Path, name: str = "last.npz") -> dict[str, np.ndarray]:
    return read_checkpoint(run / name)[0]


def own(**parts: object):
    return tiny_recipe(network="own_networks.short_chunk", network_settings={"width": 6}, **parts)


def test_a_network_of_ones_own_learns_resumes_and_becomes_a_model_file(store, tmp_path):
    recipe = own(loop={"epochs": 8, "average": 0.8}, optimiser={"rate": 0.02})
    result = train(recipe, store, tmp_path / "run")
    assert result.roc_auc is not None
    assert result.roc_auc > 0.7
    card = export_run(tmp_path / "run", tmp_path / "own.onnx")
    assert read_card(tmp_path / "own.onnx").tags == card.tags == TAGS
    with open_store(store) as opened:
        songs = opened.log_mels(opened.indices("valid"))
    logits, embedding = Model(tmp_path / "own.onnx").run(songs)
    np.testing.assert_allclose(
        logits, arrays(tmp_path / "run", "best.npz")["valid.logits"], atol=1e-4
    )
    assert embedding.shape == (len(songs), 12)
    # for use outside earmark as well
    export_run(tmp_path / "run", tmp_path / "samples.onnx", waveform=True)
    with pytest.raises(BadModel, match=r"network of own_networks\.short_chunk.*Use its run"):
        from_model_file(tmp_path / "own.onnx")
    with pytest.raises(BadValue, match="a network of your own, which Keras does not know"):
        export_run(tmp_path / "run", tmp_path / "own.keras")


def test_it_goes_on_where_it_was(store, tmp_path):
    constant = {"schedule": "constant"}
    train(own(loop={"epochs": 1}, optimiser=constant), store, tmp_path / "run")
    train(own(loop={"epochs": 2}, optimiser=constant), store, tmp_path / "run", resume=True)
    train(own(loop={"epochs": 2}, optimiser=constant), store, tmp_path / "whole")
    a, b = arrays(tmp_path / "run"), arrays(tmp_path / "whole")
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []
    # and another one starts from it
    told = []
    recipe = own(init=str(tmp_path / "run"), loop={"epochs": 1})
    train(recipe, store, tmp_path / "other", tell=told.append)
    assert any("(new: nothing)" in words for words in told)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"network": "short_chunk"}, "no dotted path"),
        ({"network": "not_here.short_chunk"}, "not_here cannot be imported"),
        ({"network": "own_networks.nothing"}, "own_networks has no nothing"),
        ({"network": "own_networks.TYPE_CHECKING"}, "has no TYPE_CHECKING"),
        ({"network": "own_networks.no_network"}, "returns str"),
        ({"network": "own_networks.too_narrow"}, r"returns \(2, 3\) for two clips"),
        (
            {"network": "own_networks.short_chunk", "network_settings": {"depth": 3}},
            "cannot be called with the task and network_settings = {'depth': 3}",
        ),
        ({"loss": {"name": "squared"}}, "loss.name is 'squared', which is no dotted path"),
        ({"loss": {"name": "own_networks.one_number"}}, r"returns \(\) for logits"),
        ({"loss": {"weights": {"jazz": 2.0}}}, "tags that are not learned: jazz"),
    ],
)
def test_what_is_none_is_refused_with_its_name(parts, said, store, tmp_path):
    with pytest.raises(BadRecipe, match=said):
        train(tiny_recipe(**parts), store, tmp_path / "run")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"network_settings": {"width": 3}}, "it names none"),
        ({"loop": {"batch": 9, "accumulate": 2}}, "which 2 parts cannot share"),
        ({"loss": {"weights": {"jazz": 0}}}, "weights"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(parts, said):
    with pytest.raises(BadRecipe, match=said):
        tiny_recipe(**parts)


LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.0], [0.0, 3.0, -2.0, 1.0]])
LABELS = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
PRIORS = (0.1, 0.2, 0.3, 0.4)


def value(**settings: object) -> float:
    loss = make_loss(Loss(**settings), tags=TAGS, priors=PRIORS, device=CPU)  # type: ignore[arg-type]
    return loss(LOGITS, LABELS).item()


def test_losses_are_what_their_names_say():
    error = F.binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")
    wrong = (torch.sigmoid(LOGITS) - LABELS).abs()
    assert value() == error.mean().item()
    assert value(name="focal", gamma=1.5) == pytest.approx((wrong**1.5 * error).mean().item())
    assert value(name="focal", gamma=0) == pytest.approx(value())
    squared = (torch.sigmoid(LOGITS) - LABELS).square().mean().item()
    assert value(name="own_networks.squared") == pytest.approx(squared)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_tags_and_positives_count_as_the_recipe_says(name):
    each = {"name": name, "gamma": 0}
    error = F.binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")
    weights = torch.tensor([1.0, 3.0, 1.0, 1.0]) / 1.5
    found = value(**each, weights={TAGS[1]: 3.0})
    assert found == pytest.approx((error * weights).mean().item())
    ratio = torch.tensor([9.0, 4.0, 7 / 3, 1.5])
    positive = torch.where(LABELS == 1, ratio, 1.0)
    found = value(**each, positives="balanced")
    assert found == pytest.approx((error * positive).mean().item(), rel=1e-5)
    found = value(**each, positives="root")
    assert found == pytest.approx((error * positive.sqrt()).mean().item(), rel=1e-5)


def test_a_run_learns_by_another_loss(store, tmp_path):
    loss = {"name": "focal", "positives": "root", "weights": {"loud": 2.0}}
    recipe = tiny_recipe(loss=loss, loop={"epochs": 10}, model={"dropout": 0.0})
    result = train(recipe, store, tmp_path / "run")
    assert result.roc_auc is not None
    assert result.roc_auc > 0.8


def with_fixed_norms(model: torch.nn.Module) -> torch.nn.Module:
    """The model, which stays in evaluation: norms would see one part of a batch at a time."""
    model.eval()
    model.train = lambda *_: model  # type: ignore[method-assign, assignment]
    return model


def test_a_batch_in_parts_gives_the_step_of_the_whole_batch():
    still = {"input_norm": "none", "block_dropout": 0.0, "dropout": 0.0}
    labels = (torch.rand(8, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    steps = []
    for parts in (1, 4):
        model = with_fixed_norms(trained(**still))
        recipe = tiny_recipe(
            model=MODEL, loop={"accumulate": parts}, optimiser={"clip": 0.5, "rate": 1e-3}
        )
        learner = Learner(model, recipe, task=TASK, processes=Processes(CPU), n_steps=9)
        loss = learner.step(clips(8), labels)
        steps.append((loss, dict(learner.model.named_parameters())))
    torch.testing.assert_close(steps[0][0], steps[1][0])
    for name, whole in steps[0][1].items():
        torch.testing.assert_close(steps[1][1][name], whole, atol=2e-5, rtol=0, msg=name)


def test_batches_in_parts_are_reproducible(store, tmp_path):
    for run in ("a", "b"):
        train(tiny_recipe(loop={"accumulate": 2}), store, tmp_path / run)
    a, b = arrays(tmp_path / "a"), arrays(tmp_path / "b")
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []
    assert losses(tmp_path / "a")[-1] < losses(tmp_path / "a")[0]


def test_f16_learns_with_scaled_gradients_and_goes_on_with_their_scale(store, tmp_path):
    recipe = tiny_recipe(loop={"precision": "f16", "checkpoint_steps": 1}, optimiser={"clip": 1.0})
    train(recipe, store, tmp_path / "f16")
    train(tiny_recipe(optimiser={"clip": 1.0}), store, tmp_path / "f32")
    np.testing.assert_allclose(losses(tmp_path / "f16"), losses(tmp_path / "f32"), rtol=0.05)
    assert losses(tmp_path / "f16") != losses(tmp_path / "f32")
    kept = arrays(tmp_path / "f16")
    assert kept["scaler.scale"] > 1
    learner = Learner(TASK.network(recipe), recipe, task=TASK, processes=Processes(CPU), n_steps=9)
    kept["scaler.scale"] = np.array(64.0)
    learner.load(kept, steps_done=3)
    assert learner.arrays()["scaler.scale"] == 64.0
