"""Files that are whole or not there: atomic writes, checksums, JSON on one line."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where fetched weights and converted models are kept."""
    import platformdirs

    own = os.environ.get("EARMARK_CACHE")
    if own:
        return Path(own).expanduser()
    return platformdirs.user_cache_path("earmark", appauthor=False)


Json = dict[str, Any]  # a JSON object


# The names of temporary files, and as versions before this named them: ".song.mp3.0123abcd.part"
_TEMPORARY = re.compile(r"\.earmark-[0-9a-f]{8}\.part(\.[^.]+)?|\..+\.part")
_LONGEST_SUFFIX = 16  # characters; what is longer says nothing about a file's format


@contextmanager
def atomic_path(path: str | Path, *, keep_suffix: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    The file is flushed to disk before the rename, so that under its final name it is whole. On an
    error the temporary file is removed, and a file that was at `path` stays. The temporary name is
    short, since that of `path` may be as long as names can be.

    keep_suffix : it ends as `path` does, for programs that tell formats apart by the name
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # not tempfile, which makes private files: these get the mode of the user's umask
    suffix = path.suffix if keep_suffix and len(path.suffix) <= _LONGEST_SUFFIX else ""
    temporary = path.with_name(f".earmark-{secrets.token_hex(4)}.part{suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a path has a name that atomic_path gives to unfinished files."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Delete the unfinished files of killed runs in a folder that no run is working on."""
    for path in folder.glob(".*.part*"):
        if is_temporary(path):
            path.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a whole UTF-8 file atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON document atomically, indented, keys in the given order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_line(value: Any) -> str:
    """One JSON document on one line, without its newline.

    A file name that is not UTF-8 is written with escapes, which os.fsencode turns back into its
    bytes. Raises ValueError for NaN and infinity, which JSON has no number for.
    """
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return line if _encodes(line) else json.dumps(value, allow_nan=False)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
