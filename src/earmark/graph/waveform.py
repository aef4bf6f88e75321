"""The log-mel inside the graph: samples in, scores out, for other languages and the browser.

Only operators that every runtime has: the Fourier transform is a convolution with windowed cosines
and sines, the filter bank a matrix product.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from earmark import loudness
from earmark.errors import BadValue
from earmark.features import LogMel, hann, mel_filters
from earmark.files import write_bytes
from earmark.graph.nodes import Nodes
from earmark.model_file import EMBEDDING, INPUT, LOGITS, Card, card_in, read_bytes
from earmark.onnx_file import load_onnx

if TYPE_CHECKING:
    import onnx

SAMPLES, SCORES = "samples", "scores"
_END = np.iinfo(np.int64).max  # to a Slice: up to the end
CARD_KEY = "earmark_waveform"  # another one than a model file's: `earmark tag` hears log-mel only


def waveform_model(graph: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """A model file's graph with its front end before it and its scores behind.

    Input "samples" float32 (batch, window_samples), mono at the features' rate, in [-1, 1]; outputs
    "scores" float32 (batch, n_tags), calibrated, in [0, 1], and "embedding". The card is in the
    metadata under "earmark_waveform".
    """
    onnx = load_onnx()
    from onnx import compose, helper

    front = front_end(card.features)
    merged = compose.merge_models(front, graph, io_map=[(INPUT, INPUT)])
    whole = compose.merge_models(
        merged, _scores(card), io_map=[(LOGITS, LOGITS)], outputs=[SCORES, EMBEDDING]
    )
    whole.producer_name = graph.producer_name
    helper.set_model_props(whole, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(whole)
    return whole


def write_waveform(model: str | Path, output: str | Path) -> Card:
    """Write a model file as a graph that takes samples; returns its card.

    model : a model file; output : a name that ends in .onnx

    Raises BadValue for another name, ModelNotFound, and BadModel for what is no model file.
    """
    check_name(output)
    data = read_bytes(model)
    card = card_in(model, data)
    graph = waveform_model(load_onnx().load_model_from_string(data), card)
    write_bytes(output, graph.SerializeToString(deterministic=True))
    return card


def check_name(output: str | Path) -> None:
    """Raise BadValue for a name that does not end in .onnx."""
    if Path(output).suffix.lower() != ".onnx":
        raise BadValue(
            f"{output} does not end in .onnx, the only format that a graph which takes samples is "
            "written in. Choose another name"
        )


def front_end(features: LogMel) -> onnx.ModelProto:
    """earmark.features.log_mel as a graph: "samples" (batch, window_samples) to "log_mel"."""
    graph = Nodes()
    x = SAMPLES if features.level is None else _levelled(graph, SAMPLES, features)
    x = graph.add("Unsqueeze", [x, graph.integers("front.channel", [1])], "front.signal")
    if features.pre_emphasis:
        taps = graph.floats("front.taps", [[[-features.pre_emphasis, 1.0]]])
        x = graph.add("Conv", [x, taps], "front.emphasis")
    half = features.n_fft // 2
    pads = graph.integers("front.half_a_frame", [0, 0, half, 0, 0, half])
    x = graph.add("Pad", [x, pads], "front.padded", attributes={"mode": features.padding})
    filters = mel_filters(features)
    used = filters.any(axis=0)  # bins below f_min and above f_max are not computed
    x = _spectrum(graph, x, _waves(features)[:, used], hop=features.hop)
    x = graph.add("Mul", [x, x], "front.squares")
    bank = graph.floats("front.filters", np.tile(filters[:, used], 2))
    x = graph.add("MatMul", [bank, x], "front.mel")  # (batch, n_mels, frames)
    floored = "Add" if features.floor == "add" else "Max"
    x = graph.add(floored, [x, graph.floats("front.amin", features.amin)], "front.audible")
    x = graph.add("Log", [x], "front.log")
    factor = graph.floats("front.factor", features.decibels / np.log(10))
    x = graph.add("Mul", [x, factor], "front.decibels")
    offset = graph.floats("front.offset", features.offset)
    if features.top_db is None:
        graph.add("Add", [x, offset], "front.moved", output=INPUT)
    else:
        x = graph.add("Add", [x, offset], "front.moved")
        axes = graph.integers("front.axes", [1, 2])
        top = graph.add("ReduceMax", [x, axes], "front.top")
        floor = graph.add("Sub", [top, graph.floats("front.range", features.top_db)], "front.floor")
        graph.add("Max", [x, floor], "front.floored", output=INPUT)
    return graph.model(
        {SAMPLES: [features.window_samples]}, {INPUT: [features.n_mels, features.n_frames]}
    )


def _levelled(graph: Nodes, samples: str, features: LogMel) -> str:
    """earmark.loudness.at_level of (batch, window_samples)."""
    n = features.window_samples
    block = round(loudness.BLOCK_SECONDS * features.rate)
    n_blocks = -(-n // block)
    rest = n_blocks * block - n
    lengths = graph.floats("level.lengths", [block] * (n_blocks - 1) + [block - rest])
    ones = graph.integers("level.axis", [1])
    twos = graph.integers("level.within", [2])
    tiny = graph.floats("level.tiny", np.finfo(np.float32).tiny)  # so that nothing is 0 / 0

    mean = graph.add("ReduceMean", [samples, ones], "level.mean")
    centred = graph.add("Sub", [samples, mean], "level.centred")
    x = graph.add("Pad", [centred, graph.integers("level.rest", [0, 0, 0, rest])], "level.padded")
    x = graph.add("Mul", [x, x], "level.squares")
    blocks = graph.integers("level.shape", [0, n_blocks, block])
    x = graph.add("Reshape", [x, blocks], "level.blocks")  # (batch, blocks, samples)
    energies = graph.add("ReduceSum", [x, twos], "level.energies", attributes={"keepdims": 0})
    x = graph.add("ReduceSum", [energies, ones], "level.energy")
    x = graph.add("Mul", [x, graph.floats("level.share", loudness.GATE / n)], "level.gate")
    gate = graph.add("Max", [x, tiny], "level.gated")
    x = graph.add("Div", [energies, lengths], "level.powers")
    x = graph.add("Div", [x, gate], "level.ratios")
    x = graph.add("Sub", [x, graph.floats("level.half", 0.5)], "level.above")
    bounds = [graph.floats("level.none", 0.0), graph.floats("level.all", 1.0)]
    weights = graph.add("Clip", [x, *bounds], "level.weights")
    above, below = (
        graph.add("ReduceSum", [graph.add("Mul", [weights, y], f"{y}+"), ones], f"{y}++")
        for y in (energies, lengths)
    )
    power = graph.add(
        "Div", [above, graph.add("Max", [below, tiny], "level.length")], "level.power"
    )
    floor = graph.floats("level.silence", 10 ** (loudness.SILENCE / 10))
    sounds = graph.add("Greater", [power, floor], "level.sounds")
    root = graph.add("Sqrt", [graph.add("Max", [power, floor], "level.safe")], "level.root")
    gain = graph.floats("level.target", 10 ** (cast(float, features.level) / 20))
    x = graph.add("Mul", [centred, graph.add("Div", [gain, root], "level.gain")], "level.set")
    return graph.add("Where", [sounds, x, samples], "level.samples")


def _spectrum(graph: Nodes, x: str, waves: Any, *, hop: int) -> str:
    """(batch, 1, samples) to (batch, 2 * bins, frames): cosine parts, then sine parts.

    In eighths of a frame: one float32 sum of 512 products is off by 0.002 dB where a clip is
    quietest, the sum of eight short ones by a third of that.
    """
    n_fft = waves.shape[-1]
    n_parts = 8 if n_fft % 8 == 0 else 1
    length = n_fft // n_parts
    sums = []
    for number, wave in enumerate(np.split(waves.reshape(-1, 1, n_fft), n_parts, axis=-1), 1):
        first, behind = (number - 1) * length, n_fft - number * length
        limits = [
            graph.integers(f"front.{word}{number}", [value])
            for word, value in (("first", first), ("last", -behind or _END), ("axis", 2))
        ]
        part = graph.add("Slice", [x, *limits], f"front.slice{number}")
        weight = graph.floats(f"front.waves{number}", wave)
        attributes = {"kernel_shape": [length], "strides": [hop]}
        sums.append(graph.add("Conv", [part, weight], f"front.part{number}", attributes=attributes))
    while len(sums) > 1:
        sums = [
            graph.add("Add", [a, b], f"{a}+") for a, b in zip(sums[::2], sums[1::2], strict=True)
        ]
    return sums[0]


def _waves(features: LogMel) -> Any:
    """float64 (2, bins, n_fft): cosines and sines under the window of features.log_mel."""
    n_fft = features.n_fft
    times = np.arange(n_fft)
    phases = 2 * np.pi * (np.arange(n_fft // 2 + 1)[:, None] * times % n_fft) / n_fft
    return np.stack([np.cos(phases) * hann(features), np.sin(phases) * hann(features)])


def _scores(card: Card) -> onnx.ModelProto:
    """The card's own way from logits to scores."""
    graph = Nodes()
    x = LOGITS
    if card.calibration is not None:
        x = graph.add(
            "Mul", [x, graph.floats("scores.scale", card.calibration.scale)], "scores.scaled"
        )
        x = graph.add(
            "Add", [x, graph.floats("scores.offset", card.calibration.offset)], "scores.moved"
        )
    graph.add("Sigmoid", [x], "scores.sigmoid", output=SCORES)
    n_tags = len(card.tags)
    return graph.model({LOGITS: [n_tags]}, {SCORES: [n_tags]})
