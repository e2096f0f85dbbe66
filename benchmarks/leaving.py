"""What is left when half of the waiting requests are cancelled at random moments."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import httpx
from attrs import frozen

from benchmarks import processes
from benchmarks.bare import number
from benchmarks.server import ACCOUNT, KEY, TOKEN, Server, running
from benchmarks.tables import Target
from exotel_async import AsyncExotel, Priority, RateLimit, RequestOutcome, TokenBucket
from tests.support import virtual_time

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWERED: Final = RequestOutcome(status=200)
_RESPONSE: Final = 0.05

_IN_FLIGHT: Final = 64
_REQUESTS: Final = 640
_SERVED: Final = 2.0  # seconds each response takes
_LIMIT: Final = RateLimit(1_000, per=2.0, burst=100)  # it is the flight that is full


@frozen
class Left:
    """What became of them, and what is still out after another `per`."""

    stayed: int
    through: int
    in_flight: int
    window_used: int
    waiting: int


@frozen
class Pool:
    """The same for a session over real sockets.

    Attributes:
        left: of its limiter.
        together: seconds for as many requests as may be in flight, all at once, afterwards.
    """

    left: Left
    together: float


def targets(waiting: int) -> list[Target]:
    """Cancel, count, and return the targets."""
    left = processes.run(in_limiter, waiting)
    pool = processes.run(in_session, _REQUESTS)
    return [
        _target(f"{waiting:,} in limiter.acquire, half cancelled", left),
        _target(f"{_REQUESTS:,} in calls over sockets, half cancelled", pool.left),
        Target(
            f"then {_IN_FLIGHT} at once, pool of {_IN_FLIGHT + 1} connections",
            f"{pool.together:.2f} s of {_SERVED:g} s responses",
            f"under {_SERVED * 2:g} s: no connection lost",
            pool.together < _SERVED * 2,
        ),
    ]


def in_limiter(waiting: int) -> Left:
    """Cancel half of those that wait for a permit, while the others are let go."""
    return virtual_time.run(_in_limiter(waiting))


async def _in_limiter(waiting: int) -> Left:
    rng = random.Random(0)
    limiter = TokenBucket()

    async def one() -> None:
        permit = await limiter.acquire(Priority.BULK)
        try:
            await asyncio.sleep(_RESPONSE)
        finally:
            permit.finish(_ANSWERED)

    tasks: list[asyncio.Task[object]] = [asyncio.create_task(one()) for _ in range(waiting)]
    leaving = rng.sample(tasks, waiting // 2)
    # They leave from the start until about when the last one is let go.
    _cancel(leaving, waiting / 2 / limiter.rate.limit * limiter.rate.per, rng)
    return await _left(tasks, leaving, limiter)


def in_session(requests: int) -> Pool:
    """Cancel half of the requests of a session: in line, before and after they are sent."""
    with running(Server(rate=10**9, per=1.0, response=_SERVED)) as base_url:
        return asyncio.run(_in_session(requests, base_url))


async def _in_session(requests: int, base_url: str) -> Pool:
    rng = random.Random(0)
    limiter = TokenBucket(_LIMIT)
    limits = httpx.Limits(max_connections=_IN_FLIGHT + 1, max_keepalive_connections=_IN_FLIGHT + 1)
    async with (
        httpx.AsyncClient(limits=limits) as client,
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=base_url,
            rate_limit=limiter,
            max_in_flight=_IN_FLIGHT,
            http_client=client,
        ) as exotel,
    ):
        lookup = exotel.with_options(priority=Priority.BULK).numbers.lookup
        tasks: list[asyncio.Task[object]] = [
            asyncio.create_task(lookup(number(index))) for index in range(requests)
        ]
        leaving = rng.sample(tasks, requests // 2)
        _cancel(leaving, requests / 2 / _IN_FLIGHT * _SERVED, rng)
        left = await _left(tasks, leaving, limiter)
        lookup = exotel.numbers.lookup  # interactive: the whole burst is theirs
        began = time.perf_counter()
        await asyncio.gather(*(lookup(number(index)) for index in range(_IN_FLIGHT)))
        return Pool(left, time.perf_counter() - began)


def _cancel(leaving: Sequence[asyncio.Task[object]], within: float, rng: random.Random) -> None:
    loop = asyncio.get_running_loop()
    for task in leaving:
        loop.call_later(rng.uniform(0, within), task.cancel)


async def _left(
    tasks: Sequence[asyncio.Task[object]],
    leaving: Sequence[asyncio.Task[object]],
    limiter: TokenBucket,
) -> Left:
    await asyncio.wait(tasks)
    stayed = set(tasks) - set(leaving)
    through = sum(not task.cancelled() and task.exception() is None for task in stayed)
    # An exchange whose caller left ends by itself; its permit comes back `per` after that.
    await asyncio.sleep(limiter.rate.per + 2 * _SERVED)
    now = limiter.statistics()
    return Left(
        len(stayed),
        through,
        now.in_flight,
        now.window_used,
        now.waiting_bulk + now.waiting_interactive,
    )


def _target(what: str, left: Left) -> Target:
    return Target(
        what,
        f"{left.through:,} of {left.stayed:,} others through; left: {left.window_used} permits, "
        f"{left.in_flight} in flight, {left.waiting} waiting",
        "all; 0, 0, 0",
        left.through == left.stayed and not (left.window_used or left.in_flight or left.waiting),
    )
