"""The routes of a library: for the page, and for players, as JSON and M3U."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from earmark.library.playlists.m3u import m3u8
from earmark.library.playlists.playlist import Length, PlaylistRequest
from earmark.library.song import ScannedFile
from earmark.web import schemas
from earmark.web.responses import json_response
from earmark.web.shelf import Numbered, Shelf
from earmark.web.sound import Sound

Format = Annotated[
    Literal["json", "m3u"], Query(description="json, or m3u: a playlist (M3U8) of the paths.")
]
OneSong = Annotated[
    str, Query(min_length=1, max_length=4096, description="A song's id, or its path, as scanned.")
]
SomeSongs = Annotated[
    list[str], Query(max_length=50, description="Ids or paths of songs; may be repeated.")
]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="A song's id.")]  # as SQLite counts
Expression = Annotated[
    str, Query(max_length=2000, description='Tags, such as "jazz and not vocal, calm > .6".')
]
Words = Annotated[
    str, Query(max_length=500, description="Words in the artist, title, album or path.")
]
Most = Annotated[int | None, Query(ge=1, le=1000, description="Most songs; 25 by default.")]
Minutes = Annotated[
    float | None, Query(ge=0.1, le=1e5, allow_inf_nan=False, description="Most minutes.")
]
PerArtist = Annotated[int | None, Query(ge=1, description="Most songs of one artist.")]

_MOST_IN_A_FILE = 10_000  # songs


class Said(BaseModel):
    """What a person says of a song: whether it carries a tag; null forgets it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tag: str
    holds: bool | None


def library_api(shelf: Shelf, sound: Sound) -> APIRouter:
    """The routes of a library."""
    router = APIRouter()
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.ErrorSchema, "description": why}
        for status, why in {
            401: "The token is missing or wrong.",
            404: "The library does not know the song.",
            422: "An invalid value; of an expression it says where.",
        }.items()
    }
    get = partial(router.get, responses=errors, tags=["library"])

    def answer(songs: Iterable[Numbered], *, form: str, name: str) -> Response:
        if form == "m3u":
            return _m3u((song for _, song in songs), name=name)
        return json_response({"songs": [shelf.line(number, song) for number, song in songs]})

    @get("/api/library", summary="What is in the library")
    async def about() -> Response:
        """How many songs, and the tags to look for, each as an expression names it."""
        return json_response(await shelf.about())

    @get("/api/library/songs", summary="Songs by an expression and by their names")
    async def songs(
        expression: Expression = "",
        words: Words = "",
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=_MOST_IN_A_FILE)] = 100,
        format: Format = "json",  # noqa: A002 - the name in the address
    ) -> Response:
        """The songs that fit, the best first, and how many of them have each tag."""
        if format == "m3u":
            return _m3u(await shelf.songs(expression, words, limit=limit), name="songs")
        return json_response(await shelf.search(expression, words, offset=offset, limit=limit))

    @get("/api/library/songs/{number}", summary="One song")
    async def song(number: Number) -> Response:
        """Its line in `earmark library show --json`, and `audio`: the address of its sound."""
        return json_response(await shelf.song(number))

    @router.post(
        "/api/library/songs/{number}/corrections",
        responses=errors,
        tags=["library"],
        summary="Correct a tag of a song",
    )
    async def correct(number: Number, said: Said) -> Response:
        """The correction is remembered with the audio, and beats what was heard; null forgets it.

        Returns the song as it is then.
        """
        return json_response(await shelf.correct(number, tag=said.tag, holds=said.holds))

    @get("/api/library/corrections.csv", summary="The corrected songs, to learn from")
    async def corrections() -> Response:
        """A CSV catalog, as `earmark data catalog csv` reads it."""
        return _download(await shelf.corrections(), "text/csv; charset=utf-8", "corrections.csv")

    @get("/api/library/similar", summary="Songs that sound like one")
    async def similar(
        song: OneSong,
        n: Annotated[int, Query(ge=1, le=1000)] = 20,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Best first, without itself and its copies; `similarity` is the cosine of the two."""
        found = await shelf.similar(song, n=n)
        if format == "m3u":
            return _m3u((one.song for _, one in found), name="similar")
        lines = [
            shelf.line(number, one.song) | {"similarity": round(one.similarity, 5)}
            for number, one in found
        ]
        return json_response({"songs": lines})

    @get("/api/library/journey", summary="A way from one song to another")
    async def journey(
        start: Annotated[str, Query(alias="from", min_length=1, max_length=4096)],
        end: Annotated[str, Query(alias="to", min_length=1, max_length=4096)],
        expression: Expression = "",
        songs: Most = None,
        minutes: Minutes = None,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Both ends are included; between them the sound changes step by step."""
        found = await shelf.playlist(
            lambda known: PlaylistRequest(
                expression or None,
                start=known(start),
                end=known(end),
                length=Length(songs, minutes),
            )
        )
        return answer(found, form=format, name="journey")

    @get("/api/library/mix", summary="A mix by examples, an expression, or both")
    async def mix(
        like: SomeSongs = [],  # noqa: B006 - FastAPI copies it
        unlike: SomeSongs = [],  # noqa: B006
        expression: Expression = "",
        songs: Most = None,
        minutes: Minutes = None,
        per_artist: PerArtist = None,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Songs like all of `like` together and unlike `unlike`; no recording twice."""
        found = await shelf.playlist(
            lambda known: PlaylistRequest(
                expression or None,
                like=[known(each) for each in like],
                unlike=[known(each) for each in unlike],
                length=Length(songs, minutes, per_artist),
            )
        )
        return answer(found, form=format, name="mix")

    # outside /api: what plays a song cannot send a token, and is let in by the key of the song
    @router.get("/library/audio/{number}", include_in_schema=False)
    async def audio(
        request: Request,
        number: Number,
        key: str = "",
        form: Annotated[Literal["original", "opus"], Query(alias="as")] = "original",
    ) -> Response:
        path = await shelf.file(number, key)
        if form == "opus":
            return await sound.opus(path, number, request)
        return sound.original(path)

    return router


def _m3u(songs: Iterable[ScannedFile], *, name: str) -> Response:
    data, _ = m3u8(songs)
    return _download(data, "audio/x-mpegurl; charset=utf-8", f"{name}.m3u8")


def _download(content: str | bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=kind)
