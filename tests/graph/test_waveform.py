"""A model file as a graph that takes samples: what C++, JavaScript and Rust run."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tiny_model

from earmark import zoo
from earmark.errors import BadModel, BadValue
from earmark.features import PRESETS, log_mel
from earmark.graph.waveform import write_waveform
from earmark.model_file import Card
from earmark.runtime import Model


def songs(settings, *, n=2, seed=0):
    """Notes under noise, loud and soft, float32 (n, window_samples)."""
    random = np.random.default_rng(seed)
    time = np.arange(settings.window_samples) / settings.rate
    notes = np.sin(2 * np.pi * random.uniform(80, 2000, (n, 1)) * time) * (time % 0.5 < 0.4)
    noise = random.normal(size=(n, time.size))
    loud = 10.0 ** -np.arange(n)[:, None]
    return (loud * (0.3 * notes + 0.05 * noise)).astype(np.float32)


def assert_graph_scores_as_the_model(model, path):
    card = write_waveform(model, path)
    clips = songs(card.features)
    session = onnxruntime.InferenceSession(path)
    scores, embeddings = session.run(["scores", "embedding"], {"samples": clips})
    log_mels = np.stack([log_mel(clip, settings=card.features) for clip in clips])
    logits, expected = Model(model).run(log_mels)
    np.testing.assert_allclose(scores, card.scores(logits), atol=1e-4)
    np.testing.assert_allclose(embeddings, expected, atol=1e-3 * np.abs(expected).max())
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata.keys() == {"earmark_waveform"}
    assert Card.from_json(metadata["earmark_waveform"]) == card


def test_the_shipped_model_scores_samples_as_it_scores_their_spectrograms(tmp_path):
    assert_graph_scores_as_the_model(zoo.resolve("earmark"), tmp_path / "samples.onnx")


@pytest.mark.parametrize("name", ["choi2016", "won2020", "musicnn"])
def test_so_does_a_model_of_other_features(name, tmp_path):
    model = tiny_model.write(tmp_path / "tiny.onnx", features=PRESETS[name])
    assert_graph_scores_as_the_model(model, tmp_path / "samples.onnx")


def test_what_is_no_model_and_other_names_are_refused(model, tmp_path):
    write_waveform(model, tmp_path / "samples.onnx")
    with pytest.raises(BadModel, match="no earmark card"):
        write_waveform(tmp_path / "samples.onnx", tmp_path / "again.onnx")
    with pytest.raises(BadValue, match=r"model.json does not end in .onnx"):
        write_waveform(model, tmp_path / "model.json")
    assert [path.name for path in tmp_path.iterdir()] == ["samples.onnx"]
