"""TensorFlow 1's checkpoints, written byte by byte as TensorFlow writes them, whole or damaged.

An index is a table of LevelDB: blocks of rows sorted by key, of which each shares the start of its
key with the one before; a block that says where the blocks are; and a footer that says where that
one is. Values are protocol buffers.
"""

from __future__ import annotations

import struct

import numpy as np

from earmark.published.crc32c import crc32c, masked

MAGIC = 0xDB4775248B80FB57
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}


def varint(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def number(field: int, value: int) -> bytes:
    """A field of a protocol buffer; zero is left out, as it is there."""
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def header(*, n_shards: int = 1, endianness: int = 0) -> bytes:
    version = message(3, number(1, 1))
    return number(1, n_shards) + number(2, endianness) + version


def entry(array: np.ndarray, **changes: int) -> bytes:
    """A BundleEntryProto; changes : dtype, shard, offset, size, checksum, or one of the shape."""
    sizes = list(array.shape)
    if "first_size" in changes:
        sizes[0] = changes["first_size"]
    shape = b"".join(message(2, number(1, size)) for size in sizes)
    checksum = masked(crc32c(array.tobytes()))
    return (
        number(1, changes.get("dtype", DTYPES[array.dtype.name]))
        + message(2, shape)
        + number(3, changes.get("shard", 0))
        + number(4, changes.get("offset", 0))
        + number(5, changes.get("size", array.nbytes))
        + varint(6 << 3 | 5)
        + struct.pack("<I", changes.get("checksum", checksum))
    )


def block(rows: list[tuple[bytes, bytes]], *, every: int = 16) -> bytes:
    """The rows of a block; each `every`-th has its whole key, and its place is noted at the end."""
    content, restarts, before = b"", [], b""
    for place, (key, value) in enumerate(rows):
        shared = 0
        if place % every == 0:
            restarts.append(len(content))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += key[shared:] + value
        before = key
    restarts = restarts or [0]
    return content + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(blocks: list[bytes], last_keys: list[bytes], *, compression: int = 0) -> bytes:
    """An index of these blocks, with checksums that are right."""
    raw, handles = b"", []

    def append(content: bytes) -> bytes:
        nonlocal raw
        handle = varint(len(raw)) + varint(len(content))
        kind = bytes([compression])
        raw += content + kind + struct.pack("<I", masked(crc32c(content + kind)))
        return handle

    handles = [append(content) for content in blocks]
    filters = append(block([]))
    index = append(block(list(zip(last_keys, handles, strict=True)), every=1))
    return raw + (filters + index).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def checkpoint(
    arrays: dict[str, np.ndarray],
    *,
    rows_in_block: int = 5,
    head: bytes | None = None,
    compression: int = 0,
    **changes: int,
) -> tuple[bytes, bytes]:
    """The bytes of the index and of the data; changes : of the first tensor's entry."""
    rows, data = [(b"", header() if head is None else head)], b""
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        of_first = changes if len(rows) == 1 else {}
        rows.append((name.encode(), entry(array, **{"offset": len(data)} | of_first)))
        data += array.tobytes()
    parts = [rows[i : i + rows_in_block] for i in range(0, len(rows), rows_in_block)]
    blocks, last_keys = [block(part) for part in parts], [part[-1][0] for part in parts]
    return table(blocks, last_keys, compression=compression), data


def write(folder, arrays: dict[str, np.ndarray]) -> None:
    """The folder of a checkpoint without a prefix, as in the musicnn package."""
    folder.mkdir(parents=True, exist_ok=True)
    index, data = checkpoint(arrays)
    (folder / ".index").write_bytes(index)
    (folder / ".data-00000-of-00001").write_bytes(data)
