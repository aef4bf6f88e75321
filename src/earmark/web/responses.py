"""JSON responses, and the response for each kind of error: a status, a kind and a message."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from earmark.errors import EarmarkError, ModelError
from earmark.files import json_line
from earmark.results import Failure
from earmark.web import logs
from earmark.web.errors import HttpError

_UNPROCESSABLE = 422  # for a bad file or value; an HttpError has a status of its own
_OUR_FAULT = 500  # the model that is served does not work
_LONGEST_NAME = 200  # characters


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the application a JSON response."""
    app.add_exception_handler(EarmarkError, _earmark_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected_error)


def json_response(
    value: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON document, in the bytes that the command line prints."""
    return Response(json_line(value).encode(), status, headers, "application/json")


def failure_response(failure: Failure) -> Response:
    """The response for a file that could not be heard."""
    return json_response(
        failure.as_json(),
        status=_status(failure.error),
        headers=failure.error.headers if isinstance(failure.error, HttpError) else None,
    )


def shown_name(name: str | None) -> str:
    """The name of an uploaded file in responses: its last part, without unprintable characters."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(
        char for char in last if not unicodedata.category(char).startswith(("C", "Zl", "Zp"))
    )
    return printable.strip(" .")[:_LONGEST_NAME] or "upload"


def _status(error: EarmarkError) -> int:
    if isinstance(error, HttpError):
        return error.status
    return _OUR_FAULT if isinstance(error, ModelError) else _UNPROCESSABLE


def _earmark_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, EarmarkError)
    headers = error.headers if isinstance(error, HttpError) else None
    return json_response({"error": error.as_json()}, status=_status(error), headers=headers)


def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'][1:]) or one['loc'][0]}: {one['msg']}"
        for one in error.errors()
    )
    return _error(_UNPROCESSABLE, "bad_request", f"{details}. See /docs for the API")


def _http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.detail, HttpError):
        return _earmark_error(_, error.detail)
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "_").replace("-", "_")
    words = str(error.detail).rstrip(".")
    response = _error(status, kind, f"{words}. See /docs for the API")
    response.headers.update(error.headers or {})
    return response


def _unexpected_error(_: Request, error: Exception) -> Response:
    logs.log.error("bug", exc_info=error)
    request_id = logs.request_id.get()
    words = (
        f"a bug in earmark stopped request {request_id}. Please report it, with the lines of the "
        "server's log about that request"
    )
    return _error(500, "unexpected", words)


def _error(status: int, kind: str, message: str) -> Response:
    return json_response({"error": {"kind": kind, "message": message}}, status=status)
