"""MobileNet's blocks under a GRU: torch and the exported graph say the same."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from earmark import graph
from earmark.errors import BadValue
from earmark.training.mobile import Blocks, MobileGru, MobileSettings, to_network

RANDOM = np.random.default_rng(16)
SETTINGS = MobileSettings(pool=(2, 3), units=5)
TOLERANCE = 2e-5  # float32 sums of some hundred products, on logits of about 1


def normal(*shape: int) -> np.ndarray:
    return (RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def conv(*shape: int) -> graph.Conv:
    return graph.Conv(normal(*shape), normal(shape[0]))


def residual(n_in, n_mid, n_out, *, kernel=3, stride=1, squeeze=False, expand=True):
    return graph.InvertedResidual(
        expand=conv(n_mid, n_in, 1, 1) if expand else None,
        depthwise=conv(n_mid, 1, kernel, kernel),
        squeeze=(
            graph.Dense(normal(n_mid, 2), normal(2)),
            graph.Dense(normal(2, n_mid), normal(n_mid)),
        )
        if squeeze
        else None,
        project=conv(n_out, n_mid, 1, 1),
        activation="hardswish",
        stride=stride,
    )


BEFORE = [
    graph.ConvBlock(normal(4, 1, 3, 3), normal(4), (1, 1), "hardswish", stride=(2, 2)),
    residual(4, 4, 4, expand=False),
]
LATE = [
    residual(4, 8, 4, kernel=5, squeeze=True),
    residual(4, 8, 6, stride=2, squeeze=True),
    graph.ConvBlock(normal(7, 6, 1, 1), normal(7), (1, 1), "relu"),
]


def run(network: graph.Network, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(graph.build(network).SerializeToString())
    logits, embedding = session.run(["logits", "embedding"], {"log_mel": x})
    return logits, embedding


@pytest.mark.parametrize(("batch", "n_frames"), [(1, 24), (3, 24), (2, 37)])
def test_torch_and_the_graph_agree_at_any_batch_and_length(batch, n_frames):
    model = MobileGru(LATE, n_tags=9, settings=SETTINGS).eval()
    x = RANDOM.normal(size=(batch, 8, n_frames)).astype(np.float32)
    with torch.inference_mode():
        images = Blocks(BEFORE)(torch.from_numpy(x).unsqueeze(1))
        embedding = model.embed(images).numpy()
        logits = model(images).numpy()
    heard = run(to_network(model, BEFORE, n_mels=8, n_frames=n_frames), x)
    np.testing.assert_allclose(heard[0], logits, atol=TOLERANCE)
    np.testing.assert_allclose(heard[1], embedding, atol=TOLERANCE)


def test_only_the_columns_that_are_wanted_are_exported_in_their_order():
    model = MobileGru(LATE, n_tags=9, settings=SETTINGS).eval()
    x = RANDOM.normal(size=(2, 8, 24)).astype(np.float32)
    whole, _ = run(to_network(model, BEFORE, n_mels=8, n_frames=24), x)
    part, _ = run(to_network(model, BEFORE, n_mels=8, n_frames=24, columns=[4, 0]), x)
    np.testing.assert_allclose(part, whole[:, [4, 0]], atol=1e-6)


def test_blocks_come_back_as_they_came():
    for given, learned in zip(LATE, MobileGru(LATE, n_tags=2).learned(), strict=True):
        assert type(learned) is type(given)
        if isinstance(given, graph.InvertedResidual):
            np.testing.assert_array_equal(learned.depthwise.weight, given.depthwise.weight)
            assert learned.squeeze is not None
            assert given.squeeze is not None
            np.testing.assert_array_equal(learned.squeeze[1].weight, given.squeeze[1].weight)
            assert learned.stride == given.stride
        else:
            np.testing.assert_array_equal(learned.weight, given.weight)


def test_a_step_of_learning_moves_every_weight():
    model = MobileGru(LATE, n_tags=2, settings=SETTINGS)
    before = [weight.detach().clone() for weight in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.from_numpy(RANDOM.normal(size=(4, 4, 4, 12)).astype(np.float32))).sum().backward()
    optimiser.step()
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new.detach())


def test_a_block_that_pools_is_refused():
    block = graph.ConvBlock(normal(4, 4, 3, 3), normal(4), (2, 2), "relu")
    with pytest.raises(BadValue, match=r"pools \(2, 2\)"):
        MobileGru([block], n_tags=2)
