"""The CRNN and the FCN of Won et al., from the state dicts that PyTorch wrote.

M. Won, A. Ferraro, D. Bogdanov, X. Serra: Evaluation of CNN-based automatic music tagging models,
SMC 2020. The file holds the front end too (torchaudio's window and filter bank); it must be ours.
"""

from __future__ import annotations

import numpy as np

from earmark.errors import BadValue
from earmark.features import PRESETS, mel_filters
from earmark.graph import ConvBlock, Dense, Network, Norm, torch_gru
from earmark.published.layout import Shapes, WeightArrays, check_shapes

FEATURES = PRESETS["won2020"]
N_TAGS = 50
_EPSILON = 1e-5  # of torch's batch norm
_CRNN_WIDTHS, _CRNN_POOLS = (64, 128, 128, 128), ((2, 2), (3, 3), (4, 4), (4, 4))
_FCN_WIDTHS, _FCN_POOLS = (64, 128, 128, 128, 64), ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
_N_UNITS = 32
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
_GRU_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_FILTERS = "spec.mel_scale.fb"
# float32 rounding of torchaudio's filter bank; a filter bank of another rate or scale is .1 away
_FILTERS_TOLERANCE = 1e-3


def fits(tensors: WeightArrays) -> bool:
    """Whether a state dict is one of theirs, going by its filter bank and first layer."""
    return {_FILTERS, "layer1.conv.weight"} <= tensors.keys()


def is_crnn(tensors: WeightArrays) -> bool:
    """Whether it is the CRNN, going by its recurrent layer; else it is the FCN."""
    return "layer5.weight_ih_l0" in tensors


def network(tensors: WeightArrays) -> Network:
    """The network in a state dict. Raises BadValue for other names, shapes or features."""
    # the first norm was a part of the front end in some versions of their code
    tensors = {name.replace("spec.bn.", "spec_bn."): array for name, array in tensors.items()}
    crnn = is_crnn(tensors)
    pools = _CRNN_POOLS if crnn else _FCN_POOLS
    check_shapes(
        # counters of training steps say nothing about the network
        {name: array for name, array in tensors.items() if not name.endswith("_tracked")},
        _crnn_shapes() if crnn else _fcn_shapes(),
        what=f"the {'CRNN' if crnn else 'FCN'} of Won et al.",
    )
    if np.abs(tensors[_FILTERS].T - mel_filters(FEATURES)).max() > _FILTERS_TOLERANCE:
        raise BadValue(f"their filter bank is not that of the features {FEATURES.name}")
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


def _block_shapes(widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "spec.spectrogram.window": (FEATURES.n_fft,),
        _FILTERS: (1 + FEATURES.n_fft // 2, FEATURES.n_mels),
    }
    shapes |= {f"spec_bn.{part}": (1,) for part in _NORM_PARTS}
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        shapes[f"layer{number}.conv.weight"] = (n_out, n_in, 3, 3)
        shapes[f"layer{number}.conv.bias"] = (n_out,)
        shapes |= {f"layer{number}.bn.{part}": (n_out,) for part in _NORM_PARTS}
    return shapes
