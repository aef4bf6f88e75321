"""HTTP requests with a deadline for the whole exchange, a size limit, and a pace for each host."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, TypeVar

from earmark import __version__
from earmark.data.previews.failures import (
    BadContent,
    RateLimited,
    RequestRefused,
    TransientFailure,
)
from earmark.data.previews.rate_limit import Pace, RatePolicy
from earmark.data.previews.reach import Reach
from earmark.errors import MissingExtra

if TYPE_CHECKING:
    import httpx2
    import stamina

T = TypeVar("T")

_TOO_MANY = (403, 429)  # iTunes sends either, and its 403 has no body
_ALONE = 4  # times that one request alone is rejected, each after a success of another
_TIMEOUTS = (408, 425)  # that the host itself reports


@dataclass(frozen=True)
class HttpLimits:
    """The limits of one exchange.

    deadline : seconds for all of it, from the first byte sent to the last received
    max_bytes : of the reply's body
    """

    deadline: float
    max_bytes: int


@dataclass(frozen=True)
class Reply:
    """A complete reply; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """One HTTP client with a Pace for every host.

    api_host : "host:port" of the service itself, which gets requests at the rate of `policy`;
        all other hosts serve files and have no limit
    reach : which addresses may be asked
    connections : open at once, over all hosts
    """

    def __init__(
        self, *, api_host: str, policy: RatePolicy, reach: Reach, connections: int = 16
    ) -> None:
        self._api_host = api_host
        self._reach = reach
        self._policy = policy
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
            headers={"User-Agent": f"earmark/{__version__}", "Accept-Encoding": "gzip"},
            event_hooks={"request": [self._reach.guard]},
            limits=limits,
            timeout=None,  # each exchange has its own deadline
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
        """Host -> (seconds left, reason), of the hosts that get no requests at the moment."""
        return {
            host: (pace.pause_left, pace.reason)
            for host, pace in self._paces.items()
            if pace.pause_left
        }

    def per_minute(self) -> float:
        """Requests a minute that the service gets now, after it has limited us; 0 for no limit."""
        pace = self._paces.get(self._api_host)
        return self._policy.per_minute if pace is None else pace.per_minute

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        limits: HttpLimits,
        read: Callable[[Reply], T],
        gone: tuple[int, ...] = (404, 410),
    ) -> T:
        """What `read` makes of the reply; waits and asks again while the host limits us.

        read : may raise RateLimited or TransientFailure, for a service that reports them in its
            reply and not as a status
        gone : status codes that mean: there is nothing at this address

        Raises TransientFailure, RequestRefused, or GaveUp after too many rejections in a row.
        """
        try:
            pace = self._pace(url)
        except ValueError as error:
            raise RequestRefused(f"{url!r} cannot be requested: {error}", gone=True) from error
        alone = 0
        while True:
            try:
                async with pace.turn():
                    return read(await self._exchange(url, params, limits, gone))
            except RateLimited as error:
                # the next turn comes when the breaker has closed again; but where the host answers
                # all other requests in between, it is this one request that it rejects
                alone += pace.rejections == 1
                if alone == _ALONE:
                    raise RequestRefused(
                        f"{error}, {alone} times, while other requests succeeded"
                    ) from error

    async def _exchange(
        self, url: str, params: Mapping[str, str] | None, limits: HttpLimits, gone: tuple[int, ...]
    ) -> Reply:
        httpx2 = load_httpx2()
        assert self._client is not None, "use the client as a context manager"
        try:
            async with asyncio.timeout(limits.deadline):
                async with self._client.stream("GET", url, params=params) as response:
                    check_status(response.status_code, response.headers, gone)
                    body = await _read_body(response, limits.max_bytes)
                    return Reply(response.status_code, response.headers, body)
        except TimeoutError as error:
            raise TransientFailure(f"no whole reply within {limits.deadline:g} s") from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
            raise RequestRefused(f"{url} cannot be requested: {error}", gone=True) from error
        except httpx2.HTTPError as error:
            words = str(error) or type(error).__name__
            raise TransientFailure(f"the connection failed: {words}") from error

    def _pace(self, url: str) -> Pace:
        host = host_of(url)
        if host not in self._paces:
            is_api = host == self._api_host
            policy = (
                self._policy
                if is_api
                else RatePolicy(0, self._policy.cooldown, self._policy.patience)
            )
            self._paces[host] = Pace(host, policy, must_answer=is_api)
        return self._paces[host]


async def attempts(number: int, *, cooldown: float) -> AsyncIterator[stamina.Attempt]:
    """`with` blocks, `number` at most: each is tried where the one before raised such a failure.

    Such failures are TransientFailure and BadContent.

    The waits between them grow from a hundredth of the cooldown to the whole cooldown.
    """
    try:
        import stamina
    except ImportError as error:
        raise MissingExtra("stamina", "data") from error
    _quiet()
    async for attempt in stamina.retry_context(
        on=(TransientFailure, BadContent),
        attempts=number,
        timeout=None,
        wait_initial=cooldown / 100,
        wait_jitter=cooldown / 100,
        wait_max=cooldown,
    ):
        yield attempt


@functools.cache  # once
def _quiet() -> None:
    """Keep stamina's log of retries off stderr in programs that have not set up logging."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())


def check_status(status: int, headers: Mapping[str, str], gone: tuple[int, ...]) -> None:
    """Raise what a status means: RateLimited, TransientFailure, RequestRefused; nothing for 200."""
    if status in gone:
        raise RequestRefused(f"HTTP {status}: there is nothing at this address", gone=True)
    if status in _TOO_MANY or (status == 503 and "retry-after" in headers):
        raise RateLimited(f"HTTP {status}", _retry_after(headers.get("retry-after", "")))
    if status >= 500 or status in _TIMEOUTS:
        raise TransientFailure(f"HTTP {status}")
    if status != 200:
        raise RequestRefused(f"HTTP {status}")


def host_of(url: str) -> str:
    """The "host:port" of a URL: each has its own pace."""
    from urllib.parse import urlsplit

    return urlsplit(url).netloc.lower()


def load_httpx2() -> ModuleType:
    """The module httpx2. Raises MissingExtra, with the command that installs it."""
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtra("httpx2", "data") from error
    return httpx2


async def _read_body(response: httpx2.Response, max_bytes: int) -> bytes:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise BadContent(f"the host announces {announced} bytes; the limit is {max_bytes}")
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise BadContent(f"the host sends {encoding!r}; only gzip was asked for")
    # raw: what a library unpacks, it unpacks before its size can be looked at
    unpacker = None if encoding == "identity" else zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk if unpacker is None else unpacker.decompress(chunk, max_bytes + 1)
            if len(body) > max_bytes or (unpacker is not None and unpacker.unconsumed_tail):
                raise BadContent(f"the host sends more than {max_bytes} bytes, which is the limit")
    except zlib.error as error:
        raise BadContent(f"the host sends gzip that cannot be unpacked: {error}") from error
    if unpacker is not None and not unpacker.eof:
        raise BadContent("the host sends gzip that ends too early")
    return bytes(body)


def _retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header in either of its forms; None where it has neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
