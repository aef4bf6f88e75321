"""The CRNN and the CNN of Choi et al., from the HDF5 files that Keras 1 wrote.

K. Choi, G. Fazekas, M. Sandler, K. Cho: Convolutional recurrent neural networks for music
classification, ICASSP 2017; K. Choi, G. Fazekas, M. Sandler: Automatic tagging using deep
convolutional neural networks, ISMIR 2016.

The first norm runs over the frames (its published name says frequency). Its stored `running_std`
is exactly 0.001 at the padded frames, that is sqrt(0 + 1e-6): a standard deviation. Its stored
mean is about 0 and its deviation about 1 elsewhere: the networks were trained on standardised
spectrograms. The published scripts take `running_std` for a variance and feed raw decibels. The
restored reading squares it and standardises first; on 900 labelled clips this takes the CRNN's
macro ROC-AUC from .62 to .78 (benchmarks/published_table.py).
"""

from __future__ import annotations

import numpy as np

from earmark.graph import Affine, ConvBlock, Dense, Gru, Network, Norm, Pad
from earmark.published.keras_file import KerasWeights
from earmark.published.layout import Shapes, check_shapes

N_MELS, N_FRAMES, N_TAGS = 96, 1366, 50
MEAN_DB, DEVIATION_DB = -31.0, 14.6  # of the front end's values over real music
_EPSILON = 1e-6  # of Keras 1's batch norm
_PAD = 37  # frames on each side, to 1440 = 15 * 96

_CRNN_WIDTHS, _CRNN_POOLS = (64, 128, 128, 128), ((2, 2), (3, 3), (4, 4), (4, 4))
_CNN_WIDTHS, _CNN_POOLS = (32, 128, 128, 192, 256), ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
_N_UNITS = 32


def fits(weights: KerasWeights) -> bool:
    """Whether a Keras file is one of these two, going by the name of its first norm."""
    return "bn_0_freq_gamma" in weights.arrays


def is_crnn(weights: KerasWeights) -> bool:
    """Whether it is the CRNN, going by its first recurrent layer; else it is the CNN."""
    return "gru1_W_z" in weights.arrays


def network(weights: KerasWeights, *, as_published: bool = False) -> Network:
    """The network in a Keras file, restored or as the published scripts read it.

    Raises BadValue for other names or shapes.
    """
    crnn = is_crnn(weights)
    check_shapes(
        weights.arrays,
        _crnn_shapes() if crnn else _cnn_shapes(),
        what=f"the {'CRNN' if crnn else 'CNN'} of Choi et al.",
    )
    pools = _CRNN_POOLS if crnn else _CNN_POOLS
    front: list[Affine | Pad] = [_norm(weights, "bn_0_freq", as_published).affine()]
    if crnn:
        front.insert(0, Pad(_PAD, _PAD))
    if not as_published:
        scale = np.array(1 / DEVIATION_DB, dtype=np.float32)
        shift = np.array(-MEAN_DB / DEVIATION_DB, dtype=np.float32)
        front.insert(0, Affine(scale, shift))
    return Network(
        n_mels=N_MELS,
        n_frames=N_FRAMES,
        front=front,
        blocks=[
            _block(weights, number, pool, as_published) for number, pool in enumerate(pools, 1)
        ],
        grus=[_gru(weights, "gru1"), _gru(weights, "gru2")] if crnn else [],
        output=Dense(weights.arrays["output_W"], weights.arrays["output_b"]),
    )


def _norm(weights: KerasWeights, name: str, as_published: bool) -> Norm:
    arrays = weights.arrays
    deviation = arrays[f"{name}_running_std"]
    return Norm(
        mean=arrays[f"{name}_running_mean"],
        variance=deviation if as_published else deviation**2,
        gamma=arrays[f"{name}_gamma"],
        beta=arrays[f"{name}_beta"],
        epsilon=_EPSILON,
    )


def _block(
    weights: KerasWeights, number: int, pool: tuple[int, int], as_published: bool
) -> ConvBlock:
    kernel = weights.arrays[f"conv{number}_W"]
    if weights.backend == "theano":  # it convolves, which flips the kernel; all others correlate
        kernel = kernel[:, :, ::-1, ::-1]
    norm = _norm(weights, f"bn{number}", as_published)
    return ConvBlock(*norm.fold(kernel, weights.arrays[f"conv{number}_b"]), pool)


def _gru(weights: KerasWeights, name: str) -> Gru:
    kernel, recurrent, bias = (
        np.concatenate([weights.arrays[f"{name}_{part}_{gate}"] for gate in "zrh"], axis=-1)
        for part in ("W", "U", "b")
    )
    return Gru(kernel, recurrent, bias, gate="hard_sigmoid")


def _crnn_shapes() -> Shapes:
    shapes = _block_shapes(_CRNN_WIDTHS, n_frames=N_FRAMES + 2 * _PAD)
    for name, n_in in (("gru1", _CRNN_WIDTHS[-1]), ("gru2", _N_UNITS)):
        for gate in "zrh":
            shapes[f"{name}_W_{gate}"] = (n_in, _N_UNITS)
            shapes[f"{name}_U_{gate}"] = (_N_UNITS, _N_UNITS)
            shapes[f"{name}_b_{gate}"] = (_N_UNITS,)
    return shapes | {"output_W": (_N_UNITS, N_TAGS), "output_b": (N_TAGS,)}


def _cnn_shapes() -> Shapes:
    shapes = _block_shapes(_CNN_WIDTHS, n_frames=N_FRAMES)
    return shapes | {"output_W": (_CNN_WIDTHS[-1], N_TAGS), "output_b": (N_TAGS,)}


def _block_shapes(widths: tuple[int, ...], *, n_frames: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = _norm_shapes("bn_0_freq", n_frames)
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        shapes[f"conv{number}_W"] = (n_out, n_in, 3, 3)
        shapes[f"conv{number}_b"] = (n_out,)
        shapes |= _norm_shapes(f"bn{number}", n_out)
    return shapes


def _norm_shapes(name: str, size: int) -> dict[str, tuple[int, ...]]:
    parts = ("gamma", "beta", "running_mean", "running_std")
    return {f"{name}_{part}": (size,) for part in parts}
