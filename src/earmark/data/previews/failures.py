"""Why a request or a transfer brought no preview: five kinds, and what follows from each."""

from __future__ import annotations

from earmark.errors import DownloadFailed


class RateLimited(DownloadFailed):
    """The host says that it gets too many requests; it says nothing about the song.

    The request waits and is sent again.
    retry_after : seconds that the host asks for, None where it gives no number
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransientFailure(DownloadFailed):
    """The host did not answer: an error of its own, a broken connection, a deadline.

    The request is tried again a few times, and its song fails until the next round.
    """


class GaveUp(DownloadFailed):
    """The host refused or did not answer for longer than the run waits: the run ends."""

    def __init__(self, message: str, host: str) -> None:
        super().__init__(message)
        self.host = host


class RequestRefused(DownloadFailed):
    """The host answers others, but refuses this request: the song fails.

    gone : there is nothing at this address, so the failure is permanent
    """

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class BadContent(DownloadFailed):
    """What arrived is not the audio that was asked for, or not all of it: it is fetched again."""
