"""The weights of the CS2470 report: what its HDF5 file of Keras 2 holds, and how to read it.

The network pads 37 frames of 0 dB on each side TWICE, so that 1366 frames become 1514; its first
norm has one channel; its second moments are variances; its kernels are (height, width, n_in,
n_out).
"""

from __future__ import annotations

from earmark.graph import ConvBlock, Dense, Gru, Network, Norm, Pad
from earmark.published.keras_file import KerasWeights
from earmark.published.layout import Shapes, check_shapes

N_MELS, N_FRAMES, N_TAGS = 96, 1366, 50
EPSILON = 1e-3  # of Keras 2's batch norm
PAD = 2 * 37  # frames on each side
WIDTHS, POOLS = (64, 128, 128, 128), ((2, 2), (3, 3), (4, 4), (4, 4))
N_UNITS = 32
NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


def fits(weights: KerasWeights) -> bool:
    """Whether a Keras file is this one, going by its first norm and its first layer's name."""
    return {"batch_normalization/gamma", "conv1/kernel"} <= weights.arrays.keys()


def check(weights: KerasWeights) -> None:
    """Raise BadValue, with the first few differences, for other names or shapes."""
    check_shapes(weights.arrays, _shapes(), what="the CRNN of the CS2470 report")


def _shapes() -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {
        f"batch_normalization/{part}": (1,) for part in NORM_PARTS
    }
    for number, (n_in, n_out) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False), 1):
        shapes[f"conv{number}/kernel"] = (3, 3, n_in, n_out)
        shapes[f"conv{number}/bias"] = (n_out,)
        shapes |= {f"batch_normalization_{number}/{part}": (n_out,) for part in NORM_PARTS}
    for name, n_in in (("gru1", WIDTHS[-1]), ("gru2", N_UNITS)):
        shapes[f"{name}/kernel"] = (n_in, 3 * N_UNITS)
        shapes[f"{name}/recurrent_kernel"] = (N_UNITS, 3 * N_UNITS)
        shapes[f"{name}/bias"] = (3 * N_UNITS,)
    return shapes | {"output/kernel": (N_UNITS, N_TAGS), "output/bias": (N_TAGS,)}


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
