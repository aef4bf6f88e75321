"""The size of an image, as it goes through the layers."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Of one item of the batch."""

    channels: int
    mels: int
    frames: int

    def strided(self, channels: int, stride: tuple[int, int]) -> Shape:
        """What a convolution of the same size leaves with that stride."""
        return Shape(channels, 1 + (self.mels - 1) // stride[0], 1 + (self.frames - 1) // stride[1])
