"""The networks of this family as their definitions read, slowly, in float64: what to compare with.

One clip at a time, norms by themselves, the activation before the pooling, GRUs step by step.
Shapes: images (channels, mels, frames), sequences (steps, n).
"""

from __future__ import annotations

import numpy as np


def correlate(image, weight, bias):
    """Same size, zeros around: what every framework but Theano calls a convolution."""
    n_out, _, height, width = weight.shape
    _, n_mels, n_frames = image.shape
    padded = np.pad(image, ((0, 0), (height // 2, height // 2), (width // 2, width // 2)))
    result = np.zeros((n_out, n_mels, n_frames))
    for i in range(height):
        for j in range(width):
            seen = padded[:, i : i + n_mels, j : j + n_frames]
            result += np.tensordot(weight[:, :, i, j].astype(np.float64), seen, axes=1)
    return result + bias[:, None, None]


def convolve(image, weight, bias):
    """Same size, zeros around: the mathematician's convolution, and Theano's."""
    n_out, _, height, width = weight.shape
    _, n_mels, n_frames = image.shape
    result = np.zeros((n_out, n_mels, n_frames))
    padded = np.pad(image, ((0, 0), (height // 2, height // 2), (width // 2, width // 2)))
    for i in range(height):
        for j in range(width):
            # y[m, n] = sum over i, j of w[i, j] * x[m - i, n - j]
            top, left = height - 1 - i, width - 1 - j
            seen = padded[:, top : top + n_mels, left : left + n_frames]
            result += np.tensordot(weight[:, :, i, j].astype(np.float64), seen, axes=1)
    return result + bias[:, None, None]


def norm(x, mean, variance, gamma, beta, *, epsilon, axis):
    shape = [1] * x.ndim
    shape[axis] = -1
    mean, variance, gamma, beta = (
        np.asarray(values, dtype=np.float64).reshape(shape)
        for values in (mean, variance, gamma, beta)
    )
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def relu(x):
    return np.maximum(x, 0)


def max_pool(image, mels, frames):
    channels, n_mels, n_frames = image.shape
    n_mels, n_frames = n_mels // mels, n_frames // frames
    image = image[:, : n_mels * mels, : n_frames * frames]
    return image.reshape(channels, n_mels, mels, n_frames, frames).max(axis=(2, 4))


def hardswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


ACTIVATIONS = {"elu": elu, "relu": relu, "hardswish": hardswish}


def blocks(image, blocks):
    """Convolutions, activations and poolings as earmark.graph describes them."""
    for block in blocks:
        if hasattr(block, "depthwise"):
            image = inverted_residual(image, block)
            continue
        image = correlate(image, block.weight, block.bias)
        image = image[:, :: block.stride[0], :: block.stride[1]]
        image = max_pool(ACTIVATIONS[block.activation](image), *block.pool)
    return image


def inverted_residual(image, block):
    """MobileNet's block: a full convolution whose kernels across channels are zero, then cut."""
    activation, before = ACTIVATIONS[block.activation], image
    if block.expand is not None:
        image = activation(correlate(image, block.expand.weight, block.expand.bias))
    n, _, height, width = block.depthwise.weight.shape
    kernels = np.zeros((n, n, height, width))
    kernels[np.arange(n), np.arange(n)] = block.depthwise.weight[:, 0]
    image = correlate(image, kernels, block.depthwise.bias)
    image = activation(image[:, :: block.stride, :: block.stride])
    if block.squeeze is not None:
        first, second = block.squeeze
        share = relu(image.mean(axis=(1, 2)) @ first.weight + first.bias)
        image = image * sigmoid(share @ second.weight + second.bias)[:, None, None]
    image = correlate(image, block.project.weight, block.project.bias)
    return image + before if image.shape == before.shape else image


def as_steps(image):
    """(channels, mels, frames) to (frames, channels * mels)."""
    return image.transpose(2, 0, 1).reshape(image.shape[2], -1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def gru(steps, kernel, recurrent, bias, *, gate, recurrent_bias=None):
    """All states; columns z, r, h; a recurrent bias puts the reset gate after the product."""
    n = recurrent.shape[0]
    wz, wr, wh = np.split(kernel.astype(np.float64), 3, axis=1)
    uz, ur, uh = np.split(recurrent.astype(np.float64), 3, axis=1)
    bz, br, bh = np.split(bias.astype(np.float64), 3)
    cz, cr, ch = np.split(np.zeros(3 * n) if recurrent_bias is None else recurrent_bias, 3)
    state, states = np.zeros(n), []
    for x in steps:
        z = gate(x @ wz + bz + state @ uz + cz)
        r = gate(x @ wr + br + state @ ur + cr)
        if recurrent_bias is None:
            candidate = np.tanh(x @ wh + bh + (r * state) @ uh)
        else:
            candidate = np.tanh(x @ wh + bh + r * (state @ uh + ch))
        state = z * state + (1 - z) * candidate
        states.append(state)
    return np.array(states)
