"""The output layer fitted first: logistic regression on what the network hears."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from sklearn.linear_model import LogisticRegression
from tiny_recipe import tiny_recipe
from tiny_store import write_tiny_store

from earmark.errors import DataError
from earmark.features import PRESETS
from earmark.training import run
from earmark.training.clips import open_clips
from earmark.training.loop import train
from earmark.training.probe import fit, fit_output
from earmark.training.recipe import Data, read_recipe
from earmark.training.songs import choose
from earmark.training.task import make_task

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(80, 5))
Y = (X @ RANDOM.normal(size=(5, 3)) + RANDOM.normal(size=(80, 3)) > 0.3).astype(float)


@pytest.mark.parametrize("strength", [0.03, 1.0])
def test_it_is_the_logistic_regression_of_scikit_learn(strength):
    weight, bias = fit(torch.from_numpy(X), torch.from_numpy(Y), strength=strength)
    for tag in range(3):
        expected = LogisticRegression(C=strength, tol=1e-10, max_iter=1000).fit(X, Y[:, tag])
        np.testing.assert_allclose(weight[tag], expected.coef_[0], atol=2e-4)
        np.testing.assert_allclose(bias[tag], expected.intercept_[0], atol=2e-4)


def test_half_a_label_is_a_song_that_carries_the_tag_every_other_time():
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    soft = fit(x, (y + 0.5) / 2, strength=1.0)
    # each song four times: with its label twice, with the tag once, and without it once
    both = torch.cat([y, y, torch.ones_like(y), torch.zeros_like(y)])
    four = fit(x.repeat(4, 1), both, strength=0.25)
    for a, b in zip(soft, four, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_a_tag_that_no_song_carries_gets_a_low_score_and_no_error():
    weight, bias = fit(torch.from_numpy(X), torch.zeros(80, 2, dtype=torch.float64), strength=1.0)
    assert weight.isfinite().all()
    assert (torch.sigmoid(bias) < 0.02).all()


def test_the_output_layer_then_says_what_the_regression_says(tmp_path):
    source = open_clips(write_tiny_store(tmp_path, n=80), held="memory", device=torch.device("cpu"))
    indices = np.arange(60)
    songs = choose(source.store, Data(), seed=0)
    recipe = tiny_recipe(model={"recurrent": "none", "summary": "max"})
    model = make_task(recipe, source.store, songs).network(recipe)
    clips, truth = source.clips(indices), source.store.labels[indices]
    fit_output(model, clips, torch.from_numpy(truth).float(), strength=0.1)
    with torch.no_grad():
        log_mels = torch.from_numpy(source.store.log_mels(indices))
        features, logits = model.embed(log_mels).double().numpy(), model(log_mels).numpy()
    x = (features - features.mean(0)) / features.std(0, ddof=1)
    for tag in range(4):
        expected = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(x, truth[:, tag])
        np.testing.assert_allclose(logits[:, tag], expected.decision_function(x), atol=5e-3)


def test_a_run_from_published_weights_fits_it_first_and_only_once(shared, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=8, features=PRESETS["choi2016"])
    weights = shared / "published" / "music_tagger_cnn_weights_theano.h5"
    changes = [f"init={weights}", "optimiser.probe=0.1", "loop.epochs=1", "loop.batch=4"]
    recipe = read_recipe("fcn", changes=changes)
    words = []
    train(recipe, store, tmp_path / "run", tell=words.append)
    assert sum("the output layer is fitted first" in line for line in words) == 1
    words.clear()
    train(recipe, store, tmp_path / "run", resume=True, tell=words.append)
    assert not any("fitted first" in line for line in words)


def test_a_folder_that_cannot_be_taken_is_refused_before_anything_is_fitted(
    shared, tmp_path, monkeypatch
):
    store = write_tiny_store(tmp_path / "store", n=8, features=PRESETS["choi2016"])
    weights = shared / "published" / "music_tagger_cnn_weights_theano.h5"
    changes = [f"init={weights}", "optimiser.probe=0.1"]
    (tmp_path / "record.json").write_text('{"format_version": 1}')
    monkeypatch.setattr(run, "fit_output", lambda *_, **__: pytest.fail("it was fitted"))
    with pytest.raises(DataError, match="holds a run"):
        train(read_recipe("fcn", changes=changes), store, tmp_path)


def test_a_label_of_no_weight_teaches_nothing_and_one_of_two_counts_twice():
    random = np.random.default_rng(3)
    x = torch.from_numpy(random.normal(size=(40, 3)))
    y = torch.from_numpy((random.random((40, 1)) < 0.5).astype(float))
    weights = torch.ones_like(y)
    weights[:10], weights[10:15] = 0, 2
    wrong = y.clone()
    wrong[:10] = 1 - wrong[:10]
    weighted = fit(x, wrong, strength=0.1, weights=weights)
    places = torch.cat([torch.arange(10, 40), torch.arange(10, 15)])
    plain = fit(x[places], y[places], strength=0.1)
    for one, other in zip(weighted, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
