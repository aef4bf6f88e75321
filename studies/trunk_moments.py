"""What published trunks leave of each clip over time, for a recurrent layer to read.

mn04's, all its blocks as published, and those of Choi et al., restored: the convolutions of their
CRNN, which leave 15 moments for its own GRUs, and of their CNN. That one pools over all time at
last, so its last two blocks slide here: the last convolution at every shift of one frame, 17
moments, among which are the four whose largest values are the CNN's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.data.catalog.catalog import Catalog
from earmark.files import atomic_path
from earmark.graph import Affine, ConvBlock, Network, Pad
from earmark.published import choi2016
from earmark.published.keras_file import read_keras
from earmark.training.mobile import MobileGru
from studies.q4 import SHARED
from studies.shipped_learning import Halves, blocks, moments_of
from studies.shipped_teachers import CHOI, TEACHERS, make_store

CHOIS = ("choi2016-cnn", "choi2016")
_PART = 16  # clips at once


def of_choi(teacher: str, catalog: Catalog, output: Path, *, audio: Path, name: str) -> Halves:
    """float16 (n, channels, 1, moments) of one of CHOIS; kept."""
    path = output / "trunks" / f"moments-{name}-{teacher}.npy"
    if not path.exists():
        network = choi2016.network(read_keras(SHARED / "published" / TEACHERS[teacher].file))
        store = make_store(catalog, output, CHOI, audio=audio, name=name)
        parts = []
        for first in range(0, len(store), _PART):
            x = store.log_mels(np.arange(first, min(first + _PART, len(store))))
            with torch.inference_mode():
                parts.append(moments(network, torch.from_numpy(x)).numpy().astype(np.float16))
        _keep(path, np.concatenate(parts))
        print(f"{path.name}: {len(store)}", file=sys.stderr, flush=True)
    return np.asarray(np.load(path))


def of_mn04(images: Sequence[Halves], output: Path, name: str) -> list[Halves]:
    """float16 (n, 384, 1, 13) of each part, from what its first blocks leave; kept."""
    model = MobileGru(blocks()[1], n_tags=1).eval()
    parts = []
    for number, part in enumerate(images):
        path = output / "trunks" / f"moments-{name}-{number}-mn04.npy"
        if not path.exists():
            _keep(path, moments_of(model, part))
        parts.append(np.asarray(np.load(path)))
    return parts


def moments(network: Network, x: Tensor) -> Tensor:
    """Log-mels (batch, mels, frames) to (batch, channels, 1, moments), by Choi's CNN or CRNN."""
    x = x.unsqueeze(1)
    for step in network.front:
        if isinstance(step, Pad):
            x = F.pad(x, (step.before, step.after), value=step.value)
        elif isinstance(step, Affine):
            x = x * torch.from_numpy(step.scale) + torch.from_numpy(step.shift)
    whole: list[ConvBlock] = [block for block in network.blocks if isinstance(block, ConvBlock)]
    assert len(whole) == len(network.blocks)
    slides = [] if network.grus else [whole.pop() for _ in range(2)][::-1]
    for block in whole:
        x = F.elu(F.max_pool2d(_convolved(block, x), block.pool))
    if slides:
        n_mels, n_frames = slides[0].pool
        x = F.elu(F.max_pool2d(_convolved(slides[0], x), slides[0].pool, stride=(n_mels, 1)))
        x = F.elu(F.max_pool2d(_convolved(slides[1], x, n_frames), (slides[1].pool[0], 1)))
    return x


def side_by_side(trunks: Sequence[Halves]) -> Halves:
    """Channels of all, at the moments of the first, between whose neighbours others are read."""
    n = trunks[0].shape[-1]
    return np.concatenate([
        F.interpolate(
            torch.from_numpy(trunk[:, :, 0].astype(np.float32)), n, mode="linear"
        ).numpy().astype(np.float16)[:, :, None]
        for trunk in trunks
    ], axis=1)  # fmt: skip


def standardised(trunks: list[Halves]) -> list[Halves]:
    """Each channel, its mean over time being 0 on average over the clips, with a deviation of 1.

    trunks : parts, whose items follow each other
    """
    means = np.concatenate([trunk.mean((2, 3), dtype=np.float32) for trunk in trunks])
    mean, deviation = (v[:, None, None] for v in (means.mean(0), means.std(0) + 1e-3))
    return [((trunk - mean) / deviation).astype(np.float16) for trunk in trunks]


def _convolved(block: ConvBlock, x: Tensor, step: int = 1) -> Tensor:
    """step : frames from one place of the kernel to the next"""
    weight, bias = torch.from_numpy(block.weight.copy()), torch.from_numpy(block.bias)
    height, width = weight.shape[2:]
    return F.conv2d(x, weight, bias, padding=(height // 2, width // 2 * step), dilation=(1, step))


def _keep(path: Path, values: npt.NDArray[np.float16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)
