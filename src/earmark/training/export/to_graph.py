"""A trained torch network as the layers of earmark.graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from earmark.arrays import Float32Array
from earmark.graph import Affine, ConvBlock, Dense, Gru, Network, Norm, Pad, torch_gru
from earmark.training.model import CRNN, Block, ClassicGru


def to_graph(model: CRNN, *, n_mels: int, n_frames: int) -> Network:
    """What the network computes in evaluation mode, on clips of n_frames frames."""
    settings = model.settings
    scale, shift = 1 / model.deviation, -model.mean / model.deviation
    front: list[Affine | Pad] = [Affine(_number(scale), _number(shift))]
    if settings.pad:
        front.append(Pad(settings.pad, settings.pad))
    if model.input_norm.norm is not None:
        # (1,) or (frames,): both broadcast over the spectrogram
        front.append(_norm(model.input_norm.norm).affine())
    return Network(
        n_mels=n_mels,
        n_frames=n_frames,
        front=front,
        blocks=[_block(block) for block in model.blocks],
        grus=_grus(model.recurrent),
        summary=settings.summary,
        beside=settings.beside,
        output=Dense(_array(model.output.weight).T, _array(model.output.bias)),
    )


def _block(block: Any) -> ConvBlock:
    assert isinstance(block, Block)
    weight = _array(block.conv.weight)
    bias = np.zeros(len(weight), dtype=np.float32)
    return ConvBlock(*_norm(block.norm).fold(weight, bias), block.pool)


def _grus(recurrent: nn.GRU | ClassicGru | None) -> list[Gru]:
    if recurrent is None:
        return []
    if isinstance(recurrent, ClassicGru):
        layers = zip(recurrent.kernels, recurrent.recurrents, recurrent.biases, strict=True)
        return [
            Gru(_array(kernel), _array(state), _array(bias), gate="hard_sigmoid")
            for kernel, state, bias in layers
        ]
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [
        torch_gru(*(_array(getattr(recurrent, f"{part}_l{layer}")) for part in parts))
        for layer in range(recurrent.num_layers)
    ]


def _norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Norm:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return Norm(
        mean=_array(norm.running_mean),
        variance=_array(norm.running_var),
        gamma=_array(norm.weight),
        beta=_array(norm.bias),
        epsilon=norm.eps,
    )


def _array(tensor: Tensor) -> Float32Array:
    result: Float32Array = tensor.detach().cpu().float().contiguous().numpy()
    return result


def _number(value: float) -> Float32Array:
    return np.array(value, dtype=np.float32)
