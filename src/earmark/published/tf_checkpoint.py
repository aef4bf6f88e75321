"""Tensors that TensorFlow 1 saved as a checkpoint, read without TensorFlow.

A checkpoint is two files: `.index`, a sorted table in LevelDB's format whose values say where each
tensor lies, and `.data-00000-of-00001`, the numbers one after the other. Both carry checksums. Only
what tensors of numbers in one data file need is read; every offset, length and count is held
against the bytes that are there before it is followed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.errors import BadModel
from earmark.published.crc32c import crc32c, masked

Array = npt.NDArray[Any]

_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)  # the last bytes of a table
_FOOTER = 48  # bytes: two handles, padding, the magic number
_TRAILER = 5  # bytes behind a block: how it is compressed, its checksum
_PLAIN = "Fetch the file that its authors published"
_MOST_DIMENSIONS = 8
_MOST_ENTRIES = 10_000  # tensors; their checkpoints have a few hundred
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8"),
    19: np.dtype("<f2"),
}  # fmt: skip


class _RefusedError(Exception):
    """What is wrong with the bytes; becomes a BadModel with the file's name."""


class _Entry(NamedTuple):
    """Where a tensor lies in the data."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size: int  # bytes
    checksum: int


def is_table(index: bytes) -> bool:
    """Whether these are the bytes of an index, going by its last ones."""
    return index.endswith(_MAGIC)


def read_checkpoint(index: bytes, data: bytes, *, name: str) -> dict[str, Array]:
    """The tensors of a checkpoint, by name.

    index, data : the bytes of the two files; name : what messages call them

    Raises BadModel for damaged files and for a checkpoint of anything but plain tensors.
    """
    try:
        table = dict(_table(index))
        _check_header(table.pop(b"", None))
        entries = {key.decode(): _entry(value) for key, value in table.items()}
        return {key: _tensor(key, entry, data) for key, entry in entries.items()}
    except _RefusedError as error:
        raise BadModel(
            f"{name} is not a plain checkpoint of TensorFlow: {error}. {_PLAIN}"
        ) from error
    except (IndexError, ValueError, struct.error) as error:
        raise BadModel(f"{name} is damaged or cut short ({error}). Fetch it again.") from error


def _table(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a LevelDB table, in order."""
    if len(raw) < _FOOTER or not is_table(raw):
        raise ValueError("its index does not end as a table does")
    footer = _Bytes(raw[-_FOOTER:])
    footer.varint(), footer.varint()  # of the block of filters, which TensorFlow does not write
    count = 0
    for _, handle in _block(raw, footer):
        for row in _block(raw, _Bytes(handle)):
            count += 1
            if count > _MOST_ENTRIES:
                raise _RefusedError(f"it has more than {_MOST_ENTRIES:,} tensors")
            yield row


def _block(raw: bytes, handle: _Bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows of the block that a handle (offset, length) stands for."""
    offset, length = handle.varint(), handle.varint()
    end = offset + length
    if length < 4 or end + _TRAILER > len(raw) - _FOOTER:
        raise ValueError("a block reaches beyond the index")
    compression, checksum = struct.unpack_from("<BI", raw, end)
    if masked(crc32c(raw[offset : end + 1])) != checksum:
        raise ValueError("the checksum of a block does not match")
    if compression != 0:
        raise _RefusedError("its index is compressed")
    (n_restarts,) = struct.unpack_from("<I", raw, end - 4)
    if n_restarts > (length - 4) // 4:
        raise ValueError("a block has room for fewer restarts than it announces")
    rows, key = _Bytes(raw[offset : end - 4 - 4 * n_restarts]), b""
    while not rows.at_end:
        n_shared, n_new, n_value = rows.varint(), rows.varint(), rows.varint()
        if n_shared > len(key):
            raise ValueError("a key shares more bytes than the key before it has")
        key = key[:n_shared] + rows.take(n_new)
        yield key, rows.take(n_value)


class _Bytes:
    """Bytes that are taken from the front; beyond the end, ValueError."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._place = 0

    @property
    def at_end(self) -> bool:
        return self._place == len(self._raw)

    def take(self, n: int) -> bytes:
        if n > len(self._raw) - self._place:
            raise ValueError("it ends in the middle of a value")
        self._place += n
        return self._raw[self._place - n : self._place]

    def varint(self) -> int:
        """An unsigned number in groups of seven bits, at most 64 in all."""
        value = 0
        for shift in range(0, 64, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number of more than 64 bits")


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer."""
    message = _Bytes(raw)
    while not message.at_end:
        key = message.varint()
        match key & 7:
            case 0:
                yield key >> 3, message.varint()
            case 1:
                yield key >> 3, message.take(8)
            case 2:
                yield key >> 3, message.take(message.varint())
            case 5:
                yield key >> 3, message.take(4)
            case kind:
                raise ValueError(f"a field of the unknown kind {kind}")


def _check_header(raw: bytes | None) -> None:
    """Of a BundleHeaderProto: one data file, little-endian."""
    if raw is None:
        raise _RefusedError("its index has no header")
    header = dict(_fields(raw))
    if header.get(1) != 1:
        raise _RefusedError("its numbers lie in several files, not in one")
    if header.get(2, 0) != 0:
        raise _RefusedError("it was written on a machine of the other byte order")


def _entry(raw: bytes) -> _Entry:
    """From a BundleEntryProto, whose fields are left out where they are zero."""
    fields = dict(_fields(raw))
    kind, shape = fields.get(1, 0), fields.get(2, b"")
    offset, size, checksum = fields.get(4, 0), fields.get(5, 0), fields.get(6, b"")
    if not isinstance(kind, int) or kind not in _DTYPES:
        raise _RefusedError(f"it holds values of TensorFlow's type {kind!r}, not numbers")
    if fields.get(3, 0) != 0 or 7 in fields:
        raise _RefusedError("it holds parts of tensors")
    if not (isinstance(shape, bytes) and isinstance(offset, int) and isinstance(size, int)):
        raise ValueError("an entry with fields of other kinds")
    if not isinstance(checksum, bytes) or len(checksum) != 4:
        raise ValueError("an entry without a checksum")
    return _Entry(_DTYPES[kind], _shape(shape), offset, size, int.from_bytes(checksum, "little"))


def _shape(raw: bytes) -> tuple[int, ...]:
    """Of a TensorShapeProto."""
    sizes = []
    for number, value in _fields(raw):
        if number != 2 or not isinstance(value, bytes):
            raise _RefusedError("it holds a tensor of unknown rank")
        size = dict(_fields(value)).get(1, 0)
        # networks have no empty tensors
        if not isinstance(size, int) or not 1 <= size < 1 << 32:
            raise _RefusedError("a tensor with a size below 1")
        sizes.append(size)
    if len(sizes) > _MOST_DIMENSIONS:
        raise _RefusedError(f"a tensor of {len(sizes)} dimensions")
    return tuple(sizes)


def _tensor(name: str, entry: _Entry, data: bytes) -> Array:
    if entry.size != math.prod(entry.shape) * entry.dtype.itemsize:
        raise _RefusedError(f"{name} has {entry.size} bytes, which is not its shape {entry.shape}")
    if entry.offset + entry.size > len(data):
        raise ValueError(f"{name} reaches beyond the data")
    raw = memoryview(data)[entry.offset : entry.offset + entry.size]
    if masked(crc32c(raw)) != entry.checksum:
        raise ValueError(f"the checksum of {name} does not match")
    return np.frombuffer(raw, dtype=entry.dtype).reshape(entry.shape)
