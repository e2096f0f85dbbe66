"""The shared limiter's promises. Limiters in one loop share as processes do: through the server."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis.asyncio as aioredis

from exotel_async import (
    ConfigurationError,
    Outcome,
    Permit,
    Priority,
    RateLimit,
    RateLimiter,
    RateLimitTimeout,
)
from exotel_async.redis import SharedTokenBucket

BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE
OK = Outcome(status=200)
RATE = RateLimit(100, per=1.0)
INTERVAL = RATE.per / RATE.limit
SETTLE = 0.25

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
    while limiter.statistics().window_size < RATE.limit * 0.9:
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
    before = limiter.statistics().round_trips
    for _ in range(60):
        await send(limiter)
        await asyncio.sleep(RATE.per / 20)
    windows = 60 / 20
    assert limiter.statistics().round_trips - before <= 3 * windows + 1


async def test_saturation_costs_a_quarter_of_a_round_trip_at_most(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(2 * RATE.per)
    before = [(one.statistics().round_trips, one.statistics().granted) for one in (first, second)]
    await asyncio.sleep(2 * RATE.per)
    after = [(one.statistics().round_trips, one.statistics().granted) for one in (first, second)]
    await stop(*crowds)
    trips = [late[0] - early[0] for late, early in zip(after, before, strict=True)]
    granted = [late[1] - early[1] for late, early in zip(after, before, strict=True)]
    assert sum(trips) <= sum(granted) / 4
    assert sum(granted) >= 0.9 * 2 * (RATE.limit - 2)
    assert max(granted) <= 1.1 * min(granted)


async def test_takes_no_more_than_it_has_use_for(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    assert limiter.statistics().window_size <= 5
    crowd = await saturate(limiter)
    await asyncio.sleep(0.1)
    assert limiter.statistics().window_size <= 10 + RATE.limit / 2, "a lease at a time"
    await stop(crowd)


async def test_gives_back_what_it_has_no_use_for_any_more(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    crowd = await saturate(limiter)
    await busy(limiter)
    await stop(crowd)
    while limiter.statistics().window_size:
        await asyncio.sleep(0.05)
    trips = limiter.statistics().round_trips
    await asyncio.sleep(RATE.per)
    assert limiter.statistics().round_trips == trips, "and is silent"


async def test_whoever_comes_gets_an_equal_part_at_once(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    crowds = [await saturate(first)]
    await busy(first)
    crowds.append(await saturate(second))
    await asyncio.sleep(0.2 * RATE.per)
    before = [first.statistics().granted, second.statistics().granted]
    await asyncio.sleep(RATE.per)
    after = [first.statistics().granted, second.statistics().granted]
    await stop(*crowds)
    granted = [late - early for early, late in zip(before, after, strict=True)]
    assert sum(granted) <= RATE.limit
    assert min(granted) >= 0.4 * RATE.limit, "permits that are out move as well"


async def test_closing_gives_everything_back_at_once(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
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
    await first.acquire()
    await first.aclose()
    used = (await second.account()).window_used
    assert used == 3, "two that were sent, and one of which nothing is known"
    await asyncio.sleep(RATE.per + 0.2)
    assert (await second.account()).window_used == 1
    await asyncio.sleep(1.0)
    assert (await second.account()).window_used == 0


def test_the_end_of_the_loop_gives_everything_back(valkey: str) -> None:
    async def leave() -> None:
        limiter = SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0)
        await send(limiter)
        await send(limiter)

    async def look() -> None:
        async with SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0) as limiter:
            account = await limiter.account()
            assert sum(process.held for process in account.processes) == 0
            assert account.window_used == 2

    asyncio.run(leave())
    asyncio.run(look())


# Priority


async def test_interactive_goes_before_bulk_of_other_processes(open_limiter: Open) -> None:
    limiters = [await open_limiter() for _ in range(4)]
    await warm(*limiters)
    crowds = [await saturate(limiter) for limiter in limiters[:3]]
    await asyncio.sleep(1.5 * RATE.per)
    loop, waits = asyncio.get_running_loop(), []
    chance = random.Random(0)
    for _ in range(25):
        await asyncio.sleep(chance.expovariate(1 / 0.1))
        began = loop.time()
        await send(limiters[3])
        waits.append(loop.time() - began)
    await stop(*crowds)
    assert sorted(waits)[-2] <= 2 * INTERVAL


async def test_a_flood_of_interactive_requests_takes_everything(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    crowd = await saturate(first)
    await busy(first)
    flood = [asyncio.create_task(send(second)) for _ in range(150)]
    await asyncio.sleep(0.3 * RATE.per)
    before = first.statistics().granted
    await asyncio.sleep(0.5 * RATE.per)
    assert first.statistics().granted - before <= 5, "bulk waits"
    await asyncio.gather(*flood)
    await asyncio.sleep(0.2)
    before = first.statistics().granted
    await asyncio.sleep(0.5 * RATE.per)
    assert first.statistics().granted - before >= 20, "and goes on"
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
    limiters = [await open_limiter() for _ in range(3)]
    await warm(*limiters)
    crowds = [await saturate(limiter) for limiter in limiters]
    await asyncio.sleep(2 * RATE.per)
    paces = [limiter.statistics().pace for limiter in limiters]
    await stop(*crowds)
    assert sum(paces) <= RATE.limit / RATE.per * 1.001
    # After a quiet time all of them have a burst together, not each.
    await asyncio.sleep(1.5 * RATE.per)
    before = sum(limiter.statistics().granted for limiter in limiters)
    tasks = [asyncio.create_task(send(limiter)) for limiter in limiters for _ in range(RATE.burst)]
    await asyncio.sleep(INTERVAL)
    burst = sum(limiter.statistics().granted for limiter in limiters) - before
    await asyncio.gather(*tasks)
    assert burst <= RATE.burst + 3


async def test_a_flood_of_interactive_requests_keeps_to_the_pace(open_limiter: Open) -> None:
    rate = RateLimit(400, per=10.0)
    limiters = [await open_limiter(rate) for _ in range(3)]
    await warm(*limiters)
    loop = asyncio.get_running_loop()
    began, before = loop.time(), sum(limiter.statistics().granted for limiter in limiters)
    crowds = [await saturate(limiter, 20, INTERACTIVE) for limiter in limiters]
    await asyncio.sleep(3)
    granted = sum(limiter.statistics().granted for limiter in limiters) - before
    most = rate.burst + (loop.time() - began) * rate.limit / rate.per
    await stop(*crowds)
    assert most / 2 <= granted <= most + 3, "a token of each may be on its way"


# Pauses


async def waiting(*limiters: SharedTokenBucket) -> list[asyncio.Task[Permit]]:
    return [asyncio.create_task(limiter.acquire()) for limiter in limiters]


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Outcome(status=429, retry_after=0.4), 0.4),
        (Outcome(status=429), RATE.per / 60),
        (Outcome(status=503, retry_after=0.3), 0.3),
    ],
)
async def test_a_pause_is_for_all_and_then_one_probe_goes(
    open_limiter: Open, outcome: Outcome, seconds: float
) -> None:
    limiters = [await open_limiter() for _ in range(3)]
    await warm(*limiters)
    loop = asyncio.get_running_loop()
    permit = await limiters[0].acquire()
    await asyncio.sleep(0.05)
    began = loop.time()
    permit.finish(outcome)
    await asyncio.sleep(0.01)
    tasks = await waiting(*limiters, *limiters)
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert loop.time() - began >= seconds - 0.001
    assert len(done) == 1
    await asyncio.sleep(0.01)
    assert sum(task.done() for task in tasks) == 1, "the others wait for its answer"
    done.pop().result().finish(OK)
    for permit in await asyncio.wait_for(asyncio.gather(*rest), 0.5):
        permit.finish(OK)
    assert loop.time() - began <= seconds + 0.3
    assert not any(limiter.statistics().strict for limiter in limiters)


async def test_statistics_tell_of_a_pause_everywhere(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    (await first.acquire()).finish(Outcome(status=429, retry_after=0.8))
    await asyncio.sleep(0.05)
    for limiter in (first, second):
        assert 0.5 < limiter.statistics().paused_for <= 0.8
    assert 0.5 < (await second.account()).paused_for <= 0.8


async def test_refused_probes_wait_longer_each_time_whoever_sends_them(open_limiter: Open) -> None:
    limiters = [await open_limiter() for _ in range(2)]
    await warm(*limiters)
    loop, began, pauses = asyncio.get_running_loop(), 0.0, []
    for turn in range(5):
        permit = await limiters[turn % 2].acquire()
        if began:
            pauses.append((loop.time() - began) * 60 / RATE.per)
        began = loop.time()
        permit.finish(Outcome(status=429))
        await asyncio.sleep(0.005)
    assert pauses == pytest.approx([1, 2, 4, 8], abs=0.9)


async def test_a_probe_that_hangs_holds_the_others_for_a_while(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    (await first.acquire()).finish(Outcome(status=429, retry_after=0.1))
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    probe = await asyncio.wait_for(first.acquire(), 1)
    began = loop.time()
    await asyncio.wait_for(second.acquire(), 1)
    assert loop.time() - began == pytest.approx(RATE.per / 30, abs=0.02)
    probe.finish(OK)
    await asyncio.wait_for(second.acquire(), 0.1)


async def test_a_process_that_comes_during_a_pause_waits_as_well(open_limiter: Open) -> None:
    first = await open_limiter()
    await warm(first)
    (await first.acquire()).finish(Outcome(status=429, retry_after=0.6))
    await asyncio.sleep(0.05)
    second = await open_limiter()
    loop = asyncio.get_running_loop()
    began = loop.time()
    (await second.acquire()).finish(OK)
    assert loop.time() - began >= 0.4


async def test_unexplained_refusals_teach_all_of_them(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    (await first.acquire()).finish(Outcome(status=429, retry_after=0.05))
    await warm(second)
    assert not second.statistics().strict, "somebody before us may have spent it"
    await asyncio.sleep(RATE.per)
    await warm(first, second)
    (await first.acquire()).finish(Outcome(status=429, retry_after=0.05))
    await warm(second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(0.2)
    try:
        statistics = [first.statistics(), second.statistics()]
        assert all(one.strict for one in statistics)
        assert sum(one.pace for one in statistics) <= (RATE.limit - 2) / RATE.per * 0.85
    finally:
        await stop(*crowds)


async def test_a_cold_start_sends_one_probe_for_all(open_limiter: Open) -> None:
    limiters = [await open_limiter() for _ in range(3)]
    tasks = await waiting(*limiters, *limiters)
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.01)
    assert sum(task.done() for task in tasks) == 1
    done.pop().result().finish(OK)
    for permit in await asyncio.wait_for(asyncio.gather(*rest), 0.5):
        permit.finish(OK)


# Leaving


async def test_cancelled_at_any_moment_nothing_is_left_behind(open_limiter: Open) -> None:
    limiters = [await open_limiter(), await open_limiter()]
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
        asyncio.get_running_loop().call_later(chance.random() ** 2 * 2, task.cancel)
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    for limiter in limiters:
        statistics = limiter.statistics()
        assert statistics.waiting_bulk == statistics.waiting_interactive == 0
        assert statistics.in_flight == 0
    await asyncio.sleep(2.2 * RATE.per)
    account = await limiters[0].account()
    assert account.window_used == 0
    assert sum(process.held for process in account.processes) == 0


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
        await asyncio.wait_for(send(limiter), 2)
        assert sum(one.held for one in (await limiter.account()).processes) <= 5


async def test_a_permit_that_was_never_sent_is_free_at_once(open_limiter: Open) -> None:
    limiter = await open_limiter(RateLimit(2, per=1.0))  # one permit
    (await limiter.acquire()).finish(Outcome(written=False))
    (await asyncio.wait_for(limiter.acquire(), 0.6)).release()
    await asyncio.wait_for(limiter.acquire(), 0.6)


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
    assert loop.time() - began < 0.1
    assert refused.value.wait == pytest.approx(5, rel=0.3)
    (await limiter.acquire(INTERACTIVE, max_wait=0.5)).finish(OK)
    await stop(crowd)


async def test_max_wait_ends_in_any_case(open_limiter: Open) -> None:
    limiter = await open_limiter(max_in_flight=1)
    await warm(limiter)
    permit = await limiter.acquire()
    with pytest.raises(RateLimitTimeout):
        await limiter.acquire(max_wait=0.2)
    permit.finish(OK)
    await asyncio.wait_for(limiter.acquire(), 0.5)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_few_permits_go_round(open_limiter: Open, limit: int) -> None:
    rate = RateLimit(limit, per=0.25)
    limiters = [await open_limiter(rate, exchange=0.2) for _ in range(3)]
    crowds = [await saturate(limiter, 4) for limiter in limiters]
    await asyncio.sleep(0.25 * 24)
    granted = [limiter.statistics().granted for limiter in limiters]
    await stop(*crowds)
    assert sum(granted) >= 0.6 * 22 * max(1, limit - 1)
    assert max(granted) <= 2 * min(granted) + 2


# The server


async def test_survives_a_script_flush(open_limiter: Open, valkey: str) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    async with aioredis.Redis.from_url(valkey) as client:
        await client.script_flush()
    crowd = await saturate(limiter)
    await busy(limiter)
    await stop(crowd)
    assert limiter.statistics().in_contact


async def test_a_ledger_that_was_deleted_is_told_again(open_limiter: Open, valkey: str) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    crowds = [await saturate(first), await saturate(second)]
    await asyncio.sleep(1.5 * RATE.per)
    async with aioredis.Redis.from_url(valkey) as client:
        await client.flushall()
    await asyncio.sleep(RATE.per)
    account = await first.account()
    await stop(*crowds)
    assert len(account.processes) == 2
    assert sum(process.held for process in account.processes) >= 0.9 * RATE.limit


def test_a_limiter_that_was_made_before_a_fork_is_another_one_after_it(valkey: str) -> None:
    limiter = SharedTokenBucket(valkey, RATE, account="acme1", exchange=1.0)
    end, beginning = os.pipe()
    for _ in range(2):
        if not os.fork():
            asyncio.run(send(limiter))
            os.write(beginning, f"{limiter._share.id}\n".encode())
            os._exit(0)
        os.wait()
    os.close(beginning)
    with open(end) as told:  # noqa: PTH123 - it is a pipe
        assert len(set(told)) == 2


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
        SharedTokenBucket(client, RATE, account="acme1") as limiter,
    ):
        await warm(limiter)
        crowd = await saturate(limiter)
        await busy(limiter)
        await stop(crowd)


# Statistics


async def test_statistics_of_the_whole_account(open_limiter: Open) -> None:
    first, second = await open_limiter(), await open_limiter()
    await warm(first, second)
    crowd = await saturate(first, 32)
    await busy(first)
    await send(second)
    account = await second.account()
    while account.window_used < 0.8 * RATE.limit:
        await asyncio.sleep(0.05)
        account = await second.account()
    assert [process.name for process in account.processes] == ["process 0", "process 1"]
    one, two = account.processes
    assert one.granted > two.granted >= 1, "as they last told"
    assert one.waiting_bulk >= 20
    assert two.waiting_bulk == two.waiting_interactive == 0
    assert account.waiting_bulk == one.waiting_bulk
    assert account.window_size == RATE.limit - 1
    assert account.window_used <= account.window_size
    assert account.paused_for == 0
    statistics = first.statistics()
    assert statistics.account is not None
    assert statistics.account.window_size == RATE.limit - 1
    assert statistics.in_contact
    assert 0 < statistics.valid_for <= RATE.per / 2
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


async def test_is_not_pickled(open_limiter: Open) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(await open_limiter())


async def test_goes_on_when_somebody_has_cancelled_its_tasks(open_limiter: Open) -> None:
    limiter = await open_limiter()
    await warm(limiter)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if "Keeper" in repr(task.get_coro()) or "Limiter" in repr(task.get_coro()):
            task.cancel()
    await asyncio.sleep(0.05)
    crowd = await saturate(limiter)
    await busy(limiter)
    await stop(crowd)
