"""The weights of EfficientAT's mn04: what their state dict holds, and how to read it.

F. Schmid, K. Koutini, G. Widmer: Efficient large-scale audio tagging via Transformer-to-CNN
knowledge distillation, ICASSP 2023. A MobileNetV3-large of width 0.4, trained on AudioSet.

A state dict holds neither strides nor activations: they are those of MobileNetV3's table 1 (Howard
et al., ICCV 2019), as is which blocks weigh their channels by squeeze-and-excitation.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from earmark.features import PRESETS
from earmark.graph import Conv, ConvBlock, Dense, InvertedResidual, Network, Norm, Pieces
from earmark.published.layout import Shapes, WeightArrays, check_shapes

EPSILON = 1e-3  # of its batch norms
PIECE_FRAMES = 1000  # 10 s, as it was trained on
N_TAGS, N_HIDDEN = 527, 512
NORM_PARTS = ("running_mean", "running_var", "weight", "bias")
_WIDTH = 0.4


class MobileBlock(NamedTuple):
    """An inverted residual: its kernel's side, its channels as they are here, what it does."""

    kernel: int
    n_mid: int
    n_out: int
    squeezes: bool
    activation: Literal["relu", "hardswish"]
    stride: int


def _rounded(channels: float) -> int:
    """To a multiple of 8, and by a tenth less at most."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _block(
    kernel: int, n_mid: int, n_out: int, squeezes: bool, letters: str, stride: int
) -> MobileBlock:
    """A row of the table, whose channels are those of width 1."""
    activation: Literal["relu", "hardswish"] = "relu" if letters == "RE" else "hardswish"
    n_mid, n_out = _rounded(_WIDTH * n_mid), _rounded(_WIDTH * n_out)
    return MobileBlock(kernel, n_mid, n_out, squeezes, activation, stride)


N_FIRST = _rounded(_WIDTH * 16)
BLOCKS = (
    _block(3, 16, 16, False, "RE", 1),
    _block(3, 64, 24, False, "RE", 2),
    _block(3, 72, 24, False, "RE", 1),
    _block(5, 72, 40, True, "RE", 2),
    _block(5, 120, 40, True, "RE", 1),
    _block(5, 120, 40, True, "RE", 1),
    _block(3, 240, 80, False, "HS", 2),
    _block(3, 200, 80, False, "HS", 1),
    _block(3, 184, 80, False, "HS", 1),
    _block(3, 184, 80, False, "HS", 1),
    _block(3, 480, 112, True, "HS", 1),
    _block(3, 672, 112, True, "HS", 1),
    _block(5, 672, 160, True, "HS", 2),
    _block(5, 960, 160, True, "HS", 1),
    _block(5, 960, 160, True, "HS", 1),
)
N_LAST = 6 * BLOCKS[-1].n_out
FIRST, LAST = "features.0", f"features.{1 + len(BLOCKS)}"  # convolution 0 and norm 1 of each


class Layers(NamedTuple):
    """What the layers of a block are called; None for those that it has not."""

    expand: str | None
    depthwise: str
    squeeze: str | None
    project: str


def layers(number: int) -> Layers:
    """The names in block `number`, from 0 on: of a convolution .0.weight, of its norm .1."""
    block = BLOCKS[number]
    n_in = BLOCKS[number - 1].n_out if number else N_FIRST
    places = iter(f"features.{number + 1}.block.{place}" for place in range(4))
    return Layers(
        expand=next(places) if block.n_mid != n_in else None,
        depthwise=next(places),
        squeeze=f"{next(places)}.conc_se_layers.0" if block.squeezes else None,
        project=next(places),
    )


def fits(tensors: WeightArrays) -> bool:
    """Whether a state dict is a MobileNet of theirs, going by its first block and its head."""
    return "features.1.block.0.0.weight" in tensors and "classifier.5.weight" in tensors


def check(tensors: WeightArrays) -> None:
    """Raise BadValue, with the first few differences, for other names or shapes."""
    # counters of training steps say nothing about the network
    kept = {name: array for name, array in tensors.items() if not name.endswith("_tracked")}
    check_shapes(kept, _shapes(), what="EfficientAT's mn04")


def _shapes() -> Shapes:
    shapes = _conv_shapes(FIRST, (N_FIRST, 1, 3, 3))
    n_in = N_FIRST
    for number, block in enumerate(BLOCKS):
        names, n_mid = layers(number), block.n_mid
        if names.expand is not None:
            shapes |= _conv_shapes(names.expand, (n_mid, n_in, 1, 1))
        shapes |= _conv_shapes(names.depthwise, (n_mid, 1, block.kernel, block.kernel))
        if names.squeeze is not None:
            n_squeezed = _rounded(n_mid // 4)
            shapes |= _dense_shapes(f"{names.squeeze}.fc1", n_mid, n_squeezed)
            shapes |= _dense_shapes(f"{names.squeeze}.fc2", n_squeezed, n_mid)
        shapes |= _conv_shapes(names.project, (block.n_out, n_mid, 1, 1))
        n_in = block.n_out
    shapes |= _conv_shapes(LAST, (N_LAST, n_in, 1, 1))
    shapes |= _dense_shapes("classifier.2", N_LAST, N_HIDDEN)
    return shapes | _dense_shapes("classifier.5", N_HIDDEN, N_TAGS)


def _conv_shapes(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.0.weight": shape} | {f"{name}.1.{part}": shape[:1] for part in NORM_PARTS}


def _dense_shapes(name: str, n_in: int, n_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


FEATURES = PRESETS["efficientat"]


def network(tensors: WeightArrays) -> Network:
    """The network in a state dict, on clips of three pieces. Raises BadValue for other shapes.

    The embedding is the 384 numbers before its head.
    """
    check(tensors)
    return Network(
        n_mels=FEATURES.n_mels,
        n_frames=FEATURES.n_frames,
        front=[],
        blocks=trunk(tensors),
        summary="mean",
        hidden=(_dense(tensors, "classifier.2"), "hardswish"),
        output=_dense(tensors, "classifier.5"),
        pieces=Pieces(PIECE_FRAMES, pool="logits"),
    )


def trunk(tensors: WeightArrays) -> list[ConvBlock | InvertedResidual]:
    """Its convolutions: (1, mels, frames) to (384, mels / 32, frames / 32)."""
    first, last = _conv(tensors, FIRST), _conv(tensors, LAST)
    return [
        ConvBlock(first.weight, first.bias, (1, 1), "hardswish", stride=(2, 2)),
        *(_residual(tensors, number) for number in range(len(BLOCKS))),
        ConvBlock(last.weight, last.bias, (1, 1), "hardswish"),
    ]


def _residual(tensors: WeightArrays, number: int) -> InvertedResidual:
    block, names = BLOCKS[number], layers(number)
    return InvertedResidual(
        expand=None if names.expand is None else _conv(tensors, names.expand),
        depthwise=_conv(tensors, names.depthwise),
        squeeze=None
        if names.squeeze is None
        else (_dense(tensors, f"{names.squeeze}.fc1"), _dense(tensors, f"{names.squeeze}.fc2")),
        project=_conv(tensors, names.project),
        activation=block.activation,
        stride=block.stride,
    )


def _conv(tensors: WeightArrays, name: str) -> Conv:
    weight = tensors[f"{name}.0.weight"]
    mean, variance, gamma, beta = (tensors[f"{name}.1.{part}"] for part in NORM_PARTS)
    norm = Norm(mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=EPSILON)
    return Conv(*norm.fold(weight, np.zeros(len(weight), dtype=np.float32)))


def _dense(tensors: WeightArrays, name: str) -> Dense:
    return Dense(tensors[f"{name}.weight"].T, tensors[f"{name}.bias"])
