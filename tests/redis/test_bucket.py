"""The shared limiter's promises. Limiters in one loop share as processes do: through the server."""

from __future__ import annotations

import asyncio
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio as aioredis

from benchmarks.overstated import Case, drive
from benchmarks.traffic import Kind
from exotel_async import (
    ConfigurationError,
    Permit,
    Priority,
    RateLimit,
    RateLimiter,
    RateLimitTimeout,
    RequestOutcome,
)
from exotel_async.emulator import RateWindow
from exotel_async.redis import SharedTokenBucket
from tests.conftest import SOON
from tests.redis.conftest import Lag

pytestmark = [pytest.mark.slow(1.5), pytest.mark.usefixtures("short_settling")]

BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE
OK = RequestOutcome(status=200)
RATE = RateLimit(100, per=1.0)
QUICK = RateLimit(100, per=0.5)
"""For what does not go by the clock."""
SLOWER = RateLimit(300, per=30.0)
"""One whose probe holds the others up for a second."""
SLOW = RateLimit(100, per=6.0)
"""For what has to end before something else does, also on a computer that is busy."""

Open = Callable[..., Awaitable[SharedTokenBucket]]


@pytest.fixture
async def open_limiter(valkey: str) -> AsyncIterator[Open]:
    """Opens a limiter as another process would have it."""
    async with AsyncExitStack() as stack:
        number = iter(range(1000))

        async def opened(rate: RateLimit = RATE, **options: Any) -> SharedTokenBucket:
            settings: dict[str, Any] = {
                "account": "acme1",
                "exchange": 1.0,
                "name": f"process {next(number)}",
            }
            limiter = SharedTokenBucket(valkey, rate, **settings | options)
            return await stack.enter_async_context(limiter)

        yield opened


async def send(limiter: SharedTokenBucket, priority: Priority = INTERACTIVE) -> None:
    (await limiter.acquire(priority)).finish(OK)


async def warm(*limiters: SharedTokenBucket) -> None:
    """Get the cold start over."""
    for limiter in limiters:
        await send(limiter)


async def saturate(
    limiter: SharedTokenBucket, number: int = 32, priority: Priority = BULK
) -> list[asyncio.Task[None]]:
    """Always have that many requests waiting."""

    async def work() -> None:
        while True:
            await send(limiter, priority)

    return [asyncio.create_task(work()) for _ in range(number)]


async def stop(*crowds: list[asyncio.Task[None]]) -> None:
    tasks = [task for crowd in crowds for task in crowd]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def busy(limiter: SharedTokenBucket) -> None:
    """Wait until it holds about all there is."""
    while limiter.statistics().window_size < limiter.rate.limit * 0.9:
        await asyncio.sleep(0.01)


async def test_is_a_rate_limiter(open_limiter: Open) -> None:
    assert isinstance(await open_limiter(), RateLimiter)


# Leases


async def test_idle_budget_costs_no_round_trip_a_request(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    for _ in range(20):  # it learns how many it needs
        await send(limiter)
        await asyncio.sleep(RATE.per / 20)
    loop = asyncio.get_running_loop()
    before, began = limiter.statistics().round_trips, loop.time()
    for _ in range(30):
        await send(limiter)
        await asyncio.sleep(RATE.per / 20)
    windows = (loop.time() - began) / RATE.per
    assert limiter.statistics().round_trips - before <= 3 * windows + 1


async def test_saturation_costs_a_quarter_of_a_round_trip_at_most(open_limiter: Open) -> None:
    budget = RateLimit(200, per=1.0)
    first, second = await open_limiter(budget), await open_limiter(budget)
    await warm(first, second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(budget.per)
    loop, rate = asyncio.get_running_loop(), 0.0
    async with asyncio.timeout(20):
        while rate < 0.9:  # a token that comes while the computer is busy may be lost
            began = loop.time()
            before = [one.statistics() for one in (first, second)]
            await asyncio.sleep(budget.per)
            after = [one.statistics() for one in (first, second)]
            took = loop.time() - began
            pairs = list(zip(before, after, strict=True))
            trips = [late.round_trips - early.round_trips for early, late in pairs]
            granted = [late.granted - early.granted for early, late in pairs]
            rate = sum(granted) / (took / budget.per * (budget.limit - 2))
    await stop(*crowds)
    assert sum(trips) <= sum(granted) / 4
    assert max(granted) <= 1.1 * min(granted)


async def test_takes_no_more_than_it_has_use_for(open_limiter: Open) -> None:
    limiter = await open_limiter(SLOW)
    await warm(limiter)
    assert limiter.statistics().window_size <= 5
    crowd = await saturate(limiter)
    await asyncio.sleep(0.1 * SLOW.per)
    assert limiter.statistics().window_size <= 10 + SLOW.limit / 2, "a lease at a time"
    await stop(crowd)


async def test_gives_back_what_it_has_no_use_for_any_more(open_limiter: Open) -> None:
    limiter = await open_limiter(QUICK)
    await warm(limiter)
    crowd = await saturate(limiter)
    await busy(limiter)
    await stop(crowd)
    while limiter.statistics().window_size:
        await asyncio.sleep(0.05)
    trips = limiter.statistics().round_trips
    await asyncio.sleep(QUICK.per)
    assert limiter.statistics().round_trips == trips, "and is silent"


async def test_a_new_process_gets_an_equal_share_at_once(open_limiter: Open, lag: Lag) -> None:
    rate = RateLimit(50, per=1.5)
    first, second = await open_limiter(rate), await open_limiter(rate)
    await warm(first, second)
    crowds = [await saturate(first)]
    await busy(first)
    crowds.append(await saturate(second))
    await asyncio.sleep(0.2 * rate.per)
    loop = asyncio.get_running_loop()
    before, began = [first.statistics().granted, second.statistics().granted], loop.time()
    lag.longest = 0.0
    await asyncio.sleep(rate.per)
    after = [first.statistics().granted, second.statistics().granted]
    windows = (loop.time() - began) / rate.per
    await stop(*crowds)
    granted = [late - early for early, late in zip(before, after, strict=True)]
    assert sum(granted) <= rate.limit * windows + 1
    late = lag.longest * rate.limit / rate.per
    assert min(granted) >= 0.4 * rate.limit - late, "permits that are out move as well"


async def test_closing_gives_everything_back_at_once(open_limiter: Open) -> None:
    first, second = await open_limiter(QUICK), await open_limiter(QUICK)
    await warm(first, second)
    crowd = await saturate(first)
    await busy(first)
    await stop(crowd)
    await first.aclose()
    account = await second.account()
    assert sum(process.held for process in account.processes if process.name == "process 0") == 0
    crowd = await saturate(second)
    await busy(second)
    await stop(crowd)


async def test_what_is_in_flight_at_the_end_comes_back_later(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter(exchange=0.5)
    await warm(first, second)
    loop, rises = asyncio.get_running_loop(), 0
    sent = loop.time()
    await first.acquire()
    left = loop.time()
    await first.aclose()
    used = (await second.account()).window_used
    told = loop.time()  # both have said by now what they sent
    if loop.time() - sent < 0.9 * RATE.per:
        assert used == 3, "two that were sent, and one of which nothing is known"
    while used > 0:
        asked = loop.time()
        before, used = used, (await second.account()).window_used
        rises += used > before
        if loop.time() - left < 1.0 + RATE.per:
            assert used >= 1, "of the one it is known after an exchange and a window"
        if asked - told > RATE.per + 0.3:
            assert used <= 1
        await asyncio.sleep(0.02)
    assert rises == 0


def test_the_end_of_the_loop_gives_everything_back(valkey: str) -> None:
    async def leave() -> None:
        limiter = SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0)
        await send(limiter)
        await send(limiter)

    async def look() -> None:
        async with SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0) as limiter:
            account = await limiter.account()
            assert sum(process.held for process in account.processes) == 0
            if time.monotonic() - began < 0.9 * RATE.per:
                assert account.window_used == 2

    began = time.monotonic()
    asyncio.run(leave())
    asyncio.run(look())


# Priority


async def test_interactive_goes_before_bulk_of_other_processes(
    open_limiter: Open, lag: Lag
) -> None:
    rate = RateLimit(40, per=1.6)
    limiters = [await open_limiter(rate) for _ in range(4)]
    await warm(*limiters)
    crowds = [await saturate(limiter) for limiter in limiters[:3]]
    await asyncio.sleep(1.2 * rate.per)
    loop, waits = asyncio.get_running_loop(), []
    chance = random.Random(0)
    for _ in range(25):
        await asyncio.sleep(chance.expovariate(1 / 0.08))
        lag.longest, began = 0.0, loop.time()
        await send(limiters[3])
        # There and back again it is late more than once.
        waits.append(loop.time() - began - 3 * lag.longest)
    await stop(*crowds)
    assert sorted(waits)[-2] <= 2 * rate.per / rate.limit


async def test_a_flood_of_interactive_requests_takes_everything(open_limiter: Open) -> None:
    rate = RateLimit(50, per=1.0)
    first, second = await open_limiter(rate), await open_limiter(rate)
    await warm(first, second)
    crowd = await saturate(first)
    await busy(first)
    flood = [asyncio.create_task(send(second)) for _ in range(75)]
    await asyncio.sleep(0.3 * rate.per)
    before = first.statistics().granted
    waiting = second.statistics().waiting_interactive
    while second.statistics().waiting_interactive > waiting / 3:
        assert first.statistics().granted - before <= 5, "bulk waits"
        await asyncio.sleep(0.005)
    await asyncio.gather(*flood)
    before = first.statistics().granted
    async with asyncio.timeout(6 * rate.per):
        while first.statistics().granted - before < 20:
            await asyncio.sleep(0.01)  # it goes on
    await stop(crowd)


async def test_first_come_first_served_and_retries_first(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    order: list[str] = []

    async def one(name: str, priority: Priority, *, retry: bool = False) -> None:
        permit = await limiter.acquire(priority, retry=retry)
        order.append(name)
        permit.finish(OK)

    tasks = [asyncio.create_task(one("-", INTERACTIVE)) for _ in range(20)]
    tasks += [asyncio.create_task(one(f"bulk{n}", BULK)) for n in range(3)]
    tasks += [asyncio.create_task(one("bulk again", BULK, retry=True))]
    tasks += [asyncio.create_task(one(f"web{n}", INTERACTIVE)) for n in range(3)]
    tasks += [asyncio.create_task(one("web again", INTERACTIVE, retry=True))]
    await asyncio.gather(*tasks)
    shown = [name for name in order if name != "-"]
    assert shown == ["web again", "web0", "web1", "web2", "bulk again", "bulk0", "bulk1", "bulk2"]


async def test_paces_add_up_and_bursts_to_ten(open_limiter: Open) -> None:
    rate = RateLimit(50, per=0.5)
    interval = rate.per / rate.limit
    limiters = [await open_limiter(rate) for _ in range(3)]
    await warm(*limiters)
    crowds = [await saturate(limiter) for limiter in limiters]
    await asyncio.sleep(2 * rate.per)
    paces = [limiter.statistics().pace for limiter in limiters]
    await stop(*crowds)
    assert sum(paces) <= rate.limit / rate.per * 1.001
    # After a quiet time all of them have a burst together, not each.
    await asyncio.sleep(1.5 * rate.per)
    before = sum(limiter.statistics().granted for limiter in limiters)
    loop = asyncio.get_running_loop()
    began = loop.time()
    tasks = [asyncio.create_task(send(limiter)) for limiter in limiters for _ in range(rate.burst)]
    await asyncio.sleep(interval)
    burst = sum(limiter.statistics().granted for limiter in limiters) - before
    took = loop.time() - began
    await asyncio.gather(*tasks)
    assert burst <= rate.burst + 3 + (took - interval) / interval


async def test_a_flood_of_interactive_requests_keeps_to_the_pace(open_limiter: Open) -> None:
    rate = RateLimit(400, per=10.0)
    limiters = [await open_limiter(rate) for _ in range(3)]
    await warm(*limiters)
    loop = asyncio.get_running_loop()
    began, before = loop.time(), sum(limiter.statistics().granted for limiter in limiters)
    crowds = [await saturate(limiter, 20, INTERACTIVE) for limiter in limiters]
    await asyncio.sleep(1.5)
    granted = sum(limiter.statistics().granted for limiter in limiters) - before
    most = rate.burst + (loop.time() - began) * rate.limit / rate.per
    await stop(*crowds)
    assert most / 2 <= granted <= most + 3, "a token of each may be on its way"


# Pauses


async def waiting(*limiters: SharedTokenBucket) -> list[asyncio.Task[Permit]]:
    return [asyncio.create_task(limiter.acquire()) for limiter in limiters]


async def until_paused(*limiters: SharedTokenBucket, until: float) -> None:
    """Wait until all of them have heard of a pause, or that time of the loop has come."""
    loop = asyncio.get_running_loop()
    while not all(limiter.statistics().paused_for for limiter in limiters) and loop.time() < until:
        await asyncio.sleep(0.001)


async def one_goes_first(tasks: list[asyncio.Task[Permit]], rate: RateLimit) -> None:
    """One is let through, and the others wait for its answer, for as long as a probe may take."""
    loop = asyncio.get_running_loop()
    while not any(task.done() for task in tasks):
        before = loop.time()  # the ledger has not given leave to it much before that
        await asyncio.sleep(0.001)
    probes = [task for task in tasks if task.done()]
    await asyncio.sleep(0.02)
    done = sum(task.done() for task in tasks)
    if loop.time() - before < 0.5 * min(2.0, rate.per / 30):
        assert len(probes) == done == 1
    probes[0].result().finish(OK)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (RequestOutcome(status=429, retry_after=0.4), 0.4),
        (RequestOutcome(status=429), SLOWER.per / 60),
        (RequestOutcome(status=503, retry_after=0.3), 0.3),
    ],
)
async def test_a_pause_is_for_all_and_then_one_probe_goes(
    open_limiter: Open, lag: Lag, outcome: RequestOutcome, seconds: float
) -> None:
    limiters = [await open_limiter(SLOWER) for _ in range(3)]
    await warm(*limiters)
    loop = asyncio.get_running_loop()
    permit = await limiters[0].acquire()
    await asyncio.sleep(0.05)
    began = loop.time()
    permit.finish(outcome)
    await until_paused(*limiters, until=began + seconds)
    tasks = await waiting(*limiters, *limiters)
    if loop.time() < began + seconds:  # else the computer is too busy for all of them to be in time
        await one_goes_first(tasks, SLOWER)
    assert loop.time() - began >= seconds - 0.001
    for permit in await asyncio.wait_for(asyncio.gather(*tasks), SOON):
        permit.finish(OK)
    assert loop.time() - began <= SLOWER.per / 2 + 10 * lag.longest, "not for a window"
    assert not any(limiter.statistics().strict for limiter in limiters)


async def test_statistics_tell_of_a_pause_everywhere(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    loop = asyncio.get_running_loop()
    (await first.acquire()).finish(RequestOutcome(status=429, retry_after=2.5))
    began = loop.time()
    while not second.statistics().paused_for:
        await asyncio.sleep(0.001)
    told = [limiter.statistics().paused_for for limiter in (first, second)]
    told.append((await second.account()).paused_for)
    took = loop.time() - began
    for seconds in told:
        assert 2.5 - took - 0.01 <= seconds <= 2.5 + took, "as it was told, on its way"


async def test_refused_probes_wait_longer_each_time_whoever_sends_them(open_limiter: Open) -> None:
    limiters = [await open_limiter(SLOW) for _ in range(2)]
    await warm(*limiters)
    loop, began, pauses = asyncio.get_running_loop(), 0.0, []
    for turn in range(5):
        permit = await limiters[turn % 2].acquire()
        if began:
            pauses.append((loop.time() - began) * 60 / SLOW.per)
        began = loop.time()
        permit.finish(RequestOutcome(status=429))
        other = limiters[(turn + 1) % 2]
        await until_paused(other, until=began + SLOW.per / 60 * 2**turn)
    for pause, least in zip(pauses, (1, 2, 4, 8), strict=True):
        assert least - 0.01 <= pause <= least + 10


async def test_a_probe_that_hangs_holds_the_others_for_a_while(
    open_limiter: Open, lag: Lag
) -> None:
    first, second = await open_limiter(SLOW), await open_limiter(SLOW)
    await warm(first, second)
    permit = await first.acquire()
    loop = asyncio.get_running_loop()
    began = loop.time()
    permit.finish(RequestOutcome(status=429, retry_after=1.0))
    await until_paused(second, until=began + 1.0)
    probe = await asyncio.wait_for(first.acquire(), SOON)
    leave = loop.time()
    await asyncio.wait_for(second.acquire(), SOON)
    assert loop.time() - began >= 1.0 + SLOW.per / 30 - 0.001
    assert loop.time() - leave <= SLOW.per / 30 + 0.1 + 10 * lag.longest
    probe.finish(OK)
    await asyncio.wait_for(second.acquire(), SOON)


@pytest.mark.parametrize("junk", ["hello", "[]", "{}", '{"epoch": 5}', "\xff"])
async def test_others_may_publish_what_they_like(
    open_limiter: Open, valkey: str, junk: str
) -> None:
    rate = RateLimit(100, per=30.0)  # of which it would not hear by asking for a while
    first, second = await open_limiter(rate), await open_limiter(rate)
    await warm(first, second)
    async with aioredis.Redis.from_url(valkey) as client:
        heard = await client.publish("exotel_async:{acme1}:voice", junk.encode("latin1"))
    assert heard == 2
    (await first.acquire()).finish(RequestOutcome(status=429, retry_after=9))
    async with asyncio.timeout(4):
        while not second.statistics().paused_for:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(("longest", "lasts"), [(None, 180.0), (20.0, 20.0), (400.0, 400.0)])
@pytest.mark.parametrize("status", [429, 503])
async def test_no_pause_is_longer_than_it_may_be(
    open_limiter: Open, status: int, longest: float | None, lasts: float
) -> None:
    rate = RateLimit(100, per=60)
    first, second = await open_limiter(rate), await open_limiter(rate)
    await warm(first, second)
    permits = [await first.acquire() for _ in range(3)]
    for permit in permits:
        permit.finish(RequestOutcome(status=status, retry_after=86_400.0, longest_pause=longest))
    async with asyncio.timeout(SOON):
        while not second.statistics().paused_for:
            await asyncio.sleep(0.001)
    account = await second.account()
    for paused_for in (
        first.statistics().paused_for,
        second.statistics().paused_for,
        account.paused_for,
    ):
        assert lasts - 10 < paused_for <= lasts
    assert account.paused_until is not None
    left = (account.paused_until - datetime.now(UTC)).total_seconds()
    assert left <= account.paused_for


async def test_a_pause_can_be_cleared_for_all(open_limiter: Open) -> None:
    rate = RateLimit(600, per=60)
    limiters = [await open_limiter(rate) for _ in range(3)]
    await warm(*limiters)
    assert await limiters[0].clear_pause() == 0
    (await limiters[0].acquire()).finish(RequestOutcome(status=429, retry_after=86_400.0))
    async with asyncio.timeout(SOON):
        while not all(limiter.statistics().paused_for for limiter in limiters):
            await asyncio.sleep(0.001)
    tasks = await waiting(*limiters, *limiters)
    assert 170 < await limiters[1].clear_pause() <= 180
    async with asyncio.timeout(SOON):
        await one_goes_first(tasks, rate)
        for permit in await asyncio.gather(*tasks):
            permit.finish(OK)
    assert [limiter.statistics().paused_for for limiter in limiters] == [0, 0, 0]
    assert (await limiters[2].account()).paused_until is None
    assert await limiters[2].clear_pause() == 0


async def test_a_cleared_pause_begins_anew_if_the_probe_is_refused(open_limiter: Open) -> None:
    limiter = await open_limiter(RateLimit(100, per=60))
    await warm(limiter)
    (await limiter.acquire()).finish(RequestOutcome(status=429, retry_after=600))
    await asyncio.sleep(0.1)
    await limiter.clear_pause()
    async with asyncio.timeout(SOON):
        (await limiter.acquire()).finish(RequestOutcome(status=429, retry_after=600))
    assert limiter.statistics().paused_for > 170


async def test_an_account_that_takes_less_is_found_out_by_all(
    valkey: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of what is stated: as in `benchmarks/overstated.py`, with two processes."""
    rate = RateLimit(100, per=0.5)
    case = Case(
        kind=Kind("sliding log", RateWindow.SLIDING_LOG),
        real=50,
        stated=rate.limit,
        per=rate.per,
        retry_after=False,
        windows=14,
    )
    async with AsyncExitStack() as stack:
        limiters = [
            await stack.enter_async_context(SharedTokenBucket(valkey, rate, account="acme1"))
            for _ in range(2)
        ]
        result = await drive(case, limiters)
        account = await limiters[0].account()
    # Nothing here goes by how busy the computer is: what is late is late for the service, too.
    known = result.found + 1  # a process that waits is told so, and gives back what is too much
    assert sum(when > known for when in result.refused) <= 3
    assert account.learned_limit is not None
    # After ten windows it tries for more: a tenth in one window, two more tenths in the next.
    assert 25 <= account.learned_limit <= 65
    assert "from this account, fewer than RateLimit(100): keeping below that" in caplog.text


async def test_a_process_that_comes_during_a_pause_waits_as_well(open_limiter: Open) -> None:
    first = await open_limiter()
    await warm(first)
    permit = await first.acquire()
    loop = asyncio.get_running_loop()
    began = loop.time()
    permit.finish(RequestOutcome(status=429, retry_after=1.0))
    while not (await first.account()).paused_for:
        await asyncio.sleep(0.01)
    second = await open_limiter()
    (await second.acquire()).finish(OK)
    assert loop.time() - began >= 1.0 - 0.001


async def test_unexplained_refusals_teach_all_of_them(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    (await first.acquire()).finish(RequestOutcome(status=429, retry_after=0.05))
    await warm(second)
    assert not second.statistics().strict, "somebody before us may have spent it"
    await asyncio.sleep(RATE.per)
    await warm(first, second)
    permit, loop = await first.acquire(), asyncio.get_running_loop()
    began = loop.time()
    permit.finish(RequestOutcome(status=429, retry_after=0.05))
    await warm(second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(0.2)
    try:
        statistics = [first.statistics(), second.statistics()]
        assert all(one.strict for one in statistics)
        factor = 0.7 + 0.3 * (loop.time() - began) / RATE.per
        most = (RATE.limit - 2) / RATE.per * min(1, factor)
        assert sum(one.pace for one in statistics) <= most * 1.02
    finally:
        await stop(*crowds)


async def test_a_cold_start_sends_one_probe_for_all(open_limiter: Open) -> None:
    limiters = [await open_limiter(SLOWER) for _ in range(3)]
    tasks = await waiting(*limiters, *limiters)
    await one_goes_first(tasks, SLOWER)
    for permit in await asyncio.wait_for(asyncio.gather(*tasks), 5):
        permit.finish(OK)


# Leaving


async def test_cancelled_at_any_moment_nothing_is_left_behind(open_limiter: Open) -> None:
    limiters = [await open_limiter(QUICK), await open_limiter(QUICK)]
    await warm(*limiters)
    chance = random.Random(0)

    async def one(limiter: SharedTokenBucket, priority: Priority) -> None:
        permit = await limiter.acquire(priority)
        try:
            await asyncio.sleep(0.01)
        finally:
            permit.finish(OK)

    tasks = [
        asyncio.create_task(one(chance.choice(limiters), chance.choice([BULK, INTERACTIVE])))
        for _ in range(400)
    ]
    for task in tasks:
        asyncio.get_running_loop().call_later(chance.random() ** 2, task.cancel)
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)
    for limiter in limiters:
        statistics = limiter.statistics()
        assert statistics.waiting_bulk == statistics.waiting_interactive == 0
        assert statistics.in_flight == 0
    async with asyncio.timeout(5):
        while True:
            account = await limiters[0].account()
            held = sum(process.held for process in account.processes)
            if account.window_used == held == 0:
                break
            await asyncio.sleep(0.05)


async def test_cancelled_while_it_first_asks_the_server(valkey: str) -> None:
    for turns in range(30):
        async with SharedTokenBucket(valkey, RATE, account="acme1", exchange=0.1) as limiter:
            task = asyncio.create_task(limiter.acquire())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                task.result().release()
    async with SharedTokenBucket(valkey, RATE, account="acme1", exchange=0.1) as limiter:
        await asyncio.sleep(0.3)
        await asyncio.wait_for(send(limiter), SOON)
        assert sum(one.held for one in (await limiter.account()).processes) <= 5


async def test_a_permit_that_was_never_sent_is_free_at_once(open_limiter: Open) -> None:
    # One permit, and a token after half of `per`.
    limiter = await open_limiter(RateLimit(2, per=2.4))
    (await limiter.acquire()).finish(RequestOutcome(written=False))
    (await asyncio.wait_for(limiter.acquire(), 2.2)).release()
    await asyncio.wait_for(limiter.acquire(), 2.2)


# Bounds


async def test_max_wait_refuses_at_once_what_would_take_longer(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    crowd = await saturate(limiter, 500)
    await busy(limiter)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(RateLimitTimeout) as refused:
        await limiter.acquire(BULK, max_wait=1)
    assert loop.time() - began < 0.5
    assert refused.value.wait == pytest.approx(5, rel=0.4)
    (await limiter.acquire(INTERACTIVE, max_wait=1)).finish(OK)
    await stop(crowd)


async def test_max_wait_ends_in_any_case(open_limiter: Open) -> None:
    limiter = await open_limiter(max_in_flight=1)
    await warm(limiter)
    permit = await limiter.acquire()
    with pytest.raises(RateLimitTimeout):
        await limiter.acquire(max_wait=0.2)
    permit.finish(OK)
    await asyncio.wait_for(limiter.acquire(), SOON)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_few_permits_go_round(open_limiter: Open, limit: int) -> None:
    rate = RateLimit(limit, per=0.2)
    limiters = [await open_limiter(rate, exchange=0.2) for _ in range(3)]
    crowds = [await saturate(limiter, 4) for limiter in limiters]
    enough, granted = 12 * max(1, limit - 1), [0]
    async with asyncio.timeout(SOON):
        while sum(granted) < enough:
            await asyncio.sleep(0.05)
            granted = [limiter.statistics().granted for limiter in limiters]
    await stop(*crowds)
    assert max(granted) <= 2 * min(granted) + 2


async def test_who_comes_is_not_refused_for_holding_nothing_yet(open_limiter: Open) -> None:
    rate = RateLimit(50, per=1.5)
    first = await open_limiter(rate)
    await warm(first)
    crowd = await saturate(first)
    while (await first.account()).window_used < rate.limit - 2:
        await asyncio.sleep(0.02)
    second = await open_limiter(rate)
    some = (second.acquire(BULK, max_wait=1.5) for _ in range(3))
    for permit in await asyncio.gather(*some):
        permit.finish(OK)
    await stop(crowd)


# The server


async def test_survives_a_script_flush(open_limiter: Open, valkey: str) -> None:
    limiter = await open_limiter(QUICK)
    await warm(limiter)
    async with aioredis.Redis.from_url(valkey) as client:
        await client.script_flush()
    crowd = await saturate(limiter)
    await busy(limiter)
    while not limiter.statistics().in_contact:
        await asyncio.sleep(0.01)
    await stop(crowd)


async def test_a_ledger_that_was_deleted_is_told_again(open_limiter: Open, valkey: str) -> None:
    first, second = await open_limiter(QUICK), await open_limiter(QUICK)
    await warm(first, second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(1.5 * QUICK.per)
    async with aioredis.Redis.from_url(valkey) as client:
        await client.flushall()
    async with asyncio.timeout(SOON):
        while True:
            processes = (await first.account()).processes
            if len(processes) == 2 and sum(one.held for one in processes) >= 0.9 * QUICK.limit:
                break
            await asyncio.sleep(0.05)
    await stop(*crowds)


def test_a_limiter_that_was_made_before_a_fork_is_another_one_after_it(valkey: str) -> None:
    script = """
import asyncio, os, sys, traceback
from exotel_async import RateLimit, RequestOutcome
from exotel_async.redis import SharedTokenBucket

limiter = SharedTokenBucket(sys.argv[1], RateLimit(100, per=1.0), account="acme1", exchange=1.0)

async def send():
    (await limiter.acquire()).finish(RequestOutcome(status=200))

for _ in range(2):
    child = os.fork()
    if not child:
        try:
            asyncio.run(send())
            os.write(1, f"{limiter._lease.id}\\n".encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, valkey],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert len(set(told.stdout.split())) == 2


async def test_there_is_one_key_with_an_end_and_a_hash_tag(open_limiter: Open, valkey: str) -> None:
    await warm(await open_limiter(), await open_limiter(account="other"))
    await warm(await open_limiter(category="exophones"))
    async with aioredis.Redis.from_url(valkey, decode_responses=True) as client:
        keys = sorted(await client.keys())
        assert keys == [
            "exotel_async:{acme1}:exophones",
            "exotel_async:{acme1}:voice",
            "exotel_async:{other}:voice",
        ]
        for key in keys:
            assert 0 < await client.ttl(key) <= 86_400


async def test_those_that_come_and_go_leave_little(open_limiter: Open, valkey: str) -> None:
    """What one of them has had in flight may be in the window for long yet."""
    await warm(await open_limiter(exchange=30))
    async with aioredis.Redis.from_url(valkey) as client:
        before = await client.strlen("exotel_async:{acme1}:voice")
        for _ in range(100):
            async with SharedTokenBucket(valkey, RATE, account="acme1", exchange=30) as limiter:
                await send(limiter)
        assert await client.strlen("exotel_async:{acme1}:voice") - before <= 100 * 100


async def test_processes_that_name_another_budget_are_refused(open_limiter: Open) -> None:
    await warm(await open_limiter())
    with pytest.raises(ConfigurationError, match=r"RateLimit\(100, per=1\)"):
        await open_limiter(RateLimit(50, per=1.0))


async def test_another_budget_holds_when_nobody_uses_the_old_one(open_limiter: Open) -> None:
    first = await open_limiter()
    await warm(first)
    await first.aclose()
    second = await open_limiter(RateLimit(50, per=1.0))
    await warm(second)
    assert (await second.account()).window_size == 49


async def test_a_client_of_ones_own_stays_open(valkey: str) -> None:
    async with aioredis.Redis.from_url(valkey) as client:
        async with SharedTokenBucket(client, RATE, account="acme1") as limiter:
            await warm(limiter)
        assert await client.ping()


async def test_a_client_that_decodes_will_do(valkey: str) -> None:
    async with (
        aioredis.Redis.from_url(valkey, decode_responses=True, protocol=3) as client,
        SharedTokenBucket(client, QUICK, account="acme1") as limiter,
    ):
        await warm(limiter)
        crowd = await saturate(limiter)
        await busy(limiter)
        await stop(crowd)


# Statistics


async def test_statistics_of_the_whole_account(open_limiter: Open) -> None:
    rate = RateLimit(200, per=3.0)
    first, second = await open_limiter(rate), await open_limiter(rate)
    await warm(first, second)
    crowd = await saturate(first, 32)
    while first.statistics().window_size < 90:
        await asyncio.sleep(0.01)
    await send(second)
    account = await second.account()
    while account.window_used < 80:
        await asyncio.sleep(0.05)
        account = await second.account()
    assert [process.name for process in account.processes] == ["process 0", "process 1"]
    one, two = account.processes
    assert one.granted > two.granted >= 1, "as they last told"
    assert one.waiting_bulk >= 20
    assert two.waiting_bulk == two.waiting_interactive == 0
    assert account.waiting_bulk == one.waiting_bulk
    assert account.window_size == rate.limit - 1
    assert account.window_used <= account.window_size
    assert account.paused_for == 0
    statistics = first.statistics()
    assert statistics.account is not None
    assert statistics.account.window_size == rate.limit - 1
    assert statistics.in_contact
    assert 0 < statistics.valid_for <= rate.per / 2
    assert statistics.window_used <= statistics.window_size
    await stop(crowd)


# One loop, one life


async def test_closed_is_closed(open_limiter: Open) -> None:
    limiter = await open_limiter(max_in_flight=1)
    await warm(limiter)
    permit = await limiter.acquire()
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.05)
    await limiter.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await waiter
    with pytest.raises(ConfigurationError, match="closed"):
        await limiter.acquire()
    permit.finish(OK)
    permit.release()


async def test_belongs_to_one_loop(open_limiter: Open) -> None:
    limiter = await open_limiter()
    problems = []

    def elsewhere() -> None:
        try:
            asyncio.run(send(limiter))
        except ConfigurationError as error:
            problems.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert "another event loop" in problems[0]


ASKS: list[Callable[[SharedTokenBucket], Awaitable[Any]]] = [
    SharedTokenBucket.acquire,
    SharedTokenBucket.account,
    SharedTokenBucket.aclose,
    SharedTokenBucket.__aenter__,
]


@pytest.mark.parametrize("ask", ASKS, ids=["acquire", "account", "aclose", "aenter"])
@pytest.mark.parametrize("first", ["runs", "is closed"])
def test_another_loop_is_told_so(
    valkey: str, ask: Callable[[SharedTokenBucket], Awaitable[Any]], first: str
) -> None:
    limiter = SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0)

    async def elsewhere() -> None:
        async with asyncio.timeout(SOON):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await ask(limiter)

    async def use() -> None:
        await send(limiter)
        if first == "runs":
            await asyncio.to_thread(asyncio.run, elsewhere())
            await send(limiter)
            await limiter.aclose()

    asyncio.run(use())
    if first == "is closed":
        asyncio.run(elsewhere())


@pytest.mark.parametrize("turns", [0, 1, 3, 6])
@pytest.mark.parametrize("how", ["twice", "cut off", "cut off and again"])
async def test_closed_twice_or_halfway_it_gives_back_at_once(
    open_limiter: Open, how: str, turns: int
) -> None:
    # Left to itself, what it held would be out for half a minute.
    rate = RateLimit(40, per=0.4)
    first, second = await open_limiter(rate, exchange=30), await open_limiter(rate)
    await warm(first, second)
    crowd = await saturate(first)
    await busy(first)
    await stop(crowd)
    closing = asyncio.create_task(first.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(SOON):
        if how != "twice":
            closing.cancel()
            await asyncio.wait({closing})
        if how != "cut off":
            await first.aclose()
        crowd = await saturate(second)
        await busy(second)
    await asyncio.gather(closing, return_exceptions=True)
    await stop(crowd)


async def test_is_not_pickled(open_limiter: Open) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(await open_limiter())


async def test_goes_on_when_somebody_has_cancelled_its_tasks(open_limiter: Open) -> None:
    limiter = await open_limiter(QUICK)
    await warm(limiter)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if "Keeper" in repr(task.get_coro()) or "Limiter" in repr(task.get_coro()):
            task.cancel()
    await asyncio.sleep(0.05)
    crowd = await saturate(limiter)
    await busy(limiter)
    await stop(crowd)
