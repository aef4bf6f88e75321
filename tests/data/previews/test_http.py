"""Requests that end, hosts that are left alone, and rates that adapt."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any, TypeVar

import pytest
from music_service import Asked, Fault, MusicService, drip, endless, hang, reset, status

from earmark.data.previews.failures import (
    BadContent,
    GaveUp,
    RateLimited,
    RequestRefused,
    TransientFailure,
)
from earmark.data.previews.http import HttpClient, HttpLimits, attempts, check_status, host_of
from earmark.data.previews.rate_limit import Pace, RatePolicy
from earmark.data.previews.reach import Reach
from earmark.errors import DownloadFailed

T = TypeVar("T")
Get = Callable[[str], Coroutine[Any, Any, bytes]]


def with_network(
    service: MusicService,
    work: Callable[[Get], Coroutine[Any, Any, T]],
    *,
    policy: RatePolicy | None = None,
    limits: HttpLimits | None = None,
) -> T:
    async def run() -> T:
        manners_ = policy or RatePolicy(0, cooldown=0.05)
        async with HttpClient(
            api_host=host_of(service.url), policy=manners_, reach=Reach(endpoint=service.url)
        ) as network:

            async def get(path: str) -> bytes:
                return await network.get(
                    service.url + path,
                    limits=limits or HttpLimits(2.0, 10_000),
                    read=lambda reply: reply.body,
                )

            return await work(get)

    return asyncio.run(run())


def only_first(fault: Fault, number: int = 1) -> Callable[[Asked], Fault | None]:
    """A fault for the first requests of all."""
    left = [number]

    def choose(_: Asked) -> Fault | None:
        left[0] -= 1
        return fault if left[0] >= 0 else None

    return choose


@pytest.mark.parametrize("code", [403, 429])
def test_a_rejection_is_waited_out_and_the_request_made_again(code: int) -> None:
    with MusicService([]) as service:
        service.fault = only_first(status(code), 3)
        body = with_network(service, lambda get: get("/search?term=x"))
    assert b'"resultCount": 0' in body
    assert len(service.asked) == 4


def test_nobody_asks_a_host_while_it_is_left_alone() -> None:
    async def many(get: Get) -> None:
        await get("/search?term=first")
        await asyncio.gather(*(get(f"/search?term={n}") for n in range(20)))

    with MusicService([]) as service:
        service.fault = only_first(status(403))
        with_network(service, many, policy=RatePolicy(0, cooldown=0.3))
    times = sorted(asked.at for asked in service.asked)
    assert times[1] - times[0] >= 0.29  # the cooldown, and one request after it


def test_one_request_goes_ahead_after_a_cooldown_and_the_others_wait_for_it() -> None:
    under_way = [0]
    at_most = [0]

    async def run() -> None:
        pace = Pace("h", RatePolicy(0, cooldown=0.01))

        async def one(fails: bool) -> None:
            async with pace.turn():
                under_way[0] += 1
                at_most[0] = max(at_most[0], under_way[0])
                await asyncio.sleep(0.01)
                under_way[0] -= 1
                if fails:
                    raise RateLimited("no")

        with pytest.raises(RateLimited):
            await one(fails=True)
        for _ in range(3):
            with pytest.raises(RateLimited):
                await one(fails=True)
        at_most[0] = 0
        probe = asyncio.create_task(one(fails=False))
        others = [asyncio.create_task(one(fails=False)) for _ in range(5)]
        await probe
        assert at_most[0] == 1
        await asyncio.gather(*others)
        assert at_most[0] == 5

    asyncio.run(run())


def test_a_probe_that_is_cancelled_lets_the_next_one_go() -> None:
    async def run() -> None:
        pace = Pace("h", RatePolicy(0, cooldown=0.01))
        with pytest.raises(RateLimited):
            async with pace.turn():
                raise RateLimited("no")

        async def never() -> None:
            async with pace.turn():
                await asyncio.sleep(60)

        probe = asyncio.create_task(never())
        await asyncio.sleep(0.05)
        probe.cancel()
        async with asyncio.timeout(5), pace.turn():
            pass

    asyncio.run(run())


def pauses_after(*errors: DownloadFailed, cooldown: float = 100.0) -> list[float]:
    """Seconds that a host is left alone after each of these errors in a row."""

    async def run() -> list[float]:
        pace = Pace("h", RatePolicy(0, cooldown=cooldown))
        found = []
        for error in errors:
            pace._open_until = 0.0  # as if the pause were over
            with pytest.raises(type(error)):
                async with pace.turn():
                    raise error
            found.append(round(pace.pause_left, 1))
        return found

    return asyncio.run(run())


def test_cooldowns_double_up_to_four_times() -> None:
    assert pauses_after(*[RateLimited("no")] * 4) == [100, 200, 400, 400]


def test_a_host_that_says_how_long_is_believed_until_it_was_wrong() -> None:
    errors = [RateLimited("no", 7.0), RateLimited("no", 7.0), RateLimited("no", 1000.0)]
    assert pauses_after(*errors) == [7, 200, 1000]


def test_a_host_cannot_ask_for_more_than_an_hour() -> None:
    assert pauses_after(RateLimited("no", 1e6)) == [3600]


def test_trouble_pauses_a_host_briefly_at_first() -> None:
    assert pauses_after(*[TransientFailure("500")] * 5, cooldown=60) == [1, 2, 4, 8, 16]


def test_retry_after_is_read_in_seconds_and_as_a_date() -> None:
    with pytest.raises(RateLimited) as caught:
        check_status(429, {"retry-after": "12"}, ())
    assert caught.value.retry_after == 12
    with pytest.raises(RateLimited) as caught:
        check_status(429, {"retry-after": formatdate(time.time() + 50, usegmt=True)}, ())
    assert caught.value.retry_after == pytest.approx(50, abs=5)
    with pytest.raises(RateLimited) as caught:
        check_status(429, {"retry-after": "soon"}, ())
    assert caught.value.retry_after is None
    with pytest.raises(RateLimited):
        check_status(503, {"retry-after": "1"}, ())


def test_a_rejection_halves_the_rate_and_successes_bring_it_back() -> None:
    async def run() -> list[float]:
        pace = Pace("h", RatePolicy(600_000, cooldown=0.001))
        rates = []
        for n_errors in (1, 1, 9):
            for _ in range(n_errors):
                with pytest.raises(RateLimited):
                    async with pace.turn():
                        raise RateLimited("no")
            rates.append(pace.per_minute)
        for _ in range(200):
            async with pace.turn():
                pass
        return [*rates, pace.per_minute]

    assert asyncio.run(run()) == [300_000, 150_000, 37_500, 600_000]


def test_requests_keep_to_the_rate() -> None:
    async def run() -> float:
        pace = Pace("h", RatePolicy(1200))
        started = time.monotonic()
        for _ in range(21 + 10):  # a second's worth at once, then 20 a second
            async with pace.turn():
                pass
        return time.monotonic() - started

    assert asyncio.run(run()) >= 0.5


def test_a_slow_rate_is_spread_over_the_minute_also_when_it_has_changed() -> None:
    async def run() -> None:
        pace = Pace("h", RatePolicy(30))
        async with pace.turn():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), pace.turn():
                pass
        pace.per_minute = 20  # as after a rejection
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), pace.turn():
                pass

    asyncio.run(run())


def test_a_host_that_rejects_for_too_long_is_given_up() -> None:
    with MusicService([]) as service:
        service.fault = lambda _: status(403)
        with pytest.raises(GaveUp, match=r"rejected 5 requests.*run the same command again"):
            with_network(
                service, lambda get: get("/search?term=x"), policy=RatePolicy(0, 0.01, patience=5)
            )
    assert len(service.asked) == 5


def test_a_service_that_cannot_be_reached_is_given_up() -> None:
    with MusicService([]) as service:
        pass

    async def persist(get: Get) -> None:
        while True:
            with pytest.raises(TransientFailure):
                await get("/search?term=x")

    with pytest.raises(GaveUp, match=r"cannot be reached.*check the address"):
        with_network(service, persist, policy=RatePolicy(0, cooldown=0.1))


def test_a_request_that_alone_is_rejected_is_refused() -> None:
    async def run(get: Get) -> None:
        async def others() -> None:
            while True:
                await get("/search?term=other")

        asking = asyncio.create_task(others())
        try:
            with pytest.raises(RequestRefused, match="other requests succeeded"):
                await get("/search?term=bad")
        finally:
            asking.cancel()

    with MusicService([]) as service:
        service.fault = lambda asked: status(403) if asked.subject == "bad" else None
        with_network(service, run, policy=RatePolicy(0, cooldown=0.02))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(500), TransientFailure, "HTTP 500"),
        (status(503), TransientFailure, "HTTP 503"),
        (reset, TransientFailure, "connection failed"),
        (hang, TransientFailure, "within 0.3 s"),
        (drip, TransientFailure, "within 0.3 s"),
        (endless, BadContent, "more than 10000 bytes"),
        (status(200, b"x" * 10_001), BadContent, "announces 10001 bytes"),
        (status(404), RequestRefused, "HTTP 404"),
        (status(400), RequestRefused, "HTTP 400"),
    ],
)
def test_every_way_to_fail_ends_and_says_what_it_was(
    fault: Fault, error: type[DownloadFailed], words: str
) -> None:
    with MusicService([]) as service:
        service.fault = lambda _: fault
        with pytest.raises(error, match=words):
            with_network(
                service, lambda get: get("/search?term=long"), limits=HttpLimits(0.3, 10_000)
            )


def test_a_url_that_is_none_is_gone_and_no_trouble_of_a_host() -> None:
    async def run() -> None:
        async with HttpClient(api_host="x", policy=RatePolicy(0), reach=Reach()) as network:
            for url in ("foo:bar", "http://[", ""):
                with pytest.raises(RequestRefused, match="cannot be requested") as caught:
                    await network.get(url, limits=HttpLimits(1, 1), read=lambda reply: reply)
                assert caught.value.gone

    asyncio.run(run())


def test_attempts_end_and_the_last_error_is_told() -> None:
    tried = []

    async def run() -> None:
        async for attempt in attempts(3, cooldown=0.01):
            with attempt:
                tried.append(1)
                raise BadContent("no audio")

    with pytest.raises(BadContent, match="no audio"):
        asyncio.run(run())
    assert len(tried) == 3


def test_a_refusal_is_not_tried_again() -> None:
    tried = []

    async def run() -> None:
        async for attempt in attempts(3, cooldown=0.01):
            with attempt:
                tried.append(1)
                raise RequestRefused("no")

    with pytest.raises(RequestRefused):
        asyncio.run(run())
    assert len(tried) == 1


def packed(data: bytes, encoding: str) -> Fault:
    return lambda connection, _: connection.send(200, data, Content_Encoding=encoding)


def test_a_reply_in_gzip_is_unpacked() -> None:
    with MusicService([]) as service:
        service.fault = lambda _: packed(gzip.compress(b"x" * 9_999), "gzip")
        assert with_network(service, lambda get: get("/search?term=x")) == b"x" * 9_999


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(b"\0" * 2**26, mtime=0), "gzip", "more than 70000 bytes"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], "gzip", "ends too early"),
        (b"no gzip", "gzip", "cannot be unpacked"),
        (
            b"\x28\xb5\x2f\xfd",
            "zstd",
            "'zstd'; only gzip",
        ),  # a few bytes of either may be gigabytes
        (b"\x1b\xff\xff", "br", "'br'; only gzip"),
        (b"x", "gzip, gzip", "only gzip"),
    ],
)
def test_a_bomb_is_not_unpacked(body: bytes, encoding: str, words: str) -> None:
    with MusicService([]) as service:
        service.fault = lambda _: packed(body, encoding)
        tracemalloc.start()
        try:
            with pytest.raises(BadContent, match=words):
                with_network(
                    service, lambda get: get("/search?term=x"), limits=HttpLimits(5, 70_000)
                )
            assert tracemalloc.get_traced_memory()[1] < 2**23
        finally:
            tracemalloc.stop()
    assert service.asked[0].headers["accept-encoding"] == "gzip"


def test_a_late_rejection_cannot_ask_for_more_than_an_hour_either() -> None:
    async def run() -> float:
        pace = Pace("h", RatePolicy(0, cooldown=1))

        async def rejected(after: float) -> None:
            with pytest.raises(RateLimited):
                async with pace.turn():
                    await asyncio.sleep(after)
                    raise RateLimited("no", 1e20)

        await asyncio.gather(rejected(0), rejected(0.01))  # the second when the breaker is open
        return pace.pause_left

    assert asyncio.run(run()) <= 3600
