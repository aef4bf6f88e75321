"""The state of an installation: libraries, runtime, model, speed of log-mel and network."""

from __future__ import annotations

import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from earmark import __version__, engine, files, runtime
from earmark.errors import install_command
from earmark.features import log_mel
from earmark.tagger import Tagger

# The libraries that earmark uses, with the extra that installs each.
_LIBRARIES = {
    "av": "core", "soxr": "core", "onnxruntime": "core", "onnx": "core", "numpy": "core",
    "openvino": "openvino", "pyarrow": "data", "crc32c": "data", "threadpoolctl": "data",
    "httpx2": "data", "stamina": "data", "aiolimiter": "data", "rapidfuzz": "data", "ray": "ray",
    "pydantic": "train", "torch": "train", "keras": "keras", "fastapi": "web", "uvicorn": "web",
    "mutagen": "library", "plotly": "web", "prometheus-client": "web", "python-multipart": "web",
}  # fmt: skip
_REPEATS = 3  # of each measurement; the median is reported


def diagnose(model: str | None = None) -> dict[str, Any]:
    """What is installed, which runtime and model are in use, and seconds for a clip's two stages.

    model : a name or a model file; the default model without one

    Raises ModelNotFound and BadModel.
    """
    found: dict[str, Any] = {
        "earmark": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": engine.cpu_count(),
        "libraries": {name: _installed(name, extra) for name, extra in _LIBRARIES.items()},
        "runtimes": ", ".join(runtime.available()),
        "cache": str(files.cache_folder()),
    }
    tagger = Tagger.load(model)
    card = tagger.card
    samples = np.random.default_rng(0).normal(0, 0.1, card.features.window_samples)
    clip = samples.astype(np.float32)
    mel = log_mel(clip, settings=card.features)
    batch = np.stack([mel] * runtime.BATCH)
    return found | {
        "model": {
            "name": card.name,
            "file": str(tagger.model.path),
            "sha256": files.sha256(tagger.model.path),
            "tags": len(card.tags),
            "features": card.features.name,
            "runtime": tagger.model.runtime,
        },
        "speed": {
            "clip_seconds": round(card.features.seconds, 2),  # decoding comes on top of these
            "log_mel_ms": _median_ms(lambda: log_mel(clip, settings=card.features)),
            "network_ms": round(_median_ms(lambda: tagger.model.run(batch)) / len(batch), 2),
        },
    }


def _installed(library: str, extra: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return f"not installed: {install_command(extra)}"


def _median_ms(work: Any) -> float:
    work()  # the first run also builds what later runs reuse
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 2)
