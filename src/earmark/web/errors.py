"""Why a request is refused: an error of ours with the status that HTTP has for it.

Refusal (400)
├── NotAuthorised (401)   the token is missing or wrong
├── WrongOrigin (403)     a page of another site asks
├── TooSlow (408)         the upload did not arrive in time
├── TooLarge (413)        more bytes than an upload may have
├── WrongHost (421)       a name that this server does not go by
├── TooLong (422)         a song longer than is heard here
├── TooCostly (422)       a file that takes the decoder too much time or memory, or kills it
└── Busy (503)            as many requests are under way as may be
"""

from __future__ import annotations

from earmark.errors import EarmarkError


class HttpError(EarmarkError):
    """A request that is not served; the message says what to do instead."""

    status = 400

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {}


class NotAuthorised(HttpError):
    """The token is missing or wrong."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """What kind of token is asked for."""
        return {"WWW-Authenticate": "Bearer"}


class WrongOrigin(HttpError):
    """A page of another site asks."""

    status = 403


class TooSlow(HttpError):
    """The upload did not arrive in time."""

    status = 408


class TooLarge(HttpError):
    """More bytes than an upload may have."""

    status = 413


class WrongHost(HttpError):
    """A name that this server does not go by."""

    status = 421


class TooLong(HttpError):
    """A song longer than is heard here."""

    status = 422


class TooCostly(HttpError):
    """A file that takes the decoder too much time or memory, or kills it."""

    status = 422


class Busy(HttpError):
    """As many requests are under way as may be.

    retry_after : seconds until there should be room
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
        """When to come back."""
        return {"Retry-After": str(self.retry_after)}
