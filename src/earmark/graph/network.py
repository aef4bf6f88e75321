"""What a network is made of: plain arrays and a few words, no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earmark.arrays import AnyArray, Float32Array

Activation = Literal["elu", "relu"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Summary = Literal["flatten", "mean", "max"]
Beside = Literal["none", "mean", "max"]


@dataclass(frozen=True, eq=False)
class Affine:
    """x * scale + shift on the spectrogram.

    scale, shift : float32, each of a shape that broadcasts to (n_mels, n_frames) at this place:
        () for one number, (n_mels, 1) for one a mel band, (n_frames,) for one a frame
    """

    scale: Float32Array
    shift: Float32Array


@dataclass(frozen=True)
class Pad:
    """Frames of one value before and after the spectrogram, in the units it has at this place."""

    before: int
    after: int
    value: float = 0.0


@dataclass(frozen=True, eq=False)
class ConvBlock:
    """A convolution of the same size (zeros around it), max-pooling and a rising activation.

    weight : float32 (n_out, n_in, height, width), not flipped, odd height (mels) and width (frames)
    bias : float32 (n_out,)
    pool : mels and frames to one; what is left over at the end is dropped
    """

    weight: Float32Array
    bias: Float32Array
    pool: tuple[int, int]
    activation: Activation = "elu"


@dataclass(frozen=True, eq=False)
class Gru:
    """A recurrent layer; the columns of its weights are the gates z (update), r (reset), h.

    kernel : float32 (n_in, 3 * n_units)
    recurrent : float32 (n_units, 3 * n_units)
    bias : float32 (3 * n_units,), on the input's side
    recurrent_bias : float32 (3 * n_units,) where the reset gate comes AFTER the recurrent product
        (torch, cuDNN); None where it comes before (Cho et al. 2014, Keras up to 2.0)
    """

    kernel: Float32Array
    recurrent: Float32Array
    bias: Float32Array
    recurrent_bias: Float32Array | None = None
    gate: Gate = "sigmoid"


@dataclass(frozen=True, eq=False)
class Dense:
    """weight float32 (n_in, n_out), bias float32 (n_out,)."""

    weight: Float32Array
    bias: Float32Array


@dataclass(frozen=True, eq=False)
class Network:
    """A whole tagger, from raw log-mel to logits.

    front : what happens to the spectrogram, in this order
    grus : read the frames in order, bands and channels together; the last state is the embedding
    summary : without GRUs, how what the blocks leave becomes the embedding
    beside : with GRUs, the mean or maximum over time of what they read, which follows their last
        state in the embedding
    """

    n_mels: int
    n_frames: int
    front: Sequence[Affine | Pad]
    blocks: Sequence[ConvBlock]
    output: Dense
    grus: Sequence[Gru] = ()
    summary: Summary = "flatten"
    beside: Beside = "none"


@dataclass(frozen=True, eq=False)
class Norm:
    """A batch norm as it acts once trained: (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    mean, variance, gamma, beta : one number a channel (or a frame, or a band)
    """

    mean: Float32Array
    variance: Float32Array
    gamma: Float32Array
    beta: Float32Array
    epsilon: float

    def affine(self) -> Affine:
        """The same function as one product and one sum; float64 within, float32 out."""
        # damaged weights may overflow or have negative variances; `build` refuses what comes out
        with np.errstate(all="ignore"):
            deviation = np.sqrt(self.variance.astype(np.float64) + self.epsilon)
            scale = self.gamma.astype(np.float64) / deviation
            shift = self.beta.astype(np.float64) - self.mean * scale
            return Affine(scale.astype(np.float32), shift.astype(np.float32))

    def fold(self, weight: Float32Array, bias: Float32Array) -> tuple[Float32Array, Float32Array]:
        """The weight (n_out, ...) and bias of a convolution that this norm follows, with it."""
        affine = self.affine()
        scale = affine.scale.reshape(-1, *[1] * (weight.ndim - 1))
        with np.errstate(all="ignore"):
            return weight * scale, bias * affine.scale + affine.shift


def torch_gru(
    weight_ih: Float32Array, weight_hh: Float32Array, bias_ih: Float32Array, bias_hh: Float32Array
) -> Gru:
    """A layer of torch.nn.GRU, which stacks the gates r, z, h as rows."""
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    kernel, recurrent, bias, recurrent_bias = (swap_gates(rows).T for rows in weights)
    return Gru(kernel, recurrent, bias, recurrent_bias)


def swap_gates(rows: AnyArray) -> AnyArray:
    """Rows of three gates in torch's order r, z, h as rows in the order z, r, h, or back."""
    first, second, third = np.split(rows, 3)
    return np.concatenate([second, first, third])
