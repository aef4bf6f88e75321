"""Winograd's convolutions against the definition of a convolution and of max-pooling."""

from __future__ import annotations

import numpy as np
import pytest
import slow_network as slow
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earmark.graph import ConvBlock, Dense, Network, build, strips, winograd

N_TAGS = 3
integers = st.integers(-50, 50).map(float)


@pytest.mark.parametrize("m", [3, 4])
@given(data=st.data())
def test_the_transforms_give_the_correlation_of_any_input_with_any_kernel(m, data):
    of_input, of_kernel, of_output = winograd.transforms(m)
    d = data.draw(arrays(np.float64, m + 2, elements=integers))
    g = data.draw(arrays(np.float64, 3, elements=integers))
    found = of_output @ ((of_kernel @ g) * (of_input @ d))
    np.testing.assert_allclose(found, np.correlate(d, g), atol=1e-9)


def network(*, pool, mels, frames, n_in=16, n_out=7, activation="elu"):
    """A block that makes channels of the spectrogram, a block to try, and all its outputs."""
    rng = np.random.default_rng(mels * frames)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    first = ConvBlock(normal(n_in, 1, 1, 1), normal(n_in), (1, 1), "relu")
    tried = ConvBlock(normal(n_out, n_in, 3, 3) / 12, normal(n_out), pool, activation)
    n = n_out * (mels // pool[0]) * (frames // pool[1])
    output = Dense(normal(n, N_TAGS) / np.float32(n**0.5), normal(N_TAGS))
    return Network(mels, frames, front=[], blocks=[first, tried], output=output)


def expected(network, clip):
    image = clip[None].astype(np.float64)
    for block in network.blocks:
        image = slow.correlate(image, block.weight, block.bias)
        image = {"elu": slow.elu, "relu": slow.relu}[block.activation](image)
        image = slow.max_pool(image, *block.pool)
    return image.ravel()


def run(model, x, runtime):
    """The embeddings, which are what the last block leaves."""
    data = model.SerializeToString()
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return session.run(["embedding"], {"log_mel": x})[0]
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(x)["embedding"]


def clips(network, n):
    shape = (n, network.n_mels, network.n_frames)
    return np.random.default_rng(n).standard_normal(shape).astype(np.float32)


def n_products(model):
    """How many strips are computed by Winograd's algorithm."""
    return sum(node.name.endswith(".products") for node in model.graph.node)


# Every pooling, with tiles that fit the image, tiles that reach beyond it, and what pooling drops.
SHAPES = [
    ((1, 1), 17, 18), ((2, 4), 24, 85), ((2, 4), 9, 41), ((3, 3), 13, 40), ((4, 4), 16, 16),
    ((4, 2), 19, 23), ((2, 2), 14, 30), ((1, 3), 14, 17), ((3, 1), 11, 21),
]  # fmt: skip


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("pool", "mels", "frames"), SHAPES)
def test_every_pooling_on_every_size_gives_what_the_definition_says(pool, mels, frames, runtime):
    described = network(pool=pool, mels=mels, frames=frames)
    model = build(described)
    assert n_products(model) == 1
    x = clips(described, 3)
    found = run(model, x, runtime)
    np.testing.assert_allclose(found, [expected(described, clip) for clip in x], atol=2e-5)


@pytest.mark.parametrize("n_in", [16, 4])  # by Winograd's algorithm, and plain
@pytest.mark.parametrize("pool", [(1, 1), (2, 4), (3, 3), (4, 2)])
def test_strips_give_what_the_whole_gives(pool, n_in, monkeypatch):
    described = network(pool=pool, mels=25, frames=31, n_in=n_in, activation="relu")
    x = clips(described, 2)
    whole = run(build(described), x, "onnxruntime")
    n_nodes = len(build(described).graph.node)
    for n_bytes in (1, 4_000):
        monkeypatch.setattr(strips, "STRIP_BYTES", n_bytes)
        model = build(described)
        assert len(model.graph.node) >= n_nodes + 8
        np.testing.assert_allclose(run(model, x, "onnxruntime"), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n_in": 15}, "too few channels"),
        ({"mels": 4, "frames": 60}, "too few tiles"),
        ({"pool": (2, 5)}, "a pooling that no tile holds whole"),
    ],
)
def test_what_would_not_be_faster_stays_a_plain_convolution(change, why):
    described = network(**{"pool": (2, 4), "mels": 24, "frames": 85, **change})
    model = build(described)
    assert n_products(model) == 0, why
    x = clips(described, 2)
    found = run(model, x, "onnxruntime")
    np.testing.assert_allclose(found, [expected(described, clip) for clip in x], atol=2e-5)


def test_the_weights_in_the_file_are_the_network_s_own():
    from onnx import numpy_helper

    described = network(pool=(3, 3), mels=24, frames=24)
    constants = {
        constant.name: numpy_helper.to_array(constant)
        for constant in build(described).graph.initializer
    }
    np.testing.assert_array_equal(constants["conv2.weight"], described.blocks[1].weight)
    np.testing.assert_array_equal(constants["conv2.bias"], described.blocks[1].bias)
