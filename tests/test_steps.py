"""Lists whose reading is interrupted: the next step continues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exotel_async import AsyncExotel, ConfigurationError, RequestTimeout, RetryPolicy
from exotel_async.emulator import Dial, Emulator, Fault, Scenario
from exotel_async.steps import Steps
from exotel_async.sync import Exotel
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, at_its_budget, session

PLENTY = 1_000_000
SLOW = Fault.delay_before(0.5)
Read = Callable[[AsyncExotel], AsyncIterator[Any]]


async def with_calls(emulator: Emulator, number: int) -> set[str]:
    """Enter calls that are over; return their SIDs."""
    emulator.scenario = Scenario.all_answered()
    dial = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
    return {
        emulator.add_call(dial, ago=timedelta(hours=9, seconds=place)).sid
        for place in range(number)
    }


async def until_the_end(steps: AsyncIterator[Any], seconds: float) -> tuple[list[Any], int]:
    """Read with a timeout around each step; return what came, and how often that was up."""
    given, late = [], 0
    while True:
        try:
            given.append(await asyncio.wait_for(anext(steps), seconds))
        except TimeoutError:
            late += 1
        except StopAsyncIteration:
            return given, late


LISTS: dict[str, Read] = {
    "list": lambda exotel: aiter(exotel.calls.list()),
    "of one status": lambda exotel: aiter(exotel.calls.list(status="completed")),
    "oldest first": lambda exotel: aiter(exotel.calls.list(newest_first=False)),
    "side by side": lambda exotel: aiter(exotel.calls.list(concurrency=4)),
    "changes": lambda exotel: aiter(exotel.calls.changes(since=_yesterday())),
}
PAGES: dict[str, Read] = {
    "list": lambda exotel: exotel.calls.list().pages(),
    "side by side": lambda exotel: exotel.calls.list(concurrency=4).pages(),
    "changes": lambda exotel: exotel.calls.changes(since=_yesterday()).pages(),
}


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("read", LISTS.values(), ids=LISTS)
async def test_a_timeout_around_a_step_loses_nothing(read: Read, after: int) -> None:
    async with Emulator(rate=PLENTY) as emulator, session(emulator) as exotel:
        entered = await with_calls(emulator, 350)
        emulator.faults.add(SLOW, path="Calls", after=after)
        given, late = await until_the_end(read(exotel), 0.2)
    sids = [call.sid for call in given]
    assert late > 0
    assert len(sids) == 350
    assert set(sids) == entered


@pytest.mark.parametrize("read", PAGES.values(), ids=PAGES)
async def test_a_timeout_around_a_page_loses_nothing(read: Read) -> None:
    async with Emulator(rate=PLENTY) as emulator, session(emulator) as exotel:
        entered = await with_calls(emulator, 350)
        emulator.faults.add(SLOW, path="Calls", after=2)
        given, late = await until_the_end(read(exotel), 0.2)
    sids = [call.sid for page in given for call in page.calls]
    assert late > 0
    assert len(sids) == 350
    assert set(sids) == entered


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_step_that_failed_is_made_again(concurrency: int) -> None:
    async with (
        Emulator(rate=PLENTY) as emulator,
        session(emulator, retry=RetryPolicy(attempts=1)) as exotel,
    ):
        entered = await with_calls(emulator, 350)
        emulator.faults.add(SLOW, path="Calls", after=2)
        steps = aiter(exotel.calls.list(concurrency=concurrency, timeout=0.2))
        sids = set()
        with pytest.raises(RequestTimeout):
            while True:
                sids.add((await anext(steps)).sid)
        assert len(sids) < 350
        sids |= {call.sid async for call in steps}
        assert sids == entered
        with pytest.raises(StopAsyncIteration):
            await anext(steps)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_limit_holds_over_an_interruption(concurrency: int) -> None:
    async with Emulator(rate=PLENTY) as emulator, session(emulator) as exotel:
        await with_calls(emulator, 350)
        emulator.faults.add(SLOW, path="Calls", after=2)
        records = exotel.calls.list(limit=250, concurrency=concurrency)
        given, late = await until_the_end(aiter(records), 0.2)
    assert late > 0
    assert len({call.sid for call in given}) == len(given) == 250


async def test_the_list_of_exophones_continues() -> None:
    phones = [f"080300000{place:02}" for place in range(7)]
    async with Emulator(rate=PLENTY, exophones=phones) as emulator, session(emulator) as exotel:
        exophones = exotel.exophones.list(extra={"PageSize": "3"})
        for read in (aiter(exophones), exophones.pages()):
            emulator.faults.add(SLOW, path="IncomingPhoneNumbers", after=1)
            given, late = await until_the_end(read, 0.2)
            assert late > 0
            found = [phone for one in given for phone in getattr(one, "exophones", (one,))]
            assert len({phone.sid for phone in found}) == len(found) == 7


async def test_a_list_that_was_closed_is_not_at_its_end() -> None:
    async with Emulator(rate=PLENTY) as emulator, session(emulator) as exotel:
        await with_calls(emulator, 350)
        records = exotel.calls.list(concurrency=4)
        steps = aiter(records)
        await anext(steps)
        await records.aclose()
        for _ in range(200):
            try:
                await anext(steps)
            except ConfigurationError:
                break
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="was closed while it was read"):
                await anext(steps)


def test_a_step_without_await_that_failed_is_made_again() -> None:
    with Emulator(rate=PLENTY) as emulator:
        entered = emulator.run(with_calls(emulator, 350))
        emulator.faults.add(SLOW, path="Calls", after=2)
        with Exotel(**at_its_budget(emulator) | {"retry": RetryPolicy(attempts=1)}) as exotel:
            steps, sids = iter(exotel.calls.list(timeout=0.2)), set()
            with pytest.raises(RequestTimeout):
                while True:
                    sids.add(next(steps).sid)
            assert len(sids) < 350
            sids |= {call.sid for call in steps}
            assert sids == entered
            assert next(steps, None) is None


# The iterator itself


async def count(numbers: list[int]) -> AsyncGenerator[int, None]:
    """Count on from the last number, with a turn of the loop before each; note each end."""
    while numbers[-1] < 5:
        await asyncio.sleep(0)
        numbers.append(numbers[-1] + 1)
        yield numbers[-1]


async def test_a_second_step_beside_the_first_ends_nothing() -> None:
    numbers = [0]
    steps = Steps(lambda: count(numbers))
    first = asyncio.create_task(anext(steps))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already running"):
        await anext(steps)
    assert await first == 1
    assert [number async for number in steps] == [2, 3, 4, 5]


async def test_what_is_closed_has_no_more() -> None:
    numbers = [0]
    async with aclosing(Steps(lambda: count(numbers))) as steps:
        assert await anext(steps) == 1
    assert [number async for number in steps] == []
    await steps.aclose()


@pytest.mark.parametrize("error", [KeyError, KeyError()], ids=repr)
async def test_an_error_that_is_thrown_in_ends_it(error: Any) -> None:
    steps = Steps(lambda: count([0]))
    assert await anext(steps) == 1
    with pytest.raises(KeyError):
        await steps.athrow(error)
    assert [number async for number in steps] == []
