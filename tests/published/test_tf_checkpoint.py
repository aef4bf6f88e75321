"""The reader of TensorFlow 1's checkpoints: what it reads, and what it refuses."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
import tf_checkpoints as made
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import BadModel
from earmark.published.crc32c import crc32c, masked
from earmark.published.tf_checkpoint import is_table, read_checkpoint

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "conv2d/bias": RNG.standard_normal(5).astype(np.float32),
    "conv2d/kernel": RNG.standard_normal((7, 3, 1, 5)).astype(np.float32),
    "conv2d_1/kernel": RNG.standard_normal((2, 3)),
    "counter": np.array(300, dtype=np.int64),
    "dense/kernel": RNG.standard_normal((90, 8)).astype(np.float16),
    "steps": np.array([1, -2, 3], dtype=np.int32),
}


def read(index, data):
    return read_checkpoint(index, data, name="MSD_musicnn")


def test_every_tensor_comes_back_under_its_name():
    tensors = read(*made.checkpoint(ARRAYS))
    assert list(tensors) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("rows_in_block", [1, 2, 100])
def test_however_many_blocks_the_index_has(rows_in_block):
    tensors = read(*made.checkpoint(ARRAYS, rows_in_block=rows_in_block))
    assert tensors.keys() == ARRAYS.keys()


def bitwise(data: bytes) -> int:
    """CRC-32C by its definition, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "checksum"),
    [  # RFC 3720, B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_the_checksum_is_castagnoli_s(data, checksum):
    assert crc32c(data) == bitwise(data) == checksum


@given(st.integers(0, 2100), st.integers(0, 2**32))
def test_the_checksum_of_any_length_is_that_of_its_definition(length, seed):
    data = random.Random(seed).randbytes(length)
    assert crc32c(data) == bitwise(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": 7}, "values of TensorFlow's type 7, not numbers"),
        ({"shard": 1}, "parts of tensors"),
        ({"first_size": 6}, r"conv2d/bias has 20 bytes, which is not its shape \(6,\)"),
        ({"first_size": 1 << 40}, "a tensor with a size below 1"),
        ({"first_size": 0}, "a tensor with a size below 1"),
        ({"size": 24}, r"conv2d/bias has 24 bytes, which is not its shape \(5,\)"),
        ({"offset": 1 << 40}, "damaged.*conv2d/bias reaches beyond the data"),
        ({"offset": 4}, "damaged.*the checksum of conv2d/bias does not match"),
        ({"checksum": 1}, "damaged.*the checksum of conv2d/bias does not match"),
        ({"compression": 1}, "its index is compressed"),
        ({"head": made.header(n_shards=2)}, "its numbers lie in several files"),
        ({"head": made.header(endianness=1)}, "a machine of the other byte order"),
    ],
)
def test_what_is_no_plain_checkpoint_is_refused(changes, message):
    index, data = made.checkpoint(ARRAYS, **changes)
    with pytest.raises(BadModel, match=f"MSD_musicnn is .*{message}"):
        read(index, data)


def test_a_table_without_a_header_is_refused():
    index = made.table([made.block([(b"weight", b"")])], [b"weight"])
    with pytest.raises(BadModel, match="no header"):
        read(index, b"")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"\x05\x01\x00a", "shares more bytes than the key before"),
        (b"\x00\x7f\x00a", "in the middle of a value"),
        (b"\x00\x01\x7fa", "in the middle of a value"),
        (b"\xff" * 12, "more than 64 bits"),
    ],
)
def test_rows_that_do_not_hold_what_they_say_are_refused(rows, message):
    block = rows + struct.pack("<II", 0, 1)
    with pytest.raises(BadModel, match=message):
        read(made.table([block], [b"a"]), b"")


def test_a_block_with_more_restarts_than_room_is_refused():
    with pytest.raises(BadModel, match="fewer restarts than it announces"):
        read(made.table([struct.pack("<II", 0, 1 << 30)], [b"a"]), b"")


@pytest.mark.parametrize("handle", [made.varint(1 << 50), made.varint(0)])
def test_a_block_beyond_the_index_is_refused(handle):
    footer = (made.varint(0) * 2 + handle + made.varint(1 << 40)).ljust(40, b"\0")
    index = bytes(100) + footer + struct.pack("<Q", made.MAGIC)
    assert is_table(index)
    with pytest.raises(BadModel, match="a block reaches beyond the index"):
        read(index, b"")


def test_more_tensors_than_a_network_has_are_refused():
    rows = [(f"{number:06}".encode(), b"") for number in range(10_001)]
    with pytest.raises(BadModel, match="more than 10,000 tensors"):
        read(made.table([made.block(rows)], [rows[-1][0]]), b"")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_an_index_or_data_that_are_cut_short_are_refused(share):
    index, data = made.checkpoint(ARRAYS)
    for shorter in (
        (index[: int(share * len(index))], data),
        (index, data[: int(share * len(data))]),
    ):
        with pytest.raises(BadModel, match="damaged or cut short"):
            read(*shorter)


def test_an_index_with_damaged_bytes_is_refused_or_read_but_never_anything_else():
    index, data = made.checkpoint(ARRAYS)
    rng, n_refused = random.Random(0), 0
    for _ in range(500):
        damaged = bytearray(index)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            tensors = read(bytes(damaged), data)
        except BadModel:
            n_refused += 1
        else:
            assert tensors.keys() <= ARRAYS.keys()
    assert n_refused > 400  # the rest hit what nobody reads: the block of filters, the padding


def test_any_bit_of_the_data_that_flips_is_noticed():
    index, data = made.checkpoint(ARRAYS)
    rng = random.Random(0)
    for _ in range(50):
        damaged = bytearray(data)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        with pytest.raises(BadModel, match=r"the checksum of .* does not match"):
            read(index, bytes(damaged))


def test_rows_whose_checksum_is_right_may_hold_anything_and_are_refused():
    """Hostile files: what an attacker computes the checksums of."""
    rng = random.Random(0)
    good = made.entry(ARRAYS["conv2d/bias"])
    data, n_refused = ARRAYS["conv2d/bias"].tobytes(), 0
    for _ in range(500):
        value = bytearray(good)
        for _ in range(rng.choice([1, 3])):
            value[rng.randrange(len(value))] = rng.randrange(256)
        rows = [(b"", made.header()), (b"weight", bytes(value))]
        try:
            read(made.table([made.block(rows)], [b"weight"]), data)
        except BadModel:
            n_refused += 1
    assert n_refused > 450
    assert masked(0) == 0xA282EAD8
