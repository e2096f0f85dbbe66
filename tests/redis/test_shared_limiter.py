"""The shared limiter as who uses it sees it: its names, what it refuses and what it says."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from exotel_async import ConfigurationError, LimiterUnavailable, RateLimit, RateLimitTimeout
from exotel_async.redis import SharedTokenBucket
from tests.redis.virtual import OK, Run, VirtualServer, now, send

RATE = RateLimit(60, per=60)
LEASE = 30.0
SERVER = "the server of the shared limiter, virtual:6379, database 0, "


def test_it_is_of_an_account_and_of_voice_unless_it_says_otherwise() -> None:
    limiter = SharedTokenBucket("redis://:secret@host:7000/2", account="XACME1")
    assert (limiter.account_sid, limiter.category) == ("XACME1", "voice")
    assert limiter.address == "host:7000, database 2"
    assert limiter.rate == RateLimit(200, per=60)
    assert repr(limiter) == "<SharedTokenBucket host:7000, database 2, account='XACME1'>"
    assert repr(SharedTokenBucket.__new__(SharedTokenBucket)) == (
        "<SharedTokenBucket None, account=None>"
    )
    with pytest.raises(TypeError) as refused:
        pickle.dumps(limiter)
    assert str(refused.value) == (
        "a shared limiter is not pickled: it holds connections and a password"
    )


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("account", "a:b", "account must be a word without braces, : and @"),
        ("category", "a@b", "category must be a word without braces, : and @"),
        ("rate", 200, "rate=200: must be a RateLimit"),
        ("on_outage", 0.25, "on_outage=0.25: must be a Fallback"),
        ("name", 5, "name=5: must be a str"),
        ("max_in_flight", 0, "max_in_flight=0: must be 1 or more"),
        ("exchange", 0, "exchange=0: must be a positive number of seconds"),
        ("outage_wait", True, "outage_wait=True: must be a positive number of seconds"),
        ("socket_timeout", -1, "socket_timeout=-1: must be a positive number of seconds"),
    ],
)
def test_what_does_not_fit_is_named(argument: str, value: object, words: str) -> None:
    settings = {"account": "acme1", argument: value}
    with pytest.raises(ConfigurationError) as refused:
        SharedTokenBucket("redis://host", **settings)  # type: ignore[arg-type]
    assert str(refused.value) == words


def test_an_exchange_that_is_none_is_refused() -> None:
    limiter = SharedTokenBucket("redis://host", account="acme1")
    with pytest.raises(ConfigurationError, match=r"^seconds=nan: must be a positive number"):
        limiter.allow_exchange(float("nan"))


def test_each_category_and_account_has_a_budget_of_its_own(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        voice = await server.opened(RATE)
        phones = await server.opened(RateLimit(50, per=60), category="exophones")
        for limiter, permits in ((voice, 59), (phones, 49)):
            await send(limiter)
            account = await limiter.account()
            assert account.window_size == permits
            assert len(account.processes) == 1

    run(main)


def test_how_the_account_stands_may_be_asked_on_a_connection_of_its_own(run: Run) -> None:
    """Which has to be made: that takes four times as long."""

    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, socket_timeout=3)
        await send(limiter)
        for takes, fails in ((10, False), (13, True)):
            server.is_slow = True
            asking = asyncio.create_task(limiter.account())
            await asyncio.sleep(takes)
            server.is_slow = False
            if fails:
                with pytest.raises(LimiterUnavailable, match=r"no answer within 12 s"):
                    await asking
            else:
                assert (await asking).window_size == 59

    run(main)


# What a request is told that waits in vain


def test_who_is_refused_at_once_in_an_outage_has_not_waited(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE)
        crowd = [asyncio.create_task(limiter.acquire()) for _ in range(40)]
        await asyncio.sleep(1)
        with pytest.raises(RateLimitTimeout):
            await limiter.acquire(max_wait=5)
        server.stop()
        while limiter.statistics().in_contact:
            await asyncio.sleep(0.1)
        assert limiter.statistics().valid_for > 0
        with pytest.raises(LimiterUnavailable) as refused:
            await limiter.acquire(max_wait=5)
        assert str(refused.value) == SERVER + "cannot be reached: nobody is there"
        for task in crowd:
            task.cancel()
        await asyncio.wait(crowd)
        server.start()

    run(main)


def test_who_waited_in_two_outages_is_told_of_all_of_its_time(run: Run) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=1)
        await limiter.acquire()
        server.stop()
        await asyncio.sleep(LEASE)
        began = now()
        waiting = asyncio.create_task(limiter.acquire(max_wait=55))
        await asyncio.sleep(20)
        server.start()
        await asyncio.sleep(11)
        assert limiter.statistics().in_contact
        server.stop()
        with pytest.raises(LimiterUnavailable) as refused:
            await waiting
        assert now() - began == pytest.approx(55, abs=0.1)
        assert str(refused.value) == SERVER + "could not be reached for 55 s: nobody is there"
        server.start()

    run(main)


def test_who_waited_in_an_outage_and_goes_on_waiting_is_before_those_that_came_later(
    run: Run,
) -> None:
    async def main(server: VirtualServer) -> None:
        limiter = await server.opened(RATE, max_in_flight=1)
        permit = await limiter.acquire()
        server.stop()
        await asyncio.sleep(LEASE)
        first = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(20)
        server.start()
        await asyncio.sleep(2)
        second = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(20)  # the time of an outage is over, and the outage as well
        permit.finish(OK)
        done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {first}
        first.result().finish(OK)
        await second

    run(main)
