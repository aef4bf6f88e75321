"""The CRNN as a Keras network, made from the torch network."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from earmark.arrays import Float32Array
from earmark.files import write_bytes
from earmark.folder_lock import disk_errors
from earmark.training.keras.weights import give_weights, take_weights
from earmark.training.learner import load_weights
from earmark.training.model import CRNN, CrnnSettings
from earmark.training.seeds import generator

_LAST_IN_MEMORY = {"data_format": "channels_last"}  # on every backend, and whatever keras.json says


def twin(model: CRNN, *, seed: int = 0) -> keras.Model:
    """A Keras network that computes what the torch network computes, with its weights.

    Input "log_mel" float32 (batch, n_mels, n_frames), raw dB; output logits (batch, n_tags).

    seed : of its dropouts
    """
    settings = model.settings
    seeds = iter(generator(seed, "weights").integers(2**31, size=len(settings.widths) + 1).tolist())
    inputs = keras.Input(
        (model.n_mels, model.n_frames if settings.fixed_length else None), name="log_mel"
    )
    x = layers.Rescaling(
        1 / model.deviation, -model.mean / model.deviation, name="standardise"
    )(inputs)  # fmt: skip
    x = ops.expand_dims(x, -1)  # (batch, mels, frames, 1)
    # (batch, mels, frames + 2 pad, 1)
    x = layers.ZeroPadding2D((0, settings.pad), name="pad", **_LAST_IN_MEMORY)(x)
    if settings.input_norm != "none":
        x = _norm(settings, "input_norm", axis=2 if settings.input_norm == "frame" else 3)(x)
    for number, (width, pool) in enumerate(zip(settings.widths, settings.pools, strict=True), 1):
        x = layers.Conv2D(
            width, settings.kernel, padding="same", use_bias=False, name=f"conv{number}",
            **_LAST_IN_MEMORY,
        )(x)  # fmt: skip
        x = _norm(settings, f"norm{number}", axis=3)(x)
        x = layers.MaxPooling2D(pool, name=f"pool{number}", **_LAST_IN_MEMORY)(x)
        x = layers.ELU(name=f"elu{number}")(x)
        x = layers.Dropout(settings.block_dropout, seed=next(seeds), name=f"dropout{number}")(x)
    x = (_summary if settings.recurrent == "none" else _recurrent)(settings, x)
    x = layers.Dropout(settings.dropout, seed=next(seeds), name="dropout")(x)
    outputs = layers.Dense(model.output.out_features, name="output")(x)
    network = keras.Model(inputs, outputs, name="crnn")
    state = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    give_weights(network, settings, state)
    return network


def copy_back(network: keras.Model, model: CRNN) -> None:
    """Give a torch network the weights of its twin."""
    load_weights(model, take_weights(network, model.settings))


def predict(network: keras.Model, clips: Float32Array) -> Float32Array:
    """Logits (batch, n_tags) of clips (batch, n_mels, n_frames) in dB."""
    return np.array(network.predict_on_batch(clips))


def save(network: keras.Model, path: Path) -> None:
    """Write a .keras file atomically."""
    with TemporaryDirectory() as folder, disk_errors(path.parent):
        file = Path(folder) / "network.keras"  # Keras chooses the format by the ending
        network.save(file)
        write_bytes(path, file.read_bytes())


@keras.saving.register_keras_serializable(package="earmark")  # type: ignore[untyped-decorator]
def hard_sigmoid(x: Any) -> Any:
    """The hard sigmoid of Theano and Keras 1 and 2; that of Keras 3 has a slope of 1 / 6."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _norm(settings: CrnnSettings, name: str, *, axis: int) -> keras.Layer:
    # torch's momentum of 0.1 is the share of the new mean; Keras's, that of the old one
    return layers.BatchNormalization(axis, momentum=0.9, epsilon=settings.epsilon, name=name)


def _recurrent(settings: CrnnSettings, x: Any) -> Any:
    _, n_mels, _, width = x.shape
    x = layers.Permute((2, 3, 1), name="steps")(x)  # (batch, frames left, width, mels left)
    x = layers.Reshape((-1, width * n_mels), name="step")(x)
    classic = settings.recurrent == "classic-gru"
    state = x
    for number in range(1, settings.layers + 1):
        state = layers.GRU(
            settings.units,
            recurrent_activation=hard_sigmoid if classic else "sigmoid",
            reset_after=not classic,
            return_sequences=number < settings.layers,
            name=f"gru{number}",
        )(state)
    if settings.beside == "none":
        return state
    over_time = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}
    beside = over_time[settings.beside](name="over_time", **_LAST_IN_MEMORY)(x)
    return layers.Concatenate(name="state_and_time")([state, beside])


def _summary(settings: CrnnSettings, x: Any) -> Any:
    if settings.summary == "flatten":
        x = layers.Permute((3, 1, 2), name="as_torch")(x)
        return layers.Flatten(name="flat", **_LAST_IN_MEMORY)(x)
    pool = {"mean": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
    return pool[settings.summary](name=settings.summary, **_LAST_IN_MEMORY)(x)
