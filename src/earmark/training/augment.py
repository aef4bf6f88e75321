"""Augmentation: random changes to the clips that a network learns from, against overfitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from earmark.errors import BadValue


@dataclass(frozen=True)
class Augmentation:
    """What is done to each training clip; without settings, nothing.

    crop_frames : take so many frames in a row instead of the whole clip; 0 takes the whole
    roll : start at a random frame and wrap around at the end
    mixup : mix two clips and their labels, in shares drawn from Beta(mixup, mixup)
        (arXiv:1710.09412)
    masks : bands of mels that are set to the clip's mean
    mask_mels : the most mels of such a band
        (arXiv:1904.08779)
    gain_db : make it louder or softer by up to so many decibels of the features
    """

    crop_frames: int = 0
    roll: bool = False
    mixup: float = 0.0
    masks: int = 0
    mask_mels: int = 12
    gain_db: float = 0.0

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # recipes hold these settings

    def __post_init__(self) -> None:
        """Raise BadValue for settings out of range."""
        for name in ("crop_frames", "mixup", "masks", "gain_db"):
            if getattr(self, name) < 0:
                raise BadValue(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.mask_mels < 1:
            raise BadValue(f"mask_mels is {self.mask_mels}; it must be 1 or more")


def augment(
    clips: Tensor, labels: Tensor, *, settings: Augmentation, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The clips and labels of a batch after augmentation, each clip changed in its own way.

    clips : float32 (batch, n_mels, n_frames), dB; labels : float32 (batch, n_tags)
    returns : both, the clips with crop_frames frames if that is set
    """
    batch, n_mels, n_frames = clips.shape
    length = settings.crop_frames or n_frames
    if length < n_frames or settings.roll:
        n_starts = n_frames if settings.roll else n_frames - length + 1
        starts = torch.from_numpy(random.integers(n_starts, size=batch)).to(clips.device)
        places = (starts[:, None] + torch.arange(length, device=clips.device)) % n_frames
        clips = clips.gather(2, places[:, None].expand(-1, n_mels, -1))
    if settings.gain_db:
        clips = clips + _column(random.uniform(-1, 1, batch) * settings.gain_db, clips)
    for _ in range(settings.masks):
        width = _column(random.integers(settings.mask_mels + 1, size=batch), clips)
        first = _column(random.uniform(size=batch), clips) * (n_mels - width)
        mels = torch.arange(n_mels, device=clips.device)[:, None]
        masked = (mels >= first) & (mels < first + width)  # (batch, n_mels, 1)
        clips = torch.where(masked, clips.mean((1, 2), keepdim=True), clips)
    if settings.mixup:
        share = random.beta(settings.mixup, settings.mixup, batch)
        share = np.maximum(share, 1 - share)  # each clip keeps the larger share
        other = torch.from_numpy(random.permutation(batch)).to(clips.device)
        clips = torch.lerp(clips[other], clips, _column(share, clips))
        labels = torch.lerp(labels[other], labels, _column(share, clips)[:, 0])
    return clips, labels


def _column(values: np.ndarray[tuple[int], np.dtype[np.generic]], like: Tensor) -> Tensor:
    """One value a clip, as float32 (batch, 1, 1) where the clips are."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device)[:, None, None]
