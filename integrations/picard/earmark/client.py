"""The client of `earmark serve`: what its JSON API hears in one file, as genres and moods.

It imports nothing of Picard, and only Python's own library, which is all that Picard has for sure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

_CHUNK = 1 << 16  # bytes
_ALL = 1000  # more tags than any model has
_PATIENCE = 300  # seconds: other songs may be before this one


class NotHeard(Exception):
    """A file that could not be heard, and why."""


def hear(path: Path, *, server: str, token: str = "") -> dict[str, Any]:
    """The line of `earmark tag --json` for a file.

    server : the address of `earmark serve`, such as http://127.0.0.1:8000
    token : its EARMARK_TOKEN; empty if it has none

    Raises NotHeard.
    """
    try:
        place = urlsplit(server)
        host, port = place.hostname, place.port
    except ValueError:  # a port that is no number, say
        host = None
    if not host or place.scheme not in ("http", "https"):
        raise NotHeard(f"{server!r} is not an address such as http://127.0.0.1:8000")
    connect = HTTPSConnection if place.scheme == "https" else HTTPConnection
    connection = connect(host, port, timeout=_PATIENCE)
    boundary = uuid4().hex
    name = quote(path.name, safe=" ()[]&+,;='!-._")  # no quotes, line ends or other scripts
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    try:
        size = len(head) + path.stat().st_size + len(tail)
    except OSError as error:
        raise _unreadable(path, error) from error
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(size),
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = f"{place.path.rstrip('/')}/api/tag?top={_ALL}"
    try:
        # a server that refuses a file may answer, and close, before it has all of it
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", address, _body(path, head, tail), headers)
        return _answer(connection.getresponse())
    except (OSError, HTTPException) as error:
        raise NotHeard(
            f"{server} does not answer ({error}). Is `earmark serve` running?"
        ) from error
    finally:
        connection.close()


def genres_and_moods(heard: dict[str, Any], *, least: float) -> tuple[list[str], list[str]]:
    """The genres and moods of an answer with at least this score.

    The genre that fits best comes first. There is none where earmark is not sure of it, and
    neither genres nor moods of what is not music.
    """
    if heard["kind"] != "music":
        return [], []
    tags = sorted(
        heard["tags"], key=lambda tag: (tag["tag"] != heard["first_genre"], -tag["score"])
    )

    def named(group: str) -> list[str]:
        return [tag["tag"] for tag in tags if tag["group"] == group and tag["score"] >= least]

    return named("genre") if heard["first_genre"] else [], named("mood")


def _body(path: Path, head: bytes, tail: bytes) -> Iterator[bytes]:
    yield head
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise _unreadable(path, error) from error
    yield tail


def _unreadable(path: Path, error: OSError) -> NotHeard:
    return NotHeard(f"cannot read {path.name}: {error.strerror}")


def _answer(response: HTTPResponse) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(response.read())
    except ValueError as error:
        raise NotHeard(
            f"the answer is not earmark's: {response.status} {response.reason}"
        ) from error
    if not isinstance(answer, dict):
        raise NotHeard(f"the answer is not earmark's: {response.status} {response.reason}")
    if "error" in answer:
        raise NotHeard(answer["error"]["message"])
    return answer
