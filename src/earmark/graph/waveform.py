"""The log-mel inside the graph: samples in, scores out, for other languages and the browser.

Only operators that every runtime has: the Fourier transform and the filter bank are products of
matrices.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

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
CARD_KEY = "earmark_waveform"  # another one than a model file's: `earmark tag` hears log-mel only


def waveform_model(graph: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """A model file's graph with its front end before it and its scores behind.

    Input "samples" float32 (batch, window_samples), mono at the features' rate, in [-1, 1]; outputs
    "scores" float32 (batch, n_tags), calibrated, in [0, 1], the "logits" before them, which the
    windows of a long track are pooled by, and "embedding". The card is in the metadata under
    "earmark_waveform".
    """
    onnx = load_onnx()
    from onnx import compose, helper

    front = front_end(card.features)
    merged = compose.merge_models(front, graph, io_map=[(INPUT, INPUT)])
    whole = compose.merge_models(
        merged, _scores(card), io_map=[(LOGITS, LOGITS)], outputs=[SCORES, LOGITS, EMBEDDING]
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
    x = _mel_power(graph, x, features)
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


def _mel_power(graph: Nodes, x: str, features: LogMel) -> str:
    """(batch, 1, samples), padded, to (batch, n_mels, frames): frames, spectra, mel power.

    The Fourier transform in two steps of matrix products (Cooley and Tukey 1965): with n = a * b
    points, sample b * i + j and bin k + a * l, it is first summed over i, then over j. That takes a
    seventh of the products of one step, and sums of few terms, which round less.
    """
    n, hop, n_frames = features.n_fft, features.hop, features.n_frames
    a = max(size for size in range(1, int(n**0.5) + 1) if n % size == 0)
    b = n // a
    n_first = a // 2 + 1  # the other bins mirror these
    x = _framed(graph, x, n=n, hop=hop, n_frames=n_frames)
    x = graph.add("Mul", [x, graph.floats("front.hann", hann(features))], "front.windowed")
    shape = graph.integers("front.grid", [-1, a, b])
    x = graph.add("Reshape", [x, shape], "front.points")  # (batch * frames, a, b)
    k, i = np.arange(n_first)[:, None], np.arange(a)
    turns = 2 * np.pi * (k * i % a) / a
    first = graph.floats("front.first", np.concatenate([np.cos(turns), -np.sin(turns)]))
    x = graph.add("MatMul", [first, x], "front.firsts")  # (batch * frames, 2 * n_first, b)
    parts = graph.integers("front.parts", [-1, 2, n_first, b])
    x = graph.add("Reshape", [x, parts], "front.complex")
    turned = {"perm": [2, 0, 1, 3]}
    x = graph.add("Transpose", [x], "front.by_bin", attributes=turned)
    rows = graph.integers("front.rows", [n_first, -1, 2 * b])
    x = graph.add("Reshape", [x, rows], "front.seconds")  # (n_first, batch * frames, 2 * b)
    bins = np.arange(n_first)[:, None, None] + a * np.arange(b)  # (n_first, 1, b)
    turns = 2 * np.pi * (np.arange(b)[:, None] * bins % n) / n  # (n_first, b, b)
    cos, sin = np.cos(turns), np.sin(turns)
    second = np.concatenate(
        [np.concatenate([cos, sin], axis=1), np.concatenate([-sin, cos], axis=1)], axis=2
    )  # (n_first, 2 * b, 2 * b): real parts, then imaginary ones
    x = graph.add("MatMul", [x, graph.floats("front.second", second)], "front.spectra")
    x = graph.add("Mul", [x, x], "front.squares")
    # each bin once, where it is no mirror image, and both of its squares
    filters, bank = mel_filters(features), np.zeros((n_first, 2 * b, features.n_mels))
    taken = np.zeros(n, dtype=bool)
    for row, column in np.ndindex(n_first, b):
        place = int(bins[row, 0, column])
        place = min(place, n - place)
        if not taken[place]:
            taken[place] = True
            bank[row, [column, b + column]] = filters[:, place]
    x = graph.add("MatMul", [x, graph.floats("front.filters", bank)], "front.mels")
    x = graph.add("ReduceSum", [x, graph.integers("front.bins", [0])], "front.summed",
                  attributes={"keepdims": 0})  # fmt: skip
    frames = graph.integers("front.by_frame", [-1, n_frames, features.n_mels])
    x = graph.add("Reshape", [x, frames], "front.power")
    return graph.add("Transpose", [x], "front.mel", attributes={"perm": [0, 2, 1]})


def _framed(graph: Nodes, x: str, *, n: int, hop: int, n_frames: int) -> str:
    """(batch, 1, samples) to (batch, n_frames, n), frame i from sample i * hop on.

    A frame is put together of pieces of one hop: they are the samples in rows, from another start.
    """
    rest = graph.integers("front.behind", [0, 0, 0, 0, 0, hop + n])
    x = graph.add("Pad", [x, rest], "front.longer")
    rows = graph.integers("front.hops", [0, n_frames, hop])
    axis = graph.integers("front.axis", [2])
    pieces = []
    for number, start in enumerate(range(0, n, hop), 1):
        limits = [
            graph.integers(f"front.{word}{number}", [value])
            for word, value in (("first", start), ("last", start + n_frames * hop))
        ]
        piece = graph.add("Slice", [x, *limits, axis], f"front.slice{number}")
        piece = graph.add("Reshape", [piece, rows], f"front.piece{number}")
        if start + hop > n:
            ends = [graph.integers("front.from", [0]), graph.integers("front.to", [n - start])]
            piece = graph.add("Slice", [piece, *ends, axis], "front.last_piece")
        pieces.append(piece)
    return graph.add("Concat", pieces, "front.frames", attributes={"axis": 2})


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
