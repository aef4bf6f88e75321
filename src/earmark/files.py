"""Files that are whole or not there: atomic writes, checksums, JSON, names within a folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

    The file is flushed to disk before the rename, so that under its final name it is whole, and its
    folder after the rename, so that a power cut takes nothing back. On an error the temporary file
    is removed, and a file that was at `path` stays. The temporary name is short, since that of
    `path` may be as long as names can be.

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
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, which a rename changes in memory only.

    Raises nothing: the file has its name by now, whole, and to call that a failure would be wrong.
    Windows and some network file systems cannot do it.
    """
    if os.name == "nt":
        return
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


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
    bytes. JSON has no NaN and no infinity: they become null.
    """
    try:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        value = _without_nan(value)
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return line if encodes(line) else json.dumps(value)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON document, of which every failure is a ValueError.

    Also for text nested too deeply to be read, and for NaN and infinity, which are not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML document, of which every failure is a ValueError, as of parse_json."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def is_bare_name(text: str) -> bool:
    """Whether a text is the name of a file in a folder, and no way to another folder."""
    return Path(text).name == text and text not in ("", ".", "..") and "\0" not in text


def within(folder: str | Path, path: str | Path) -> bool:
    """Whether `folder`/`path` lies in the folder by its name; a link in it may lead elsewhere."""
    place = os.path.abspath(Path(folder) / path)  # noqa: PTH100 - resolve follows links
    return Path(place).is_relative_to(os.path.abspath(folder))  # noqa: PTH100


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def encodes(text: str) -> bool:
    """Whether a text is UTF-8; a file name that is not has surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
