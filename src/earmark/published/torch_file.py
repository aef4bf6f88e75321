"""Tensors that PyTorch saved, read without PyTorch and without running anything.

A .pth file is a pickle, a small program, that describes tensors whose numbers lie beside it: in a
zip archive since PyTorch 1.6, one after the other before. This reads the few instructions that a
plain state dict is made of and refuses all others, so that a file can name no function to call.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from earmark.arrays import AnyArray
from earmark.errors import BadModel

ZIP_SIGNATURE = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file before PyTorch 1.6
LEGACY_SIGNATURE = b"\x80\x02\x8a\x0a" + _MAGIC.to_bytes(10, "little") + b"."
_PLAIN = "Fetch the file that its authors published"
_PROTOCOL = 1001  # the second pickle; it never changed

_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
}
# What reading beyond the end, wrong lengths and wrong names raise; OSError: zipfile seeks to before
# the start; MemoryError and OverflowError: a length that no memory holds.
_DAMAGE = (
    ValueError, KeyError, EOFError, OSError, RuntimeError, MemoryError, OverflowError,
    struct.error, zipfile.BadZipFile,
)  # fmt: skip
_NEW_DICT = "collections OrderedDict"
_NEW_TENSOR = "torch._utils _rebuild_tensor_v2"


class _RefusedError(Exception):
    """Anything that is not a plain state dict; becomes a BadModel with the file's name."""


@dataclass(frozen=True)
class _Global:
    """A name the pickle mentions; nothing is looked up or called."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A flat array that several tensors may share."""

    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class _Tensor:
    """A view on a storage; offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, AnyArray]:
    """The tensors of a state dict, by name.

    Raises BadModel for a damaged file and for any pickle that is not a plain state dict.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) == ZIP_SIGNATURE:
                tensors, data = _read_zip(path)
            else:
                file.seek(0)
                tensors, data = _read_legacy(file)
        return {name: _view(tensor, data[tensor.storage.key]) for name, tensor in tensors.items()}
    except _RefusedError as error:
        raise BadModel(f"{path} is not a plain state dict of PyTorch: {error}. {_PLAIN}") from error
    except _DAMAGE as error:
        raise BadModel(f"{path} is damaged or cut short ({error}). Fetch it again.") from error


def _read_zip(path: Path) -> tuple[dict[str, _Tensor], dict[str, AnyArray]]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _RefusedError(f"a zip archive with {len(pickles)} files data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise _RefusedError("a compressed archive, which PyTorch never writes")
        if folder + "byteorder" in archive.namelist():
            _little_endian(archive.read(folder + "byteorder") == b"little")
        tensors = _state_dict(_unpickle(io.BytesIO(archive.read(pickles[0]))))
        data = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            data[storage.key] = _numbers(archive.read(f"{folder}data/{storage.key}"), storage)
    return tensors, data


def _read_legacy(file: IO[bytes]) -> tuple[dict[str, _Tensor], dict[str, AnyArray]]:
    if _unpickle(file) != _MAGIC or _unpickle(file) != _PROTOCOL:
        raise _RefusedError("it does not start with the numbers that PyTorch writes")
    system = _unpickle(file)
    _little_endian(isinstance(system, dict) and system.get("little_endian") is True)
    tensors = _state_dict(_unpickle(file))
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    keys = _unpickle(file)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise _RefusedError("its list of storages is not that of its tensors")
    data = {}
    for key in keys:
        storage = storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length:
            raise _RefusedError(
                f"storage {key} has {length} numbers, but {storage.length} are announced"
            )
        data[key] = _numbers(file.read(length * storage.dtype.itemsize), storage)
    return tensors, data


def _little_endian(is_so: bool) -> None:
    if not is_so:
        raise _RefusedError("it was written on a machine of the other byte order")


def _numbers(raw: bytes, storage: _Storage) -> AnyArray:
    if len(raw) != storage.length * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} holds {len(raw)} bytes")
    return np.frombuffer(raw, dtype=storage.dtype)


def _view(tensor: _Tensor, numbers: AnyArray) -> AnyArray:
    sizes = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in sizes)
    # networks have no empty tensors, and none that show one number twice
    whole = min((1, *tensor.shape)) > 0 and math.prod(tensor.shape) <= numbers.size
    if not whole or min((tensor.offset, *tensor.strides)) < 0 or last >= numbers.size:
        raise _RefusedError("a tensor reaches outside of its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return np.ascontiguousarray(view).reshape(tensor.shape)


def _state_dict(value: object) -> dict[str, _Tensor]:
    if not isinstance(value, dict) or not value:
        raise _RefusedError(f"it holds a {type(value).__name__}, not named tensors")
    for name, tensor in value.items():
        if not isinstance(tensor, _Tensor):
            raise _RefusedError(f"{name!r} is a {type(tensor).__name__}, not a tensor")
    return value


def _unpickle(file: IO[bytes]) -> object:
    """The value of one pickle, up to and including its STOP; only what state dicts are made of."""
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise EOFError("a pickle without an end")


_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The pickle machine with a stack, marks and a memo, and no way to call anything."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction; `argument` is what the file gives with it."""
        match name:
            case "PROTO":
                pass
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                self._stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._stack.append(_LITERALS[name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                self._stack.append(_EMPTY[name]())
            case "MARK":
                self._marks.append(len(self._stack))
            case "TUPLE":
                self._stack.append(tuple(self._to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._stack.append(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top(object)
            case "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(_Global(argument))
            case "BINPERSID":
                self._stack.append(_storage(self.pop()))
            case "REDUCE":
                arguments, function = self.pop(), self.pop()
                self._stack.append(_reduce(function, arguments))
            case "APPENDS":
                items = self._to_mark()
                self._top(list).extend(items)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                self._top(dict)[_name(key)] = value
            case "SETITEMS":
                items = self._to_mark()
                pairs = zip(items[::2], items[1::2], strict=True)
                self._top(dict).update({_name(key): value for key, value in pairs})
            case "BUILD":  # the versions of the modules that the tensors are from: not needed
                self.pop()
                self._top(dict)
            case _:
                raise _RefusedError(f"its pickle has the instruction {name}")

    def pop(self) -> Any:
        """Take the topmost value."""
        if not self._stack or (self._marks and self._marks[-1] == len(self._stack)):
            raise _RefusedError("its pickle takes more values than it gives")
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise _RefusedError("its pickle adds items to what is not a container")
        return self._stack[-1]

    def _to_mark(self) -> list[Any]:
        if not self._marks:
            raise _RefusedError("its pickle takes more values than it gives")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items


def _name(key: object) -> Hashable:
    if not isinstance(key, str):
        raise _RefusedError(f"a name that is a {type(key).__name__}")
    return key


def _storage(identity: object) -> _Storage:
    """From ("storage", type, key, device, length), and None for a view in files before 1.6."""
    match identity:
        case ("storage", _Global(name=kind), str(key), str(), int(length), *rest) if (
            length >= 0 and rest in ([], [None])
        ):
            if kind in _DTYPES:
                return _Storage(key, _DTYPES[kind], length)
    raise _RefusedError("a storage of an unknown type of numbers")


def _reduce(function: object, arguments: object) -> object:
    """The two calls a state dict makes, without making them."""
    match function, arguments:
        case _Global(name=name), () if name == _NEW_DICT:
            return {}
        case _Global(name=name), (_Storage() as storage, int(offset), shape, strides, *_) if (
            name == _NEW_TENSOR
        ):
            return _Tensor(storage, offset, _sizes(shape), _sizes(strides))
    called = function.name if isinstance(function, _Global) else type(function).__name__
    raise _RefusedError(f"its pickle calls {called!r}")


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(isinstance(size, int) for size in value):
        raise _RefusedError("a tensor whose shape or strides are not numbers")
    return value
