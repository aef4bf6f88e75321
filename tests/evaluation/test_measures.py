"""The numbers of an evaluation, on arrays, on a store and on audio."""

from __future__ import annotations

import json
import shutil

import evaluation_data as made
import numpy as np
import pytest
import tiny_model

from earmark import metrics
from earmark.audio import budget
from earmark.data.store.reader import open_store
from earmark.errors import BadValue, DataError, FeatureMismatch
from earmark.evaluation.compare import compare_scores, in_common
from earmark.evaluation.learning_curve import learning_curve
from earmark.evaluation.measures import measure
from earmark.evaluation.mistakes import confusions, worst
from earmark.evaluation.scores import score_catalog, score_store
from earmark.files import sha256
from earmark.inference import Options
from earmark.model_file import Calibration
from earmark.runtime import Model
from earmark.tagger import Tagger


def measured(scored, n=20, seed=0):
    return measure(scored, generator=np.random.default_rng(seed), n=n)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A catalog's audio, its CSV, its store and a model."""
    folder = tmp_path_factory.mktemp("songs")
    catalog = made.songs(folder)
    made.csv_of(catalog, folder / "songs.csv")
    made.store(catalog, folder / "store", audio=folder)
    half = Calibration((0.5,) * 50, (-0.1,) * 50)
    tiny_model.write(folder / "model.onnx", calibration=half)
    return folder


@pytest.fixture
def model(folder):
    return Model(folder / "model.onnx")


@pytest.fixture
def catalog(folder):
    return made.songs(folder)


def test_every_number_is_that_of_the_metrics_and_lies_in_its_interval():
    scored = made.scored()
    result = measured(scored)
    for name, of in (
        ("roc_auc", metrics.roc_auc),
        ("average_precision", metrics.average_precision),
    ):
        for average, key in (("macro", "ci"), ("micro", "micro_ci"), ("samples", "samples_ci")):
            value = of(scored.labels, scored.scores, average=average)
            assert result[name][average] == value
            low, high = result[name][key]
            assert low < value < high
    for column, row in enumerate(result["per_tag"]):
        assert row["tag"] == made.TAGS[column]
        assert row["positives"] == scored.labels[:, column].sum()
        assert row["ci"][0] < row["roc_auc"] < row["ci"][1]


def test_tags_with_few_songs_are_named_and_counted():
    few = made.scored(150)
    few.labels[19:, 0] = False
    few.labels[:131, 2] = True  # carried by all but a few
    result = measured(few)
    assert result["n_tags"] == 3
    assert result["tags_with_few_songs"] == ["rock", "sad"]
    assert measured(made.scored(150))["tags_with_few_songs"] == []


def test_what_the_priors_alone_reach_stands_beside_the_model():
    result = measured(made.scored())
    assert result["nothing_heard"]["roc_auc"]["macro"] == 0.5
    assert result["nothing_heard"]["average_precision"]["macro"] == pytest.approx(0.3, abs=0.05)


def test_tags_of_one_class_are_left_out_by_name_and_the_json_has_no_nan():
    scored = made.scored()
    scored.labels[:, 1] = False
    result = measured(scored)
    assert result["skipped_tags"] == ["Jazz & <Blues>"]
    assert [row["tag"] for row in result["per_tag"]] == ["rock", "sad"]
    assert "NaN" not in json.dumps(result)


def test_nothing_to_measure_gives_null_and_no_crash():
    scored = made.scored(3)
    scored.labels[:] = False
    result = measured(scored, n=3)
    assert result["roc_auc"]["macro"] is None
    assert result["roc_auc"]["ci"] == [None, None]
    assert result["per_tag"] == []
    assert "NaN" not in json.dumps(result)


def test_the_same_seed_gives_the_same_evaluation():
    assert measured(made.scored(), seed=4) == measured(made.scored(), seed=4)


def test_calibration_is_measured_before_and_after():
    scored = made.scored()
    errors = measured(scored)["calibration_error"]
    assert errors["before"] == metrics.expected_calibration_error(scored.labels, scored.raw)
    assert errors["after"] == metrics.expected_calibration_error(scored.labels, scored.scores)
    assert errors["before"] != errors["after"]


def test_confusions_find_the_tag_that_comes_along():
    scored = made.scored(400, knows=8)
    taken = scored.labels[:, 0] & (np.arange(400) % 3 == 0)
    scored.scores[:, 2] = np.maximum(scored.scores[:, 2], taken)  # rock is heard as sad
    first = confusions(scored)[0]
    assert (first["tag"], first["heard"]) == ("rock", "sad")
    assert first["share"] > 2 * first["expected"]


def test_the_worst_mistakes_are_the_surest_ones_and_one_a_song():
    scored = made.scored(50)
    scored.labels[7], scored.scores[7] = [True, False, False], [1e-5, 0.999, 0.1]
    scored.labels[9], scored.scores[9] = [False, False, True], [0.1, 0.1, 1e-4]
    first, second, *rest = worst(scored)
    assert (first["place"], first["tag"], first["carried"]) == (7, "rock", True)
    assert (second["place"], second["tag"], second["tags"]) == (9, "sad", ["sad"])
    assert len({one["id"] for one in rest}) == 8


def test_a_store_is_scored_by_what_the_model_ships(folder, model):
    with open_store(folder / "store") as store:
        scored = score_store(model, store)
        clips = store.log_mels(range(8))
        expected = Tagger(model).score_log_mel(clips)
        np.testing.assert_array_equal(scored.spectrogram(3), clips[3])
    assert scored.tags == ("rock", "sad", "House")  # as the model spells and orders them
    assert scored.only_data == ("no such tag",)
    assert "jazz" in scored.only_model
    assert len(scored.only_model) == 47
    columns = [model.card.tags.index(tag) for tag in scored.tags]
    np.testing.assert_array_equal(scored.scores, expected[:, columns])
    assert scored.ids == tuple(f"s{i}" for i in range(8))
    assert scored.n_unlabelled == 1
    np.testing.assert_array_equal(scored.labels[:, 0], np.arange(8) % 2 == 0)
    np.testing.assert_array_equal(scored.labels[:, 1], np.arange(8) == 0)
    logit = np.log(scored.raw / (1 - scored.raw))
    np.testing.assert_allclose(scored.scores, 1 / (1 + np.exp(0.1 - logit / 2)), atol=1e-5)
    result = measured(scored)
    assert result["skipped_tags"] == ["House"]
    assert result["data_sha256"] == sha256(folder / "store" / "store.json")
    assert result["model_sha256"] == sha256(folder / "model.onnx")


def test_audio_is_scored_as_earmark_tag_hears_it(folder, model, catalog):
    scored = score_catalog(model, catalog, path=folder / "songs.csv", workers=1)
    tagged = Tagger(model).tag(folder / "audio" / "s3.wav", options=Options(center=True))
    by_name = {tag.tag: tag.score for tag in tagged.tags}
    assert scored.scores[3].tolist() == [by_name[tag] for tag in scored.tags]
    with open_store(folder / "store") as store:
        of_store = score_store(model, store)
        np.testing.assert_allclose(scored.spectrogram(2), of_store.spectrogram(2), atol=0.05)
    np.testing.assert_array_equal(scored.labels, of_store.labels)
    np.testing.assert_allclose(scored.scores, of_store.scores, atol=1e-3)  # float16 in between


def test_the_scores_do_not_depend_on_the_number_of_workers(folder, model, catalog):
    one, two = (
        score_catalog(model, catalog, path=folder / "songs.csv", workers=workers)
        for workers in (1, 2)
    )
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-6)


def test_a_file_that_cannot_be_heard_is_left_out_alone_and_named(folder, model, catalog, tmp_path):
    shutil.copytree(folder / "audio", tmp_path / "audio")
    (tmp_path / "audio" / "s2.wav").write_text("no sound")
    scored = score_catalog(model, catalog, path=folder / "songs.csv", audio=tmp_path, workers=1)
    assert [failure.id for failure in scored.failures] == ["s2"]
    assert scored.ids == ("s0", "s1", "s3", "s4", "s5", "s6", "s7")
    assert scored.paths[2].name == "s3.wav"
    result = measured(scored)
    assert result["n_tracks"] == 7
    assert result["failures"][0]["error"]["kind"] == "unreadable_audio"


def test_a_file_that_takes_too_long_in_a_worker_is_given_up(folder, model, catalog, monkeypatch):
    monkeypatch.setattr(budget, "DEADLINE", 1e-6)
    with pytest.raises(DataError, match="took longer than 1e-06 seconds"):
        score_catalog(model, catalog, path=folder / "songs.csv", split="train", workers=2)


def test_audio_that_is_nowhere_is_an_error(folder, model, catalog, tmp_path):
    with pytest.raises(DataError, match="none of the 8 songs could be heard"):
        score_catalog(model, catalog, path=folder / "songs.csv", audio=tmp_path, workers=1)
    nameless = catalog.replace("path", [""] * len(catalog))
    with pytest.raises(DataError, match="8 of the 8 songs have no path"):
        score_catalog(model, nameless, path=folder / "songs.csv", workers=1)


def test_a_store_of_other_features_is_refused(folder, catalog, model, tmp_path):
    path = made.store(catalog, tmp_path / "store", audio=folder, features="cs2470")
    with (
        open_store(path) as store,
        pytest.raises(FeatureMismatch, match=r"decibels 40\.0 instead of 20\.0"),
    ):
        score_store(model, store)


def test_a_split_without_songs_or_labels_is_refused_with_those_there_are(folder, model, catalog):
    with open_store(folder / "store") as store:
        with pytest.raises(BadValue, match=r"split 'valid'\. Choose one of: test, train"):
            score_store(model, store, split="valid")
        assert len(score_store(model, store, split="all").ids) == 9
    unknown = catalog.select(~catalog.labelled)
    with pytest.raises(BadValue, match="has known tags"):
        score_catalog(model, unknown, path=folder / "songs.csv")


def test_tags_may_be_said_to_mean_the_same(folder, model):
    with open_store(folder / "store") as store:
        scored = score_store(model, store, same={"SAD": "happy", "no such tag": "Rock"})
        assert scored.tags == ("rock", "House", "happy")
        np.testing.assert_array_equal(scored.labels[:, 2], np.arange(8) == 0)
        with pytest.raises(BadValue, match="no tag 'gloomy'"):
            score_store(model, store, same={"sad": "gloomy"})


def test_no_tag_in_common_is_an_error_that_shows_both_vocabularies(folder, tmp_path):
    other = tiny_model.write(tmp_path / "other.onnx", tags=("a", "b"), priors=(0.5, 0.5))
    with (
        open_store(folder / "store") as store,
        pytest.raises(BadValue, match="The model knows a, b; the data Rock, sad"),
    ):
        score_store(Model(other), store)


def test_a_comparison_is_paired_and_finds_the_better_model():
    a, b = made.scored(), made.scored(knows=1.5)
    result = compare_scores(*in_common(a, b), seed=1, n=100)
    expected = metrics.roc_auc(b.labels, b.scores) - metrics.roc_auc(a.labels, a.scores)
    assert result["roc_auc"]["macro"]["difference"] == pytest.approx(expected)
    assert result["roc_auc"]["macro"]["ci"][0] > 0
    assert result["average_precision"]["samples"]["share_above"] == 1
    assert [row["tag"] for row in result["per_tag"]] == list(made.TAGS)


def test_a_comparison_is_on_the_songs_and_tags_that_both_have():
    a, b = made.scored(), made.scored(seed=5)
    b = b.select([5, 1, 9, *range(20, 60)], [2, 0])
    left, right = in_common(a, b)
    assert left.tags == right.tags == ("rock", "sad")
    assert left.ids == right.ids
    assert len(left.ids) == 43
    np.testing.assert_array_equal(left.labels, right.labels)
    np.testing.assert_array_equal(right.scores[0], b.scores[1, ::-1])
    assert left.spectrogram(1)[0, 0] == 5
    with pytest.raises(BadValue, match="0 songs in common"):
        in_common(a, made.scored(ids=tuple(map(str, range(200)))))
    with pytest.raises(BadValue, match="not scored on the same songs"):
        compare_scores(a, b, seed=0)


def test_a_learning_curve_trains_and_scores_once_a_size(tmp_path):
    trained = []

    def train(size):
        trained.append(size)
        return tmp_path / f"{size}.onnx"

    curve = learning_curve(
        [10, 100],
        train=train,
        score=lambda path: made.scored(knows=float(path.stem) / 50),
        n=10,
    )
    lines = list(curve)
    assert trained == [line["songs"] for line in lines] == [10, 100]
    assert lines[0]["ci"][1] < lines[1]["roc_auc"]
