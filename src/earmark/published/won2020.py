"""The CRNN, the FCN and the musicnn of Won et al., from the state dicts that PyTorch wrote.

M. Won, A. Ferraro, D. Bogdanov, X. Serra: Evaluation of CNN-based automatic music tagging models,
SMC 2020. The file holds the front end too (torchaudio's window and filter bank); it must be ours.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from earmark.errors import BadValue
from earmark.features import PRESETS, mel_filters
from earmark.graph import (
    ConvBlock,
    Dense,
    Musicnn,
    Network,
    Norm,
    Pieces,
    Rectified,
    torch_gru,
)
from earmark.published.layout import Shapes, WeightArrays, check_shapes

NetworkKind = Literal["CRNN", "FCN", "musicnn"]
FEATURES = PRESETS["won2020"]
N_TAGS = 50
_EPSILON = 1e-5  # of torch's batch norm
_CRNN_WIDTHS, _CRNN_POOLS = (64, 128, 128, 128), ((2, 2), (3, 3), (4, 4), (4, 4))
_FCN_WIDTHS, _FCN_POOLS = (64, 128, 128, 128, 64), ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
_N_UNITS = 32
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
_GRU_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_MUSICNN_FRAMES = 188  # of a piece, 3 s
_MUSICNN_VERTICAL, _MUSICNN_HORIZONTAL = (67, 38), (129, 65, 33)  # mels high; frames long
_MUSICNN_WIDTHS = (204, 51, 64)  # of vertical and of horizontal layers, and of those behind
_MUSICNN_HIDDEN = 200
_FILTERS = "spec.mel_scale.fb"
# float32 rounding of torchaudio's filter bank; a filter bank of another rate or scale is .1 away
_FILTERS_TOLERANCE = 1e-3


def fits(tensors: WeightArrays) -> bool:
    """Whether a state dict is one of theirs, going by its filter bank and first layer."""
    return {_FILTERS, "layer1.conv.weight"} <= tensors.keys()


def kind(tensors: WeightArrays) -> NetworkKind:
    """Which of them it is, going by the layers that the others have not."""
    if "layer5.weight_ih_l0" in tensors:
        return "CRNN"
    return "musicnn" if "layers.0.conv.weight" in tensors else "FCN"


def network(tensors: WeightArrays) -> Network:
    """The network in a state dict. Raises BadValue for other names, shapes or features."""
    # the first norm was a part of the front end in some versions of their code
    tensors = {name.replace("spec.bn.", "spec_bn."): array for name, array in tensors.items()}
    of = kind(tensors)
    check_shapes(
        # counters of training steps say nothing about the network
        {name: array for name, array in tensors.items() if not name.endswith("_tracked")},
        {"CRNN": _crnn_shapes, "FCN": _fcn_shapes, "musicnn": _musicnn_shapes}[of](),
        what=f"the {of} of Won et al.",
    )
    if np.abs(tensors[_FILTERS].T - mel_filters(FEATURES)).max() > _FILTERS_TOLERANCE:
        raise BadValue(f"their filter bank is not that of the features {FEATURES.name}")
    if of == "musicnn":
        return _musicnn(tensors)
    crnn = of == "CRNN"
    pools = _CRNN_POOLS if crnn else _FCN_POOLS
    return Network(
        n_mels=FEATURES.n_mels,
        n_frames=FEATURES.n_frames,
        front=[_norm(tensors, "spec_bn").affine()],
        blocks=[_block(tensors, number, pool) for number, pool in enumerate(pools, 1)],
        grus=[
            torch_gru(*(tensors[f"layer5.{part}_l{layer}"] for part in _GRU_PARTS))
            for layer in range(2)
        ]
        if crnn
        else [],
        output=Dense(tensors["dense.weight"].T, tensors["dense.bias"]),
    )


def _musicnn(tensors: WeightArrays) -> Network:
    n_vertical = len(_MUSICNN_VERTICAL)
    front = [_rectified(tensors, f"layers.{number}") for number in range(5)]
    hidden = _norm(tensors, "bn").fold(tensors["dense1.weight"], tensors["dense1.bias"])
    return Network(
        n_mels=FEATURES.n_mels,
        n_frames=FEATURES.n_frames,
        front=[_norm(tensors, "spec_bn").affine()],
        blocks=[
            Musicnn(
                timbral=front[:n_vertical],
                temporal=front[n_vertical:],
                over_mels="mean",
                middle=[_rectified(tensors, f"layer{number}") for number in (1, 2, 3)],
            )
        ],
        summary="max-mean",
        hidden=(Dense(hidden[0].T, hidden[1]), "relu"),
        embedding="hidden",
        output=Dense(tensors["dense2.weight"].T, tensors["dense2.bias"]),
        pieces=Pieces(_MUSICNN_FRAMES, pool="scores"),
    )


def _rectified(tensors: WeightArrays, name: str) -> Rectified:
    """A layer of musicnn, its norm folded; kernels over time alone are one mel high."""
    weight, bias = tensors[f"{name}.conv.weight"], tensors[f"{name}.conv.bias"]
    if weight.ndim == 3:
        weight = weight[:, :, None]
    return Rectified(*_norm(tensors, f"{name}.bn").fold(weight, bias))


def _norm(tensors: WeightArrays, name: str) -> Norm:
    gamma, beta, mean, variance = (tensors[f"{name}.{part}"] for part in _NORM_PARTS)
    return Norm(mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=_EPSILON)


def _block(tensors: WeightArrays, number: int, pool: tuple[int, int]) -> ConvBlock:
    layer = f"layer{number}"
    weight, bias = tensors[f"{layer}.conv.weight"], tensors[f"{layer}.conv.bias"]
    return ConvBlock(*_norm(tensors, f"{layer}.bn").fold(weight, bias), pool, activation="relu")


def _crnn_shapes() -> Shapes:
    shapes = _block_shapes(_CRNN_WIDTHS)
    for layer, n_in in enumerate((_CRNN_WIDTHS[-1], _N_UNITS)):
        shapes[f"layer5.weight_ih_l{layer}"] = (3 * _N_UNITS, n_in)
        shapes[f"layer5.weight_hh_l{layer}"] = (3 * _N_UNITS, _N_UNITS)
        shapes[f"layer5.bias_ih_l{layer}"] = (3 * _N_UNITS,)
        shapes[f"layer5.bias_hh_l{layer}"] = (3 * _N_UNITS,)
    return shapes | {"dense.weight": (N_TAGS, _N_UNITS), "dense.bias": (N_TAGS,)}


def _fcn_shapes() -> Shapes:
    shapes = _block_shapes(_FCN_WIDTHS)
    return shapes | {"dense.weight": (N_TAGS, _FCN_WIDTHS[-1]), "dense.bias": (N_TAGS,)}


def _musicnn_shapes() -> Shapes:
    n_vertical, n_horizontal, n_behind = _MUSICNN_WIDTHS
    layers: list[tuple[str, tuple[int, ...]]] = []
    for height in _MUSICNN_VERTICAL:
        layers.append((f"layers.{len(layers)}", (n_vertical, 1, height, 7)))
    for length in _MUSICNN_HORIZONTAL:
        layers.append((f"layers.{len(layers)}", (n_horizontal, 1, length)))
    n_front = sum(weight[0] for _, weight in layers)
    for number, n_in in enumerate((n_front, n_behind, n_behind), start=1):
        layers.append((f"layer{number}", (n_behind, n_in, 7)))
    shapes = _front_shapes()
    for name, weight in layers:
        shapes |= _layer_shapes(name, weight)
    n_pooled = 2 * (n_front + 3 * n_behind)
    shapes |= {"dense1.weight": (_MUSICNN_HIDDEN, n_pooled), "dense1.bias": (_MUSICNN_HIDDEN,)}
    shapes |= {f"bn.{part}": (_MUSICNN_HIDDEN,) for part in _NORM_PARTS}
    return shapes | {"dense2.weight": (N_TAGS, _MUSICNN_HIDDEN), "dense2.bias": (N_TAGS,)}


def _block_shapes(widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes = _front_shapes()
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        shapes |= _layer_shapes(f"layer{number}", (n_out, n_in, 3, 3))
    return shapes


def _front_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "spec.spectrogram.window": (FEATURES.n_fft,),
        _FILTERS: (1 + FEATURES.n_fft // 2, FEATURES.n_mels),
    }
    return shapes | {f"spec_bn.{part}": (1,) for part in _NORM_PARTS}


def _layer_shapes(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes = {f"{name}.conv.weight": weight, f"{name}.conv.bias": weight[:1]}
    return shapes | {f"{name}.bn.{part}": weight[:1] for part in _NORM_PARTS}
