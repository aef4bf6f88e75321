"""Errors of the web server, each with its HTTP status.

HttpError (400)
├── NotAuthorised (401)   the token is missing or wrong
├── WrongOrigin (403)     the request comes from a page of another site
├── UnknownSong (404)     the library does not know the song
├── CannotConvert (404)   the file is gone, or cannot be converted to what a browser plays
├── TooSlow (408)         the upload did not arrive in time
├── TooLarge (413)        the upload is larger than the limit
├── WrongHost (421)       the Host header names another server
├── TooLong (422)         the song is longer than the limit
├── TooCostly (422)       decoding takes too much time or memory, or kills the decoder
└── Busy (503)            too many requests are under way
"""

from __future__ import annotations

from earmark.errors import EarmarkError


class HttpError(EarmarkError):
    """A request that is not served; the message says what to do."""

    status = 400

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {}


class NotAuthorised(HttpError):
    """The token is missing or wrong."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """The kind of token that is needed."""
        return {"WWW-Authenticate": "Bearer"}


class WrongOrigin(HttpError):
    """The request comes from a page of another site."""

    status = 403


class UnknownSong(HttpError):
    """The library does not know the song."""

    status = 404


class CannotConvert(HttpError):
    """The file is gone, or cannot be converted to what a browser plays."""

    status = 404


class TooSlow(HttpError):
    """The upload did not arrive in time."""

    status = 408


class TooLarge(HttpError):
    """The upload is larger than the limit."""

    status = 413


class WrongHost(HttpError):
    """The Host header names another server."""

    status = 421


class TooLong(HttpError):
    """The song is longer than the limit."""

    status = 422


class TooCostly(HttpError):
    """Decoding takes too much time or memory, or kills the decoder."""

    status = 422


class Busy(HttpError):
    """Too many requests are under way.

    retry_after : seconds until there is probably room
    """

    status = 503

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    @property
    def headers(self) -> dict[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.retry_after)}
