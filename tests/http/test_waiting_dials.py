"""Many dials that wait at the priority of a single one: one warning names the other priority."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exotel_async import AsyncExotel, Permit, Priority, RateLimit, RateLimiter, TokenBucket
from exotel_async.redis import SharedTokenBucket
from tests.conftest import CUSTOMER, EXOPHONE
from tests.support.raw_server import GIVEN

Start = Callable[[AsyncExotel], Coroutine[Any, Any, object]]


def dial(exotel: AsyncExotel) -> Coroutine[Any, Any, object]:
    return exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE)


def look_up(exotel: AsyncExotel) -> Coroutine[Any, Any, object]:
    return exotel.numbers.lookup(CUSTOMER)


async def spent() -> TokenBucket:
    """A limiter whose only permit of the day is out."""
    limiter = TokenBucket(RateLimit(1, per=86_400))
    await limiter.acquire()
    return limiter


@asynccontextmanager
async def waiting(exotel: AsyncExotel, number: int, start: Start = dial) -> AsyncIterator[None]:
    """So many of them wait."""
    tasks = [asyncio.create_task(start(exotel)) for _ in range(number)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "Priority.BULK" in text]


async def test_one_warning_names_the_priority_and_the_view(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limiter = await spent()
    one, other = (AsyncExotel(**GIVEN, rate_limit=limiter) for _ in range(2))
    async with one, other:
        async with waiting(one, 60), waiting(one.with_options(max_wait=3e7), 40):
            assert not warnings(caplog), "a hundred are not too many"
            async with waiting(other, 1):
                (text,) = warnings(caplog)
                assert "exotel.with_options(priority=Priority.BULK)" in text
                assert text.startswith("More than 100 dials wait")
        for _ in range(2):
            async with waiting(one, 150), waiting(other, 150):
                assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("priority", "start"), [(Priority.BULK, dial), (Priority.INTERACTIVE, look_up)]
)
async def test_neither_bulk_nor_reading_is_meant(
    priority: Priority, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExotel(**GIVEN, rate_limit=await spent()) as exotel:
        async with waiting(exotel.with_options(priority=priority), 300, start):
            assert exotel.limiter.statistics().in_flight == 1
        assert not caplog.records


async def test_those_that_have_left_are_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExotel(**GIVEN, rate_limit=await spent()) as exotel:
        for _ in range(5):
            async with waiting(exotel, 60):
                pass
        assert not caplog.records


@pytest.mark.slow(1)
async def test_the_shared_limiter_warns_as_well(caplog: pytest.LogCaptureFixture) -> None:
    account = GIVEN["account_sid"]
    async with (
        SharedTokenBucket("redis://127.0.0.1:1", account=account) as limiter,
        AsyncExotel(**GIVEN, rate_limit=limiter) as exotel,
        waiting(exotel, 101),
    ):
        assert len(warnings(caplog)) == 1


async def test_a_limiter_that_cannot_be_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    class Own:
        """One of the user's, which is not even hashable."""

        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

        async def acquire(self, *_: object, **__: object) -> Permit:
            never: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
            return await never

        def statistics(self) -> Any: ...

    limiter: RateLimiter = Own()
    async with AsyncExotel(**GIVEN, rate_limit=limiter) as exotel, waiting(exotel, 101):
        assert len(warnings(caplog)) == 1
