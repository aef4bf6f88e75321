"""CRC-32C (Castagnoli), the checksum of TensorFlow's files, of many bytes at once with NumPy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]
_POLYNOMIAL = 0x82F63B78  # reflected
_ONES = 0xFFFFFFFF
_LANE = 64  # bytes that one lane steps through; a power of two


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of some bytes.

    The bytes are laid out in lanes of equal length that step together; a checksum is linear in its
    bytes, so what the lanes leave is joined two by two.
    """
    if len(data) < 4:
        return _bytewise(bytes(data))
    numbers = np.frombuffer(data, dtype=np.uint8)
    n_lanes = 1 << ((numbers.size - 1) // _LANE).bit_length()
    padded = np.zeros(n_lanes * _LANE, dtype=np.uint8)  # zeros before the bytes change nothing
    start = padded.size - numbers.size
    padded[start:] = numbers
    padded[start : start + 4] ^= 0xFF  # the same as to begin with all ones
    state = np.zeros(n_lanes, dtype=np.uint32)
    for column in padded.reshape(n_lanes, _LANE).T:
        state = _table()[(state ^ column) & 0xFF] ^ (state >> 8)
    n_bytes = _LANE
    while state.size > 1:
        state = _apply(_zeros(n_bytes), state[::2]) ^ state[1::2]
        n_bytes *= 2
    return int(state[0]) ^ _ONES


def masked(checksum: int) -> int:
    """A checksum as TensorFlow and LevelDB store it, so that one of checksums does not repeat."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & _ONES


def _bytewise(data: bytes) -> int:
    """The checksum of a few bytes, by its definition."""
    state = _ONES
    for byte in data:
        state = int(_table()[(state ^ byte) & 0xFF]) ^ (state >> 8)
    return state ^ _ONES


@lru_cache(maxsize=1)
def _table() -> _Words:
    """What a byte makes of a state of zeros, uint32 (256,)."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = np.where(state & 1, (state >> 1) ^ np.uint32(_POLYNOMIAL), state >> 1)
    return state.astype(np.uint32)


@lru_cache(maxsize=32)
def _zeros(n_bytes: int) -> _Words:
    """What so many zero bytes make of each bit of a state, uint32 (32,); a power of two."""
    if n_bytes == 1:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return np.asarray(_table()[bits & 0xFF] ^ (bits >> 8), dtype=np.uint32)
    half = _zeros(n_bytes // 2)
    return _apply(half, half)


def _apply(operator: _Words, states: _Words) -> _Words:
    """A linear operator, given by what it makes of each bit, on each state."""
    result = np.zeros_like(states)
    for bit, image in enumerate(operator):
        result ^= np.where((states >> np.uint32(bit)) & 1, image, np.uint32(0))
    return result
