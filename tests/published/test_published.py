"""From published weights to model files: every digit, every kind of file, no other library."""

from __future__ import annotations

import pickle
import random
import shutil
import struct
import sys
import tracemalloc
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import published_weights as made
import pytest

from earmark import model_file, published
from earmark.audio import load_audio
from earmark.errors import BadModel, BadValue, ModelNotFound
from earmark.features import PRESETS, log_mel
from earmark.published.torch_file import read_tensors
from earmark.runtime import Model
from earmark.tags import MSD_50, msd_50_priors

TOLERANCE = 1e-4  # on logits of about 1: float32 sums of 1152 products, five layers deep

# what the authors print for two of their clips (keunwoochoi/music-auto_tagging-keras, example.py)
PRINTED = {
    "bensound-cute": "jazz .444, instrumental .151, folk .103, Hip-Hop .103, ambient .077, "
    "guitar .068, rock .058, acoustic .054, experimental .051, electronic .042",
    "bensound-dubstep": "Hip-Hop .245, rock .183, alternative .081, electronic .076, "
    "alternative rock .053, metal .051, indie .028, instrumental .027, electronica .024, "
    "hard rock .023",
}

FILES = {
    "music_tagger_crnn_weights_theano.h5": "choi2016",
    "music_tagger_crnn_weights_tensorflow.h5": "choi2016",
    "music_tagger_cnn_weights_theano.h5": "choi2016",
    "cs2470_trained_model.h5": "cs2470",
    "won2020_msd_crnn.pth": "won2020",
    "won2020_msd_fcn.pth": "won2020",
}

MAKERS = {
    "choi2016 crnn theano": ("choi2016", lambda path: made.write_choi(path)),
    "choi2016 crnn tensorflow": (
        "choi2016",
        lambda path: made.write_choi(path, backend="tensorflow", seed=1),
    ),
    "choi2016 cnn theano": ("choi2016", lambda path: made.write_choi(path, network="cnn")),
    "choi2016 cnn tensorflow": (
        "choi2016",
        lambda path: made.write_choi(path, network="cnn", backend="tensorflow", seed=1),
    ),
    "cs2470": ("cs2470", lambda path: made.write_cs2470(path)),
    "won2020 crnn": ("won2020", lambda path: made.write_won(path)),
    "won2020 fcn": ("won2020", lambda path: made.write_won(path, network="fcn", archive=False)),
}


def converted(kind, weights, folder, **options):
    output = folder / "model.onnx"
    published.convert(kind, weights, output, **options)
    return output


def decibels(kind, n=2, seed=0):
    features = PRESETS[kind]
    rng = np.random.default_rng(seed)
    shape = (n, features.n_mels, features.n_frames)
    return (rng.standard_normal(shape) * 14.6 - 31).astype(np.float32)


def defined_logits(kind, weights, clip, *, as_published=False):
    if kind == "choi2016":
        return made.choi_logits(weights, clip, as_published=as_published)
    return {"cs2470": made.cs2470_logits, "won2020": made.won_logits}[kind](weights, clip)


@pytest.mark.parametrize("maker", [maker for maker in MAKERS if "tensorflow" not in maker])
def test_a_file_of_each_layout_gives_the_logits_of_its_definition(maker, tmp_path):
    kind, write = MAKERS[maker]
    weights = write(tmp_path / "weights")
    (clip,) = decibels(kind, 1)
    logits, _ = Model(converted(kind, weights, tmp_path)).run(clip[None])
    expected = defined_logits(kind, weights, clip)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(logits[0], expected, atol=TOLERANCE)


@pytest.mark.parametrize("network", ["crnn", "cnn"])
def test_the_two_readings_of_choi_s_weights_differ_as_they_are_defined(network, tmp_path):
    weights = made.write_choi(tmp_path / "weights.h5", network=network)
    (clip,) = decibels("choi2016", 1)
    expected = made.choi_logits(weights, clip, as_published=True)
    restored, as_published = (
        Model(converted("choi2016", weights, tmp_path, as_published=choice)).run(clip[None])[0][0]
        for choice in (False, True)
    )
    np.testing.assert_allclose(as_published, expected, atol=TOLERANCE)
    assert np.abs(restored - expected).max() > 0.05


@pytest.mark.parametrize("network", ["crnn", "cnn"])
def test_the_same_network_saved_on_theano_and_on_tensorflow_gives_the_same_logits(
    network, tmp_path
):
    first, second = (
        made.write_choi(tmp_path / backend, network=network, backend=backend)
        for backend in ("theano", "tensorflow")
    )
    assert first.read_bytes() != second.read_bytes()
    x = decibels("choi2016", 1)
    logits = [
        Model(converted("choi2016", weights, tmp_path)).run(x)[0] for weights in (first, second)
    ]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-6)


def test_a_state_dict_whose_first_norm_lies_in_the_front_end_is_the_same_network(tmp_path):
    def rename(arrays):
        for name in [name for name in arrays if name.startswith("spec_bn.")]:
            arrays[name.replace("spec_bn.", "spec.bn.")] = arrays.pop(name)

    old = made.write_won(tmp_path / "old.pth", change=rename)
    new = made.write_won(tmp_path / "new.pth")
    x = decibels("won2020", 1)
    first, second = (
        Model(converted("won2020", weights, tmp_path)).run(x)[0] for weights in (old, new)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_weights_give_the_same_file(maker, tmp_path):
    kind, write = MAKERS[maker]
    weights = write(tmp_path / "weights")
    published.convert(kind, weights, tmp_path / "first.onnx")
    shutil.copy(weights, tmp_path / "of another name")
    published.convert(kind, tmp_path / "of another name", tmp_path / "second.onnx")
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_the_card_says_whose_weights_they_are_and_how_they_were_read(tmp_path):
    weights = made.write_choi(tmp_path / "weights.h5")
    returned = published.convert("choi2016", weights, tmp_path / "model.onnx")
    card = model_file.read_card(tmp_path / "model.onnx")
    assert card == returned
    assert card.name == "choi2016"
    assert card.tags == MSD_50
    assert card.features == PRESETS["choi2016"]
    np.testing.assert_allclose(card.priors, msd_50_priors())
    assert card.licence == "MIT"
    assert "Choi" in card.source
    assert card.training["reading"] == "restored"
    other = published.convert("choi2016", weights, tmp_path / "other.onnx", as_published=True)
    assert other.name == "choi2016-as-published"
    assert other.training["reading"] == "as published"
    assert other.training["weights_sha256"] == card.training["weights_sha256"]


@pytest.mark.parametrize("maker", MAKERS)
def test_importing_needs_neither_torch_nor_keras(maker, tmp_path, monkeypatch):
    kind, write = MAKERS[maker]
    weights = write(tmp_path / "weights")
    for library in ("torch", "keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, library, None)  # importing it now raises
    assert converted(kind, weights, tmp_path).is_file()


# What is refused


def refused(kind, weights, tmp_path, match):
    output = tmp_path / "model.onnx"
    with pytest.raises(BadModel, match=match) as caught:
        published.convert(kind, weights, output)
    assert str(weights) in str(caught.value)
    assert not output.exists()


@pytest.mark.parametrize(
    ("maker", "asked", "found"),
    [
        ("choi2016 crnn theano", "cs2470", "choi2016"),
        ("cs2470", "choi2016", "cs2470"),
        ("won2020 fcn", "choi2016", "won2020"),
        ("choi2016 cnn theano", "won2020", "choi2016"),
    ],
)
def test_weights_of_another_kind_are_refused_with_the_command_for_them(
    maker, asked, found, tmp_path
):
    weights = MAKERS[maker][1](tmp_path / "weights")
    message = f"holds weights of {found}, not of {asked}. Use: earmark models import {found}"
    refused(asked, weights, tmp_path, message)


@pytest.mark.parametrize("maker", ["choi2016 crnn theano", "cs2470", "won2020 crnn", "won2020 fcn"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.97, 0.9999])
def test_a_file_that_is_cut_short_is_refused(maker, share, tmp_path):
    kind, write = MAKERS[maker]
    weights = write(tmp_path / "weights")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(share * len(whole))])
    refused(kind, weights, tmp_path, "damaged or cut short")


@pytest.mark.parametrize("kind", published.KINDS)
@pytest.mark.parametrize(
    "content",
    [b"", b"not a model\n", random.Random(0).randbytes(5000)],
    ids=["empty", "text", "random"],
)
def test_what_is_no_weights_file_at_all_is_refused(kind, content, tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_bytes(content)
    refused(kind, weights, tmp_path, "neither a Keras file .* nor a PyTorch file.*choi2016, cs2470")


@pytest.mark.parametrize("name", ["missing.h5", "folder"])
def test_a_path_without_a_file_says_that_it_cannot_be_read(name, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelNotFound, match=f"cannot read the weights .*{name}"):
        published.convert("choi2016", tmp_path / name, tmp_path / "model.onnx")


def test_a_kind_that_does_not_exist_is_a_bad_value(tmp_path):
    with pytest.raises(BadValue, match="choose one of choi2016, cs2470, won2020"):
        published.convert("vggish", tmp_path / "weights", tmp_path / "model.onnx")


def test_only_choi2016_has_a_second_reading(tmp_path):
    weights = made.write_cs2470(tmp_path / "weights.h5")
    with pytest.raises(BadValue, match="cs2470 has one reading only"):
        published.convert("cs2470", weights, tmp_path / "model.onnx", as_published=True)


def test_a_keras_file_of_another_network_is_refused_with_what_it_holds(tmp_path):
    weights = tmp_path / "vgg.h5"
    with h5py.File(weights, "w") as file:
        file["block1_conv1/block1_conv1_W_1:0"] = np.zeros((64, 3, 3, 3), dtype=np.float32)
    message = r"a Keras file of another network \(it holds block1_conv1_W\)"
    refused("choi2016", weights, tmp_path, message)


def test_an_hdf5_file_without_arrays_is_refused(tmp_path):
    weights = tmp_path / "empty.h5"
    h5py.File(weights, "w").close()
    refused("cs2470", weights, tmp_path, r"it holds nothing")


def test_a_pytorch_file_of_another_network_is_refused_with_what_it_holds(tmp_path):
    import torch

    weights = tmp_path / "linear.pth"
    torch.save(torch.nn.Linear(3, 2).state_dict(), weights)
    refused("won2020", weights, tmp_path, r"a PyTorch file of another network \(it holds weight, b")


def without_the_output(file):
    del file["output"]


def of_ten_tags(file):
    del file["output/output_W"], file["output/output_b"]
    file["output/output_W"] = np.zeros((32, 10), dtype=np.float32)
    file["output/output_b"] = np.zeros(10, dtype=np.float32)


def with_a_layer_more(file):
    file["conv5/conv5_W"] = np.zeros((4, 4, 3, 3), dtype=np.float32)


def with_words(file):
    del file["conv1/conv1_b"]
    file["conv1/conv1_b"] = np.array([b"word"] * 64)


def without_numbers(file):
    file["conv3/conv3_W"][0, 0, 0, 0] = np.nan


def with_a_claim(file):
    del file["conv1/conv1_b"]
    file.create_dataset("conv1/conv1_b", shape=(1 << 40,), dtype=np.float32, chunks=(1 << 20,))


def with_numbers_elsewhere(file):
    del file["conv1/conv1_b"]
    file.create_dataset(
        "conv1/conv1_b", (64,), np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def with_a_view_of_another_file(file):
    del file["conv1/conv1_b"]
    layout = h5py.VirtualLayout((64,), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (64,))
    file.create_virtual_dataset("conv1/conv1_b", layout)


def with_a_link_to_another_file(file):
    del file["conv1/conv1_b"]
    file["conv1/conv1_b"] = h5py.ExternalLink("/etc/passwd", "/x")


def with_a_link_to_nowhere(file):
    file["conv1/more"] = h5py.SoftLink("/nowhere")


def with_a_group_in_itself(file):
    file["conv1/again"] = file["conv1"]


def with_groups_in_groups(file):
    file.create_group("/".join(["deep"] * 500))


def with_many_claims(file):
    for number in range(9):
        file.create_dataset(
            f"more/{number}", (1 << 22,), np.float32, chunks=(1 << 20,), fillvalue=1
        )


def with_many_arrays(file):
    for number in range(1001):
        file[f"more/{number}"] = np.float32(0)


def with_a_filter_of_a_plugin(file):
    del file["conv1/conv1_b"]
    file.create_dataset("conv1/conv1_b", data=np.zeros(64, np.float32), compression="lzf")


def with_large_pieces(file):
    del file["conv1/conv1_b"]
    file.create_dataset(
        "conv1/conv1_b", (64,), np.float32, chunks=(1 << 28,), maxshape=(None,), compression="gzip"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_numbers_elsewhere, "conv1_b has its numbers in another file"),
        (with_a_view_of_another_file, "conv1_b has its numbers in another file"),
        (with_a_link_to_another_file, "conv1_b is a link to another place"),
        (with_a_link_to_nowhere, "conv1/more is a link to another place"),
        (with_a_group_in_itself, "again/again is nested too deeply"),
        (with_groups_in_groups, "deep/deep is nested too deeply"),
        (with_many_claims, "claims .* bytes with those before it"),
        (with_many_arrays, "more than 1000 arrays"),
        (with_a_filter_of_a_plugin, r"packed with the filters \[32000\]"),
        (with_large_pieces, "is packed in pieces of"),
    ],
)
def test_a_keras_file_that_asks_for_more_than_to_be_read_is_refused(change, message, tmp_path):
    weights = made.write_choi(tmp_path / "weights.h5", change=change)
    tracemalloc.start()
    try:
        refused("choi2016", weights, tmp_path, message)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_the_output, "the CRNN of Choi et al.: output_W is missing; output_b is missing"),
        (of_ten_tags, r"output_W has the shape \(32, 10\) instead of \(32, 50\)"),
        (with_a_layer_more, "conv5_W is unknown"),
        (with_words, "conv1_b holds .*, not numbers"),
        (without_numbers, r"conv3\.weight holds values that are not finite"),
        (with_a_claim, "conv1_b claims 4,398,"),
    ],
)
def test_a_keras_file_with_other_arrays_than_were_published_is_refused(change, message, tmp_path):
    weights = made.write_choi(tmp_path / "weights.h5", change=change)
    refused("choi2016", weights, tmp_path, message)


def of_another_front_end(arrays):
    arrays["spec.mel_scale.fb"] = np.roll(arrays["spec.mel_scale.fb"], 1, axis=0)


def of_128_mels(arrays):
    arrays["spec.mel_scale.fb"] = np.zeros((257, 128), dtype=np.float32)


def with_a_negative_variance(arrays):
    arrays["layer2.bn.running_var"][0] = -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_another_front_end, "filter bank is not that of the features won2020"),
        (of_128_mels, r"spec.mel_scale.fb has the shape \(257, 128\) instead of \(257, 96\)"),
        (with_a_negative_variance, r"conv2\.weight holds values that are not finite"),
    ],
)
def test_a_state_dict_with_other_arrays_than_were_published_is_refused(change, message, tmp_path):
    weights = made.write_won(tmp_path / "weights.pth", change=change)
    refused("won2020", weights, tmp_path, message)


# The reader of PyTorch files


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "before 1.6"])
def test_the_reader_returns_what_torch_load_returns(archive, tmp_path):
    import torch

    torch.manual_seed(0)
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = OrderedDict(
        whole=torch.randn(3, 4, dtype=torch.float64),
        half=torch.randn(5).half(),
        count=torch.tensor(7),
        numbers=torch.tensor([1, 2, 3], dtype=torch.int32),
        turned=base.permute(2, 0, 1),
        part=base[1, 1:],
        channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    )
    path = tmp_path / "state.pth"
    torch.save(state, path, _use_new_zipfile_serialization=archive)
    theirs = torch.load(path, weights_only=True)
    ours = read_tensors(path)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(ours[name], tensor.numpy())


class Hostile:
    """Runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "before 1.6"])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(archive, tmp_path):
    import torch

    trap, path = tmp_path / "it ran", tmp_path / "hostile.pth"
    torch.save({"weight": Hostile(trap)}, path, _use_new_zipfile_serialization=archive)
    trap.unlink(missing_ok=True)
    with pytest.raises(
        BadModel, match=r"not a plain state dict of PyTorch: its pickle calls '_?io open'"
    ):
        read_tensors(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "it holds a list, not named tensors"),
        ({"epoch": 3}, "'epoch' is a int, not a tensor"),
        ({}, "it holds a dict, not named tensors"),
        ({3: None}, "a name that is a int"),
        ({"a": {1, 2}}, "its pickle calls|instruction"),
    ],
)
def test_a_pytorch_file_of_anything_but_named_tensors_is_refused(value, message, tmp_path):
    import torch

    path = tmp_path / "other.pth"
    torch.save(value, path)
    with pytest.raises(BadModel, match=message):
        read_tensors(path)


def rewritten(path, changes):
    """A zip archive with some of its files changed; the checksums are right again."""
    copy = path.with_suffix(".changed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for entry in source.namelist():
            change = changes.get(entry.rpartition("/")[2], bytes)
            target.writestr(entry, change(source.read(entry)))
    return copy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"K\x64\x85", b"K\xfa\x85"),  # the shape (100,), as (250,)
        (b"K\x07", b"K\x66"),  # the offset 7, as 102
        (b"K\x01\x85", b"K\x02\x85"),  # the stride (1,), as (2,)
    ],
)
def test_a_tensor_that_reaches_outside_of_its_numbers_is_refused(before, after, tmp_path):
    import torch

    path = tmp_path / "state.pth"
    torch.save({"weight": torch.zeros(200)[7:107]}, path)

    def change(data):
        assert data.count(before) == 1
        return data.replace(before, after)

    with pytest.raises(BadModel, match="a tensor reaches outside of its storage"):
        read_tensors(rewritten(path, {"data.pkl": change}))


def test_numbers_of_the_other_byte_order_are_refused(tmp_path):
    import torch

    path = tmp_path / "state.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(BadModel, match="a machine of the other byte order"):
        read_tensors(rewritten(path, {"byteorder": lambda _: b"big"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"weight": 1}, protocol=2), "not start with the numbers that PyTorch writes"),
        (b"\x80\x02}q\x00", "damaged or cut short"),
        (b"\x80\x02u.", "takes more values than it gives"),
        (b"\x80\x02(u.", "adds items to what is not a container"),
        (b"\x80\x02h\x07.", "damaged or cut short"),
    ],
)
def test_a_pickle_that_makes_no_sense_is_refused(content, message, tmp_path):
    path = tmp_path / "state.pth"
    path.write_bytes(content)
    with pytest.raises(BadModel, match=message):
        read_tensors(path)


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "before 1.6"])
def test_a_file_with_damaged_bytes_is_read_or_refused_but_never_anything_else(archive, tmp_path):
    import torch

    path = tmp_path / "state.pth"
    torch.manual_seed(0)
    torch.save(torch.nn.GRU(4, 3).state_dict(), path, _use_new_zipfile_serialization=archive)
    whole, rng, n_refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            tensors = read_tensors(path)
        except BadModel:
            n_refused += 1
        else:
            assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())
    assert n_refused > 50


@pytest.mark.parametrize("length", [2**40, 2**61])
def test_a_file_that_claims_more_than_a_memory_holds_is_refused(length, tmp_path):
    import torch

    path, n = tmp_path / "state.pth", 777
    state = {"a": torch.zeros(n), "b": torch.zeros(n)}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    claim = struct.pack("<q", length)
    whole = path.read_bytes().replace(struct.pack("<q", n), claim)
    path.write_bytes(whole.replace(b"M" + struct.pack("<H", n), b"\x8a\x08" + claim))
    with pytest.raises(BadModel, match=r"state\.pth is damaged or cut short"):
        read_tensors(path)


# The published files themselves


@pytest.mark.parametrize("backend", ["theano", "tensorflow"])
@pytest.mark.parametrize("clip", PRINTED)
def test_as_published_all_printed_scores_come_out_to_three_decimals(
    backend, clip, shared, tmp_path
):
    weights = shared / "published" / f"music_tagger_crnn_weights_{backend}.h5"
    session = Model(converted("choi2016", weights, tmp_path, as_published=True))
    logits, _ = session.run(np.load(shared / "published" / f"{clip}.npy")[0])
    scores = session.card.scores(logits)[0]
    first = np.argsort(-scores)[:10]
    found = [f"{MSD_50[i]} {scores[i]:.3f}".replace(" 0.", " .") for i in first]
    assert found == PRINTED[clip].split(", ")


@pytest.mark.parametrize("clip", PRINTED)
def test_from_the_mp3_they_come_out_once_its_encoder_delay_is_put_back(clip, shared, tmp_path):
    """docs/guides/keras.md: 138 samples at 12 kHz, 11.5 ms."""
    weights = shared / "published" / "music_tagger_crnn_weights_theano.h5"
    model = Model(converted("choi2016", weights, tmp_path, as_published=True))
    settings = model.card.features
    samples = load_audio(shared / "published" / f"{clip}.mp3", rate=settings.rate).samples
    middle = (samples.size - settings.window_samples) // 2
    at_once, delayed = (
        log_mel(samples[middle + delay :][: settings.window_samples], settings=settings)
        for delay in (0, 138)
    )
    off, close = model.card.scores(model.run(np.stack([at_once, delayed]))[0])
    for words in PRINTED[clip].split(", ")[:4]:
        tag, _, printed = words.rpartition(" ")
        assert close[MSD_50.index(tag)] == pytest.approx(float(printed), abs=0.002)
    assert np.abs(off - close).max() > 0.05


@pytest.mark.parametrize("file", FILES)
def test_the_published_weights_give_the_logits_of_their_definition(file, shared, tmp_path):
    kind, weights = FILES[file], shared / "published" / file
    (clip,) = real_decibels(shared, kind, 1)
    logits, embedding = Model(converted(kind, weights, tmp_path)).run(clip[None])
    expected = defined_logits(kind, weights, clip)
    np.testing.assert_allclose(logits[0], expected, atol=TOLERANCE)
    assert embedding.shape == (1, {"cnn": 256, "crnn": 32, "fcn": 64, "model": 32}[_network(file)])


def _network(file):
    return next(word for word in ("crnn", "cnn", "fcn", "model") if word in file)


def real_decibels(shared, kind, n):
    """The two clips that the authors published, in turn, repeated to the features' frames."""
    clips = np.concatenate(
        [np.load(shared / "published" / f"{name}.npy")[0] for name in PRINTED] * ((n + 1) // 2)
    )[:n]
    n_frames = PRESETS[kind].n_frames
    clips = np.stack([np.resize(clip.T, (n_frames, 96)).T for clip in clips])
    return np.ascontiguousarray(clips, dtype=np.float32)


@pytest.mark.parametrize("file", FILES)
def test_the_logits_depend_neither_on_the_batch_nor_on_the_runtime(file, shared, tmp_path):
    kind = FILES[file]
    model = converted(kind, shared / "published" / file, tmp_path)
    session, x = Model(model), real_decibels(shared, kind, 3)
    alone = np.concatenate([session.run(clip[None])[0] for clip in x])
    np.testing.assert_allclose(session.run(x)[0], alone, atol=1e-5)
    np.testing.assert_allclose(Model(model, runtime="openvino").run(x)[0], alone, atol=1e-5)


@pytest.mark.parametrize("network", ["crnn", "fcn"])
def test_the_reader_returns_what_torch_load_returns_of_the_published_files(network, shared):
    import torch

    path = shared / "published" / f"won2020_msd_{network}.pth"
    theirs = torch.load(path, weights_only=True, map_location="cpu")
    ours = read_tensors(path)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor.numpy())


@pytest.mark.parametrize("file", FILES)
def test_a_published_file_that_is_cut_short_anywhere_is_refused(file, shared, tmp_path):
    whole = (shared / "published" / file).read_bytes()
    weights = tmp_path / "cut"
    rng = random.Random(0)
    lengths = [100, 2048, *(rng.randrange(200, len(whole)) for _ in range(10)), len(whole) - 1]
    for length in lengths:
        weights.write_bytes(whole[:length])
        refused(FILES[file], weights, tmp_path, "cut short")
