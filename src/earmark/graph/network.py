"""A network as plain data: the arrays and the settings of each layer, without a framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earmark.arrays import AnyArray, Float32Array
from earmark.model_file import Pooling

Activation = Literal["elu", "relu", "hardswish"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Summary = Literal["flatten", "mean", "max", "max-mean"]
Beside = Literal["none", "mean", "max"]
OverMels = Literal["max", "mean"]


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


@dataclass(frozen=True)
class SilentMels:
    """Mels of one value above those of the spectrogram, for a network that learned with more.

    number : of mels; value : in the units that the spectrogram has at this place
    """

    number: int
    value: float


@dataclass(frozen=True, eq=False)
class ConvBlock:
    """A convolution of the same size (zeros around it), max-pooling and a rising activation.

    weight : float32 (n_out, n_in, height, width), not flipped, odd height (mels) and width (frames)
    bias : float32 (n_out,)
    pool : mels and frames to one; what is left over at the end is dropped
    stride : mels and frames from one place of the kernel to the next; of a block that pools, (1, 1)
    """

    weight: Float32Array
    bias: Float32Array
    pool: tuple[int, int]
    activation: Activation = "elu"
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution without anything after it.

    weight : float32 (n_out, n_in, height, width); of a depthwise one n_in is 1
    bias : float32 (n_out,)
    """

    weight: Float32Array
    bias: Float32Array


@dataclass(frozen=True, eq=False)
class InvertedResidual:
    """MobileNet's block: more channels, each convolved by itself, fewer channels.

    Sandler et al., CVPR 2018; with squeeze-and-excitation as in Howard et al., ICCV 2019. The
    input is added where the output has its shape.

    expand : of 1 x 1; None where there are no more channels
    depthwise : one kernel a channel, of the same size, with the stride
    squeeze : each channel times what two dense layers make of all channels' means (ReLU between,
        sigmoid behind)
    project : of 1 x 1, without an activation
    """

    expand: Conv | None
    depthwise: Conv
    squeeze: tuple[Dense, Dense] | None
    project: Conv
    activation: Activation
    stride: int = 1


@dataclass(frozen=True)
class AveragePool:
    """Means over cells that lie side by side; what is left over at the end is dropped.

    pool : mels and frames to one
    """

    pool: tuple[int, int]


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
class Rectified:
    """A convolution, ReLU and a norm, in this order.

    weight : float32 (n_out, n_in, height, width); bias : float32 (n_out,)
    norm : of shape (n_out, 1, 1); None where it came before the ReLU and is folded into the weights
    """

    weight: Float32Array
    bias: Float32Array
    norm: Affine | None = None


@dataclass(frozen=True, eq=False)
class PooledConv:
    """A rectified convolution of the same size and max-pooling, whose cells may overlap.

    pool, stride : mels and frames of a cell, and from one cell to the next
    """

    conv: Rectified
    pool: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Musicnn:
    """musicnn's layers (Pons and Serra 2019): one image to (channels, 1, frames), frames kept.

    timbral : high kernels, inside the image over mels; of their places over mels the largest counts
    temporal : kernels of one mel, on each mel ("max": the largest counts) or on the mels' mean
    middle : over the channels of all these; from the second on, the layer before is added

    What comes out is all channels of timbral, temporal and middle layers in this order.
    """

    timbral: Sequence[Rectified]
    temporal: Sequence[Rectified]
    over_mels: OverMels
    middle: Sequence[Rectified]


@dataclass(frozen=True)
class Pieces:
    """A clip in shorter pieces, evenly spread, each of which the network hears alone.

    n_frames : of a piece
    pool : what is averaged over them: their logits, or their scores (sigmoids); the embedding is
        the mean of theirs
    """

    n_frames: int
    pool: Pooling


Block = ConvBlock | InvertedResidual | AveragePool | PooledConv | Musicnn


@dataclass(frozen=True, eq=False)
class Network:
    """A whole tagger, from raw log-mel to logits.

    n_mels, n_frames : of a clip
    front : what happens to the spectrogram, in this order
    grus : read the frames in order, bands and channels together; the last state is the embedding
    summary : without GRUs, how what the blocks leave becomes the embedding; "max-mean" is the
        maxima of all channels, then their means
    beside : with GRUs, the mean or maximum over time of what they read, which follows their last
        state in the embedding
    hidden : a dense layer and its activation before the output
    embedding : what the model file calls so: the summary, or what the hidden layer makes of it
    pieces : None where the network hears the whole clip at once
    """

    n_mels: int
    n_frames: int
    front: Sequence[Affine | Pad | SilentMels]
    blocks: Sequence[Block]
    output: Dense
    grus: Sequence[Gru] = ()
    summary: Summary = "flatten"
    beside: Beside = "none"
    hidden: tuple[Dense, Activation] | None = None
    embedding: Literal["summary", "hidden"] = "summary"
    pieces: Pieces | None = None


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
