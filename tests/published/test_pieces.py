"""The networks that hear a clip in pieces: EfficientAT's, musicnn's, Won's musicnn."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import published_pieces as made
import published_weights
import pytest

from earmark import Options, Tagger, model_file, published
from earmark.errors import BadModel, BadValue, ModelNotFound
from earmark.features import PRESETS
from earmark.runtime import Model
from earmark.tags import MSD_50, group

MAKERS = {
    "efficientat": ("efficientat", "mn04.pt", made.write_efficientat),
    "won musicnn": ("won2020", "musicnn.pth", made.write_won_musicnn),
    "musicnn": ("musicnn", "MSD_musicnn", made.write_musicnn),
    "vgg": ("musicnn", "MTT_vgg", lambda path, **o: made.write_musicnn(path, network="vgg", **o)),
}


def weights_of(maker, folder, **options):
    kind, file, write = MAKERS[maker]
    return kind, write(folder / file, **options)


def converted(kind, weights, folder, **options):
    output = folder / "model.onnx"
    published.convert(kind, weights, output, **options)
    return output


def log_mels(kind, n, *, seed=0):
    """Noise as loud as music is in those features."""
    features, rng = PRESETS[kind], np.random.default_rng(seed)
    level, spread = {"won2020": (-31, 14.6), "musicnn": (1.2, 0.8), "efficientat": (0, 0.6)}[kind]
    shape = (n, features.n_mels, features.n_frames)
    return (level + spread * rng.standard_normal(shape)).astype(np.float32)


def defined_logits(maker, weights, clip):
    if maker == "efficientat":
        return made.efficientat_logits(weights, clip)[0]
    return {"won musicnn": made.won_musicnn_logits}.get(maker, made.musicnn_logits)(weights, clip)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_of_each_layout_gives_the_logits_of_its_definition(maker, tmp_path):
    kind, weights = weights_of(maker, tmp_path)
    clips = log_mels(kind, 2)
    logits, _ = Model(converted(kind, weights, tmp_path)).run(clips)
    expected = np.stack([defined_logits(maker, weights, clip) for clip in clips])
    assert np.abs(expected).max() > 0.1
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_allclose(logits, expected, atol=2e-5 * max(1, np.abs(expected).max()))


def test_the_embedding_of_efficientat_is_the_384_numbers_before_its_head(tmp_path):
    kind, weights = weights_of("efficientat", tmp_path)
    (clip,) = log_mels(kind, 1)
    _, embedding = Model(converted(kind, weights, tmp_path)).run(clip[None])
    _, expected = made.efficientat_logits(weights, clip)
    np.testing.assert_allclose(embedding[0], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("maker", MAKERS)
def test_the_logits_depend_neither_on_the_batch_nor_on_the_runtime(maker, tmp_path):
    kind, weights = weights_of(maker, tmp_path)
    model, clips = converted(kind, weights, tmp_path), log_mels(kind, 3)
    session = Model(model)
    alone = np.concatenate([session.run(clip[None])[0] for clip in clips])
    tolerance = 2e-5 * max(1, np.abs(alone).max())
    np.testing.assert_allclose(session.run(clips)[0], alone, atol=tolerance)
    openvino = Model(model, runtime="openvino").run(clips)[0]
    np.testing.assert_allclose(openvino, alone, atol=tolerance)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_weights_give_the_same_file_without_torch_or_tensorflow(
    maker, tmp_path, monkeypatch
):
    kind, weights = weights_of(maker, tmp_path)
    for library in ("torch", "keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, library, None)  # importing it now raises
    published.convert(kind, weights, tmp_path / "first.onnx")
    published.convert(kind, weights, tmp_path / "second.onnx")
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


@pytest.mark.parametrize(
    ("maker", "name", "n_tags", "first", "dimensions"),
    [
        ("efficientat", "efficientat-mn04", 527, "Speech", 384),
        ("won musicnn", "won2020-jamendo-musicnn", 50, "genre---alternative", 200),
        ("musicnn", "musicnn-msd", 50, "rock", 200),
        ("vgg", "vgg-mtt", 50, "guitar", 256),
    ],
)
def test_the_card_says_what_it_is(maker, name, n_tags, first, dimensions, tmp_path):
    kind, weights = weights_of(maker, tmp_path)
    model = converted(kind, weights, tmp_path)
    card = model_file.read_card(model)
    assert (card.name, len(card.tags), card.tags[0]) == (name, n_tags, first)
    assert card.features == PRESETS[kind]
    assert card.licence == ("ISC" if kind == "musicnn" else "MIT")
    assert (card.priors is None) == (card.tags != MSD_50)
    assert Model(model).run(log_mels(kind, 1))[1].shape == (1, dimensions)


@pytest.mark.parametrize("maker", ["efficientat", "vgg"])
def test_a_song_of_several_clips_is_pooled_as_its_pieces_are(maker, tmp_path):
    kind, weights = weights_of(maker, tmp_path)
    tagger = Tagger.load(converted(kind, weights, tmp_path))
    features = tagger.card.features
    rng = np.random.default_rng(0)
    loudness = np.repeat([0.3, 0.003], features.window_samples)
    song = (loudness * rng.normal(size=loudness.size)).astype(np.float32)
    heard = tagger.listen(song, rate=features.rate)
    assert len(heard.logits) == 2
    pooled = tagger.tags_of(heard)
    mean = heard.logits.astype(np.float64)
    mean = 1 / (1 + np.exp(-mean)) if maker == "vgg" else mean
    mean = mean.mean(axis=0) if maker == "vgg" else 1 / (1 + np.exp(-mean.mean(axis=0)))
    scores = {tag.tag: tag.score for tag in pooled.tags}
    np.testing.assert_allclose([scores[tag] for tag in tagger.tags], mean, rtol=1e-4, atol=1e-7)


def test_a_model_without_priors_ranks_by_score_alone(tmp_path):
    kind, weights = weights_of("efficientat", tmp_path)
    tagger = Tagger.load(converted(kind, weights, tmp_path))
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    line = tagger.tag(noise, rate=32_000).as_json(top=2)
    assert [tag["lift"] for tag in line["tags"]] == [tag["evidence"] for tag in line["tags"]]
    assert line["tags"][0]["lift"] is None
    assert line["tags"][0]["score"] >= line["tags"][1]["score"]
    heard = tagger.listen(noise, rate=32_000)
    with pytest.raises(BadValue, match="does not say how frequent its tags are"):
        tagger.tags_of(heard, options=Options(rank="lift"))


def test_jamendo_s_tags_say_their_group():
    assert group("genre---rock") == "genre"
    assert group("instrument---piano") == "instrument"
    assert group("mood/theme---happy") == "mood"
    assert group("tempo---fast") == "other"


# Which network it is


def zipped(folder, path, names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            for file in folder.iterdir():
                archive.write(file, f"musicnn/{name}/{file.name}")
    return path


def test_out_of_a_wheel_comes_the_network_that_is_named(tmp_path):
    folder = made.write_musicnn(tmp_path / "MTT_musicnn")
    wheel = zipped(folder, tmp_path / "musicnn.whl", ["MSD_musicnn", "MTT_musicnn"])
    msd, mtt = (
        published.convert("musicnn", wheel, tmp_path / f"{name}.onnx", name=name)
        for name in ("musicnn-msd", "musicnn-mtt")
    )
    assert msd.tags == MSD_50
    assert mtt.tags[:2] == ("guitar", "classical")
    assert published.convert("musicnn", folder, tmp_path / "3.onnx").tags == mtt.tags


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "several networks: say with --name which of musicnn-msd, vgg-msd, musicnn-mtt"),
        ("won2020-fcn", "say with --name which of"),
        ("vgg-mtt", "holds 0 files MTT_vgg/.index, not one"),
        ("vgg-msd", "holds another network than vgg-msd"),
    ],
)
def test_a_wheel_without_what_was_asked_for_is_refused(name, message, tmp_path):
    folder = made.write_musicnn(tmp_path / "made")
    wheel = zipped(folder, tmp_path / "musicnn.whl", ["MSD_musicnn", "MSD_vgg"])
    with pytest.raises(BadModel, match=message):
        published.convert("musicnn", wheel, tmp_path / "model.onnx", name=name)


def test_a_folder_of_another_name_must_be_named(tmp_path):
    folder = made.write_musicnn(tmp_path / "checkpoint")
    with pytest.raises(BadModel, match="does not say which tags its columns are: say with --name"):
        published.convert("musicnn", folder, tmp_path / "model.onnx")
    card = published.convert("musicnn", folder, tmp_path / "model.onnx", name="musicnn-mtt")
    assert card.name == "musicnn-mtt"


def test_the_two_fcns_are_told_apart_by_name_where_the_sum_is_of_neither(tmp_path):
    weights = published_weights.write_won(tmp_path / "fcn.pth", network="fcn")
    default = published.convert("won2020", weights, tmp_path / "1.onnx")
    jamendo = published.convert("won2020", weights, tmp_path / "2.onnx", name="won2020-jamendo-fcn")
    assert (default.name, jamendo.name) == ("won2020-fcn", "won2020-jamendo-fcn")
    assert default.priors is not None
    assert jamendo.priors is None
    with pytest.raises(BadModel, match="holds won2020-fcn or won2020-jamendo-fcn, not choi2016"):
        published.convert("won2020", weights, tmp_path / "3.onnx", name="choi2016")


# What is refused


def without_a_layer(arrays):
    del arrays["conv2d_3/kernel"]


def of_ten_tags(arrays):
    arrays["dense_1/kernel"], arrays["dense_1/bias"] = (
        arrays["dense_1/kernel"][:, :10],
        np.zeros(10),
    )


def without_numbers(arrays):
    arrays["conv2d_2/kernel"][0] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_layer, "not weights of musicnn: conv2d_3/kernel is missing"),
        (of_ten_tags, r"dense_1/kernel has the shape \(200, 10\) instead of \(200, 50\)"),
        (without_numbers, r"temporal1\.weight holds values that are not finite"),
    ],
)
def test_a_checkpoint_with_other_arrays_than_were_published_is_refused(change, message, tmp_path):
    folder = made.write_musicnn(tmp_path / "MSD_musicnn", change=change)
    with pytest.raises(BadModel, match=message):
        published.convert("musicnn", folder, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def with_another_stride(arrays):
    arrays["features.3.block.1.0.weight"] = np.zeros((32, 1, 5, 5), dtype=np.float32)


def with_a_negative_variance(arrays):
    arrays["features.2.block.1.1.running_var"][0] = -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_another_stride, r"features.3.block.1.0.weight has the shape \(32, 1, 5, 5\)"),
        (with_a_negative_variance, r"block3\.depthwise\.weight holds values that are not finite"),
    ],
)
def test_a_mobile_network_with_other_arrays_is_refused(change, message, tmp_path):
    weights = made.write_efficientat(tmp_path / "mn04.pt", change=change)
    with pytest.raises(BadModel, match=message):
        published.convert("efficientat", weights, tmp_path / "model.onnx")


def test_a_folder_without_a_checkpoint_is_not_found(tmp_path):
    (tmp_path / "MSD_vgg").mkdir()
    with pytest.raises(ModelNotFound, match=r"cannot read the weights .*has no file \.index"):
        published.convert("musicnn", tmp_path / "MSD_vgg", tmp_path / "model.onnx")


def test_a_checkpoint_or_wheel_that_is_cut_short_is_refused(tmp_path):
    folder = made.write_musicnn(tmp_path / "MSD_vgg", network="vgg")
    wheel = zipped(folder, tmp_path / "musicnn.whl", ["MSD_vgg"])
    data = folder / ".data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(BadModel, match="cut short"):
        published.convert("musicnn", folder, tmp_path / "model.onnx")
    damaged = bytearray(wheel.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    wheel.write_bytes(damaged)
    with pytest.raises(BadModel, match="damaged or cut short"):
        published.convert("musicnn", wheel, tmp_path / "model.onnx", name="vgg-msd")


def test_an_archive_that_claims_more_than_weights_have_is_refused(tmp_path):
    wheel = tmp_path / "bomb.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MSD_vgg/.index", bytes(1 << 21))
        archive.writestr("MSD_vgg/.data-00000-of-00001", b"")
    with pytest.raises(BadModel, match=r"MSD_vgg/\.index claims 2,097,152 bytes"):
        published.convert("musicnn", wheel, tmp_path / "model.onnx", name="vgg-msd")


# The published files themselves


@pytest.mark.parametrize("file", ["efficientat_mn04_as.pt", "won2020_jamendo_musicnn.pth"])
def test_the_published_weights_give_the_logits_of_their_definition(file, shared, tmp_path):
    maker = "efficientat" if "mn04" in file else "won musicnn"
    kind, weights = MAKERS[maker][0], shared / "published" / file
    clips = _heard(shared, kind)
    logits, _ = Model(converted(kind, weights, tmp_path)).run(clips)
    expected = np.stack([defined_logits(maker, weights, clip) for clip in clips])
    np.testing.assert_allclose(logits, expected, atol=5e-5)


@pytest.mark.parametrize("name", ["musicnn-msd", "vgg-msd", "musicnn-mtt", "vgg-mtt"])
def test_the_wheel_s_weights_give_the_logits_of_their_definition(
    name, musicnn_wheel, shared, tmp_path
):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    inside = published.musicnn.FOLDERS[name]
    with zipfile.ZipFile(musicnn_wheel) as archive:
        for file in (".index", ".data-00000-of-00001"):
            (folder / file).write_bytes(archive.read(f"musicnn/{inside}/{file}"))
    clips = _heard(shared, "musicnn")
    model = converted("musicnn", musicnn_wheel, tmp_path, name=name)
    logits, _ = Model(model).run(clips)
    expected = np.stack([made.musicnn_logits(folder, clip) for clip in clips])
    np.testing.assert_allclose(logits, expected, atol=5e-5)


def test_mn04_knows_dubstep_and_a_single_tone_and_applause_are_not_music(shared, tmp_path):
    weights = shared / "published" / "efficientat_mn04_as.pt"
    tagger = Tagger.load(converted("efficientat", weights, tmp_path))
    clip = shared / "published" / "bensound-dubstep.mp3"
    scores = {tag.tag: tag.score for tag in tagger.tag(clip).tags}
    assert scores["Music"] > 0.7
    assert scores["Dubstep"] > 0.7
    rate = 32_000
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(10 * rate) / rate).astype(np.float32)
    scores = {tag.tag: tag.score for tag in tagger.tag(tone, rate=rate).tags}
    assert scores["Sine wave"] > scores["Music"]


def _heard(shared, kind):
    from earmark.audio import load_audio
    from earmark.features import log_mel
    from earmark.windows import centre_crop

    features = PRESETS[kind]
    clips = []
    for name in ("bensound-cute", "bensound-dubstep"):
        audio = load_audio(shared / "published" / f"{name}.mp3", rate=features.rate)
        crop = centre_crop(audio.samples, settings=features)
        clips.append(log_mel(crop, settings=features))
    return np.stack(clips)
