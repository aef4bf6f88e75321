"""Winograd's convolutions against the definition of a convolution and of max-pooling."""

from __future__ import annotations

import numpy as np
import pytest
import slow_network as slow
from built_graphs import assert_same, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earmark.graph import ConvBlock, Dense, Network, build, strips, winograd

N_TAGS = 3
integers = st.integers(-50, 50).map(float)


@pytest.mark.parametrize("m", [3, 4])
@settings(deadline=None)  # another test may have the processor
@given(data=st.data())
def test_the_transforms_give_the_correlation_of_any_input_with_any_kernel(m, data):
    of_input, of_kernel, of_output = winograd.transforms(m)
    d = data.draw(arrays(np.float64, m + 2, elements=integers))
    g = data.draw(arrays(np.float64, 3, elements=integers))
    found = of_output @ ((of_kernel @ g) * (of_input @ d))
    np.testing.assert_allclose(found, np.correlate(d, g), atol=1e-9)


def network(*, pool, mels, frames, n_in=16, n_out=7, kernel=(3, 3)):
    """A block that makes channels of the spectrogram, a block to try, and all its outputs."""
    rng = np.random.default_rng(mels * frames)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    first = ConvBlock(normal(n_in, 1, 1, 1), normal(n_in), (1, 1), "relu")
    tried = ConvBlock(normal(n_out, n_in, *kernel) / 12, normal(n_out), pool)
    n = n_out * (mels // pool[0]) * (frames // pool[1])
    output = Dense(normal(n, N_TAGS) / np.float32(n**0.5), normal(N_TAGS))
    return Network(mels, frames, front=[], blocks=[first, tried], output=output)


def expected(network, x):
    """What the last block leaves of each clip, float64."""
    return [slow.blocks(clip[None].astype(np.float64), network.blocks).ravel() for clip in x]


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
    found = opened(described, runtime)(x)[1]
    assert_same(found, expected(described, x))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("n_bytes", [1, 4_000])
@pytest.mark.parametrize(
    ("pool", "change"),
    [
        ((1, 1), {}), ((2, 4), {}), ((3, 3), {}), ((4, 2), {}),
        ((2, 2), {"n_in": 4}), ((3, 1), {"kernel": (5, 1)}),
        ((1, 1), {"kernel": (7, 7)}),  # a strip lower than what the kernel sees beyond it
    ],
)  # fmt: skip
def test_strips_give_what_the_definition_says(pool, change, n_bytes, runtime, monkeypatch):
    described = network(pool=pool, mels=25, frames=31, **change)
    whole = len(build(described).graph.node)
    monkeypatch.setattr(strips, "STRIP_BYTES", n_bytes)
    assert len(build(described).graph.node) >= whole + 8
    x = clips(described, 2)
    assert_same(opened(described, runtime)(x)[1], expected(described, x))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n_in": 15}, "too few channels"),
        ({"mels": 4, "frames": 60}, "too few tiles"),
        ({"mels": 1, "frames": 256, "pool": (1, 1)}, "tiles that are mostly outside"),
        ({"pool": (2, 5)}, "a pooling that no tile holds whole"),
    ],
)
def test_what_would_not_be_faster_stays_a_plain_convolution(change, why):
    described = network(**{"pool": (2, 4), "mels": 24, "frames": 85, **change})
    model = build(described)
    assert n_products(model) == 0, why
    x = clips(described, 2)
    found = opened(described, "onnxruntime")(x)[1]
    assert_same(found, expected(described, x))


def test_the_weights_in_the_file_are_the_network_s_own():
    from onnx import numpy_helper

    described = network(pool=(3, 3), mels=24, frames=24)
    constants = {
        constant.name: numpy_helper.to_array(constant)
        for constant in build(described).graph.initializer
    }
    np.testing.assert_array_equal(constants["conv2.weight"], described.blocks[1].weight)
    np.testing.assert_array_equal(constants["conv2.bias"], described.blocks[1].bias)
