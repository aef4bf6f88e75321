"""Running a model: the same scores from either runtime, for any batch, on any threads."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from earmark import runtime, zoo
from earmark.errors import BadModel, BadValue, FeatureMismatch, MissingExtra, ModelNotFound
from earmark.runtime import Model
from earmark.tagger import Tagger


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).normal(-30, 14, (19, 96, 1366)).astype(np.float32)


def test_both_runtimes_give_the_same_for_any_batch_and_any_threads(model, clips):
    pytest.importorskip("openvino")
    logits, embeddings = Model(model).run(clips)
    assert logits.shape == (19, 50)
    assert embeddings.shape == (19, 5)
    assert logits.dtype == embeddings.dtype == np.float32
    assert logits.std() > 1
    for name in runtime.RUNTIMES:
        for threads in (1, 2, None):
            session = Model(model, runtime=name, threads=threads)
            for n in (1, 3, 8, 19):
                for ours, reference in zip(
                    session.run(clips[:n]), (logits, embeddings), strict=True
                ):
                    np.testing.assert_allclose(ours, reference[:n], atol=1e-5)


def test_a_clip_does_not_hear_its_neighbours_in_the_batch(model, clips):
    session = Model(model)
    alone = np.concatenate([session.run(clip[None])[0] for clip in clips[:4]])
    loud = np.concatenate([clips[:4], clips[4:] * 100])
    np.testing.assert_allclose(session.run(loud)[0][:4], alone, atol=1e-5)


@pytest.mark.parametrize("name", runtime.RUNTIMES)
def test_threads_may_share_a_model(model, clips, name):
    pytest.importorskip(name)
    session = Model(model, runtime=name, threads=1)
    units = [clips[first : first + 2] for first in range(0, 18, 2)] * 4
    alone = [session.run(unit)[0] for unit in units]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda unit: session.run(unit)[0], units))
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_clips_give_no_rows(model):
    logits, embeddings = Model(model).run(np.empty((0, 96, 1366)))
    assert logits.shape == (0, 50)
    assert embeddings.shape == (0, 5)


def test_the_environment_chooses_the_runtime_and_a_parameter_goes_before(model, monkeypatch):
    pytest.importorskip("openvino")
    assert Model(model).runtime == "onnxruntime"
    monkeypatch.setenv("EARMARK_RUNTIME", "openvino")
    assert Model(model).runtime == "openvino"
    assert Model(model, runtime="onnxruntime").runtime == "onnxruntime"
    monkeypatch.setenv("EARMARK_RUNTIME", "abacus")
    with pytest.raises(BadValue, match="onnxruntime, openvino"):
        Model(model)


def test_what_is_missing_for_a_gpu_is_said_in_one_line(model, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingExtra, match=r"\[gpu\]' && pip install .* onnxruntime-gpu$") as found:
        Tagger.load(model, device="cuda")
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)


@pytest.mark.gpu
def test_a_gpu_answers_as_the_processor_does(model, clips):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is not installed")
    for ours, reference in zip(
        Model(model, runtime=runtime.CUDA).run(clips[:5]), Model(model).run(clips[:5]), strict=True
    ):
        np.testing.assert_allclose(ours, reference, atol=1e-2)  # its products may be in TF32


def test_onnx_runtime_that_goes_on_without_the_gpu_is_refused(model, monkeypatch):
    import onnxruntime

    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    asked = []

    class OnProcessor(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, data, options, providers):
            asked.extend(providers)
            super().__init__(data, options, providers=providers[1:])

    monkeypatch.setattr(onnxruntime, "InferenceSession", OnProcessor)
    with pytest.raises(BadValue, match=r"GPU cannot be used.*device cpu"):
        Model(model, runtime=runtime.CUDA)
    assert asked == offered


@pytest.mark.parametrize(
    ("device", "given", "found"),
    [
        ("cpu", None, None),
        ("cpu", "openvino", "openvino"),
        ("cuda", None, runtime.CUDA),
        ("cuda", "onnxruntime", runtime.CUDA),
    ],
)
def test_a_device_chooses_the_runtime(device, given, found):
    assert runtime.runtime_of(device, given) == found


@pytest.mark.parametrize(("device", "given"), [("tpu", None), ("cuda", "openvino")])
def test_a_device_that_there_is_not_or_that_a_runtime_does_not_know_is_refused(device, given):
    with pytest.raises(BadValue, match=r"choose cpu or cuda|leave out one"):
        runtime.runtime_of(device, given)


@pytest.mark.parametrize("shape", [(96, 1366), (2, 96, 1365), (2, 64, 1366), (2, 1, 96, 1366)])
def test_spectrograms_of_another_shape_are_refused(model, shape):
    with pytest.raises(FeatureMismatch, match=r"\(n, 96, 1366\).*features choi2016"):
        Model(model).run(np.zeros(shape))


@pytest.mark.parametrize("name", runtime.RUNTIMES)
def test_a_file_that_is_no_model_is_refused(tmp_path, model, name):
    pytest.importorskip(name)
    for data in (b"", b"no model at all", model.read_bytes()[:3000]):
        (tmp_path / "bad.onnx").write_bytes(data)
        with pytest.raises(BadModel, match=r"bad\.onnx"):
            Model(tmp_path / "bad.onnx", runtime=name)
    with pytest.raises(ModelNotFound, match=r"missing\.onnx"):
        Model(tmp_path / "missing.onnx", runtime=name)


def test_no_threads_are_refused(model):
    with pytest.raises(BadValue, match="threads is 0"):
        Model(model, threads=0)


def changed(model, path, *, graph=lambda _: None, card=lambda _: None):
    """The model with another graph or another card."""
    proto = onnx.load(model)
    graph(proto)
    (entry,) = proto.metadata_props
    values = json.loads(entry.value)
    card(values)
    entry.value = json.dumps(values)
    path.write_bytes(proto.SerializeToString())
    return path


def with_nan(proto):
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).copy()
            values.flat[0] = np.nan
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def with_another_output(proto):
    for node in proto.graph.node:
        node.output[:] = ["other" if name == "logits" else name for name in node.output]
    next(out for out in proto.graph.output if out.name == "logits").name = "other"


def of_fewer_tags(card):
    card["tags"] = card["tags"][:49]
    card["priors"] = card["priors"][:49]


@pytest.mark.parametrize("name", runtime.RUNTIMES)
@pytest.mark.parametrize(
    "change",
    [
        {"graph": with_nan},
        {"graph": with_another_output},
        {"card": of_fewer_tags},
        {"card": lambda card: card["features"].update(n_mels=64)},
        {"card": lambda card: card["features"].update(window_samples=100_000)},
    ],
)
def test_a_model_that_is_not_what_its_card_says_is_refused_when_it_is_loaded(
    model, tmp_path, change, name
):
    pytest.importorskip(name)
    path = changed(model, tmp_path / "bad.onnx", **change)
    with pytest.raises(BadModel, match=r"bad\.onnx"):
        Model(path, runtime=name)


def test_answers_that_are_not_numbers_are_an_error_and_no_scores(model, clips):
    loaded = Model(model)
    logits, embedding = loaded.run(clips[:1])
    loaded._forward = lambda _: (np.full_like(logits, np.nan), embedding)
    with pytest.raises(BadModel, match="tiny answers with values that are not numbers"):
        loaded.run(clips[:1])


def test_a_model_of_an_unknown_opset_is_refused(model, tmp_path):
    path = changed(
        model,
        tmp_path / "bad.onnx",
        graph=lambda proto: setattr(proto.opset_import[0], "version", 99),
    )
    with pytest.raises(BadModel, match=r"bad\.onnx"):
        Model(path, runtime="onnxruntime")  # openvino runs it


def test_a_model_of_this_package_is_not_tried_again(monkeypatch):
    monkeypatch.setattr(Model, "_try", lambda _: pytest.fail("it was tried"))
    Model(zoo.resolve())
