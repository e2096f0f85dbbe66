"""The shared limiter by the clock: the real ledger in virtual time, to which no computer is slow.

The budget is 60 a minute: 59 permits, one token a second, and bursts of ten.
"""

from __future__ import annotations

import asyncio
import logging
import random
from bisect import bisect_right
from itertools import pairwise
from typing import Any

import pytest

from exotel_async import (
    ConfigurationError,
    LimiterUnavailable,
    Priority,
    RateLimit,
    RateLimitTimeout,
    RequestOutcome,
)
from exotel_async.redis import Fallback, SharedTokenBucket
from tests.redis.virtual import BULK, INTERACTIVE, OK, Run, VirtualServer, held, now, send

RATE = RateLimit(60, per=60)
LEASE, HOLD = 30.0, 10.0 + 60.0
REFUSED = RequestOutcome(status=429)


class Crowd:
    """Requests of one process, more than there is budget."""

    def __init__(
        self, limiter: SharedTokenBucket, number: int = 5, priority: Priority = BULK
    ) -> None:
        self.times: list[float] = []
        self._limiter, self._priority = limiter, priority
        self._tasks = [asyncio.create_task(self._work()) for _ in range(number)]

    async def _work(self) -> None:
        while True:
            await send(self._limiter, self._priority)
            self.times.append(now())

    def since(self, moment: float) -> int:
        return sum(when > moment for when in self.times)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def most_in_a_window(*crowds: Crowd) -> int:
    times = sorted(when for crowd in crowds for when in crowd.times)
    return max(bisect_right(times, t + RATE.per - 1e-6) - i for i, t in enumerate(times))


# The budget and its parts


def test_one_process_has_all_of_it_and_seldom_asks(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        crowd = Crowd(await server.opened(RATE))
        await asyncio.sleep(600)
        await crowd.stop()
        assert len(crowd.times) >= 0.97 * 590
        assert most_in_a_window(crowd) <= 59
        assert server.asked <= 50

    run(main)


def test_those_who_have_much_to_do_have_equal_parts(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        first = Crowd(await server.opened(RATE))
        await asyncio.sleep(120)
        came = now()
        second = Crowd(await server.opened(RATE))
        await asyncio.sleep(300)
        assert second.times[0] - came <= 3
        assert second.since(came) == pytest.approx(first.since(came), rel=0.05)
        assert first.since(came) + second.since(came) >= 0.95 * 295
        assert most_in_a_window(first, second) <= 59

    run(main)


def test_an_interactive_request_goes_before_the_bulk_of_another_process(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        crowd = Crowd(await server.opened(RATE))
        await asyncio.sleep(120)
        newcomer = await server.opened(RATE)
        assert await send(newcomer) <= 2.1, "the next permit there is, and its token"
        await crowd.stop()

    run(main)


def test_who_has_nothing_to_do_any_more_leaves_it_to_the_others(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        idle, busy = await server.opened(RATE), await server.opened(RATE)
        before = Crowd(idle)
        await asyncio.sleep(120)
        assert held(idle) >= 57
        await before.stop()
        crowd = Crowd(busy)
        await asyncio.sleep(120)
        assert held(idle) <= 1
        assert held(busy) >= 57
        await asyncio.sleep(60)
        assert crowd.since(now() - 60) >= 57
        await crowd.stop()

    run(main)


def test_nothing_to_do_at_all_leaves_it_in_the_pool(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        assert 1 <= held(limiter) <= 5
        await asyncio.sleep(120)
        assert held(limiter) == 0
        asked = server.asked
        await asyncio.sleep(3600)
        assert server.asked == asked, "there is nothing to renew"

    run(main)


def test_who_is_closed_gives_everything_back_at_once(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        crowd = Crowd(one)
        await asyncio.sleep(90)
        await crowd.stop()
        await one.aclose()
        account = await other.account()
        assert account.window_used >= 57, "what was sent is out for its window"
        assert sum(process.held for process in account.processes) == 0
        await asyncio.sleep(61)
        assert (await other.account()).window_used == 0

    run(main)


def test_who_is_killed_keeps_its_part_until_nothing_of_it_can_be_on_its_way(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        killed, other = await server.opened(RATE), await server.opened(RATE)
        crowd = Crowd(killed)
        await asyncio.sleep(120)
        await crowd.stop()
        await asyncio.sleep(0.1)
        part = held(killed)
        last = now() - LEASE + killed.statistics().valid_for
        server.cut_off(killed)
        later = Crowd(other)
        await asyncio.sleep(last + LEASE + HOLD - 5 - now())
        assert held(other) <= 59 - part
        await asyncio.sleep(70)
        assert held(other) >= 57
        await later.stop()

    run(main)


def test_a_budget_of_two_requests_goes_round(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        rate = RateLimit(2, per=60)
        crowds = [Crowd(await server.opened(rate), number=1) for _ in range(2)]
        await asyncio.sleep(600)
        assert sum(len(crowd.times) for crowd in crowds) >= 9
        assert all(len(crowd.times) >= 4 for crowd in crowds)

    run(main)


@pytest.mark.slow(3)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_they_wait_for_they_say_no_more_than_they_have_to(run: Run, seed: int) -> None:
    """Two that wait for tokens, or for a pause, must not give each other permits in turn."""

    async def main(server: VirtualServer) -> None:
        chance = random.Random(seed)
        limiters = [await server.opened(RATE) for _ in range(5)]

        async def one(limiter: SharedTokenBucket) -> None:
            permit = await limiter.acquire(chance.choice([BULK, INTERACTIVE]))
            await asyncio.sleep(chance.random() * chance.choice([0.1, 10]))
            permit.finish(REFUSED if chance.random() < 0.05 else OK)

        async def work(limiter: SharedTokenBucket) -> None:
            while True:
                await asyncio.gather(*(one(limiter) for _ in range(chance.choice([1, 20]))))

        tasks = [asyncio.create_task(work(limiter)) for limiter in limiters]
        await asyncio.sleep(90)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert server.asked <= 4 * 5 * 90, "each of them a few in the time of a token"

    run(main)


def test_bursts_and_paces_of_all_are_those_of_one(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiters = [await server.opened(RATE) for _ in range(3)]
        for limiter in limiters:
            await send(limiter)
        await asyncio.sleep(120)
        began = now()
        crowds = [Crowd(limiter, number=20, priority=INTERACTIVE) for limiter in limiters]
        await asyncio.sleep(0.5)
        assert sum(crowd.since(began) for crowd in crowds) <= 10 + 2 * len(limiters)
        await asyncio.sleep(20)
        assert 15 <= sum(crowd.since(began + 0.5) for crowd in crowds) <= 20 + 2 * len(limiters)
        for crowd in crowds:
            await crowd.stop()

    run(main)


# The pause


def test_a_pause_is_for_all_and_one_of_them_probes(run: Run) -> None:
    """And those that wait do not talk all the time."""

    async def main(server: VirtualServer) -> None:
        limiters = [await server.opened(RATE) for _ in range(3)]
        for limiter in limiters:
            await send(limiter)
        permit = await limiters[0].acquire()
        permit.finish(RequestOutcome(status=429, retry_after=10))
        began = now()
        await asyncio.sleep(0.1)
        for limiter in limiters:
            assert limiter.statistics().paused_for == pytest.approx(9.9, abs=0.01)
        asked = server.asked
        waiting = [asyncio.create_task(limiter.acquire()) for limiter in limiters]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert now() - began == pytest.approx(10, abs=0.05)
        assert server.asked - asked <= 50
        await asyncio.sleep(1)
        assert sum(task.done() for task in waiting) == len(done) == 1
        done.pop().result().finish(OK)
        await asyncio.wait(waiting)
        assert now() - began == pytest.approx(11, abs=0.5)

    run(main)


def test_a_probe_that_is_refused_makes_all_wait_longer_whoever_sent_it(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiters = [await server.opened(RATE) for _ in range(2)]
        for limiter in limiters:
            await send(limiter)
        (await limiters[0].acquire()).finish(REFUSED)
        pauses = []
        for place in range(5):
            await asyncio.sleep(0.1)
            pauses.append(0.1 + limiters[place % 2].statistics().paused_for)
            (await limiters[place % 2].acquire()).finish(REFUSED)
        assert pauses == pytest.approx([1, 2, 4, 8, 16], abs=0.05)

    run(main)


def test_a_probe_without_an_answer_holds_all_for_two_seconds(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        await one.acquire()
        assert await send(other) == pytest.approx(2, abs=0.05)

    run(main)


def test_a_pause_can_be_cleared_by_any_of_them(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        await send(one)
        (await one.acquire()).finish(RequestOutcome(status=429, retry_after=100))
        await asyncio.sleep(1)
        assert await other.clear_pause() == pytest.approx(99, abs=0.05)
        assert await other.clear_pause() == 0
        assert await send(one) <= 0.1
        assert (await other.account()).paused_for == 0

    run(main)


def test_a_process_that_comes_during_a_pause_waits_as_well(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one = await server.opened(RATE)
        await send(one)
        (await one.acquire()).finish(RequestOutcome(status=429, retry_after=20))
        await asyncio.sleep(1)
        other = await server.opened(RATE)
        assert other.statistics().paused_for == pytest.approx(19, abs=0.05)
        assert await send(other) == pytest.approx(19, abs=0.1)

    run(main)


# Outages


def test_what_is_held_is_used_until_the_lease_ends_and_then_it_waits(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        crowd = Crowd(limiter)
        await asyncio.sleep(120)
        await crowd.stop()
        ends = now() + limiter.statistics().valid_for
        server.stop()
        with pytest.raises(LimiterUnavailable, match=r"could not be reached for 30 s: nobody"):
            while True:
                last = now() + await send(limiter)
        assert last <= ends
        assert now() == pytest.approx(ends + 30, abs=2)
        assert not limiter.statistics().in_contact
        assert limiter.statistics().valid_for == 0

    run(main)


@pytest.mark.parametrize(
    ("max_wait", "after", "words"),
    [
        (0, 0, "cannot be reached: nobody"),
        (0.5, 0.5, "could not be reached for 0.5 s: nobody"),
        (5, 5, "could not be reached for 5 s: nobody"),
        (100, 30, "could not be reached for 30 s: nobody"),
        (None, 30, "could not be reached for 30 s: nobody"),
    ],
)
def test_in_an_outage_each_waits_as_long_as_it_may(
    run: Run, max_wait: float | None, after: float, words: str
) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        server.stop()
        await asyncio.sleep(LEASE)
        with pytest.raises(LimiterUnavailable):
            await send(limiter)
        began = now()
        with pytest.raises(LimiterUnavailable, match=words):
            await limiter.acquire(max_wait=max_wait)
        assert now() - began == pytest.approx(after, abs=0.01)

    run(main)


def test_of_an_outage_a_session_is_told_what_it_waited_for(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, outage_wait=3)
        assert limiter.outage(7.0) is None
        server.stop()
        with pytest.raises(LimiterUnavailable, match="reached for 3 s"):
            await send(limiter)
        told = limiter.outage(7.0)
        assert told is not None
        assert "could not be reached for 7 s" in str(told)
        with pytest.raises(LimiterUnavailable, match="cannot be reached: nobody is there"):
            await limiter.account()

    run(main)


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_who_waits_goes_on_when_the_server_is_back(
    run: Run, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    caplog.set_level(logging.INFO, "exotel_async")

    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        server.stop()
        await asyncio.sleep(LEASE)
        waiting = asyncio.create_task(send(limiter))
        await asyncio.sleep(10)
        server.start(data=data)
        assert await waiting == pytest.approx(10, abs=3)
        assert limiter.statistics().in_contact

    run(main)
    assert [record.getMessage() for record in caplog.records] == [
        "The server of the shared limiter, virtual:6379, database 0, cannot be reached: "
        "nobody is there",
        "The server of the shared limiter is back",
    ]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_fallback_at_once_takes_its_part_when_the_lease_is_over(run: Run, share: float) -> None:
    async def main(server: VirtualServer) -> None:
        fallback = Fallback(share=share, at_once=True)
        limiters = [await server.opened(RATE, on_outage=fallback) for _ in range(2)]
        for limiter in limiters:
            await send(limiter)
        await asyncio.sleep(120)
        server.stop()
        began = now()
        crowds = [Crowd(limiter) for limiter in limiters]
        await asyncio.sleep(400)
        part = int(59 * share / 2)
        for crowd in crowds:
            assert crowd.times[0] - began <= LEASE
            assert crowd.since(now() - 240) == pytest.approx(4 * part, abs=4)
            assert most_in_a_window(crowd) <= part
            await crowd.stop()

    run(main)


def test_a_fallback_waits_until_what_others_sent_before_is_out_of_the_window(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, on_outage=Fallback(), outage_wait=500)
        await send(limiter)
        await asyncio.sleep(120)
        assert held(limiter) == 0
        server.stop()
        assert await send(limiter) == pytest.approx(LEASE + HOLD, abs=1)

    run(main)


def test_a_fallback_goes_on_with_what_it_holds(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, on_outage=Fallback())
        crowd = Crowd(limiter)
        await asyncio.sleep(120)
        server.stop()
        began = now()
        await asyncio.sleep(300)
        assert crowd.since(now() - 120) == pytest.approx(2 * 14, abs=3)
        assert crowd.since(began) <= 59 + 5 * 14
        await crowd.stop()

    run(main)


def test_a_fallback_of_who_never_reached_the_server_is_nothing(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        server.stop()
        fallback = Fallback(at_once=True)
        limiter = await server.opened(RATE, on_outage=fallback, outage_wait=200)
        with pytest.raises(LimiterUnavailable, match="reached for 200 s"):
            await send(limiter)

    run(main)


def test_a_server_that_is_away_is_tried_again_ever_more_slowly(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        for _ in range(2):
            await send(limiter)
            server.tried.clear()
            server.subscribed.clear()
            server.stop()
            await asyncio.sleep(LEASE)
            gaps = [b - a for a, b in pairwise(server.tried)]
            assert gaps[:7] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5], abs=0.01)
            gaps = [b - a for a, b in pairwise(server.subscribed)]
            assert gaps[:6] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5, 0.5], abs=0.01)
            server.start()
            await asyncio.sleep(1)

    run(main)


def test_of_a_server_that_is_away_nothing_is_asked_without_a_need(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        server.stop()
        await asyncio.sleep(2 * LEASE)
        server.tried.clear()
        await asyncio.sleep(60)
        assert server.tried == []
        with pytest.raises(LimiterUnavailable):
            await limiter.account()
        await asyncio.sleep(60)
        assert len(server.tried) == 1

    run(main)


def test_a_connection_that_says_nothing_is_tried_and_then_made_anew(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        server.subscribed.clear()
        await asyncio.sleep(100)
        assert server.subscribed == [], "it answers when it is asked"
        server.is_deaf = True
        await asyncio.sleep(31)
        assert len(server.subscribed) == 1

    run(main)


def test_max_wait_counts_what_was_waited_in_an_outage(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=1)
        await limiter.acquire()
        server.stop()
        await asyncio.sleep(LEASE)
        began = now()
        waiting = asyncio.create_task(limiter.acquire(max_wait=50))
        await asyncio.sleep(20)
        server.start()
        with pytest.raises(RateLimitTimeout) as refused:
            await waiting
        assert now() - began == pytest.approx(50, abs=1)
        assert refused.value.max_wait == pytest.approx(50, abs=31)

    run(main)


def test_who_waited_in_an_outage_is_not_behind_those_that_came_later(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, outage_wait=40)
        order: list[str] = []

        async def one(name: str) -> None:
            await send(limiter)
            order.append(name)

        await send(limiter)
        server.stop()
        await asyncio.sleep(LEASE)
        tasks = []
        for name in ("first", "second", "third"):
            tasks.append(asyncio.create_task(one(name)))
            await asyncio.sleep(10)
        server.start()
        await asyncio.gather(*tasks)
        assert order == ["first", "second", "third"]

    run(main)


def test_a_server_that_hangs_is_to_blame_once_it_is_long_overdue(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, socket_timeout=20)
        await send(limiter)
        await asyncio.sleep(120)
        server.is_slow = True
        with pytest.raises(LimiterUnavailable, match=r"has not answered within 5 s \(timeout=20 s"):
            await limiter.acquire(max_wait=5)
        server.is_slow = False

    run(main)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            "stale",
            "another process uses this limiter's identity: a limiter must not be copied or forked",
        ),
        (
            "version",
            "the account's other processes use another version of exotel_async, with which this "
            "one cannot share a budget",
        ),
    ],
)
def test_what_cannot_be_is_said_so(run: Run, refused: str, words: str) -> None:
    async def main(server: VirtualServer) -> None:
        server.says = f'{{"refused": "{refused}"}}'
        cannot = "the server of the shared limiter, virtual:6379, database 0, cannot be used: "
        with pytest.raises(ConfigurationError) as said:
            await server.opened(RATE)
        assert str(said.value) == cannot + words
        with pytest.raises(ConfigurationError, match="its data was written by another version"):
            await server.made(RATE).account()
        limiter = server.made(RATE)
        with pytest.raises(ConfigurationError):
            await limiter.acquire()
        tried = len(server.tried)
        await asyncio.sleep(10)
        assert len(server.tried) == tried, "it does not insist"
        await limiter.aclose()
        server.says = None

    run(main)


def test_a_lease_is_renewed_as_long_as_anything_is_held(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        crowd = [await limiter.acquire() for _ in range(3)]
        for _ in range(12):
            await asyncio.sleep(20)
            assert limiter.statistics().valid_for > 0
            assert held(limiter) >= 3
        assert limiter.statistics().round_trips <= 24, "twice a lease"
        for permit in crowd:
            permit.finish(OK)

    run(main)


def test_who_listens_listens_again(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        await send(one)
        server.stop()
        server.start()
        await asyncio.sleep(5)
        assert len(server.listeners) == 2
        (await one.acquire()).finish(RequestOutcome(status=429, retry_after=50))
        await asyncio.sleep(0.1)
        assert other.statistics().paused_for == pytest.approx(50, abs=0.2)

    run(main)


@pytest.mark.parametrize("said", ["", "[]", '{"epoch": 1}', b"\xff", '{"yield": 3}'])
def test_what_no_ledger_says_is_borne(
    run: Run, caplog: pytest.LogCaptureFixture, said: object
) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        server.publish(said)
        await asyncio.sleep(1)
        assert await send(limiter) < 1.1

    run(main)
    for record in caplog.records:
        assert record.getMessage() == ("The channel of the shared limiter sent an unknown message")


# How long it would take, and what is refused


async def estimate(limiter: SharedTokenBucket, priority: Priority) -> float:
    began = now()
    with pytest.raises(RateLimitTimeout) as refused:
        await limiter.acquire(priority, max_wait=0)
    assert now() == began
    return refused.value.wait


def test_max_wait_is_compared_with_what_stands_in_line(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        crowd = Crowd(limiter)
        await asyncio.sleep(120)
        await crowd.stop()
        bulk = [asyncio.create_task(send(limiter, BULK)) for _ in range(100)]
        await asyncio.sleep(20)
        left = sum(not task.done() for task in bulk)
        assert await estimate(limiter, BULK) == pytest.approx(left, rel=0.15)
        assert await send(limiter, INTERACTIVE) < 2
        web = [asyncio.create_task(send(limiter, INTERACTIVE)) for _ in range(40)]
        await asyncio.sleep(0.1)
        left = sum(not task.done() for task in web)
        assert await estimate(limiter, INTERACTIVE) == pytest.approx(left, rel=0.1)
        for task in bulk + web:
            task.cancel()
        await asyncio.gather(*bulk, *web, return_exceptions=True)

    run(main)


def test_max_wait_is_compared_with_the_pause(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        await send(one)
        (await one.acquire()).finish(RequestOutcome(status=429, retry_after=50))
        await asyncio.sleep(10)
        for limiter in (one, other):
            assert await estimate(limiter, INTERACTIVE) == pytest.approx(40, abs=0.1)
            assert await estimate(limiter, BULK) == pytest.approx(40, abs=0.1)

    run(main)


def test_max_wait_ends_it_in_any_case(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=1)
        await limiter.acquire()
        began = now()
        with pytest.raises(RateLimitTimeout):
            await limiter.acquire(max_wait=2.5)
        assert now() - began == pytest.approx(2.5, abs=0.01)

    run(main)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (RateLimit(61, per=60), r"share RateLimit\(60, per=60\): an account has one budget, and"),
        (RateLimit(60, per=30), r"share RateLimit\(60, per=60\): an account has one budget, and"),
    ],
)
def test_all_name_the_same_budget(run: Run, other: RateLimit, words: str) -> None:
    async def main(server: VirtualServer) -> None:
        one = await server.opened(RATE)
        await send(one)
        with pytest.raises(ConfigurationError, match=words) as refused:
            await server.opened(other)
        assert "the server of the shared limiter, virtual:6379" in str(refused.value)
        late = server.made(other)
        with pytest.raises(ConfigurationError, match="one budget"):
            await send(late)
        await late.aclose()

    run(main)


def test_who_is_closed_is_told_so(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=1)
        await limiter.acquire()
        waiting = asyncio.create_task(send(limiter))
        await asyncio.sleep(1)
        await limiter.aclose()
        with pytest.raises(ConfigurationError, match=r"^this limiter is closed$"):
            await waiting
        for way in (limiter.acquire, limiter.account, limiter.clear_pause):
            with pytest.raises(ConfigurationError, match=r"^this limiter is closed$"):
                await way()
        await limiter.aclose()

    run(main)


def test_statistics_tell_of_all_of_them(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        one, other = await server.opened(RATE), await server.opened(RATE)
        assert one.statistics().round_trips == 1
        for _ in range(3):
            await send(one)
        await send(other)
        await other.acquire()
        crowd = [asyncio.create_task(one.acquire(BULK)) for _ in range(70)]
        await asyncio.sleep(100)
        account = await other.account()
        assert [process.name for process in account.processes] == ["process 1", "process 2"]
        assert sum(process.granted for process in account.processes) >= 60
        assert account.window_size == 59
        assert account.processes[1].used >= 1
        mine = one.statistics()
        assert mine.in_contact
        assert 0 < mine.valid_for <= LEASE
        assert mine.account is not None
        assert mine.account.waiting_bulk == mine.waiting_bulk or mine.waiting_bulk > 0
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

    run(main)


def test_a_longer_exchange_is_told_at_once(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        await asyncio.sleep(1)
        asked = server.asked
        limiter.allow_exchange(5.0)
        await asyncio.sleep(1)
        assert server.asked == asked, "it is shorter"
        limiter.allow_exchange(50.0)
        await asyncio.sleep(1)
        assert server.asked == asked + 1

    run(main)


def test_it_goes_on_when_somebody_has_cancelled_its_tasks(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        await send(limiter)
        crowd = [asyncio.create_task(send(limiter)) for _ in range(30)]
        await asyncio.sleep(1)
        others = asyncio.all_tasks() - {*crowd, asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        await send(limiter)
        await asyncio.gather(*crowd)

    run(main)


def test_a_session_may_have_more_in_flight_and_not_fewer(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=2)
        await send(limiter)
        permits: list[Any] = []
        for most in (2, 3, 1):
            limiter.allow_in_flight(most)
            crowd = [asyncio.create_task(limiter.acquire()) for _ in range(4)]
            await asyncio.sleep(20)
            permits.append(limiter.statistics().in_flight)
            for task in crowd:
                if task.done():
                    task.result().finish(OK)
                task.cancel()
            await asyncio.wait(crowd)
        assert permits == [2, 3, 3]

    run(main)
