"""The CRNN and the CNN of Choi et al., restored or as their scripts read them.

Restoring squares what the file calls `running_std` and standardises the spectrogram first
(earmark.weights.choi2016 says why). On 900 labelled clips this takes the CRNN's macro ROC-AUC from
.62 to .78 (benchmarks/published_table.py).
"""

from __future__ import annotations

import numpy as np

from earmark.graph import Affine, ConvBlock, Dense, Gru, Network, Norm, Pad
from earmark.weights.choi2016 import (
    CNN_POOLS,
    CRNN_POOLS,
    DEVIATION_DB,
    EPSILON,
    MEAN_DB,
    N_FRAMES,
    N_MELS,
    PAD,
    check,
    fits,
    is_crnn,
)
from earmark.weights.keras_file import KerasWeights

__all__ = ["fits", "is_crnn", "network"]


def network(weights: KerasWeights, *, as_published: bool = False) -> Network:
    """The network in a Keras file, restored or as the published scripts read it.

    Raises BadValue for other names or shapes.
    """
    check(weights)
    crnn = is_crnn(weights)
    pools = CRNN_POOLS if crnn else CNN_POOLS
    front: list[Affine | Pad] = [_norm(weights, "bn_0_freq", as_published).affine()]
    if crnn:
        front.insert(0, Pad(PAD, PAD))
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
        epsilon=EPSILON,
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
