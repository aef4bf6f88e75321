"""Addresses: files that lie elsewhere, such as s3://bucket/song.mp3, which fsspec reads.

`place_of` decides whether a name is an address or a local path; nothing else does. Whoever takes
either of them calls the same methods: an Address has those of pathlib.Path that earmark needs, and
raises nothing but OSError with its reason in words (strerror), as files do.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from earmark.errors import BadValue, MissingExtra

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters or more: C: is a disk
_PIECE = 1 << 23  # bytes of one request, where a file is read in its order
_LONGEST_REASON = 300  # characters; some drivers quote whole pages


@dataclass(frozen=True)
class Address:
    """A file or folder elsewhere, by its URL; not asked for anything until it is read."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        """The URL: no local path, but what a caller gave, and may give again."""
        return self.url

    def __truediv__(self, name: str) -> Address:
        """What lies in this folder under that name."""
        return Address(f"{self.url.rstrip('/')}/{name}")

    @property
    def _path(self) -> PurePosixPath:
        """The part that names a file: on the web without a query, which elsewhere is in names."""
        scheme, _, path = self.url.partition("://")
        return PurePosixPath(re.split("[?#]", path)[0] if scheme in ("http", "https") else path)

    @property
    def name(self) -> str:
        """The last part, without the folders."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on."""
        return self._path.suffix

    def size(self) -> int:
        """Bytes of the file."""
        with self._reached() as (system, path):
            found = system.info(path)
            if found["type"] == "directory":
                raise IsADirectoryError(errno.EISDIR, "it is a folder", self.url)
            if found["size"] is None:
                raise OSError(errno.EIO, "the server does not say how long it is", self.url)
            return int(found["size"])

    def names(self) -> list[str]:
        """The names of what lies in this folder, in no order; [] for no folder."""
        with self._reached() as (system, path):
            try:
                found = system.ls(path, detail=False, refresh=True)
            except FileNotFoundError:
                return []
            return [name.rstrip("/").rpartition("/")[2] for name in found]

    def read_bytes(self) -> bytes:
        """The whole file."""
        with self._reached() as (system, path):
            return bytes(system.cat_file(path))

    def read_part(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, in one request; fewer where the file ends there."""
        with self._reached() as (system, path):
            part = bytes(system.cat_file(path, start=start, end=end))
            if len(part) > end - start:
                raise OSError(errno.EIO, "the server gives whole files, and no parts", self.url)
            return part

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:  # noqa: ARG002 - as of Path
        """The file, open for reading; it is fetched piece by piece."""
        return io.BufferedReader(_Reader(self, self.size()), _PIECE)

    def fetch(self, path: Path) -> None:
        """Write the whole file to a local path."""
        with self._reached() as (system, name):
            system.get_file(name, str(path))

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """The file system of fsspec, and the name there; every failure becomes an OSError."""
        system, path = _system(self.url)
        try:
            yield system, path
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "nothing is there", self.url) from error
        except PermissionError as error:
            raise PermissionError(errno.EACCES, _words(error), self.url) from error
        except Exception as error:  # each driver raises errors of its own: botocore's, aiohttp's
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
            raise OSError(number, _words(error), self.url) from error


Place = Path | Address


def place_of(name: str | os.PathLike[str]) -> Place:
    """What a name leads to: an Address for one like s3://bucket/song.mp3, else a local path.

    A Path is local whatever it is called, and so is the name of a file that is there.
    """
    if isinstance(name, Address):
        return name
    if isinstance(name, str) and _ADDRESS.match(name) and not os.path.lexists(name):
        return Address(name)
    return Path(name)


def size_of(place: Place) -> int:
    """Bytes of a file, here or elsewhere."""
    return place.size() if isinstance(place, Address) else place.stat().st_size


def looks_remote(path: str | Path) -> bool:
    """Whether a local name that no file has was meant as an address: Path makes one / of two."""
    return re.match("[A-Za-z][A-Za-z0-9+.-]+:/", str(path)) is not None


def what_next(place: Place) -> str:
    """What to do where a place cannot be read."""
    if isinstance(place, Address):
        return "Check the address, the credentials and the connection"
    return "Check its permissions"


class _Reader(io.RawIOBase):
    """The bytes of an address, one request for each piece that is read."""

    def __init__(self, address: Address, size: int) -> None:
        super().__init__()
        self._address, self._size, self._at = address, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        part = self._address.read_part(self._at, end)
        view[: len(part)] = part
        self._at += len(part)
        return len(part)


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "remote") from error
    scheme = url.partition("://")[0]
    try:
        system, path = url_to_fs(url)
    except ImportError as error:  # fsspec's words name the package: "Install s3fs to access S3"
        raise BadValue(f"{url} needs another package. {error}, with pip") from error
    except ValueError as error:
        raise BadValue(
            f"{scheme}:// is no kind of address that fsspec knows ({_words(error)}). Check the "
            "name; s3://, gs:// and https:// are some that it does"
        ) from error
    return system, path


def _words(error: Exception) -> str:
    """What an error says, on one line that is no sentence."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(said.split()).rstrip(".") or type(error).__name__
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."
