"""Processes that share one budget: who sends when, and what it costs the server."""

from __future__ import annotations

import asyncio
import enum
import logging
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import redis
from attrs import frozen
from limits.aio.storage import RedisStorage
from pyrate_limiter import Limiter, Rate, RedisBucket
from redis.asyncio import Redis

from benchmarks.bare import number
from benchmarks.others import limits_polled
from benchmarks.server import ACCOUNT, KEY, TOKEN, refused_so_far, running
from benchmarks.traffic import MINUTE, RATE, Kind
from exotel_async import AsyncExotel, Priority, RateLimit, RateLimited, TokenBucket
from exotel_async.redis import SharedTokenBucket
from tests.support import valkey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.others import Take
    from exotel_async import LimiterStatistics, Permit, RateLimiter, RequestOutcome

MEAN_GAP: Final = 7.0  # seconds of a minute's window between two interactive requests
WAITING: Final = 64
"""Requests that each of the processes at bulk priority has waiting at any time."""
_LEAD: Final = 2  # windows in which everybody finds its place
_START: Final = 1.0  # seconds to get ready in, and
_START_EACH: Final = 0.5  # more for each process


class Way(enum.Enum):
    """Who holds the budget."""

    ALONE = "TokenBucket"
    SHARED = "SharedTokenBucket"
    LIMITS = "limits, moving window"
    PYRATE = "pyrate-limiter, RedisBucket"


@frozen(kw_only=True)
class Case:
    """A number of processes with one budget.

    Attributes:
        way: who holds it.
        kind: how the service counts.
        per: W, the length of its window, in seconds.
        windows: how many windows are measured.
        bulk: processes that always have more to send.
        interactive: processes that send a request now and then.
        idle: whether those of `bulk` send one after the other at interactive priority instead.
    """

    way: Way
    kind: Kind
    per: float
    windows: int
    bulk: int
    interactive: int = 0
    idle: bool = False


@frozen(kw_only=True)
class Part:
    """What one process is told."""

    case: Case
    base_url: str
    valkey: str
    begin: float
    end: float
    interactive: bool
    seed: int


@frozen(kw_only=True)
class Sent:
    """What one process has sent, by the machine's monotonic clock.

    Attributes:
        granted: when each request was let go that was accepted.
        waits: seconds each of them waited for it.
    """

    granted: Sequence[float]
    waits: Sequence[float]


@frozen(kw_only=True)
class Result:
    """How it went.

    Attributes:
        rate: accepted requests a second, in the measured windows.
        shares: those of each process, by its part of the mean.
        refused: answers 429, in all.
        scripts: scripts the server has run in the measured windows, for each request.
        waits: seconds the interactive requests waited.
    """

    rate: float
    shares: Sequence[float]
    refused: int
    scripts: float
    waits: Sequence[float]


def run(case: Case) -> Result:
    """Measure one case."""
    with running(case.kind.server(case.per, seed=0)) as base_url, valkey.running() as url:
        begin = time.monotonic() + _START + _START_EACH * (case.bulk + case.interactive)
        first = begin + _LEAD * case.per
        last = first + case.windows * case.per
        end = last + 0.1 * case.per
        parts = [
            Part(
                case=case,
                base_url=base_url,
                valkey=url,
                begin=begin,
                end=end,
                interactive=index >= case.bulk,
                seed=index,
            )
            for index in range(case.bulk + case.interactive)
        ]
        with ProcessPoolExecutor(
            len(parts), mp_context=multiprocessing.get_context("spawn")
        ) as pool:
            working = pool.map(_work, parts)
            time.sleep(first - time.monotonic())
            before = _scripts(url)
            time.sleep(last - time.monotonic())
            scripts = _scripts(url) - before
            sent = list(working)
        refused = asyncio.run(refused_so_far(base_url))
    counts = [sum(first <= moment < last for moment in one.granted) for one in sent[: case.bulk]]
    everything = sum(first <= moment < last for one in sent for moment in one.granted)
    mean = sum(counts) / len(counts)
    return Result(
        rate=everything / (last - first),
        shares=[count / mean for count in counts],
        refused=refused,
        scripts=scripts / everything,
        waits=[wait for one in sent[case.bulk :] for wait in one.waits],
    )


def _scripts(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        commands = client.info("commandstats")
    return sum(
        int(commands[name]["calls"])
        for name in ("cmdstat_eval", "cmdstat_evalsha")
        if name in commands
    )


def _work(part: Part) -> Sent:
    logging.getLogger("exotel_async").setLevel(logging.ERROR)  # refusals are counted
    return asyncio.run(_send(part))


async def _send(part: Part) -> Sent:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        recorder = Recorder(await _limiter(part, stack))
        exotel = await stack.enter_async_context(
            AsyncExotel(
                account_sid=ACCOUNT,
                api_key=KEY,
                api_token=TOKEN,
                base_url=part.base_url,
                rate_limit=recorder,
            )
        )
        await asyncio.sleep(max(0.0, part.begin - loop.time()))
        if part.interactive:
            await _now_and_then(exotel, part)
        elif part.case.idle:
            await _one_by_one(exotel, part)
        else:
            await _always(exotel, part)
    return Sent(granted=recorder.granted, waits=recorder.waits)


async def _limiter(part: Part, stack: AsyncExitStack) -> RateLimiter:
    per = part.case.per
    match part.case.way:
        case Way.ALONE:
            return TokenBucket(RateLimit(RATE, per=per))
        case Way.SHARED:
            shared = SharedTokenBucket(
                part.valkey, RateLimit(RATE, per=per), account=ACCOUNT, exchange=per
            )
            return await stack.enter_async_context(shared)
        case Way.LIMITS:
            storage = RedisStorage(f"async+{part.valkey}", implementation="redispy")
            return Loop(limits_polled(per, storage))
        case Way.PYRATE:
            client = await stack.enter_async_context(Redis.from_url(part.valkey))
            bucket = await RedisBucket.init([Rate(RATE, round(per * 1000))], client, ACCOUNT)
            pyrate = stack.enter_context(Limiter(bucket))

            async def acquire() -> None:
                await pyrate.try_acquire_async(ACCOUNT)

            return Loop(acquire)


async def _always(exotel: AsyncExotel, part: Part) -> None:
    lookup = exotel.with_options(priority=Priority.BULK).numbers.lookup
    loop = asyncio.get_running_loop()

    async def worker() -> None:
        while loop.time() < part.end:
            await lookup(number(0))

    workers = [asyncio.create_task(worker()) for _ in range(WAITING)]
    await asyncio.sleep(part.end - loop.time())
    for one in workers:
        one.cancel()
    for ended in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(ended, Exception) and not isinstance(ended, RateLimited):
            raise ended


async def _one_by_one(exotel: AsyncExotel, part: Part) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < part.end:
        await exotel.numbers.lookup(number(0))
        await asyncio.sleep(part.case.per / 60)


async def _now_and_then(exotel: AsyncExotel, part: Part) -> None:
    chance = random.Random(part.seed)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(_LEAD * part.case.per)
    while loop.time() < part.end:
        gap = chance.expovariate(MINUTE / MEAN_GAP / part.case.per)
        await asyncio.sleep(min(gap, part.end - loop.time()))
        await exotel.numbers.lookup(number(0))


class Recorder:
    """A limiter, with what passes it written down."""

    def __init__(self, limiter: RateLimiter) -> None:
        """Stand before a limiter."""
        self._limiter = limiter
        self.granted: list[float] = []
        self.waits: list[float] = []

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for leave to send one request."""
        time = asyncio.get_running_loop().time
        asked = time()
        permit = await self._limiter.acquire(priority, max_wait, retry=retry)
        granted = time()
        return _Recorded(permit, self, granted, granted - asked)

    def statistics(self) -> LimiterStatistics:
        """Return what the limiter is doing at this moment."""
        return self._limiter.statistics()


@frozen
class _Recorded:
    _permit: Permit
    _recorder: Recorder
    _granted: float
    _waited: float

    def finish(self, outcome: RequestOutcome) -> None:
        if outcome.status == 200:
            self._recorder.granted.append(self._granted)
            self._recorder.waits.append(self._waited)
        self._permit.finish(outcome)

    def release(self) -> None:
        self._permit.release()


class Loop:
    """What one writes around a limiter that only says yes or no. It keeps one task asking."""

    def __init__(self, take: Take) -> None:
        """Describe it; `take` returns when one request may go."""
        self._take = take
        # Without it each of the waiting requests asks, and redis-py runs out of connections.
        self._one = asyncio.Lock()

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for leave to send one request."""
        async with self._one:
            await self._take()
        return _Untold()

    def statistics(self) -> LimiterStatistics:
        """It has none."""
        raise NotImplementedError


class _Untold:
    """A limiter that is not told how a request ended."""

    def finish(self, outcome: RequestOutcome) -> None:
        pass

    def release(self) -> None:
        pass
