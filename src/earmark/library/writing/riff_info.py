"""The LIST INFO chunk of a WAV file, which Windows and most editors read, unlike ID3 in a WAV.

Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", pages 2-14 to
2-18. It has one text for a field, and no field for a mood: several genres are joined with ";".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from earmark.library.writing.fields import Values

_CHUNKS = {"genre": "IGNR", "artist": "IART", "title": "INAM", "album": "IPRD"}
_UNKNOWN = (b"\0\0\0\0", b"\xff\xff\xff\xff")  # sizes of what was written to a pipe


def read_info(path: Path) -> dict[str, Values]:
    """The fields of an INFO chunk; without one, no fields at all."""
    with path.open("rb") as file:
        chunk = _info_chunk(file)
        if chunk is None:
            return {}
        texts = {part.id: _text(part.read()) for part in chunk.subchunks()}
    fields: dict[str, Values] = dict.fromkeys(_CHUNKS, ())
    for field, name in _CHUNKS.items():
        parts = texts.get(name, "").split(";") if field == "genre" else [texts.get(name, "")]
        fields[field] = tuple(text for part in parts if (text := part.strip()))
    return fields


def write_genre(path: Path, values: Values) -> None:
    """Set the genre in a file's INFO chunk; without values it is removed."""
    with path.open("rb+") as file:
        chunk = _info_chunk(file)
        assert chunk is not None
        data = "; ".join(values).encode() + b"\0"
        for part in list(chunk.subchunks()):
            if part.id == _CHUNKS["genre"]:
                part.delete()
        if values:
            chunk.insert_chunk(_CHUNKS["genre"], data)


def why_not(path: Path) -> str | None:
    """Why no tags can be written to a WAV file: it is of a kind that mutagen does not write."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[8:] != b"WAVE":
            return None
        sizes = [head[4:8]]
        while len(chunk := file.read(8)) == 8 and chunk[:4] != b"data":
            size = int.from_bytes(chunk[4:], "little")
            file.seek(size + size % 2, os.SEEK_CUR)
        if chunk.startswith(b"data") and file.read(1):
            sizes.append(chunk[4:])
    if head.startswith((b"RF64", b"BW64")):
        return "it is RF64, a WAV of more than 4 GB; earmark cannot write its tags"
    if head.startswith(b"RIFX"):
        return "it is RIFX, a WAV whose bytes are in the other order; earmark cannot write its tags"
    if any(size in _UNKNOWN for size in sizes):
        return (
            "it does not say how long it is, as a WAV that was written to a pipe. Copy it first, "
            "for example with ffmpeg -i FILE -c copy NEW.wav"
        )
    return None


def _info_chunk(file: Any) -> Any:
    """The chunk, as mutagen reads it; None for a file without one."""
    from mutagen._riff import RiffFile, RiffListChunk

    if file.read(4) != b"RIFF":
        return None
    for chunk in RiffFile(file).root.subchunks():
        if isinstance(chunk, RiffListChunk) and chunk.name == "INFO":
            return chunk
    return None


def _text(data: bytes) -> str:
    """A text of INFO, whose encoding is stated nowhere."""
    data = data.split(b"\0")[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
