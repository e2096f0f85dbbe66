"""How long a request of one process would wait, and for what it waits in vain."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import LimiterUnavailable, Priority, RateLimitTimeout
from exotel_async.redis import Fallback, SharedTokenBucket
from tests.redis.scripted_ledger import ACCOUNT, OPEN, RATE, Play, ScriptedLedger, Waiting, seconds
from tests.redis.virtual import BULK, INTERACTIVE, OK


async def estimate(limiter: SharedTokenBucket, priority: Priority) -> float:
    with pytest.raises(RateLimitTimeout) as refused:
        await limiter.acquire(priority, max_wait=0)
    return refused.value.wait


def test_max_wait_is_compared_with_the_pace_where_there_are_permits(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer |= {"pace": 0.5e-6, "burst": 2}
        limiter = await ledger.with_permits(2)
        for _ in range(2):
            (await limiter.acquire()).finish(OK)
        bulk = Waiting(limiter, 4, BULK)
        await asyncio.sleep(0.1)
        assert await estimate(limiter, BULK) == pytest.approx(4 / 0.5)
        assert await estimate(limiter, INTERACTIVE) == pytest.approx(0)
        # There are none: each of these two goes around every 60 s.
        ledger.answer["account"] = ACCOUNT | {"used": 59}
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(0.1)
        assert await estimate(limiter, BULK) == pytest.approx(120 + 60, abs=0.5)
        await bulk.leave()

    play(main)


def test_max_wait_is_compared_with_what_is_known_of_a_new_ledger(play: Play) -> None:
    """Nothing is held, and what nobody claims is free in 5 s."""

    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer["account"] = ACCOUNT | {"opens": seconds(5)}
        limiter = await ledger.opened(RATE)
        await asyncio.sleep(1)
        for priority in Priority:
            assert await estimate(limiter, priority) == pytest.approx(4, abs=0.1)
        # The same answer, repeated to a message that was sent again, says nothing of the account.
        ledger.once = {"account": ACCOUNT | {"opens": seconds(50)}}
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(1)
        del ledger.answer["account"]
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(1)
        assert await estimate(limiter, BULK) == pytest.approx(48, abs=0.1)

    play(main)


def test_max_wait_is_compared_with_what_is_here_where_no_more_is_known(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        del ledger.answer["account"]
        limiter = await ledger.with_permits(1)
        (await limiter.acquire()).finish(OK)
        assert await estimate(limiter, BULK) == pytest.approx(60, abs=0.1)

    play(main)


def test_max_wait_is_not_compared_with_a_probe_that_will_be_answered(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer["gate"] = {"epoch": 1, "row": 1, "state": "probe", "left": 0, "paused": False}
        limiter = await ledger.with_permits(2)
        probe = await limiter.acquire()
        waiting = asyncio.create_task(limiter.acquire(max_wait=1))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        ledger.answer["gate"] = OPEN | {"epoch": 1}
        probe.finish(OK)
        await asyncio.sleep(0.1)
        assert waiting.done()
        await waiting
        assert ledger.said[-1]["answered"] == 1

    play(main)


def test_max_wait_is_compared_with_a_pause_that_others_have_told_of(play: Play) -> None:
    """Where the lease has ended as well: there was nothing to keep."""

    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.opened(RATE)
        await asyncio.sleep(100)
        ledger.tell(gate={"epoch": 1, "row": 1, "left": seconds(50)})
        await asyncio.sleep(10)
        assert limiter.statistics().valid_for == 0
        for priority in Priority:
            assert await estimate(limiter, priority) == pytest.approx(40, abs=0.1)

    play(main)


# Outages


def test_in_an_outage_it_asks_as_long_as_it_has_a_need(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.opened(RATE)
        ledger.stop()
        with pytest.raises(LimiterUnavailable):
            await limiter.acquire(max_wait=5)
        await asyncio.sleep(1)
        ledger.tried.clear()
        await asyncio.sleep(60)
        assert ledger.tried == [], "nothing is held, and nobody waits"
        ledger.start()

    async def with_something(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(1)
        ledger.tell(call=[limiter._lease.id])
        ledger.stop()
        await asyncio.sleep(60)
        ledger.tried.clear()
        await asyncio.sleep(60)
        assert len(ledger.tried) == pytest.approx(120, abs=3)
        ledger.start()

    play(main)
    play(with_something)


def test_a_fallback_is_divided_by_as_many_as_were_told_of_last(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(20, on_outage=Fallback(at_once=True))
        ledger.tell(processes=3)
        ledger.tell()
        await asyncio.sleep(0.1)
        ledger.stop()
        await asyncio.sleep(31)
        crowd = Waiting(limiter, 20, INTERACTIVE)
        await asyncio.sleep(40)
        part = 59 // 4 // 3
        assert len(crowd.granted) == part
        assert limiter.statistics().pace == pytest.approx(part / 59)
        await crowd.leave()
        ledger.start()

    play(main)


@pytest.mark.parametrize(
    ("share", "at_once", "error"),
    [
        (0.01, True, RateLimitTimeout),  # a part of one permit, which is out
        (0.01, False, RateLimitTimeout),
        (None, False, LimiterUnavailable),
    ],
)
def test_what_a_fallback_does_not_allow_is_not_the_server_s_fault(
    play: Play,
    share: float | None,
    at_once: bool,
    error: type[Exception],
) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        fallback = None if share is None else Fallback(share=share, at_once=at_once)
        limiter = await ledger.with_permits(1, on_outage=fallback)
        ledger.stop()
        (await limiter.acquire()).finish(OK)
        await asyncio.sleep(31)
        with pytest.raises(error):
            await limiter.acquire(max_wait=5)
        ledger.start()

    play(main)
