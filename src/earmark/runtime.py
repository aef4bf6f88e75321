"""Runs a model file: with ONNX Runtime, on the processor or on an NVIDIA GPU, or with OpenVINO."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from earmark import model_file
from earmark.arrays import Float32Array
from earmark.errors import BadModel, BadValue, FeatureMismatch, MissingExtra
from earmark.model_file import Card
from earmark.privacy import keep_private

Forward = Callable[
    [Float32Array], tuple[Float32Array, Float32Array]
]  # log-mel -> logits, embedding

RUNTIMES = ("onnxruntime", "openvino")
CUDA = "onnxruntime-cuda"  # the first of them on an NVIDIA GPU
Device = Literal["cpu", "cuda"]
# Windows that go through the network at once. The scores do not depend on it, the time does: with
# 1, 2, 4 and 8 the shipped model took 10.6, 9.8, 10.8 and 12.1 ms a window on two cores, because
# what a layer leaves of more no longer fits the caches.
BATCH = 2
_OWN = (Path(__file__).parent / "models").resolve()  # the models of this package

_CUDA_PROVIDER = "CUDAExecutionProvider"
# Both distributions install one folder, and the one for the processor may have come last.
_ALONE = "pip install --force-reinstall --no-deps onnxruntime-gpu"

log = logging.getLogger("earmark.runtime")


class LoadedModel(Protocol):
    """What listens to windows: a Model, or a wrapper of one.

    path : the model file
    runtime : which of RUNTIMES runs it, or CUDA
    card : what the file says about the model
    """

    @property
    def path(self) -> Path: ...
    @property
    def runtime(self) -> str: ...
    @property
    def card(self) -> Card: ...
    def run(self, log_mel: Float32Array, /) -> tuple[Float32Array, Float32Array]:
        """Logits and embeddings of clips, as Model.run."""


class Model:
    """A model file, loaded and ready.

    path : the model file
    runtime : onnxruntime, openvino or onnxruntime-cuda; else what EARMARK_RUNTIME names; else
        onnxruntime
    threads : cores for one forward pass; None takes all

    A pickled model is the path of its file: whoever unpickles it needs the file at that path. A
    process that was forked from one with a loaded model loads it anew when it first runs it, since
    the threads of a runtime do not survive a fork.

    Raises ModelNotFound, BadModel, BadValue and MissingExtra.
    """

    def __init__(
        self, path: str | Path, *, runtime: str | None = None, threads: int | None = None
    ) -> None:
        self.path = Path(path)
        self.runtime = runtime or os.environ.get("EARMARK_RUNTIME") or RUNTIMES[0]
        if threads is not None and threads < 1:
            raise BadValue(f"threads is {threads}; it must be one or more")
        if self.runtime not in (*RUNTIMES, CUDA):
            known = ", ".join((*RUNTIMES, CUDA))
            raise BadValue(f"no runtime {self.runtime!r}; choose one of {known}")
        self._threads = threads
        self.card, self._forward = self._open()
        self._process = os.getpid()
        self._of_parents: list[Forward] = []
        if self.path.resolve().parent != _OWN:  # which the tests have run
            self._try()
        log.debug("loaded %s from %s with %s", self.card.name, self.path, self.runtime)

    def _open(self) -> tuple[Card, Forward]:
        data = model_file.read_bytes(self.path)
        if self.runtime == "openvino":
            return _open_openvino(self.path, data, self._threads)
        return _open_onnxruntime(self.path, data, self._threads, on_gpu=self.runtime == CUDA)

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[object, ...]]:
        status = self.path.stat()
        version = (status.st_mtime_ns, status.st_size)
        return _unpickled, (str(self.path.absolute()), self.runtime, self._threads, version)

    def run(self, log_mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Logits and embeddings of clips, in batches.

        log_mel : float32 (n, n_mels, n_frames), dB, as the card's features make it
        returns : logits float32 (n, n_tags), embeddings float32 (n, n_dimensions)

        Raises FeatureMismatch for spectrograms of another shape.
        """
        log_mel = np.ascontiguousarray(log_mel, dtype=np.float32)
        features = self.card.features
        if log_mel.ndim != 3 or log_mel.shape[1:] != (features.n_mels, features.n_frames):
            raise FeatureMismatch(
                f"the model {self.card.name} takes spectrograms of shape "
                f"(n, {features.n_mels}, {features.n_frames}), not {log_mel.shape}. "
                f"Make them with the features {features.name}."
            )
        if os.getpid() != self._process:
            # kept, because its end would wait for threads that the fork did not copy
            self._of_parents.append(self._forward)
            self._forward = self._open()[1]
            self._process = os.getpid()
        # even without clips both results have their width
        parts = [
            self._forward(log_mel[first : first + BATCH])
            for first in range(0, max(1, len(log_mel)), BATCH)
        ]
        logits, embeddings = map(np.concatenate, zip(*parts, strict=True))
        if not (np.isfinite(logits).all() and np.isfinite(embeddings).all()):
            raise BadModel(
                f"the model {self.card.name} answers with values that are not numbers. Use another"
            )
        return logits, embeddings

    def _try(self) -> None:
        """One run of a batch, by which a model that is not what its card says is refused."""
        features = self.card.features
        clips = np.empty((BATCH, features.n_mels, features.n_frames), np.float32)
        clips[:] = np.linspace(features.silence, 0, features.n_mels, dtype=np.float32)[:, None]
        try:
            logits, embeddings = self._forward(clips)
            shapes = logits.shape == (BATCH, len(self.card.tags)), embeddings.shape[:1] == (BATCH,)
            if not all(shapes) or embeddings.ndim != 2 or logits.dtype != np.float32:
                raise ValueError(
                    f"logits {logits.dtype} {logits.shape} and an embedding {embeddings.shape} for "
                    f"{BATCH} clips and {len(self.card.tags)} tags"
                )
            if not (np.isfinite(logits).all() and np.isfinite(embeddings).all()):
                raise ValueError("values that are not numbers")
        except Exception as error:  # those of onnxruntime share no base below Exception
            raise BadModel(
                f"{self.path} does not do what its card says ({_first_line(error)}). Export or "
                "convert it again"
            ) from error


@lru_cache(maxsize=4)
def _unpickled(
    path: str,
    runtime: str,
    threads: int | None,
    version: tuple[int, int],  # noqa: ARG001 - tells files apart in the cache
) -> Model:
    """The model in a file; a process that gets it again and again loads it once.

    version : of the file when it was pickled, so that another one is loaded anew
    """
    return Model(path, runtime=runtime, threads=threads)


def available() -> tuple[str, ...]:
    """The runtimes that are installed."""
    return tuple(name for name in RUNTIMES if find_spec(name) is not None)


def runtime_of(device: Device, runtime: str | None = None) -> str | None:
    """The runtime for a device; `runtime` itself for the processor.

    Raises BadValue for another device, and for a runtime that does not run on it.
    """
    if device == "cpu":
        return runtime
    if device != "cuda":
        raise BadValue(f"no device {device!r}; choose cpu or cuda")
    if runtime not in (None, RUNTIMES[0], CUDA):
        raise BadValue(f"{runtime} does not run on the device cuda; leave out one of them")
    return CUDA


def _open_onnxruntime(
    path: Path, data: bytes, threads: int | None, *, on_gpu: bool
) -> tuple[Card, Forward]:
    keep_private()
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if on_gpu:
        providers.insert(0, _CUDA_PROVIDER)
        if _CUDA_PROVIDER not in onnxruntime.get_available_providers():
            raise MissingExtra("ONNX Runtime for CUDA", "gpu", more=_ALONE)
        if hasattr(onnxruntime, "preload_dlls"):  # the CUDA libraries that pip has installed
            onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # a thread that spins for work takes the core from the decoder beside it
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # its errors share no base below Exception
        raise BadModel(_unreadable(path, error)) from error
    if session.get_providers()[0] != providers[0]:  # it goes on with the rest, and says nothing
        raise BadValue(
            "this machine's GPU cannot be used: ONNX Runtime does not find it, or a CUDA or cuDNN "
            "library of the version that it needs. Look at `nvidia-smi`, or use the device cpu"
        )
    card = model_file.card_of(path, session.get_modelmeta().custom_metadata_map)

    def forward(log_mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        outputs = [model_file.LOGITS, model_file.EMBEDDING]
        logits, embedding = session.run(outputs, {model_file.INPUT: log_mel})
        return logits, embedding

    return card, forward


def _open_openvino(path: Path, data: bytes, threads: int | None) -> tuple[Card, Forward]:
    keep_private()
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error

    card = model_file.card_in(path, data)
    # its default on some processors is bfloat16, which moves scores by up to .012
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(data), "CPU", settings)
    except RuntimeError as error:
        raise BadModel(_unreadable(path, error)) from error

    def forward(log_mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        # not compiled(log_mel), whose one request threads would share
        results = compiled.create_infer_request().infer([log_mel])
        return results[model_file.LOGITS], results[model_file.EMBEDDING]

    return card, forward


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"{path} cannot be read as a model ({_first_line(error)}). If it holds published weights, "
        "convert them with `earmark models import`; if it was downloaded, fetch it again."
    )
