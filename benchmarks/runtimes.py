"""What runs the network: ONNX Runtime or OpenVINO, float32, bfloat16 or int8, Winograd or not.

    python -m benchmarks.runtimes [--model earmark] [--rounds 5] [--shared ../shared]

On the 900 labelled clips of 4Q, centre crop: milliseconds of one thread a clip, two at a time,
all ways in turn, round by round; how far the scores move from ONNX Runtime's in float32; and macro
ROC-AUC over the 16 mapped tags. "plain" is the same network in the same strips without Winograd's
algorithm, for models that earmark trained; the int8 network is made of that (of the model file for
others, which have no wide convolutions), and calibrated on 64 of the clips. A way that cannot be
had is named and left out. Two minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from studies.q4 import COLUMNS, SHARED, read_labels

from earmark import engine, zoo
from earmark.audio import load_audio
from earmark.errors import BadModel
from earmark.features import LogMel, log_mel
from earmark.graph import build
from earmark.model_file import INPUT, LOGITS, read_card, write_model
from earmark.privacy import keep_private
from earmark.runtime import BATCH, Model
from earmark.windows import centre_crop

N_CALIBRATION = 64
N_TIMED = 32
Forward = Callable[[np.ndarray], np.ndarray]  # log-mel -> logits


class Spectrogram:
    """A clip's log-mel; the work of one process."""

    def __init__(self, features: LogMel) -> None:
        self.features = features

    def __call__(self, path: Path) -> np.ndarray:
        """The centre crop's, float32 (n_mels, n_frames)."""
        samples = load_audio(path, rate=self.features.rate).samples
        return log_mel(centre_crop(samples, settings=self.features), settings=self.features)


def spectrograms(paths: list[Path], features: LogMel) -> np.ndarray:
    """float32 (n_clips, n_mels, n_frames)."""
    made = []
    for outcome in engine.map_units(Spectrogram(features), paths):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.value is not None
        made.append(outcome.value)
        print(f"\r{len(made)} clips", end="", file=sys.stderr)
    print(file=sys.stderr)
    return np.stack(made)


def onnx_runtime(path: Path) -> Forward:
    """What earmark uses."""
    model = Model(path, runtime="onnxruntime", threads=1)
    return lambda log_mel: model.run(log_mel)[0]


def plain_graph(model: Path, target: Path) -> Path:
    """The model without Winograd's algorithm; BadModel for one that earmark did not train."""
    from earmark.training.export.from_graph import from_model_file
    from earmark.training.export.to_graph import to_graph

    card = read_card(model)
    shape = {"n_mels": card.features.n_mels, "n_frames": card.features.n_frames}
    write_model(target, build(to_graph(from_model_file(model), **shape), by_winograd=False), card)
    return target


def direct(model: Path, target: Path) -> Path:
    """The model without Winograd's algorithm, be it because it never had it."""
    try:
        return plain_graph(model, target)
    except BadModel:
        return model


def int8(model: Path, clips: np.ndarray, folder: Path) -> Forward:
    """The same network with int8 convolutions and products, calibrated on clips."""
    keep_private()
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Clips(CalibrationDataReader):  # type: ignore[misc]
        """One clip after the other."""

        def __init__(self) -> None:
            self.left = iter(clips[:N_CALIBRATION])

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next clip, None at the end."""
            clip = next(self.left, None)
            return None if clip is None else {INPUT: clip[None]}

    prepared, quantised = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        quantised,
        Clips(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["Conv", "MaxPool"],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(quantised, options, providers=["CPUExecutionProvider"])
    return lambda log_mel: session.run([LOGITS], {INPUT: log_mel})[0]


def openvino(model: Path, precision: str) -> Forward:
    """OpenVINO with the precision asked for; ImportError or LookupError where there is none."""
    keep_private()
    from openvino import Core

    core = Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise LookupError("this processor has no bfloat16")
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    return lambda log_mel: compiled(log_mel)[LOGITS]


def milliseconds(forward: Forward, clips: np.ndarray) -> float:
    """Of one pass over the clips, for each."""
    started = time.perf_counter()
    for first in range(0, len(clips), BATCH):
        forward(clips[first : first + BATCH])
    return 1e3 * (time.perf_counter() - started) / len(clips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=zoo.SHIPPED, help="one with MSD-50's tags first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=900)
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder with q4/")
    options = parser.parse_args()
    model = zoo.resolve(options.model)
    card = Model(model).card
    paths, labels = read_labels(options.shared / "q4")
    paths, labels = paths[: options.clips], labels[: options.clips]
    clips = spectrograms(paths, card.features)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        makers = {
            "ONNX Runtime, float32": lambda: onnx_runtime(model),
            "ONNX Runtime, plain": lambda: onnx_runtime(plain_graph(model, plain)),
            "ONNX Runtime, int8": lambda: int8(direct(model, plain), clips, Path(folder)),
            "OpenVINO, float32": lambda: openvino(model, "f32"),
            "OpenVINO, plain": lambda: openvino(plain_graph(model, plain), "f32"),
            "OpenVINO, bfloat16": lambda: openvino(model, "bf16"),
        }
        ways: dict[str, Forward] = {}
        for name, make in makers.items():
            try:
                ways[name] = make()  # type: ignore[no-untyped-call]
            except (BadModel, ImportError, LookupError) as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, forward in ways.items():
                times[name].append(milliseconds(forward, clips[:N_TIMED]))
        print(f"{card.name}, {len(clips)} clips")
        print(
            f"{'':24}{'ms a clip':>10}{'of ORT f32':>12}{'mean diff':>11}{'largest':>9}{'AUC':>8}"
        )
        reference = None
        for name, forward in ways.items():
            batches = [forward(clips[i : i + BATCH]) for i in range(0, len(clips), BATCH)]
            scores = card.scores(np.concatenate(batches))
            reference = scores if reference is None else reference
            ratios = np.divide(times[name], next(iter(times.values())))
            moved = np.abs(scores - reference)
            auc = roc_auc_score(labels, scores[:, COLUMNS])
            print(
                f"{name:24}{np.median(times[name]):10.1f}{np.median(ratios):12.2f}"
                f"{moved.mean():11.5f}{moved.max():9.4f}{auc:8.4f}"
            )


if __name__ == "__main__":
    main()
