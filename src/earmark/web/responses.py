"""Errors as answers: each a status, a kind and a sentence."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from earmark.errors import EarmarkError
from earmark.files import json_line
from earmark.tagger import Failure
from earmark.web import logs
from earmark.web.errors import HttpError

_UNUSABLE = 422  # of a file or a value that cannot be served; Refusals have their own
_LONGEST_NAME = 200  # characters


def add_answers(app: FastAPI) -> None:
    """Let every error leave the application as JSON."""
    app.add_exception_handler(EarmarkError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_values)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_a_bug)


def as_response(
    value: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON document, in the bytes that the command line prints."""
    return Response(json_line(value).encode(), status, headers, "application/json")


def refused(failure: Failure) -> Response:
    """The answer to a file that could not be heard."""
    return as_response(
        failure.as_json(),
        status=_status(failure.error),
        headers=failure.error.headers if isinstance(failure.error, HttpError) else None,
    )


def shown_name(name: str | None) -> str:
    """What a file that was sent is called in answers: the last part of its name, printable."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(
        char for char in last if not unicodedata.category(char).startswith(("C", "Zl", "Zp"))
    )
    return printable.strip(" .")[:_LONGEST_NAME] or "upload"


def _status(error: EarmarkError) -> int:
    return error.status if isinstance(error, HttpError) else _UNUSABLE


def _of_ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, EarmarkError)
    headers = error.headers if isinstance(error, HttpError) else None
    return as_response({"error": error.as_json()}, status=_status(error), headers=headers)


def _of_values(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'][1:]) or one['loc'][0]}: {one['msg']}"
        for one in error.errors()
    )
    return _said(_UNUSABLE, "bad_request", f"{told}. /docs shows what can be asked")


def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.detail, HttpError):
        return _of_ours(_, error.detail)
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "_").replace("-", "_")
    words = str(error.detail).rstrip(".")
    response = _said(status, kind, f"{words}. /docs shows what can be asked")
    response.headers.update(error.headers or {})
    return response


def _of_a_bug(_: Request, error: Exception) -> Response:
    logs.log.error("bug", exc_info=error)
    own_id = logs.request_id.get()
    words = f"unexpected {type(error).__name__} (a bug in earmark; please report it, with {own_id})"
    return _said(500, "unexpected", words)


def _said(status: int, kind: str, message: str) -> Response:
    return as_response({"error": {"kind": kind, "message": message}}, status=status)
