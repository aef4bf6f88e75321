"""The JSON API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from earmark.errors import EarmarkError
from earmark.files import Json, json_line
from earmark.inference import Options
from earmark.ranking import Ranking
from earmark.results import Failure, Tags
from earmark.tags import Vocabulary
from earmark.web import metrics, schemas
from earmark.web.responses import failure_response, json_response, shown_name
from earmark.web.service import Service, Upload

Result = TypeVar("Result")

File_ = Annotated[UploadFile, File(description="A song, in any format that FFmpeg reads.")]
Files = Annotated[
    list[UploadFile], File(description="Songs; together no larger than the upload limit.")
]
Top = Annotated[int, Query(ge=1, le=10_000, description="How many tags to return.")]
Rank = Annotated[
    Ranking | None,
    Query(description="What the tags are sorted by; evidence where the model has priors."),
]
OfVocabulary = Annotated[
    Vocabulary, Query(description="all, or msd50: the fifty tags of the Million Song Dataset.")
]
Center = Annotated[bool, Query(description="Hear only the middle of a song, as the papers do.")]
MaxSeconds = Annotated[
    float | None,
    Query(ge=0.1, le=1e6, allow_inf_nan=False, description="Stop listening after that much."),
]
Start = Annotated[
    float, Query(ge=0, le=1e6, allow_inf_nan=False, description="Where the window begins, seconds.")
]


class _TagQuery(NamedTuple):
    """How songs are to be tagged, from the query string."""

    options: Options
    top: int


async def _tag_query(
    top: Top = 10,
    rank: Rank = None,
    vocabulary: OfVocabulary = "all",
    center: Center = False,
    max_seconds: MaxSeconds = None,
) -> _TagQuery:
    options = Options(rank=rank, vocabulary=vocabulary, center=center, max_seconds=max_seconds)
    return _TagQuery(options, top)


TagQuery = Annotated[_TagQuery, Depends(_tag_query)]

_CLIENT_GONE = 499  # nginx's status for a client that has left; only the log shows it
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": schemas.ErrorSchema, "description": "The token is missing or wrong."},
    403: {
        "model": schemas.ErrorSchema,
        "description": "A page of another site sends it.",
    },
    408: {"model": schemas.ErrorSchema, "description": "The upload did not arrive in time."},
    413: {"model": schemas.ErrorSchema, "description": "The upload is too large."},
    422: {
        "model": schemas.FailedSongSchema | schemas.ErrorSchema,
        "description": "A file without audio, too long, or that breaks the decoder; or an "
        "invalid value.",
    },
    503: {
        "model": schemas.ErrorSchema,
        "description": "The server is full. The header Retry-After says when to try again.",
    },
}


class _ClientGone(Exception):
    """The client has left."""


def api(service: Service) -> APIRouter:
    """The routes of a service."""
    router = APIRouter()
    post = partial(router.post, responses=_ERRORS, tags=["songs"])

    async def run_on_upload(
        request: Request, file: UploadFile, work: Callable[[Upload], Result]
    ) -> Result | Failure | None:
        """The result of work on an upload, a failure, or None if the client has left."""
        name = shown_name(file.filename)
        try:
            async with service.stored(file.file, name) as upload:
                return await service.run(lambda: work(upload), is_gone=request.is_disconnected)
        except EarmarkError as error:
            return Failure(Path(name), error)

    @post("/api/tag", response_model=schemas.TaggedSongSchema, summary="The tags of a song")
    async def tag(request: Request, file: File_, query: TagQuery) -> Response:
        """Returns the line that `earmark tag --json` prints."""
        result = await run_on_upload(
            request, file, lambda upload: service.tag(upload, query.options)
        )
        return _response(result, lambda tags: tags.as_json(top=query.top))

    @post("/api/tag/batch", response_model=schemas.BatchSchema, summary="The tags of several songs")
    async def tag_batch(request: Request, files: Files, query: TagQuery) -> Response:
        """Returns a line for each file, in their order; a bad file fails alone."""

        async def one(file: UploadFile) -> Json | None:
            work = partial(service.tag, options=query.options)
            result = await run_on_upload(request, file, work)
            if result is None:
                return None
            return result.as_json(top=query.top) if isinstance(result, Tags) else result.as_json()

        lines = await asyncio.gather(*map(one, files))
        if None in lines:
            return Response(status_code=_CLIENT_GONE)
        return json_response({"results": lines})

    @post(
        "/api/listen",
        response_class=StreamingResponse,
        responses=_ERRORS
        | {
            200: {
                "content": {"application/x-ndjson": {}},
                "description": 'Lines {"done"}, from 0 to 1, while it listens; the last one is '
                '{"result"}.',
            }
        },
        summary="All that the page shows of a song",
    )
    async def listen(request: Request, file: File_, max_seconds: MaxSeconds = None) -> Response:
        """Returns line by line: progress, then tags, waveform, spectrogram and tags over time.

        The response begins when the file is decoded, so that its status reports a bad file.
        """
        loop, gone = asyncio.get_running_loop(), threading.Event()
        lines: asyncio.Queue[Json | None] = asyncio.Queue()

        def on_progress(done: float) -> None:
            if gone.is_set():
                raise _ClientGone
            loop.call_soon_threadsafe(lines.put_nowait, {"done": round(done, 3)})

        def describe(upload: Upload) -> Json:
            options = Options(max_seconds=max_seconds)
            return {"result": service.describe(upload, options, on_progress)}

        def end(task: asyncio.Task[Any]) -> None:
            task.exception()  # marks it as retrieved, in case the client has left
            lines.put_nowait(None)

        async def following(line: Json | None) -> AsyncIterator[bytes]:
            try:
                while line is not None:
                    yield json_line(line).encode() + b"\n"
                    line = await lines.get()
                last = await task
                if last is not None:
                    line = last.as_json() if isinstance(last, Failure) else last
                    yield json_line(line).encode() + b"\n"
            finally:
                gone.set()

        task = asyncio.create_task(run_on_upload(request, file, describe))
        task.add_done_callback(end)
        first = await lines.get()
        if first is None:  # nothing was sent yet: the status can report the error
            return _response(await task, lambda value: value)
        return StreamingResponse(following(first), media_type="application/x-ndjson")

    @post(
        "/api/embedding",
        response_model=schemas.EmbeddingSchema,
        summary="The embedding of a song",
    )
    async def embedding(
        request: Request, file: File_, center: Center = False, max_seconds: MaxSeconds = None
    ) -> Response:
        """Returns the vector that `Tagger.embed` gives, to compare songs with: the cosine of two
        vectors says how much alike they sound.
        """
        options = Options(center=center, max_seconds=max_seconds)
        result = await run_on_upload(request, file, lambda upload: service.embed(upload, options))
        return _response(result, lambda value: value)

    @post(
        "/api/sensitivity",
        response_model=schemas.SensitivitySchema,
        summary="Which regions of a window each tag depends on",
    )
    async def sensitivity(request: Request, file: File_, start: Start = 0.0) -> Response:
        """Mutes one region of the spectrogram after the other (occlusion). It shows what the
        network is sensitive to, and does not prove a cause.
        """
        result = await run_on_upload(
            request, file, lambda upload: service.sensitivity(upload, start=start)
        )
        return _response(result, lambda value: value)

    @router.get(
        "/api/models",
        response_model=schemas.ModelsSchema,
        summary="The model served",
        tags=["server"],
    )
    async def models() -> Response:
        """The model's card, with a row for each tag."""
        return json_response(service.models())

    @router.get(
        "/api/health",
        response_model=schemas.HealthSchema,
        summary="Whether the server works",
        tags=["server"],
    )
    async def health() -> Response:
        """Returns as long as the server is up; needs no token."""
        return json_response(service.health())

    @router.get("/metrics", summary="Metrics for Prometheus", tags=["server"])
    async def prometheus() -> Response:
        """Counters, gauges and histograms in Prometheus' text format."""
        return Response(service.metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return router


def _response(result: Result | Failure | None, as_json: Callable[[Result], Json]) -> Response:
    if result is None:
        return Response(status_code=_CLIENT_GONE)
    if isinstance(result, Failure):
        return failure_response(result)
    return json_response(as_json(result))
