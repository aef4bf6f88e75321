"""The header of an ASF file (WMA): whether its audio is encrypted, and how long it says that it is.

The objects are those of the Advanced Systems Format Specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from types import SimpleNamespace
from uuid import UUID

# Content Encryption and Extended Content Encryption, sections 3.14 and 3.15
_PROTECTED = {
    UUID("2211b3fb-bd23-11d2-b4b7-00a0c955fc6e").bytes_le,
    UUID("298ae614-2622-4c17-b935-dae07ee9289c").bytes_le,
}
_FILE_PROPERTIES = UUID("8cabdca1-a947-11cf-8ee4-00c00c205365").bytes_le  # section 3.2
_HEADER = Struct("<16sQIH")  # whose it is, bytes of the whole header, objects in it, reserved
_OBJECT = Struct("<16sQ")  # its kind, bytes of it, these among them
# of File Properties: id, bytes of the file, date, packets, then how long it plays and is sent, both
# in 100 ns, and how much of that is silence before it starts, in ms
_PROPERTIES = Struct("<16s3QQQQ")


def is_protected(source: SimpleNamespace) -> bool:
    """Whether an object of the header says that the audio is encrypted."""
    return any(kind in _PROTECTED for kind, _ in _objects(source))


def seconds(source: SimpleNamespace) -> float | None:
    """How long the file says that it plays; None if it does not."""
    for kind, body in _objects(source):
        if kind == _FILE_PROPERTIES and len(body) == _PROPERTIES.size:
            _, _, _, _, plays, _, before = _PROPERTIES.unpack(body)
            return max(0.0, plays / 1e7 - before / 1e3) or None
    return None


def _objects(source: SimpleNamespace) -> Iterator[tuple[bytes, bytes]]:
    """The kind of each object, and the first bytes of its body."""
    source.seek(0)
    head = source.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return
    _, header_bytes, n_objects, _ = _HEADER.unpack(head)
    at = _HEADER.size
    for _ in range(min(n_objects, 1000)):  # a damaged count could be in the billions
        source.seek(at)
        start = source.read(_OBJECT.size + _PROPERTIES.size)
        if len(start) < _OBJECT.size or at >= header_bytes:
            return
        kind, n_bytes = _OBJECT.unpack(start[: _OBJECT.size])
        yield kind, start[_OBJECT.size :]
        at += max(n_bytes, _OBJECT.size)
