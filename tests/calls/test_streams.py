"""Input that is read no further than it is needed, and the tasks that read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from exotel_async import ConfigurationError, InvalidRequest
from exotel_async.calls.streams import LazyInput, Workers
from tests.conftest import SOON
from tests.support.virtual_time import run


async def several(items: Iterable[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


async def all_of(feed: LazyInput[int], most: int) -> list[list[int]]:
    """Take all there is, `most` at a time."""
    taken = []
    while chunk := await feed.take(most):
        taken.append(chunk)
    return taken


@pytest.mark.parametrize(
    "make", [list, tuple, iter, dict.fromkeys, several], ids=lambda make: make.__name__
)
async def test_any_source_comes_whole_and_in_order(make: Any) -> None:
    feed: LazyInput[int] = LazyInput("numbers", make(range(250)), ahead=100)
    taken = await all_of(feed, 100)
    assert [len(chunk) for chunk in taken] == [100, 100, 50]
    assert [number for chunk in taken for number in chunk] == list(range(250))
    assert feed.ended
    assert await feed.take(1) == [], "the end stays the end"
    await feed.aclose()


@pytest.mark.parametrize("source", ["text", b"bytes", 7, None])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(InvalidRequest, match="numbers="):
        LazyInput("numbers", source, ahead=1)


def test_the_total_is_known_where_the_source_says_so() -> None:
    assert LazyInput("numbers", {1, 2}, ahead=1).total == 2
    assert LazyInput("numbers", iter([1, 2]), ahead=1).total is None
    assert LazyInput("numbers", several([1]), ahead=1).total is None


async def test_nothing_is_read_ahead_of_a_sync_source() -> None:
    read = []

    def source() -> Iterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    feed = LazyInput("numbers", source(), ahead=100)
    assert read == []
    await feed.take(3)
    assert read == [0, 1, 2]


async def test_an_async_source_is_read_ahead_so_far_and_no_further() -> None:
    read = []

    async def source() -> AsyncIterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    feed = LazyInput("numbers", source(), ahead=5)
    assert read == []
    await feed.take(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(read) <= 3 + 5 + 1, "those taken, those ahead, and the one in hand"
    await feed.aclose()


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_came_before_an_error_is_not_lost(is_async: bool) -> None:
    def failing() -> Iterator[int]:
        yield from range(150)
        raise OSError("the file is gone")

    async def failing_async() -> AsyncIterator[int]:
        for number in failing():
            yield number

    feed = LazyInput("numbers", failing_async() if is_async else failing(), ahead=100)
    assert await feed.take(100) == list(range(100))
    assert await feed.take(100) == list(range(100, 150))
    ended = [feed.ended]
    with pytest.raises(OSError, match="gone"):
        await feed.take(100)
    assert [*ended, feed.ended] == [False, True]
    assert await feed.take(100) == []


async def test_a_source_that_raises_a_cancellation_of_its_own_ends_with_an_error() -> None:
    """It awaits a task of the program's, which something else has cancelled."""
    rows = asyncio.create_task(asyncio.sleep(60))

    async def source() -> AsyncIterator[int]:
        yield 1
        rows.cancel()
        await rows
        yield 2

    feed = LazyInput("numbers", source(), ahead=1)
    async with asyncio.timeout(SOON):
        assert await feed.take(5) == [1]
        with pytest.raises(ConfigurationError, match="the source of this stream was cancelled"):
            await feed.take(5)
        assert await feed.take(5) == []


@pytest.mark.parametrize("stops", [True, False])
async def test_a_source_whose_clean_up_fails_says_so(stops: bool) -> None:
    async def source() -> AsyncIterator[int]:
        try:
            for number in range(100 if stops else 2):
                yield number
        finally:
            raise ConnectionError("cannot close the cursor")

    feed = LazyInput("numbers", source(), ahead=1)
    taken = []
    async with asyncio.timeout(SOON):
        taken += await feed.take(1)
        if stops:
            feed.stop()
        with pytest.raises(ConnectionError, match="cannot close the cursor"):
            while more := await feed.take(1):
                taken += more
    assert taken == list(range(len(taken)))
    assert len(taken) < 5


async def test_a_source_that_cannot_even_begin_says_so() -> None:
    class Broken:
        def __aiter__(self) -> AsyncIterator[int]:
            raise OSError("no connection")

    with pytest.raises(OSError, match="no connection"):
        await LazyInput("numbers", Broken(), ahead=1).take(1)


async def test_a_source_that_runs_dry_is_not_waited_for_with_items_in_hand() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 1
        yield 2
        await more.wait()
        yield 3

    feed = LazyInput("numbers", source(), ahead=100)
    assert await feed.take(100) == [1, 2]
    ended = [feed.ended]
    more.set()
    assert await feed.take(100) == [3]
    assert [*ended, feed.ended] == [False, True]


def test_a_source_that_trickles_does_not_hold_up_what_it_gave() -> None:
    async def source() -> AsyncIterator[int]:
        for number in range(1000):
            yield number
            await asyncio.sleep(0.05)

    async def main() -> None:
        feed = LazyInput("numbers", source(), ahead=100)
        began = asyncio.get_running_loop().time()
        assert len(await feed.take(100)) == 20
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0, abs=0.001)
        await feed.aclose()

    run(main())


@pytest.mark.parametrize("waits", ["for room", "for more"])
async def test_closing_lets_an_async_generator_clean_up_at_once(waits: str) -> None:
    cleaned = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            if waits == "for more":
                await asyncio.Event().wait()
            while True:
                yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    before = asyncio.all_tasks()
    held = source()  # so that it is not the garbage collector that closes it
    feed = LazyInput("numbers", held, ahead=1)
    await feed.take(1)
    await feed.aclose()
    assert cleaned
    assert asyncio.all_tasks() == before


async def test_closing_ends_a_source_that_does_not_mind_being_cancelled() -> None:
    async def source() -> AsyncIterator[int]:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                yield 1

    before = asyncio.all_tasks()
    feed = LazyInput("numbers", source(), ahead=1)
    taking = asyncio.create_task(feed.take(1))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(SOON):
        await feed.aclose()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert asyncio.all_tasks() == before


async def test_closing_ends_a_source_that_fails_when_it_is_cancelled() -> None:
    async def source() -> AsyncIterator[int]:
        while True:
            yield 1
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise OSError("the query was aborted") from None

    feed = LazyInput("numbers", source(), ahead=1)
    assert await feed.take(1) == [1]
    async with asyncio.timeout(SOON):
        await feed.aclose()


async def test_a_crew_is_left_to_clean_up_by_who_is_cancelled_while_it_closes() -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(True)

    workers = Workers()
    workers.start(work, 2)
    await asyncio.sleep(0)
    closing = asyncio.create_task(workers.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await workers.aclose()
    assert len(cleaned) == 2


async def test_a_crew_of_nobody_closes() -> None:
    await Workers().aclose()
