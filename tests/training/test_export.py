"""From a run to the one-file model: the same function, with a card that says what it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_model
import torch
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from network_kinds import KINDS, TASK, clips, name_of, trained
from tiny_recipe import MODEL, tiny_recipe
from tiny_store import TAGS, TINY, write_tiny_store

from earmark.audio import load_audio
from earmark.data.store.index import make_index, read_index, write_index
from earmark.data.store.reader import open_store
from earmark.errors import BadModel, BadValue, DataError
from earmark.features import PRESETS, LogMel, log_mel
from earmark.graph.waveform import front_end
from earmark.model_file import Card, read_card, write_model
from earmark.runtime import Model
from earmark.training.checkpoint import read_checkpoint
from earmark.training.export import exporter as exporting
from earmark.training.export.calibration import calibrate
from earmark.training.export.exporter import Terms, compare, export_run
from earmark.training.export.from_graph import from_model_file
from earmark.training.export.to_graph import to_graph
from earmark.training.loop import train
from earmark.windows import centre_crop


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_recipe(loop={"epochs": 2, "average": 0.8}), store, folder)
    return folder


def test_the_model_file_scores_as_the_network_that_was_validated(run, store, tmp_path):
    export_run(run, tmp_path / "tiny.onnx")
    arrays, _ = read_checkpoint(run / "best.npz")
    with open_store(store) as opened:
        clips = opened.log_mels(opened.indices("valid"))
    logits, embedding = Model(tmp_path / "tiny.onnx").run(clips)
    np.testing.assert_allclose(logits, arrays["valid.logits"], atol=1e-4)
    assert embedding.shape == (16, 8)


def test_the_card_says_what_the_model_is_and_how_it_came_to_be(run, tmp_path):
    terms = Terms(name="mine", licence="CC0-1.0", description="a test")
    card = export_run(run, tmp_path / "tiny.onnx", terms=terms)
    assert read_card(tmp_path / "tiny.onnx").to_json() == card.to_json()
    assert (card.name, card.licence, card.description) == ("mine", "CC0-1.0", "a test")
    assert (card.tags, card.features) == (TAGS, TINY)
    record = json.loads((run / "record.json").read_text())
    assert list(card.priors) == record["task"]["priors"]
    assert card.training["recipe"] == record["recipe"]
    assert card.training["data"]["labels_sha256"] == record["data"]["labels_sha256"]
    assert "command" not in card.training["environment"]  # it holds paths of this machine
    line = record["results"]["best"]
    assert card.training["validation"]["roc_auc_macro"] == line["roc_auc"]
    assert card.reliability == (None,) * 4  # of 16 validation songs
    assert card.calibration is not None
    assert len(card.calibration.scale) == len(TAGS)


def test_reliability_has_its_interval_and_count_and_is_not_said_of_few_songs(tmp_path):
    store = write_tiny_store(tmp_path / "store", n=320)
    _rare(store, "loud", keep=0.3)
    train(tiny_recipe(), store, tmp_path / "run")
    card = export_run(tmp_path / "run", tmp_path / "tiny.onnx")
    measured = card.training["measured"]
    labels = read_checkpoint(tmp_path / "run" / "best.npz")[0]["valid.labels"]
    positives = dict(zip(TAGS, labels.sum(0).tolist(), strict=True))
    assert 0 < positives["loud"] < 20 <= min(positives[tag] for tag in TAGS[:3])
    assert set(measured) == set(TAGS[:3])
    assert card.reliability is not None
    assert card.reliability[3] is None
    for tag, value in zip(TAGS[:3], card.reliability, strict=False):
        low, high = measured[tag]["interval"]
        assert low < measured[tag]["roc_auc"] == value < high
        assert measured[tag]["positives"] == positives[tag]


def _rare(store: Path, tag: str, *, keep: float) -> None:
    """Take a tag off most of the songs that carry it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    for path in sorted(store.glob("*.parquet")):
        table = pq.read_table(path)
        tags = [
            [one for one in of_song if one != tag or random.random() < keep]
            for of_song in table["tags"].to_pylist()
        ]
        place = table.schema.get_field_index("tags")
        field = table.schema.field("tags")
        pq.write_table(table.set_column(place, field, pa.array(tags, field.type)), path)
    index = read_index(store)
    names = [shard.name for shard in index.shards]
    write_index(store, make_index(store, names, store_format=index.format, tags=index.tags))


def test_a_run_without_validation_gives_a_model_without_calibration(store, tmp_path):
    train(tiny_recipe(data={"valid": ""}, loop={"epochs": 1}), store, tmp_path / "run")
    card = export_run(tmp_path / "run", tmp_path / "tiny.onnx")
    assert card.calibration is None
    assert card.reliability is None


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    export_run(run, tmp_path / "a.onnx")
    export_run(run, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_the_graph_is_the_network_at_every_batch_size_and_length(kind):
    model = trained(**kind)
    graph = exporting.build(to_graph(model, n_mels=16, n_frames=32))
    assert compare(model, graph, TASK) <= 1e-4


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_model_file_becomes_a_network_that_scores_as_it_does(kind, tmp_path):
    model = trained(**kind)
    recipe = tiny_recipe(model=dataclasses.asdict(model.settings)).to_dict()
    card = Card("tiny", TAGS, TINY, (0.5,) * 4, "a test", "CC0-1.0", training={"recipe": recipe})
    graph = exporting.build(to_graph(model, n_mels=16, n_frames=32))
    write_model(tmp_path / "tiny.onnx", graph, card)
    with torch.no_grad():
        logits = from_model_file(tmp_path / "tiny.onnx")(clips(3))
        torch.testing.assert_close(logits, model(clips(3)), atol=1e-5, rtol=1e-5)


def test_a_model_file_that_no_recipe_made_is_refused(tmp_path):
    tiny_model.write(tmp_path / "tiny.onnx")
    with pytest.raises(BadModel, match="its card has no recipe"):
        from_model_file(tmp_path / "tiny.onnx")


def test_a_graph_that_differs_from_the_network_is_refused():
    model = trained(recurrent="gru")
    graph = exporting.build(to_graph(model, n_mels=16, n_frames=32))
    with torch.no_grad():
        model.output.bias.add_(1e-3)
    with pytest.raises(BadModel, match=r"differ by 1\.0e-03 in the logits of 1 clips"):
        compare(model, graph, TASK)


def test_nothing_is_written_when_the_comparison_fails(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(BadModel, match="no file was written"):
        export_run(run, tmp_path / "tiny.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_or_has_no_weights_is_said(run, tmp_path):
    with pytest.raises(DataError, match=r"does not hold a run: cannot read record\.json"):
        export_run(tmp_path, tmp_path / "tiny.onnx")
    (tmp_path / "record.json").write_bytes((run / "record.json").read_bytes())
    with pytest.raises(DataError, match="its first epoch is not finished"):
        export_run(tmp_path, tmp_path / "tiny.onnx")


def samples(settings, n: int = 2) -> np.ndarray:
    """Chords that fade into noise, with a silence: from full scale to below the floor."""
    random = np.random.default_rng(0)
    times = np.arange(settings.window_samples) / settings.rate
    made = []
    for _ in range(n):
        chord = sum(np.sin(2 * np.pi * f * times) for f in random.uniform(80, 3000, 4))
        fade = np.linspace(1, 0, times.size) ** 2
        made.append(0.2 * chord * fade + 1e-2 * random.normal(size=times.size))
        made[-1][times.size // 2 :][: settings.rate] = 0
    return np.array(made, dtype=np.float32)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_the_log_mel_inside_the_graph_is_that_of_the_front_end(preset):
    x = samples(preset)
    session = onnxruntime.InferenceSession(front_end(preset).SerializeToString())
    inside = session.run(None, {"samples": x})[0]
    expected = np.stack([log_mel(one, settings=preset) for one in x])
    # pure tones over quiet noise are the hardest: music keeps within 1e-3 dB down to -80
    audible = expected > expected.max() - 60
    np.testing.assert_allclose(inside[audible], expected[audible], atol=1e-3)
    assert inside.shape == expected.shape


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_the_level_inside_the_graph_is_that_of_the_front_end(preset):
    decade = preset.decibels  # ten times the power
    preset = dataclasses.replace(preset, level=-14.0, top_db=min(40, 4 * decade))
    x = samples(preset, 6)
    x[1] *= 1e-3
    x[2] += 0.02
    x[3] = 0
    x[4] *= 1e-6  # nothing but noise at -100 dB or less: it stays
    x[5, : x.shape[1] // 2] = 0
    session = onnxruntime.InferenceSession(front_end(preset).SerializeToString())
    inside = session.run(None, {"samples": x})[0]
    expected = np.stack([log_mel(one, settings=preset) for one in x])
    np.testing.assert_allclose(inside, expected, atol=5e-3)
    assert expected[4].max() < expected[1].max() - 3 * decade


HOP341 = LogMel("hop341", rate=16_000, hop=341, f_max=8_000.0, window_samples=465_465)


@pytest.mark.parametrize("preset", [PRESETS["choi2016"], HOP341], ids=lambda preset: preset.name)
def test_the_log_mel_of_music_is_the_same_inside_the_graph_down_to_the_floor(preset, shared):
    session = onnxruntime.InferenceSession(front_end(preset).SerializeToString())
    for path in (shared / "published").glob("*.mp3"):
        x = centre_crop(load_audio(path, rate=preset.rate).samples, settings=preset)
        inside = session.run(None, {"samples": x[None]})[0][0]
        np.testing.assert_allclose(inside, log_mel(x, settings=preset), atol=1e-3)


def test_the_waveform_graph_gives_the_scores_of_the_model_file(run, tmp_path):
    card = export_run(run, tmp_path / "tiny.onnx")
    export_run(run, tmp_path / "waveform.onnx", waveform=True)
    x = samples(TINY, n=3)
    session = onnxruntime.InferenceSession(tmp_path / "waveform.onnx")
    scores, embedding = session.run(["scores", "embedding"], {"samples": x})
    clips = np.stack([log_mel(one, settings=TINY) for one in x])
    logits, expected_embedding = Model(tmp_path / "tiny.onnx").run(clips)
    np.testing.assert_allclose(scores, card.scores(logits), atol=1e-4)
    np.testing.assert_allclose(embedding, expected_embedding, atol=1e-3)
    metadata = session.get_modelmeta().custom_metadata_map
    assert Card.from_json(metadata["earmark_waveform"]).tags == TAGS


def test_another_suffix_than_it_can_write_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(BadValue, match=r"tiny.tflite must end in .onnx or .keras"):
        export_run(tmp_path / "nowhere", tmp_path / "tiny.tflite")
    with pytest.raises(BadValue, match=r"tiny.keras does not end in .onnx"):
        export_run(tmp_path / "nowhere", tmp_path / "tiny.keras", waveform=True)


def test_a_waveform_graph_is_not_taken_for_a_model_file(run, tmp_path):
    export_run(run, tmp_path / "waveform.onnx", waveform=True)
    onnx.checker.check_model(onnx.load(tmp_path / "waveform.onnx"))
    with pytest.raises(BadModel, match="no earmark card"):
        read_card(tmp_path / "waveform.onnx")


def crooked(n_songs: int, n_tags: int, *, seed: int = 0):
    """Logits, and labels that are true as often as 0.6 logit - 1 says."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, (n_songs, n_tags)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(0.6 * logits - 1)))
    return logits, random.random(logits.shape) < chance


def test_calibration_finds_slope_and_offset_where_there_are_songs_enough():
    calibration = calibrate(*crooked(20_000, 3))
    np.testing.assert_allclose(calibration.scale, 0.6, atol=0.05)
    np.testing.assert_allclose(calibration.offset, -1.0, atol=0.08)


def test_a_tag_of_few_songs_leans_on_all_the_others():
    logits, labels = crooked(60, 20)
    labels = labels.copy()
    labels[:, 0] = False  # by itself this tag would say: never, whatever the logit
    calibration = calibrate(logits, labels)
    assert calibration.scale[0] == pytest.approx(np.median(calibration.scale), abs=0.35)
    assert np.median(calibration.offset) - 2 < calibration.offset[0] < min(calibration.offset[1:])


def test_calibration_survives_tags_with_one_class_and_wild_logits():
    logits = np.array([[1e4, -1e4, 0.0]] * 30, dtype=np.float32)
    labels = np.zeros((30, 3), dtype=bool)
    labels[:, 1] = True
    calibration = calibrate(logits, labels)
    assert np.isfinite(calibration.scale).all()
    assert np.isfinite(calibration.offset).all()


def test_calibrated_scores_are_more_likely_true_than_plain_ones():
    logits, labels = crooked(500, 8)
    calibration = calibrate(logits[:250], labels[:250])
    scaled = logits * np.array(calibration.scale) + np.array(calibration.offset)

    def loss(values: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0, values[250:]) - values[250:] * labels[250:]))

    assert loss(scaled) < loss(logits)


def test_the_model_settings_of_these_tests_are_those_of_the_run(run):
    recorded = json.loads((run / "record.json").read_text())["recipe"]["model"]
    assert {key: recorded[key] for key in MODEL} == MODEL
