"""Requests that end: a deadline for the whole exchange, a size cap, and a pace for every host."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, TypeVar

from earmark import __version__
from earmark.data.previews.rate_limit import GaveUp, Manners, Pace, Rejected, Trouble
from earmark.errors import DownloadFailed, MissingExtra

if TYPE_CHECKING:
    import httpx2
    import stamina

T = TypeVar("T")

_BUSY = (403, 429)  # iTunes rejects with either, and a 403 of its has no body
_ALONE = 4  # rejections of one request, each after a success of another
_ASK_AGAIN = (408, 425)  # timeouts that the host reports itself


class RequestRefused(DownloadFailed):
    """The host answers, but not this request: it is about the song and not about the host.

    gone : there is nothing at this address
    """

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class BadContent(DownloadFailed):
    """Something arrived that is not the audio that was asked for, or not all of it."""


@dataclass(frozen=True)
class HttpLimits:
    """What one exchange may take.

    deadline : seconds for the whole of it, from the first byte sent to the last received
    max_bytes : of the reply's body
    """

    deadline: float
    max_bytes: int


@dataclass(frozen=True)
class Reply:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """One HTTP client with a Pace for every host.

    api_host : "host:port" of the service itself, which is asked at the rate of `manners`;
        all other hosts serve files and are asked as fast as they like
    connections : open at once, over all hosts
    """

    def __init__(self, *, api_host: str, manners: Manners, connections: int = 16) -> None:
        self._api_host = api_host
        self._manners = manners
        self._connections = connections
        self._paces: dict[str, Pace] = {}
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> HttpClient:
        httpx2 = load_httpx2()
        limits = httpx2.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections
        )
        self._client = httpx2.AsyncClient(
            follow_redirects=True,
            max_redirects=5,
            headers={"User-Agent": f"earmark/{__version__}"},
            limits=limits,
            timeout=None,  # the deadline of the whole exchange stands in for it
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    def pauses(self) -> dict[str, tuple[float, str]]:
        """Host -> (seconds left, reason), of the hosts that are left alone just now."""
        return {
            host: (pace.pause_left, pace.reason)
            for host, pace in self._paces.items()
            if pace.pause_left
        }

    def per_minute(self) -> float:
        """How many requests a minute the service is asked now, after its rejections; 0: any."""
        pace = self._paces.get(self._api_host)
        return self._manners.per_minute if pace is None else pace.per_minute

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        limits: HttpLimits,
        read: Callable[[Reply], T],
        gone: tuple[int, ...] = (404, 410),
    ) -> T:
        """What `read` makes of the reply; waits out every rejection.

        read : may raise Rejected or Trouble, where a service says so in its own words
        gone : status codes which say that there is nothing at this address

        Raises Trouble, Refused, or GaveUp when the host has been rejecting for too long.
        """
        try:
            pace = self._pace(url)
        except ValueError as error:
            raise RequestRefused(f"{url!r} leads nowhere: {error}", gone=True) from error
        alone = 0
        while True:
            try:
                async with pace.turn():
                    return read(await self._exchange(url, params, limits, gone))
            except Rejected as error:
                # the next turn comes when the host is open again; but where the host answers
                # everybody else between, it is this request that it does not like
                alone += pace.rejections == 1
                if alone == _ALONE:
                    raise RequestRefused(
                        f"{error}, {alone} times, and other requests fared well"
                    ) from error

    async def _exchange(
        self, url: str, params: Mapping[str, str] | None, limits: HttpLimits, gone: tuple[int, ...]
    ) -> Reply:
        httpx2 = load_httpx2()
        assert self._client is not None, "use the network as a context manager"
        try:
            async with asyncio.timeout(limits.deadline):
                async with self._client.stream("GET", url, params=params) as response:
                    check_status(response.status_code, response.headers, gone)
                    body = await _read_body(response, limits.max_bytes)
                    return Reply(response.status_code, response.headers, body)
        except TimeoutError as error:
            raise Trouble(f"no whole reply within {limits.deadline:g} s") from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
            raise RequestRefused(f"{url} leads nowhere: {error}", gone=True) from error
        except httpx2.HTTPError as error:
            words = str(error) or type(error).__name__
            raise Trouble(f"the connection failed: {words}") from error

    def _pace(self, url: str) -> Pace:
        host = host_of(url)
        if host not in self._paces:
            is_api = host == self._api_host
            manners = (
                self._manners
                if is_api
                else Manners(0, self._manners.cooldown, self._manners.patience)
            )
            self._paces[host] = Pace(host, manners, must_answer=is_api)
        return self._paces[host]


async def attempts(number: int, *, cooldown: float) -> AsyncIterator[stamina.Attempt]:
    """`with` blocks that are tried up to that often after Trouble and BadContent.

    The waits between them grow from a hundredth of the cooldown to the whole of it.
    """
    try:
        import stamina
    except ImportError as error:
        raise MissingExtra("stamina", "data") from error
    _quiet()
    async for attempt in stamina.retry_context(
        on=(Trouble, BadContent),
        attempts=number,
        timeout=None,
        wait_initial=cooldown / 100,
        wait_jitter=cooldown / 100,
        wait_max=cooldown,
    ):
        yield attempt


@functools.cache  # once
def _quiet() -> None:
    """Keep stamina's log of retries from stderr where nobody has set up logging."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())


def check_status(status: int, headers: Mapping[str, str], gone: tuple[int, ...]) -> None:
    """Raise what a status code means: Rejected, Trouble or Refused; nothing for a success."""
    if status in gone:
        raise RequestRefused(f"HTTP {status}: there is nothing at this address", gone=True)
    if status in _BUSY or (status == 503 and "retry-after" in headers):
        raise Rejected(f"HTTP {status}", _retry_after(headers.get("retry-after", "")))
    if status >= 500 or status in _ASK_AGAIN:
        raise Trouble(f"HTTP {status}")
    if status != 200:
        raise RequestRefused(f"HTTP {status}")


def host_of(url: str) -> str:
    """The "host:port" of a URL: what limits and breakers are about."""
    from urllib.parse import urlsplit

    return urlsplit(url).netloc.lower()


def load_httpx2() -> ModuleType:
    """The module httpx2, or MissingExtra with the way to get it."""
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtra("httpx2", "data") from error
    return httpx2


async def _read_body(response: httpx2.Response, max_bytes: int) -> bytes:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise BadContent(f"{announced} bytes announced; no more than {max_bytes} are taken")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise BadContent(f"more than {max_bytes} bytes")
    return bytes(body)


def _retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header in either of its forms; None where it says nothing."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


__all__ = [
    "BadContent",
    "GaveUp",
    "HttpClient",
    "HttpLimits",
    "Rejected",
    "Reply",
    "RequestRefused",
    "Trouble",
    "attempts",
    "check_status",
    "host_of",
]  # fmt: skip
