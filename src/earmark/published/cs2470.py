"""The CRNN of the CS2470 report, as its scripts read it (earmark.weights.cs2470 says how)."""

from __future__ import annotations

from earmark.graph import ConvBlock, Dense, Gru, Network, Norm, Pad
from earmark.weights.cs2470 import EPSILON, N_FRAMES, N_MELS, NORM_PARTS, PAD, POOLS, check, fits
from earmark.weights.keras_file import KerasWeights

__all__ = ["fits", "network"]


def network(weights: KerasWeights) -> Network:
    """The network in a Keras file. Raises BadValue for other names or shapes."""
    check(weights)
    arrays = weights.arrays
    blocks = []
    for number, pool in enumerate(POOLS, 1):
        kernel = arrays[f"conv{number}/kernel"].transpose(3, 2, 0, 1)  # (n_out, n_in, 3, 3)
        norm = _norm(weights, f"batch_normalization_{number}")
        blocks.append(ConvBlock(*norm.fold(kernel, arrays[f"conv{number}/bias"]), pool))
    return Network(
        n_mels=N_MELS,
        n_frames=N_FRAMES,
        front=[Pad(PAD, PAD), _norm(weights, "batch_normalization").affine()],
        blocks=blocks,
        grus=[
            Gru(
                arrays[f"{name}/kernel"],
                arrays[f"{name}/recurrent_kernel"],
                arrays[f"{name}/bias"],
                gate="hard_sigmoid",
            )
            for name in ("gru1", "gru2")
        ],
        output=Dense(arrays["output/kernel"], arrays["output/bias"]),
    )


def _norm(weights: KerasWeights, name: str) -> Norm:
    gamma, beta, mean, variance = (weights.arrays[f"{name}/{part}"] for part in NORM_PARTS)
    return Norm(mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=EPSILON)
