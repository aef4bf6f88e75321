"""How fast one host may be asked: a limiter that adapts and a circuit breaker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from earmark.errors import DownloadFailed, MissingExtra

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_LONGEST_RETRY_AFTER = 3600.0  # seconds; a host that asks for more is asked again after an hour
_UNANSWERED = 8  # troubles in a row before a host that never said a word is given up


class Rejected(DownloadFailed):
    """The host says that it is asked too often; it has said nothing about the song.

    retry_after : seconds the host asks to be left alone, None where it does not say
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Trouble(DownloadFailed):
    """The host failed to answer: an error of its own, a broken connection, a deadline."""


class GaveUp(DownloadFailed):
    """The host has been rejecting or silent for longer than our patience."""

    def __init__(self, message: str, host: str) -> None:
        super().__init__(message)
        self.host = host


@dataclass(frozen=True)
class Manners:
    """How a host is treated.

    per_minute : requests a minute at most; 0 for no limit
    cooldown : seconds without a request after a rejection; doubled up to four times
    patience : rejections in a row after which the host is given up
    """

    per_minute: float
    cooldown: float = 60.0
    patience: int = 30


class Pace:
    """The limiter and the breaker of one host.

    async with pace.turn(): one request; the error it raises says what became of it.

    A rejection closes the host for the whole cooldown and halves the rate; a trouble closes it
    for a sixtieth, doubled each time, since one broken file is no broken host. When the time is
    over one request goes ahead, and the others wait for what becomes of it.

    must_answer : give up a host that cannot be reached at all
    """

    def __init__(self, host: str, manners: Manners, *, must_answer: bool = False) -> None:
        self.host = host
        self.manners = manners
        self.per_minute = manners.per_minute
        self.reason = ""  # of the last pause, in words
        self._must_answer = must_answer
        self._answered = False
        self._limiter: AsyncLimiter | None = None
        self._one_at_a_time = asyncio.Lock()  # first come, first served
        self._probe_over = asyncio.Event()
        self._probing = False
        self._open_until = 0.0  # monotonic time; "open" as a circuit breaker is: no current flows
        self._era = 0  # counts the openings, to tell late answers from new ones
        self.rejections = 0  # in a row
        self._troubles = 0  # in a row

    @property
    def pause_left(self) -> float:
        """Seconds until this host is asked again; 0 where nothing stands in the way."""
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
            is_probe = bool(self.rejections or self._troubles)
            self._probing = is_probe
            return self._era, is_probe

    def _leave(self, era: int, is_probe: bool, error: BaseException | None) -> None:
        if isinstance(error, Rejected):
            self._reject(era, error)
        elif isinstance(error, Trouble):
            self._stumble(era, error)
        elif error is None or isinstance(error, DownloadFailed):  # any reply at all is a reply
            self._answered = True
            if era == self._era:
                self.rejections = self._troubles = 0
                self.per_minute = min(self.manners.per_minute, self.per_minute * 1.02)
        if is_probe:
            self._probing = False
            self._probe_over.set()

    def _reject(self, era: int, error: Rejected) -> None:
        self._answered = True
        if era == self._era:  # not one of those that were under way when the host closed
            self.rejections += 1
            self.per_minute = max(self.manners.per_minute / 16, self.per_minute / 2)
            pause = self.manners.cooldown * min(4, 2 ** (self.rejections - 1))
            if error.retry_after is not None and self.rejections == 1:
                pause = error.retry_after  # the host knows best, until it has been wrong
            self._open(max(pause, error.retry_after or 0.0), error)
        elif error.retry_after is not None:
            self._open_until = max(self._open_until, time.monotonic() + error.retry_after)

    def _stumble(self, era: int, error: Trouble) -> None:
        if era == self._era:
            self._troubles += 1
            pause = self.manners.cooldown / 60 * 2 ** min(self._troubles - 1, 8)
            self._open(min(pause, 4 * self.manners.cooldown), error)

    def _open(self, pause: float, error: DownloadFailed) -> None:
        self._era += 1
        self._open_until = time.monotonic() + min(pause, _LONGEST_RETRY_AFTER)
        self.reason = str(error)

    def _check_patience(self) -> None:
        if self.rejections >= self.manners.patience:
            raise GaveUp(
                f"{self.host} has rejected {self.rejections} requests in a row, the last with "
                f"{self.reason!r}. Nothing is lost: run the same command again later",
                self.host,
            )
        if self._must_answer and not self._answered and self._troubles >= _UNANSWERED:
            raise GaveUp(
                f"{self.host} cannot be reached ({self.reason}). "
                "Nothing is lost: check the address and the network and run it again",
                self.host,
            )

    async def _wait_for_rate(self) -> None:
        if not self.manners.per_minute:
            return
        # spread over the minute, and at most a second's worth at once
        burst = max(1.0, self.per_minute / 60)
        period = 60 * burst / self.per_minute
        if self._limiter is None:
            self._limiter = _limiter(burst, period)
        elif (self._limiter.max_rate, self._limiter.time_period) != (burst, period):
            self._limiter = _limiter(burst, period)
            await self._limiter.acquire(burst)  # a new rate does not begin with a burst
        await self._limiter.acquire()


class Turn:
    """`async with pace.turn()`; holds no more than which era it began in."""

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


def _limiter(burst: float, period: float) -> AsyncLimiter:
    try:
        from aiolimiter import AsyncLimiter
    except ImportError as error:
        raise MissingExtra("aiolimiter", "data") from error
    return AsyncLimiter(burst, period)
