"""Calls as they end: one stream for many that are waited for, over the one poll of the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    CallResult,
    CallStatus,
    ConfigurationError,
    InvalidRequest,
    NotFound,
    RequestTimeout,
)
from exotel_async.calls import as_completed
from exotel_async.emulator import Emulator
from tests.calls.test_wait import (
    FAST,
    LONG,
    SHORT,
    UNKNOWN,
    dial,
    foreign,
    left,
    lists,
    ours,
    singles,
    until,
)
from tests.conftest import SOON


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel with calls of a third of a second."""
    async with Emulator(speed=30, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


def end(exotel: AsyncExotel, sid: str) -> None:
    exotel.calls.notify(SimpleNamespace(sid=sid, status="completed"))


async def test_each_comes_when_it_is_over(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = ours(exotel, emulator, 5)
    async with exotel.calls.as_completed(sids) as results:
        for sid in reversed(sids):
            end(exotel, sid)
            result = await anext(results)
            assert (result.sid, result.unwrap().status) == (sid, CallStatus.COMPLETED)
        assert [result async for result in results] == []
    assert emulator.requests == []


async def test_ends_come_from_the_one_poll(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 150)
    # Waits that are due within half an interval share a round, also where the machine is busy.
    interval = 6 * FAST
    alone = asyncio.create_task(exotel.calls.wait(sids[0], interval=interval))
    async with exotel.calls.as_completed(iter(sids), interval=interval, details=True) as results:
        await until(lambda: len(lists(emulator)) >= 4)
        await emulator.finish_calls()
        ended = {result.sid: result.unwrap() async for result in results}
    assert ended.keys() == set(sids)
    assert all(call.is_final and call.details for call in ended.values())
    assert (await alone).is_final
    assert singles(emulator) == []


async def test_many_of_others_are_looked_up_together(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = foreign(emulator, 1_000)
    await emulator.finish_calls()
    async with exotel.calls.as_completed(sids) as results:
        ended = {result.sid async for result in results if result.call is not None}
    assert ended == set(sids)
    assert len(lists(emulator)) == 10
    assert singles(emulator) == []


@pytest.mark.slow
async def test_what_cannot_be_waited_for_is_told_for_itself(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    goes_on = await dial(exotel)
    emulator.scenario = SHORT
    sid = await dial(exotel)
    asked: list[Any] = [goes_on, "", sid, UNKNOWN, 9812300001, sid]
    results = exotel.calls.as_completed(asked, timeout=2, interval=FAST)
    async with results:
        told = [result async for result in results]
    kinds = {result.sid: type(result.error) for result in told}
    assert len(told) == len(asked), "one for each, twice for what is there twice"
    assert kinds == {
        goes_on: RequestTimeout,
        "": InvalidRequest,
        sid: type(None),
        UNKNOWN: NotFound,
        "******0001": InvalidRequest,
    }
    named = {result.error.sid for result in told if result.error is not None}
    assert {goes_on, UNKNOWN} <= named
    with pytest.raises(RequestTimeout, match="timeout=2 s"):
        next(result for result in told if result.sid == goes_on).unwrap()


@pytest.mark.parametrize("sids", ["a1", b"a1", 7, None])
async def test_what_is_no_iterable_of_sids(exotel: AsyncExotel, sids: Any) -> None:
    with pytest.raises(InvalidRequest, match="sids"):
        exotel.calls.as_completed(sids)


@pytest.mark.parametrize(
    "arguments",
    [{"timeout": 0}, {"interval": 0}, {"settled": 1}, {"details": "yes"}],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(
    exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(arguments))):
        exotel.calls.as_completed([UNKNOWN], **arguments)


# The input


async def test_it_is_read_as_it_comes(emulator: Emulator, exotel: AsyncExotel) -> None:
    """A program may pass on each SID as it dials, and hear of the first before the last."""
    sids = ours(exotel, emulator, 3)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def dialling() -> AsyncIterator[str]:
        for sid in sids:
            yield sid
            assert await heard.get() == sid

    async with exotel.calls.as_completed(dialling()) as results:
        for sid in sids:
            await until(lambda: sid in exotel.calls.parts().watcher._waiters)  # noqa: B023
            end(exotel, sid)
            assert (await anext(results)).sid == sid
            heard.put_nowait(sid)
        with pytest.raises(StopAsyncIteration):
            await anext(results)


async def test_it_is_read_no_further_than_there_is_room(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_completed, "MAX_WATCHED", 50)
    read: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            read.append(f"{len(read):032}")
            end(exotel, read[-1])
            yield read[-1]

    async with exotel.calls.as_completed(endless()) as results:
        for taken in range(1, 200):
            await anext(results)
            assert len(read) <= taken + 50 + 50, "those that are waited for, and those in hand"
    assert len(read) >= 199
    assert emulator.requests == []


async def test_an_input_that_fails_is_told_after_all_before_it(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dial(exotel)

    def broken() -> Iterator[str]:
        yield sid
        raise OSError("the file is gone")

    results = exotel.calls.as_completed(broken(), interval=FAST)
    told: list[CallResult] = []
    async with results:
        with pytest.raises(OSError, match="the file is gone"):
            async for result in results:
                told.append(result)  # noqa: PERF401 - what came before the error counts
    assert [result.sid for result in told] == [sid]
    assert told[0].unwrap().is_final


# Leaving


async def test_leaving_early_leaves_nothing(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = ours(exotel, emulator, 30)
    await exotel.account.balance()
    before = asyncio.all_tasks()
    emulator.latency = lambda _: (0.0, 0.2)
    async with exotel.calls.as_completed(sids, timeout=600, interval=FAST) as results:
        end(exotel, sids[3])
        async for result in results:
            assert result.sid == sids[3]
            break
        await until(lambda: lists(emulator))
    assert exotel.calls.parts().watcher._waiters == {}
    await left(exotel, before)


async def test_closing_the_session_ends_it(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = ours(exotel, emulator, 3)
    end(exotel, sids[0])
    told = []
    async with exotel.calls.as_completed(sids) as results:
        async with asyncio.timeout(SOON):
            told.append((await anext(results)).sid)
            await exotel.aclose(grace=0)
            with pytest.raises(ConfigurationError, match="closed"):
                await anext(results)
    assert told == [sids[0]]
    with pytest.raises(ConfigurationError, match="closed"):
        async with exotel.calls.as_completed(sids) as results:
            await anext(results)


async def test_a_stream_is_read_once_and_in_its_block(exotel: AsyncExotel) -> None:
    results = exotel.calls.as_completed([])
    with pytest.raises(RuntimeError, match="async with"):
        await anext(results)
    async with results:
        assert [result async for result in results] == []
    with pytest.raises(RuntimeError, match="read once"):
        async with results:
            pass
