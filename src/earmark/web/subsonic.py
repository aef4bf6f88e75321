"""OpenSubsonic's extension sonicSimilarity: similar songs and ways between two, for players.

https://opensubsonic.netlify.app/docs/extensions/sonicsimilarity, version 1. Answers are JSON, as
the client's f=json asks; this is not a whole Subsonic server. A song's id is the library's id, or
its path.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from earmark import __version__
from earmark.errors import EarmarkError
from earmark.files import Json
from earmark.library.playlists.playlist import Length, PlaylistRequest
from earmark.library.song import ScannedFile
from earmark.web.access import Access
from earmark.web.errors import UnknownSong
from earmark.web.responses import json_response
from earmark.web.shelf import Shelf, normal
from earmark.web.sound import media_type

_VERSION = "1.16.1"  # of the Subsonic API
_EXTENSIONS = ("apiKeyAuthentication", "sonicSimilarity")
# the codes of Subsonic's errors
_OTHER, _MISSING, _WRONG_PASSWORD, _NOT_FOUND = 0, 10, 40, 70


def subsonic(shelf: Shelf, *, access: Access) -> APIRouter:
    """The routes below /rest, each with and without `.view` at its end."""
    router = APIRouter(include_in_schema=False)

    @router.get("/rest/{name}")
    async def rest(
        request: Request,
        name: str,
        count: Annotated[int | None, Query(ge=1, le=500)] = None,
    ) -> Response:
        given = request.query_params
        name = name.removesuffix(".view")
        if name == "getOpenSubsonicExtensions":  # needs no token, says the specification
            listed = [{"name": one, "versions": [1]} for one in _EXTENSIONS]
            return _ok({"openSubsonicExtensions": listed})
        if access.token is not None and not _is_let_in(given, request.headers, access.token):
            return _failed(_WRONG_PASSWORD, "the token is missing or wrong", status=401)
        if name == "ping":
            return _ok({})
        try:
            if name == "getSonicSimilarTracks":
                return _ok({"sonicMatch": await similar(_needed(given, "id"), n=count or 10)})
            if name == "findSonicPath":
                ends = _needed(given, "startSongId"), _needed(given, "endSongId")
                return _ok({"sonicMatch": await path(*ends, n=count or 25)})
        except _Missing as error:
            return _failed(_MISSING, f"the parameter {error} is missing")
        except UnknownSong as error:
            return _failed(_NOT_FOUND, str(error))
        except EarmarkError as error:
            return _failed(_OTHER, str(error))
        return _failed(_OTHER, f"{name} is not served here: only the extension sonicSimilarity is")

    async def similar(song: str, *, n: int) -> list[Json]:
        found = await shelf.similar(song, n=n)
        return [_match(number, one.song, one.similarity) for number, one in found]

    async def path(start: str, end: str, *, n: int) -> list[Json]:
        songs = await shelf.playlist(
            lambda known: PlaylistRequest(
                start=known(start), end=known(end), length=Length(songs=n)
            )
        )
        nearness = await shelf.nearness(songs[0][1], [song for _, song in songs])
        return [
            _match(number, song, similarity)
            for (number, song), similarity in zip(songs, nearness, strict=True)
        ]

    return router


class _Missing(Exception):
    """A parameter that is needed was not given."""


def _needed(given: Mapping[str, str], name: str) -> str:
    if not given.get(name):
        raise _Missing(name)
    return given[name]


def _match(number: int, song: ScannedFile, similarity: float) -> Json:
    """A sonicMatch: a Child and how much it sounds like the first song."""
    entry: dict[str, Any] = {
        "id": str(number),
        "isDir": False,
        "title": song.title or song.path.stem,
        "duration": round(song.seconds),
        "size": max(0, song.size),
        "suffix": song.path.suffix.lstrip(".").lower(),
        "contentType": media_type(song.path),
        "path": str(song.path),
        "type": "music",
        "mediaType": "song",
        "isVideo": False,
    }
    entry |= {key: value for key in ("artist", "album") if (value := getattr(song, key))}
    return {"entry": entry, "similarity": normal(similarity)}


def _is_let_in(given: Mapping[str, str], headers: Mapping[str, str], token: str) -> bool:
    """Whether a request shows the token, in one of the ways in which players do."""
    password = given.get("p", "")
    if password.startswith("enc:"):
        try:
            password = bytes.fromhex(password[4:]).decode()
        except ValueError:
            password = ""
    # the scheme is Subsonic's; it keeps the token out of the address, and no more
    salted = hashlib.md5((token + given.get("s", "")).encode(), usedforsecurity=False).hexdigest()
    shown = {
        headers.get("authorization", "").removeprefix("Bearer ").strip(): token,
        given.get("apiKey", ""): token,
        password: token,
        given.get("t", "").lower(): salted if given.get("s") else "",
    }
    return any(
        one and wanted and secrets.compare_digest(one.encode("utf-8", "replace"), wanted.encode())
        for one, wanted in shown.items()
    )


def _ok(content: dict[str, Any]) -> Response:
    return _response("ok", content)


def _failed(code: int, message: str, *, status: int = 200) -> Response:
    """An error; its status is that of an answer, as players expect, but for a wrong token."""
    return _response("failed", {"error": {"code": code, "message": message}}, http_status=status)


def _response(status: str, content: dict[str, Any], *, http_status: int = 200) -> Response:
    head = {
        "status": status,
        "version": _VERSION,
        "type": "earmark",
        "serverVersion": __version__,
        "openSubsonic": True,
    }
    return json_response({"subsonic-response": head | content}, status=http_status)
