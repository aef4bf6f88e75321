"""Deltas: what turns a file with new tags back into the old file, byte for byte.

The audio of both is the same. New tags at the beginning move it, new tags at the end do not, and
Ogg renumbers its pages. So the old file is described as: up to a split, the new file's bytes
counted from the beginning; after the split, those counted from the end; and patches for every byte
that differs.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.arrays import Uint8Array
from earmark.errors import BadValue

_MAGIC = b"earmark delta 1\n"
_HEAD = struct.Struct("<QQQQ")  # sizes of the old and the new file, the split, how many patches
_PATCH = struct.Struct("<QQ")  # where in the old file, how many bytes
_BLOCK = 1 << 16  # bytes; the split lies between two blocks
_JOIN = 16  # bytes; differences closer than that are one patch


def make_delta(old: str | Path, new: str | Path) -> bytes:
    """The delta that turns the new file into the old one; see apply_delta."""
    before, after = _bytes_of(old), _bytes_of(new)
    split = _split(before, after)
    patches: list[tuple[int, bytes]] = []
    for first in range(0, before.size, _BLOCK):
        block = before[first : first + _BLOCK]
        differs = np.flatnonzero(~_equal(block, after, first, before.size, split))
        if differs.size == 0:
            continue
        ends = np.flatnonzero(np.diff(differs) > _JOIN)
        starts = differs[np.concatenate(([0], ends + 1))]
        lasts = differs[np.concatenate((ends, [differs.size - 1]))]
        patches += [
            (first + int(start), block[start : last + 1].tobytes())
            for start, last in zip(starts, lasts, strict=True)
        ]
    body = _HEAD.pack(before.size, after.size, split, len(patches))
    body += b"".join(_PATCH.pack(at, len(data)) for at, data in patches)
    body += b"".join(data for _, data in patches)
    return _MAGIC + zlib.compress(body)


def apply_delta(new: str | Path, delta: bytes, *, to: str | Path) -> None:
    """Make the old file from the new one; the caller checks the result.

    Raises BadValue for bytes that are not a delta, and for the delta of another file.
    """
    if not delta.startswith(_MAGIC):
        raise BadValue("these bytes are not a delta that this version of earmark reads")
    body = zlib.decompress(delta[len(_MAGIC) :])
    old_size, new_size, split, n_patches = _HEAD.unpack_from(body)
    after = _bytes_of(new)
    if after.size != new_size:
        raise BadValue(
            f"the delta belongs to a file of {new_size} bytes, but {new} has {after.size} bytes"
        )
    before = np.zeros(old_size, dtype=np.uint8)
    before[:split] = after[:split]
    kept = min(old_size - split, new_size)
    before[old_size - kept :] = after[new_size - kept :]
    at_data = _HEAD.size + n_patches * _PATCH.size
    for number in range(n_patches):
        at, length = _PATCH.unpack_from(body, _HEAD.size + number * _PATCH.size)
        before[at : at + length] = np.frombuffer(body, np.uint8, length, at_data)
        at_data += length
    Path(to).write_bytes(before.tobytes())


def _bytes_of(path: str | Path) -> Uint8Array:
    if Path(path).stat().st_size == 0:  # nothing can be mapped
        return np.zeros(0, dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r")


def _split(before: Uint8Array, after: Uint8Array) -> int:
    """The split with the fewest different bytes."""
    from_start: list[int] = []
    from_end: list[int] = []
    for first in range(0, before.size, _BLOCK):
        block = before[first : first + _BLOCK]
        for counts, split in ((from_start, before.size), (from_end, 0)):
            same = np.count_nonzero(_equal(block, after, first, before.size, split))
            counts.append(block.size - int(same))
    costs = np.cumsum([0, *from_start]) + np.cumsum([0, *from_end[::-1]])[::-1]
    split = min(int(np.argmin(costs)) * _BLOCK, before.size)
    return min(split, after.size)


def _equal(
    block: Uint8Array, after: Uint8Array, first: int, old_size: int, split: int
) -> npt.NDArray[np.bool]:
    """Which bytes of a block of the old file the new file already has; no split is inside."""
    shift = 0 if first < split else after.size - old_size
    same = np.zeros(block.size, dtype=np.bool)
    begin, end = max(0, first + shift), min(after.size, first + shift + block.size)
    if begin < end:
        inside = slice(begin - first - shift, end - first - shift)
        same[inside] = block[inside] == after[begin:end]
    return same
