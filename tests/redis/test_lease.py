"""How a process comes into contact with the ledger, keeps it, loses it and leaves."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from exotel_async import (
    ConfigurationError,
    LimiterUnavailable,
    RateLimit,
    RateLimitTimeout,
    RequestOutcome,
)
from tests.redis.scripted_ledger import EPOCH, Play, ScriptedLedger
from tests.redis.virtual import OK, WAY, Run, VirtualServer, held, now, send

RATE = RateLimit(60, per=60)
REFUSED = RequestOutcome(status=429)
NO_LEDGER = "its answer is not one that this package knows"
CANNOT = "the server of the shared limiter, virtual:6379, database 0, cannot be used: "


# The first contact


def test_it_listens_before_it_asks_so_that_it_misses_nothing(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        assert server.tried[0] - server.subscribed[0] == pytest.approx(2 * WAY, abs=0.0005)
        # It was in contact: what it may have missed it is told when it listens again.
        await send(limiter)
        server.begins_after = 5.0
        server.stop()
        server.start()
        await asyncio.sleep(1)
        server.tried.clear()
        began = now()
        await send(limiter)
        assert now() - began < 1.1

    run(main)


def test_it_does_not_wait_for_ever_until_it_may_listen(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        server.begins_after = 100.0
        await server.opened(RATE, socket_timeout=7)
        assert server.tried[0] - server.subscribed[0] == pytest.approx(7, abs=0.01)

    run(main)


def test_who_is_not_let_listen_is_told_so_and_may_be_let_later(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        server.forbids_to_listen = True
        with pytest.raises(ConfigurationError) as refused:
            await server.opened(RATE)
        assert str(refused.value) == CANNOT + "it is not let"
        limiter = server.made(RATE)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="it is not let"):
                await limiter.acquire()
        assert server.tried == []
        server.forbids_to_listen = False
        await send(limiter)
        # Who was let before tries again.
        server.forbids_to_listen = True
        server.stop()
        server.start()
        await asyncio.sleep(2)
        assert server.listeners == []
        server.forbids_to_listen = False
        await asyncio.sleep(1)
        assert len(server.listeners) == 1
        await limiter.aclose()

    run(main)


def test_what_is_no_ledger_is_an_error_at_first_and_an_outage_later(run: Run) -> None:
    """A server that turns into something else may be another one again, or lead to it."""

    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, outage_wait=3)
        await send(limiter)
        await asyncio.sleep(100)
        server.says = "[]"
        with pytest.raises(ConfigurationError) as refused:
            await server.opened(RATE)
        assert str(refused.value) == CANNOT + NO_LEDGER
        with pytest.raises(ConfigurationError) as refused:
            await limiter.account()
        assert str(refused.value) == CANNOT + NO_LEDGER
        with pytest.raises(LimiterUnavailable) as unavailable:
            await send(limiter)
        assert str(unavailable.value) == (
            "the server of the shared limiter, virtual:6379, database 0, could not be reached for "
            f"3 s: {NO_LEDGER}"
        )
        assert not limiter.statistics().in_contact
        waiting = asyncio.create_task(send(limiter))
        await asyncio.sleep(1)
        server.says = None
        assert await waiting == pytest.approx(1.5, abs=0.5)
        assert limiter.statistics().in_contact

    run(main)


# Outages


def test_a_server_of_a_short_window_is_tried_as_often_as_a_new_ledger_needs_it(run: Run) -> None:
    """It waits a quarter of a second for those that know more than it does."""

    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RateLimit(60, per=6), exchange=1.0)
        await send(limiter)
        server.stop()
        waiting = asyncio.create_task(send(limiter))
        await asyncio.sleep(6)
        gaps = [b - a for a, b in pairwise(server.tried[-10:])]
        assert gaps == pytest.approx([0.125] * 9, abs=0.01)
        server.start()
        await waiting

    run(main)


@pytest.mark.parametrize(("took", "in_time", "late"), [(0, 0.03, 0.05), (1, 2.0, 0.1)])
def test_an_answer_that_is_twice_as_late_as_the_last_one_is_overdue(
    play: Play, took: float, in_time: float, late: float
) -> None:
    """Until then it is the budget that a request has waited for in vain."""

    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(1, socket_timeout=20)
        await limiter.acquire()
        await asyncio.sleep(50)
        ledger.is_slow = took > 0
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(took / 2)
        ledger.is_slow = False
        await asyncio.sleep(took)
        ledger.is_slow = True
        for max_wait, error in ((in_time, RateLimitTimeout), (late, LimiterUnavailable)):
            with pytest.raises(error):
                await limiter.acquire(max_wait=max_wait)
        ledger.is_slow = False

    play(main)


def test_without_a_lease_it_is_the_answer_that_lacks(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.opened(RATE)
        await asyncio.sleep(100)
        ledger.is_slow = True
        lacks = r"has not answered within 0.03 s \(timeout="
        with pytest.raises(LimiterUnavailable, match=lacks):
            await limiter.acquire(max_wait=0.03)
        told = limiter.outage(0.03)
        assert told is not None
        assert "has not answered within 0.03 s (timeout=" in str(told)
        ledger.is_slow = False

    play(main)


# The end


def test_who_is_closed_sends_nothing_any_more(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        permit = await limiter.acquire()
        await limiter.aclose()
        asked = len(server.tried)
        permit.finish(REFUSED)
        await asyncio.sleep(100)
        assert len(server.tried) == asked
        assert server.listeners == []

    run(main)


@pytest.mark.parametrize("timeout", [0.25, 2.0])
def test_leaving_takes_half_a_second_at_most_or_the_time_of_an_answer(
    run: Run, timeout: float
) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, socket_timeout=timeout)
        await send(limiter)
        server.stop()
        await asyncio.sleep(0.1)
        server.tried.clear()
        began = now()
        await limiter.aclose()
        assert now() - began == pytest.approx(max(0.5, timeout), abs=0.01)
        gaps = [b - a for a, b in pairwise(server.tried)]
        assert gaps == pytest.approx([0.051] * len(gaps), abs=0.002)
        assert len(gaps) >= 8

    run(main)


def test_it_leaves_a_new_ledger_as_well(play: Play) -> None:
    """And until that has been told what was held, it has not left."""

    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(3)
        await limiter.acquire()
        ledger.once = {"epoch": "second:1", "claim": True}
        await limiter.aclose()
        assert [
            (one["leave"], one["claims"], one["gave"], one["epoch"], one["held"])
            for one in ledger.said
        ] == [(True, False, 0, EPOCH, 0), (True, True, 3, "second:1", 0)]
        assert [len(one["back"]) for one in ledger.said] == [3, 0]

    play(main)


@pytest.mark.parametrize("answer", ['{"refused": "stale"}', "[]"])
def test_it_does_not_insist_where_it_is_refused(run: Run, answer: str) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        server.says = answer
        began, asked = now(), len(server.tried)
        await limiter.aclose()
        assert now() - began == pytest.approx(2 * WAY, abs=0.001)
        assert len(server.tried) == asked + 1

    run(main)


def test_it_leaves_when_its_task_is_cancelled_and_cancelled_again(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter, other = await server.opened(RATE), await server.opened(RATE)
        await send(limiter)
        assert len((await other.account()).processes) == 2
        task = limiter._keeper._task
        assert task is not None
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.0005)
        assert not task.done()
        await asyncio.wait({task})
        assert [one.name for one in (await other.account()).processes] == ["process 2"]
        assert held(limiter) == 0
        (await limiter.acquire()).finish(OK)
        assert len((await other.account()).processes) == 2

    run(main)
