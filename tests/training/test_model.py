"""The network: the paper's function and sizes, in the fast order, with the published weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published_weights import write_cs2470
from torch import nn

from earmark.errors import BadModel, BadRecipe, BadValue, ModelNotFound
from earmark.features import PRESETS
from earmark.published import convert
from earmark.runtime import Model
from earmark.tags import MSD_50
from earmark.training.fast_cpu import Convolution, Dropout
from earmark.training.model import CRNN, Block, ClassicGru, CrnnSettings, n_parameters
from earmark.training.recipe import read_recipe
from earmark.training.start import published_network, start_from
from earmark.training.task import Task

SMALL = CrnnSettings(widths=(6, 5), pools=((4, 2), (4, 2)), pad=3, units=4)
ROOT = Path(__file__).parents[2]


def network(settings: CrnnSettings = SMALL, *, n_frames: int = 30, n_mels: int = 16) -> CRNN:
    torch.manual_seed(0)
    return CRNN(settings, n_tags=7, n_mels=n_mels, n_frames=n_frames, standardise=(-30.0, 12.0))


def clips(n: int = 3, *, n_frames: int = 30, n_mels: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return -30 + 12 * torch.randn(n, n_mels, n_frames, generator=generator)


@pytest.mark.parametrize(
    ("millions", "widths", "units"),
    [
        (0.1, (30, 60, 60, 60), 30),
        (0.25, (48, 96, 96, 96), 48),
        (0.5, (68, 137, 137, 137), 68),
        (1.0, (96, 195, 195, 195), 96),
        (3.0, (169, 339, 339, 339), 169),
    ],
)
def test_the_sizes_of_the_paper_have_as_many_parameters_as_it_says(millions, widths, units):
    settings = CrnnSettings(widths=widths, units=units, recurrent="classic-gru", input_norm="frame")
    model = CRNN(settings, n_tags=50, n_mels=96, n_frames=1366, standardise=(0, 1))
    assert n_parameters(model) == pytest.approx(millions * 1e6, rel=0.03)


def test_pooling_before_elu_is_the_same_function_as_pooling_after_it():
    settings = dataclasses.replace(SMALL, block_dropout=0.0)
    block = Block(4, 6, (2, 3), settings).eval()
    x = torch.randn(2, 4, 8, 12)
    expected = F.max_pool2d(F.elu(block.norm(block.conv(x))), (2, 3))
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize(
    ("recurrent", "beside"),
    [("gru", "none"), ("gru", "max"), ("classic-gru", "none"), ("classic-gru", "max"),
     ("none", "none")],
)  # fmt: skip
@pytest.mark.parametrize("input_norm", ["frame", "channel", "none"])
def test_every_kind_gives_a_logit_for_each_tag_and_learns(recurrent, input_norm, beside):
    settings = dataclasses.replace(SMALL, recurrent=recurrent, input_norm=input_norm, beside=beside)
    model = network(settings)
    logits = model(clips())
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_scores_of_a_clip_do_not_depend_on_the_others_in_its_batch():
    model = network().eval()
    x = clips(5)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[2:3], model(x[2:3]), atol=1e-6, rtol=0)


def test_other_lengths_fit_where_nothing_is_tied_to_a_frame():
    assert network()(clips(n_frames=50)).shape == (3, 7)
    settings = dataclasses.replace(SMALL, recurrent="none", summary="max")
    assert network(settings)(clips(n_frames=50)).shape == (3, 7)


def test_the_input_is_standardised_before_it_is_padded():
    settings = dataclasses.replace(SMALL, input_norm="none")
    model = network(settings).eval()
    seen = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = clips()
    model(x)
    expected = F.pad((x + 30) / 12, (3, 3)).unsqueeze(1)
    torch.testing.assert_close(seen[0], expected)


def test_a_norm_of_each_frame_has_a_mean_for_each_frame():
    model = network(dataclasses.replace(SMALL, input_norm="frame"))
    model.input_norm.train()
    x = torch.randn(5, 16, 36) * torch.linspace(1, 9, 36) + torch.linspace(-5, 5, 36)
    y = model.input_norm(x)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(36), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var((0, 1), correction=0), torch.ones(36), atol=1e-2, rtol=0)


def test_the_classic_gru_is_the_one_of_the_formula():
    torch.manual_seed(0)
    gru = ClassicGru(3, 4, 1)
    nn.init.normal_(gru.biases[0])
    x = torch.randn(2, 6, 3)
    w, u, b = (p[0].detach().numpy() for p in (gru.kernels, gru.recurrents, gru.biases))

    def gate(at: int, step: np.ndarray, state: np.ndarray) -> np.ndarray:
        part = slice(4 * at, 4 * at + 4)
        return step @ w[:, part] + state @ u[:, part] + b[part]

    state = np.zeros((2, 4), dtype=np.float32)
    for step in x.numpy().transpose(1, 0, 2):
        z = np.clip(0.2 * gate(0, step, state) + 0.5, 0, 1)
        r = np.clip(0.2 * gate(1, step, state) + 0.5, 0, 1)
        h = np.tanh(gate(2, step, r * state))
        state = z * state + (1 - z) * h
    with torch.no_grad():
        states, last = gru(x)
    np.testing.assert_allclose(states[:, -1].numpy(), state, atol=1e-6)
    assert torch.equal(last[0], states[:, -1])


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("n_in", [1, 4])
def test_a_convolution_gives_torchs_gradients_on_any_processor(size, n_in, monkeypatch):
    torch.manual_seed(0)
    x = torch.randn(2, 9, 11, n_in).permute(0, 3, 1, 2)
    conv = Convolution(n_in, 6, size, padding="same", bias=False)
    gradients = []
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        leaf = x.clone().requires_grad_()
        conv.weight.grad = None
        conv(leaf).square().sum().backward()
        gradients.append((leaf.grad, conv.weight.grad))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-3, rtol=1e-4)


def test_dropout_drops_its_share_and_keeps_the_mean_and_the_layout():
    torch.manual_seed(0)
    x = torch.ones(4, 30, 40, 50).permute(0, 3, 1, 2)
    dropout = Dropout(0.3)
    y = dropout(x)
    assert y.stride() == x.stride()
    assert (y == 0).float().mean() == pytest.approx(0.3, abs=0.005)
    assert y.mean() == pytest.approx(1.0, abs=0.01)
    assert y[y > 0].unique().item() == pytest.approx(1 / 0.7, rel=1e-3)
    neighbours = (y[:, :-1] == 0) & (y[:, 1:] == 0)
    assert neighbours.float().mean() == pytest.approx(0.09, abs=0.005)  # as if independent
    assert dropout(x[:, :, -1]).shape == (4, 50, 40)  # a part of a tensor, with gaps in memory
    torch.manual_seed(0)
    assert torch.equal(y, dropout(x))
    assert torch.equal(dropout.eval()(x), x)


def test_dropout_passes_the_gradient_of_what_it_kept():
    x = torch.randn(500, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y != 0) * 2.0, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"widths": (6,)}, "1 widths and 2 pools"),
        ({"kernel": 4}, "the kernel odd"),
        ({"pad": -1}, "the pad 0 or more"),
        ({"standardise": (0.0, 0.0)}, "must be above 0"),
    ],
)
def test_settings_that_make_no_network_are_refused(changes, said):
    with pytest.raises(BadValue, match=said):
        dataclasses.replace(SMALL, **changes)


def test_pools_that_leave_nothing_are_refused():
    with pytest.raises(BadValue, match="reduce 16 mels x 2 frames to nothing"):
        network(dataclasses.replace(SMALL, pad=0), n_frames=2)


@pytest.fixture
def published(shared: Path) -> Path:
    return shared / "published"


def restored(recipe_name: str, weights: Path, tags: tuple[str, ...] = MSD_50):
    recipe = read_recipe(ROOT / "recipes" / f"{recipe_name}.toml")
    priors = tuple([0.1] * len(tags))
    assert recipe.model.standardise is not None
    task = Task(tags, PRESETS["choi2016"], priors, recipe.model.standardise)
    model = task.network(recipe)
    started = start_from(model, weights, tags=tags, standardise=task.standardise)
    return model.eval(), started.new


@pytest.mark.parametrize(
    ("recipe", "file"),
    [
        ("choi2016", "music_tagger_crnn_weights_theano.h5"),
        ("choi2016", "music_tagger_crnn_weights_tensorflow.h5"),
        ("fcn", "music_tagger_cnn_weights_theano.h5"),
    ],
)
def test_the_restored_weights_score_as_their_model_file_does(recipe, file, published, tmp_path):
    model, new = restored(recipe, published / file)
    assert new == frozenset()
    x = np.concatenate([np.load(published / f"bensound-{n}.npy")[0] for n in ("cute", "dubstep")])
    with torch.no_grad():
        logits = model(torch.from_numpy(x).float()).numpy()
    convert("choi2016", published / file, tmp_path / "model.onnx")
    expected, _ = Model(tmp_path / "model.onnx").run(x)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_the_weights_of_the_report_score_as_their_model_file_does(tmp_path):
    weights = write_cs2470(tmp_path / "weights.h5")
    x = clips(2, n_mels=96, n_frames=1366)
    with torch.no_grad():
        logits = published_network(weights)(x).numpy()
    convert("cs2470", weights, tmp_path / "model.onnx")
    expected, _ = Model(tmp_path / "model.onnx").run(x.numpy())
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_another_vocabulary_gets_a_new_output_layer_that_says_the_priors(published):
    weights = published / "music_tagger_crnn_weights_theano.h5"
    model, new = restored("choi2016", weights, tags=("a", "b", "c"))
    assert new == {"output.weight", "output.bias"}
    torch.testing.assert_close(model.output.bias.sigmoid(), torch.full((3,), 0.1))


def test_weights_of_another_shape_or_kind_are_refused_by_name(published, tmp_path):
    with pytest.raises(BadRecipe, match=r"do not fit.*recipe choi2016"):
        restored("fcn", published / "music_tagger_crnn_weights_theano.h5")
    with pytest.raises(BadRecipe, match=r"model\.standardise = \[0, 1\].*recipe cs2470"):
        restored("choi2016", published / "cs2470_trained_model.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["some/weights"] = np.zeros(3)
    with pytest.raises(BadModel, match="holds other weights than those"):
        restored("choi2016", tmp_path / "other.h5")
    with pytest.raises(ModelNotFound, match=r"weights to start from.*are not there"):
        restored("choi2016", tmp_path / "nothing.h5")
