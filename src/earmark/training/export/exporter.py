"""The best weights of a run as a model file, compared with the torch network first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from earmark.arrays import BoolArray, Float32Array
from earmark.errors import BadModel, BadValue, DataError
from earmark.files import sha256, write_bytes
from earmark.graph import build
from earmark.graph.waveform import check_name, waveform_model
from earmark.metrics import (
    FEW,
    Interval,
    average_precision,
    expected_calibration_error,
    replicates,
    roc_auc,
)
from earmark.model_file import INPUT, LOGITS, Card, sigmoid, write_model
from earmark.privacy import keep_private
from earmark.training.checkpoint import Arrays, read_checkpoint
from earmark.training.export.calibration import calibrate
from earmark.training.export.own_graph import own_graph
from earmark.training.export.to_graph import to_graph
from earmark.training.learner import load_weights
from earmark.training.model import CRNN
from earmark.training.own_network import make_network
from earmark.training.recipe import make_recipe
from earmark.training.run_folder import BEST, RECORD, read_record
from earmark.training.seeds import generator
from earmark.training.task import Task

if TYPE_CHECKING:
    import onnx

_Predict = Callable[[Float32Array], Float32Array]  # clips in dB to logits

LARGEST_DIFFERENCE = 1e-4  # between the logits of torch and of what is written
BATCHES = (1, 2, 5)
_DRAWS = 200  # of validation songs, for its interval
SUFFIXES = (".onnx", ".keras")


@dataclass(frozen=True)
class Terms:
    """The lines of a model's card that its run does not hold.

    name : that of the recipe, without one
    """

    name: str | None = None
    licence: str = "not stated"
    description: str = ""


def export_run(
    run: str | Path, output: str | Path, *, terms: Terms | None = None, waveform: bool = False
) -> Card:
    """Write the best weights of a run as a model file; returns its card.

    output : a name in .onnx; or in .keras for the network in Keras's format, without the card
    waveform : write a graph that takes samples and gives scores, instead of a model file

    Raises BadValue for another name, DataError for a run without weights, and BadModel if what is
    written and torch disagree by more than 1e-4 at any batch size or length.
    """
    run, terms = Path(run), terms or Terms()
    suffix = Path(output).suffix.lower()
    if waveform:
        check_name(output)
    elif suffix not in SUFFIXES:
        raise BadValue(f"{output} must end in {' or '.join(SUFFIXES)}, which chooses the format")
    record = read_record(run)
    if not (run / BEST).is_file():
        raise DataError(
            f"{run} has no weights to export yet, as its first epoch is not finished. Resume it "
            "with: earmark train RECIPE --store STORE -o RUN --resume"
        )
    as_keras = suffix == ".keras"
    arrays, facts = read_checkpoint(run / BEST)
    model, task = _model(run, record, arrays)
    if as_keras:
        if not isinstance(model, CRNN):
            raise BadValue(
                f"{run} has a network of your own, which Keras does not know. Choose a name that "
                "ends in .onnx"
            )
        compared = _write_keras(model, Path(output), task)
    elif isinstance(model, CRNN):
        graph = build(to_graph(model, n_mels=task.features.n_mels, n_frames=task.features.n_frames))
        compared = compare(model, graph, task)
    else:
        graph = own_graph(model, task)
        compared = compare(model, graph, task)
    training = _training(record)
    training["weights_sha256"] = sha256(run / BEST)
    training["epoch"] = facts["line"]["epoch"]
    training["largest_difference_to_torch"] = compared
    calibration = reliability = None
    if "valid.logits" in arrays:
        logits, labels = arrays["valid.logits"], arrays["valid.labels"]
        calibration = calibrate(logits, labels)
        training["measured"] = measured = _measured(task.tags, logits, labels)
        reliability = tuple(
            measured[tag]["roc_auc"] if tag in measured else None for tag in task.tags
        )
    card = Card(
        name=terms.name or record["recipe"]["name"],
        tags=task.tags,
        features=task.features,
        priors=task.priors,
        source=f"trained by earmark {record['environment']['earmark']}",
        licence=terms.licence,
        description=terms.description,
        calibration=calibration,
        reliability=reliability,
        training=training,
    )
    if calibration is not None:
        training["validation"] = _validation(card, logits, labels)
    if waveform:
        from_samples = waveform_model(graph, card)
        write_bytes(output, from_samples.SerializeToString(deterministic=True))
    elif not as_keras:
        write_model(output, graph, card)
    return card


def compare(model: nn.Module, graph: onnx.ModelProto, task: Task) -> float:
    """The largest difference between the logits of torch and of the graph.

    At several batch sizes, and, where the network takes other lengths, on graphs built for them.
    Raises BadModel if it is above LARGEST_DIFFERENCE.
    """
    n_mels = task.features.n_mels
    cases = [(partial(_run, graph), task.features.n_frames, batch) for batch in BATCHES]
    if isinstance(model, CRNN):
        for other in _other_lengths(model, task):
            longer = build(to_graph(model, n_mels=n_mels, n_frames=other))
            cases.append((partial(_run, longer), other, 2))
    return _largest_difference(model, cases, task)


def _write_keras(model: CRNN, output: Path, task: Task) -> float:
    from earmark.training.keras import predict, save, twin

    keras = twin(model)
    cases = [(partial(predict, keras), task.features.n_frames, batch) for batch in BATCHES]
    cases += [(partial(predict, keras), other, 2) for other in _other_lengths(model, task)]
    compared = _largest_difference(model, cases, task)
    save(keras, output)
    return compared


def _largest_difference(
    model: nn.Module, cases: Sequence[tuple[_Predict, int, int]], task: Task
) -> float:
    """Between the logits of torch and of others, for (predict, n_frames, batch) in `cases`.

    Raises BadModel if it is above LARGEST_DIFFERENCE.
    """
    random = generator(0, "measure")
    mean, deviation = task.standardise
    largest = 0.0
    for predict, length, batch in cases:
        shape = (batch, task.features.n_mels, length)
        noise = random.normal(size=shape) + random.normal(size=(*shape[:2], 1))
        clips = (mean + deviation * noise).astype(np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(clips)).numpy()
        difference = float(np.abs(predict(clips) - expected).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise BadModel(
                f"the exported network and torch differ by {difference:.1e} in the logits of "
                f"{batch} clips of {length} frames; {LARGEST_DIFFERENCE:.0e} is allowed, so no "
                "file was written. Please report this, with the recipe"
            )
        largest = max(largest, difference)
    return largest


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the record that go into the card: all but paths of this machine."""
    kept = ("recipe", "data", "environment", "parameters", "init_sha256")
    how = ("framework", "processes", "precision")
    training = {key: record[key] for key in (*kept, *how)}
    recipe = record["recipe"]
    init = recipe["init"]
    files = {key: recipe["data"].get(key) for key in ("targets", "artists")}
    training["recipe"] = recipe | {
        "init": init and Path(init).name,
        "data": recipe["data"] | {key: path and Path(path).name for key, path in files.items()},
    }
    training["environment"] = {
        key: value for key, value in record["environment"].items() if key != "command"
    }
    return training


def _model(run: Path, record: Mapping[str, Any], arrays: Arrays) -> tuple[nn.Module, Task]:
    try:
        recipe = make_recipe(record["recipe"], source=str(run / RECORD))
        task = Task.from_dict(record["task"])
        model = make_network(recipe, task)
        load_weights(model, arrays)
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{run / RECORD} and {run / BEST} are of different runs, or damaged ({error}). Train "
            "into another folder"
        ) from error
    return model.eval(), task


def _other_lengths(model: CRNN, task: Task) -> list[int]:
    settings, (n_mels, n_frames) = model.settings, (task.features.n_mels, task.features.n_frames)
    if settings.fixed_length:
        return []
    lengths = [n_frames * 2 // 3, n_frames + n_frames // 4]
    return [length for length in lengths if min(settings.size_after_pools(n_mels, length)) > 0]


def _run(graph: onnx.ModelProto, clips: Float32Array) -> Float32Array:
    keep_private()
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    logits: Float32Array = session.run([LOGITS], {INPUT: clips})[0]
    return logits


def _measured(tags: Sequence[str], logits: Float32Array, labels: BoolArray) -> dict[str, Any]:
    """ROC-AUC of each tag on the validation songs, with its interval and count.

    Only of tags that enough songs carry, and enough do not: two songs may reach 1.00 by luck.
    """
    positives = labels.sum(axis=0)
    columns = np.flatnonzero(np.minimum(positives, len(labels) - positives) >= FEW)
    if not len(columns):
        return {}
    labels, logits = labels[:, columns], logits[:, columns]
    drawn = replicates(labels, logits, generator=generator(0, "measure"), n=_DRAWS)
    values, of_draws = roc_auc(labels, logits, average=None), drawn.per_tag["roc_auc"]
    measured = {}
    for place, column in enumerate(columns.tolist()):
        value = float(values[place])
        interval = Interval.of(value, of_draws[:, place])
        measured[tags[column]] = {
            "roc_auc": value,
            "interval": [interval.low, interval.high],
            "positives": int(positives[column]),
        }
    return measured


def _validation(card: Card, logits: Float32Array, labels: BoolArray) -> dict[str, Any]:
    """How well the kept weights score the validation songs, before and after calibration."""
    values = {
        "n_tracks": len(labels),
        "roc_auc_macro": roc_auc(labels, logits),
        "average_precision_macro": average_precision(labels, logits),
        "calibration_error_before": expected_calibration_error(labels, sigmoid(logits)),
        # fitted on these songs: on others it is a little larger
        "calibration_error_after": expected_calibration_error(labels, card.scores(logits)),
    }
    return {name: None if np.isnan(value) else value for name, value in values.items()}
