"""What a waiting request costs, each figure taken in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from aiolimiter import AsyncLimiter
from attrs import frozen

from benchmarks import bare
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from exotel_async import AsyncExotel, Priority, RateLimit, RequestOutcome, TokenBucket
from tests.support import virtual_time

RESPONSE: Final = 0.05  # seconds
_ANSWERED: Final = RequestOutcome(status=200)
_MEASURED: Final = 10_000  # waiters at least, in repetitions: fewer take too short a time


@frozen
class Cpu:
    """Microseconds of CPU for each waiter, and how many were let go out of order."""

    event: float
    acquire: float
    answered_later: float
    aiolimiter: float
    inversions: int


def cpu(number: int) -> Cpu:
    """Measure waiting for an Event, for the limiter and for aiolimiter, in turn."""
    order: list[int] = []
    took: list[tuple[float, ...]] = []
    for repetition in range(1 + max(1, _MEASURED // number)):
        order.clear()
        once = (
            _seconds(_event(number)),
            _seconds(_acquire(number, order, 0.0)),
            _seconds(_acquire(number, [], RESPONSE)),
            _seconds(_aiolimiter(number)),
        )
        if repetition:  # the first one warms up
            took.append(once)
    event, acquire, later, aiolimiter = (
        sum(each) / len(took) / number * 1e6 for each in zip(*took, strict=True)
    )
    inversions = sum(after < before for before, after in itertools.pairwise(order))
    return Cpu(event, acquire, later, aiolimiter, inversions)


def _seconds(main: Coroutine[Any, Any, None]) -> float:
    gc.collect()
    began = time.process_time()
    virtual_time.run(main)
    return time.process_time() - began


async def _event(number: int) -> None:
    event = asyncio.Event()

    # A coroutine of its own around it, as around `acquire`.
    async def wait() -> None:
        await event.wait()

    waiting = [asyncio.create_task(wait()) for _ in range(number)]
    await asyncio.sleep(1)
    event.set()
    await asyncio.gather(*waiting)


async def _acquire(number: int, order: list[int], response: float) -> None:
    loop = asyncio.get_running_loop()
    limiter = TokenBucket()

    async def wait(index: int) -> None:
        permit = await limiter.acquire(Priority.BULK)
        order.append(index)
        if response:
            loop.call_later(response, permit.finish, _ANSWERED)
        else:
            permit.finish(_ANSWERED)

    await asyncio.gather(*(wait(index) for index in range(number)))


async def _aiolimiter(number: int) -> None:
    limiter = AsyncLimiter(10, 3)

    async def wait() -> None:
        await limiter.acquire()

    await asyncio.gather(*(wait() for _ in range(number)))


class Parked(StrEnum):
    """What a task waits in."""

    FUTURE = "a future"
    AIOLIMITER = "aiolimiter's acquire"
    ACQUIRE = "limiter.acquire"
    GET = "calls.get"
    CONNECT = "calls.connect"


@frozen
class MemoryCase:
    """So many tasks of a kind; `traced` by tracemalloc, else by the process's RSS."""

    parked: Parked
    number: int
    traced: bool


def memory(case: MemoryCase) -> float:
    """Return the bytes for each waiting task, the task included."""
    return asyncio.run(_memory(case))


async def _memory(case: MemoryCase) -> float:
    async with AsyncExitStack() as stack:
        start = await _starter(case.parked, stack)
        # The arguments are the caller's.
        arguments = [bare.number(index) for index in range(case.number)]
        tasks: list[asyncio.Task[object]] = []
        tasks.extend(asyncio.create_task(start(bare.number(index))) for index in range(100))
        await asyncio.sleep(0.1)
        gc.collect()
        if case.traced:
            tracemalloc.start()
        before = _memory_used(traced=case.traced)
        tasks.extend(asyncio.create_task(start(argument)) for argument in arguments)
        await asyncio.sleep(0.1)
        used = _memory_used(traced=case.traced) - before
        tracemalloc.stop()
        if any(task.done() for task in tasks):
            raise RuntimeError("not all of them wait")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return used / case.number


async def _starter(
    parked: Parked, stack: AsyncExitStack
) -> Callable[[str], Coroutine[Any, Any, object]]:
    if parked is Parked.FUTURE:
        loop = asyncio.get_running_loop()

        async def wait(_: str) -> None:
            await loop.create_future()

        return wait
    if parked is Parked.AIOLIMITER:
        other = AsyncLimiter(1, 86_400)
        await other.acquire()
        return lambda _: other.acquire()
    limiter = TokenBucket(RateLimit(1, per=86_400))
    await limiter.acquire()  # the only permit of the day: from here on all wait
    if parked is Parked.ACQUIRE:
        return lambda _: limiter.acquire(Priority.BULK)
    exotel = await stack.enter_async_context(
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url="http://127.0.0.1:1",
            rate_limit=limiter,
        )
    )
    calls = exotel.with_options(priority=Priority.BULK).calls
    if parked is Parked.GET:
        return calls.get
    return lambda number: calls.connect(number, "09812300001", caller_id=EXOPHONE)


def _memory_used(*, traced: bool) -> float:
    if traced:
        return tracemalloc.get_traced_memory()[0]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
