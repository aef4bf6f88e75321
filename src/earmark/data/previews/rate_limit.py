"""The pace of requests to one host: a rate limit that adapts, and a circuit breaker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from earmark.data.previews.failures import GaveUp, RateLimited, TransientFailure
from earmark.errors import DownloadFailed, MissingExtra

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_LONGEST_RETRY_AFTER = 3600.0  # seconds; we wait no longer even where a host asks for more
_UNANSWERED = 8  # failures in a row after which a host that never answered is given up


@dataclass(frozen=True)
class RatePolicy:
    """How much a host is asked.

    per_minute : requests a minute at most; 0 for no limit
    cooldown : seconds without a request after one was rate-limited; doubled up to four times
    patience : rate-limited requests in a row after which the host is given up
    """

    per_minute: float
    cooldown: float = 60.0
    patience: int = 30


class Pace:
    """The rate limit and the circuit breaker of one host.

    async with pace.turn(): one request; the error that it raises tells the pace how it ended.

    RateLimited opens the breaker for the whole cooldown and halves the rate. TransientFailure
    opens it for a sixtieth of the cooldown, doubled each time: one broken file does not mean a
    broken host. After that one request goes first, as a probe, and the others wait for its end.

    must_answer : give up a host that never answers at all
    """

    def __init__(self, host: str, policy: RatePolicy, *, must_answer: bool = False) -> None:
        self.host = host
        self.policy = policy
        self.per_minute = policy.per_minute
        self.reason = ""  # of the last pause, in words
        self._must_answer = must_answer
        self._answered = False
        self._limiter: AsyncLimiter | None = None
        self._one_at_a_time = asyncio.Lock()  # first come, first served
        self._probe_over = asyncio.Event()
        self._probing = False
        self._open_until = 0.0  # monotonic time; an open breaker lets no request pass
        self._era = 0  # counts the openings, to tell late replies from new ones
        self.rejections = 0  # in a row
        self._failures = 0  # in a row

    @property
    def pause_left(self) -> float:
        """Seconds until the next request to this host may go; 0 for now."""
        return max(0.0, self._open_until - time.monotonic())

    def turn(self) -> Turn:
        """One request's turn, as a context manager."""
        return Turn(self)

    async def _enter(self) -> tuple[int, bool]:
        async with self._one_at_a_time:
            while True:
                self._check_patience()
                if self.pause_left:
                    await asyncio.sleep(self.pause_left)
                elif self._probing:
                    self._probe_over.clear()
                    await self._probe_over.wait()
                else:
                    await self._wait_for_rate()
                    if not self.pause_left and not self._probing:
                        break
            is_probe = bool(self.rejections or self._failures)
            self._probing = is_probe
            return self._era, is_probe

    def _leave(self, era: int, is_probe: bool, error: BaseException | None) -> None:
        if isinstance(error, RateLimited):
            self._limit(era, error)
        elif isinstance(error, TransientFailure):
            self._fail(era, error)
        elif error is None or isinstance(error, DownloadFailed):  # the host has answered
            self._answered = True
            if era == self._era:
                self.rejections = self._failures = 0
                self.per_minute = min(self.policy.per_minute, self.per_minute * 1.02)
        if is_probe:
            self._probing = False
            self._probe_over.set()

    def _limit(self, era: int, error: RateLimited) -> None:
        self._answered = True
        asked = min(error.retry_after or 0.0, _LONGEST_RETRY_AFTER)
        if era == self._era:  # not a request that was under way when the breaker opened
            self.rejections += 1
            self.per_minute = max(self.policy.per_minute / 16, self.per_minute / 2)
            pause = self.policy.cooldown * min(4, 2 ** (self.rejections - 1))
            if error.retry_after is not None and self.rejections == 1:
                pause = asked  # the host knows best, until it is wrong once
            self._open(max(pause, asked), error)
        else:
            self._open_until = max(self._open_until, time.monotonic() + asked)

    def _fail(self, era: int, error: TransientFailure) -> None:
        if era == self._era:
            self._failures += 1
            pause = self.policy.cooldown / 60 * 2 ** min(self._failures - 1, 8)
            self._open(min(pause, 4 * self.policy.cooldown), error)

    def _open(self, pause: float, error: DownloadFailed) -> None:
        self._era += 1
        self._open_until = time.monotonic() + min(pause, _LONGEST_RETRY_AFTER)
        self.reason = str(error)

    def _check_patience(self) -> None:
        if self.rejections >= self.policy.patience:
            raise GaveUp(
                f"{self.host} has rejected {self.rejections} requests in a row, the last with "
                f"{self.reason!r}. Nothing is lost: run the same command again later",
                self.host,
            )
        if self._must_answer and not self._answered and self._failures >= _UNANSWERED:
            raise GaveUp(
                f"{self.host} cannot be reached ({self.reason}). "
                "Nothing is lost: check the address and the network, and run the command again",
                self.host,
            )

    async def _wait_for_rate(self) -> None:
        if not self.policy.per_minute:
            return
        # spread over the minute, and at most a second's worth at once
        burst = max(1.0, self.per_minute / 60)
        period = 60 * burst / self.per_minute
        if self._limiter is None:
            self._limiter = _new_limiter(burst, period)
        elif (self._limiter.max_rate, self._limiter.time_period) != (burst, period):
            self._limiter = _new_limiter(burst, period)
            await self._limiter.acquire(burst)  # a new rate does not start with a burst
        await self._limiter.acquire()


class Turn:
    """One request, as `async with pace.turn()`; remembers in which era it began."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._era = 0
        self._is_probe = False

    async def __aenter__(self) -> None:
        self._era, self._is_probe = await self._pace._enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pace._leave(self._era, self._is_probe, error)


def _new_limiter(burst: float, period: float) -> AsyncLimiter:
    try:
        from aiolimiter import AsyncLimiter
    except ImportError as error:
        raise MissingExtra("aiolimiter", "data") from error
    return AsyncLimiter(burst, period)
