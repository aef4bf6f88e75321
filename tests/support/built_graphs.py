"""Networks as graphs that a runtime has opened, and how near what they say must be."""

from __future__ import annotations

import numpy as np

from earmark.graph import build


def opened(network, runtime):
    """A function from log-mels to (logits, embeddings)."""
    data = build(network).SerializeToString()
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return lambda x: session.run(["logits", "embedding"], {"log_mel": x})
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(x):
        results = model(x)
        return results["logits"], results["embedding"]

    return run


def assert_same(found, expected):
    """Within 1e-5 of the largest value: what float32 leaves of sums of some hundred products."""
    largest = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)
