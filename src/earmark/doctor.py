"""The state of an installation: what is there, how fast it is, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earmark import __version__, engine, files, runtime
from earmark.errors import how_to_install
from earmark.features import log_mel
from earmark.privacy import REPORTS_OFF
from earmark.tagger import Tagger

Verdict = Literal["well", "note", "problem"]

# What each extra is for, and the libraries that it brings. The core is there, or nothing runs.
_EXTRAS = {
    "library": ("your music folder, tags in files", ["mutagen"]),
    "web": (
        "the page and the API",
        ["fastapi", "plotly", "prometheus-client", "python-multipart", "uvicorn"],
    ),
    "pictures": ("pictures of taggrams and in reports", ["matplotlib"]),
    "models": ("published networks", ["h5py", "onnx"]),
    "data": (
        "catalogs, previews, stores, evaluation",
        ["aiolimiter", "crc32c", "httpx2", "pyarrow", "rapidfuzz", "stamina", "threadpoolctl"],
    ),
    "train": ("training", ["pydantic", "scikit-learn", "torch"]),
    "sweep": ("settings that Optuna looks for", ["optuna"]),
    "keras": ("training with Keras", ["keras"]),
    "tensorboard": ("curves of a training in TensorBoard", ["tensorboard"]),
    "ray": ("many machines", ["ray"]),
    "gpu": ("networks on an NVIDIA GPU", ["onnxruntime-gpu"]),
    "remote": ("songs and stores at addresses", ["fsspec"]),
    "openvino": ("another runtime on Intel's processors", ["openvino"]),
}
_CORE = [
    "av", "numpy", "onnxruntime", "platformdirs", "protobuf", "requests", "rich", "soxr", "typer",
]  # fmt: skip
_USUAL_MS = 20.0  # log-mel and network of one clip of the shipped model, on two cores of a server
_SLOW = 5.0  # times as long is worth a word
_REPEATS = 3  # of each measurement; the median is reported


def diagnose(model: str | None = None, *, library: Path) -> dict[str, Any]:
    """What is installed, which runtime and model are in use, their speed, and a verdict on each.

    model : a name or a model file; the default model without one
    library : the file of the user's music library, which need not be there
    returns : `advice` is a list of {"about", "verdict", "message"}: well, note or problem

    Raises ModelNotFound and BadModel.
    """
    tagger = Tagger.load(model)
    card = tagger.card
    samples = np.random.default_rng(0).normal(0, 0.1, card.features.window_samples)
    clip = samples.astype(np.float32)
    mel = log_mel(clip, settings=card.features)
    batch = np.stack([mel] * runtime.BATCH)
    found: dict[str, Any] = {
        "earmark": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": engine.cpu_count(),
        "libraries": {name: _installed(name, extra) for name, extra in _libraries().items()},
        "runtimes": ", ".join(runtime.available()),
        "cache": str(files.cache_folder()),
        "library": {"file": str(library), "bytes": _size(library)},
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
    return found | {"advice": list(_advice(found))}


def _advice(found: dict[str, Any]) -> list[dict[str, str]]:
    """A verdict on each part, in words that say what to do."""
    model, speed, library = found["model"], found["speed"], found["library"]
    ms = speed["log_mel_ms"] + speed["network_ms"]
    clip = f"{ms:.0f} ms for a clip of {speed['clip_seconds']:.0f} s, without decoding"
    advice = [
        _line("model", "well", f"{model['name']}, {model['tags']} tags, by {model['runtime']}"),
        _line("speed", "well", f"{clip}; {_USUAL_MS:.0f} ms are usual for the shipped model")
        if ms <= _SLOW * _USUAL_MS
        else _line(
            "speed",
            "problem",
            f"{clip}, where {_USUAL_MS:.0f} ms are usual for the shipped model. Is the machine "
            "busy, or held to a part of a core?",
        ),
        _line("library", "well", f"{library['file']}, {library['bytes'] / 1e6:.1f} MB")
        if library["bytes"]
        else _line("library", "note", "none yet: `earmark library scan DIR` makes one"),
    ]
    reporting = [name for name, off in REPORTS_OFF.items() if os.environ.get(name, off) != off]
    advice.append(
        _line("privacy", "well", "nothing reports to anyone; docs/reference/privacy.md says more")
        if not reporting
        else _line(
            "privacy",
            "note",
            f"{', '.join(reporting)} in your environment lets a library report to its makers: "
            "unset it, and earmark keeps it quiet",
        )
    )
    for extra, (purpose, libraries) in _EXTRAS.items():
        missing = [name for name in libraries if found["libraries"][name].startswith("not ")]
        if missing:
            advice.append(
                _line(extra, "note", f"not installed ({purpose}): {how_to_install(extra)}")
            )
    return advice


def _line(about: str, verdict: Verdict, message: str) -> dict[str, str]:
    return {"about": about, "verdict": verdict, "message": message}


def _libraries() -> dict[str, str | None]:
    """Every library that earmark uses, with the extra that brings it; None for the core."""
    core: dict[str, str | None] = dict.fromkeys(_CORE)
    return core | {name: extra for extra, (_, names) in _EXTRAS.items() for name in names}


def _installed(library: str, extra: str | None) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed" if extra is None else f"not installed: {how_to_install(extra)}"


def _size(path: Path) -> int | None:
    """Bytes of a file; None if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _median_ms(work: Any) -> float:
    work()  # the first run also builds what later runs reuse
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 2)
