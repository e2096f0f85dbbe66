"""Sessions of a loop share the limiters of their account: without a server, as nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exotel_async import ConfigurationError, RateLimit
from exotel_async.redis import SharedTokenBucket
from exotel_async.redis.environment import SharedBudgets
from tests.support.virtual_time import run

URL = "redis://host/3"
RATE = RateLimit(60, per=60)


def budgets(url: str = URL, **options: Any) -> SharedBudgets:
    settings: dict[str, Any] = {"account": "acme1", "exchange": 10.0, "max_in_flight": 5}
    return SharedBudgets(url, **(settings | options))


def in_a_loop(main: Callable[[], Awaitable[None]]) -> None:
    async def run_main() -> None:
        await main()

    run(run_main())


def is_closed(limiter: SharedTokenBucket) -> bool:
    try:
        limiter.outage(0.0)
    except ConfigurationError as error:
        return "closed" in str(error)
    return False


def test_a_limiter_is_what_the_session_says_it_is() -> None:
    async def main() -> None:
        session = budgets(exchange=20.0)
        limiter = session.limiter("exophones", RATE)
        assert limiter.address == "host:6379, database 3"
        assert (limiter.account_sid, limiter.category, limiter.rate) == ("acme1", "exophones", RATE)
        assert limiter._lease.terms.hold == 20 + 60
        assert limiter._max_in_flight == 5
        await session.aclose()

    in_a_loop(main)


def test_it_has_one_limiter_for_a_budget_and_keeps_to_the_largest_numbers() -> None:
    async def main() -> None:
        first, second, third = (
            budgets(exchange=20.0, max_in_flight=100),
            budgets(exchange=30.0, max_in_flight=50),
            budgets(exchange=10.0, max_in_flight=200),
        )
        limiter = first.limiter("voice", RATE)
        assert second.limiter("voice", RATE) is limiter
        assert (limiter._lease.terms.hold, limiter._max_in_flight) == (30 + 60, 100)
        assert third.limiter("voice", RATE) is limiter
        assert (limiter._lease.terms.hold, limiter._max_in_flight) == (30 + 60, 200)
        others = [
            first.limiter("exophones", RateLimit(50)),
            budgets(account="acme2").limiter("voice", RateLimit(70)),
        ]
        assert len({id(limiter), *map(id, others)}) == 3

    in_a_loop(main)


def test_the_last_session_that_leaves_closes_it_and_the_next_gets_another() -> None:
    async def main() -> None:
        first, second = budgets(), budgets()
        limiter = first.limiter("voice", RATE)
        phones = first.limiter("exophones", RATE)
        second.limiter("voice", RATE)
        await first.aclose()
        assert is_closed(phones)
        assert not is_closed(limiter)
        await first.aclose()
        await budgets().aclose()
        assert not is_closed(limiter), "it has left already, and the other one has never come"
        assert first.limiter("voice", RATE) is limiter
        await second.aclose()
        assert not is_closed(limiter)
        await first.aclose()
        assert is_closed(limiter)
        # Another rate, and another server, are fine now.
        third = budgets("redis://elsewhere")
        new = third.limiter("voice", RateLimit(7))
        assert new is not limiter
        assert not is_closed(new)
        await third.aclose()

    in_a_loop(main)


def test_who_comes_while_the_last_one_leaves_gets_another() -> None:
    async def main() -> None:
        await budgets().aclose()  # the first thing in this loop, with nothing to leave
        session, next_one = budgets(), budgets()
        limiter = session.limiter("voice", RATE)
        closing = asyncio.create_task(session.aclose())
        await asyncio.sleep(0)
        new = next_one.limiter("voice", RATE)
        await closing
        assert new is not limiter
        assert (is_closed(limiter), is_closed(new)) == (True, False)
        await next_one.aclose()

    in_a_loop(main)


def test_it_may_be_closed_in_another_loop() -> None:
    session = budgets()

    async def use() -> SharedTokenBucket:
        return session.limiter("voice", RATE)

    limiter = run(use())
    in_a_loop(session.aclose)
    assert limiter._closed


def test_another_rate_or_another_server_is_refused_and_does_not_count() -> None:
    async def main() -> None:
        session = budgets()
        limiter = session.limiter("voice", RATE)
        for url, rate, words in (
            (
                URL,
                RateLimit(7),
                f"rate_limit={RateLimit(7)!r}: an account has one budget in an event loop, and "
                f"this one's is {RATE!r}, until the last of its sessions is closed",
            ),
            (
                "redis://:secret@elsewhere",
                RATE,
                "EXOTEL_RATE_LIMIT_URL: the account's other sessions in this event loop share its "
                "budget on another server",
            ),
        ):
            other = budgets(url, exchange=500.0)
            with pytest.raises(ConfigurationError) as refused:
                other.limiter("voice", rate)
            assert str(refused.value) == words
            await other.aclose()
        assert limiter._lease.terms.hold == 10 + 60
        assert not is_closed(limiter)
        await session.aclose()
        assert is_closed(limiter)

    in_a_loop(main)


def test_what_does_not_fit_is_told_when_the_session_is_made() -> None:
    for settings, words in (
        (
            {"url": "http://host"},
            "EXOTEL_RATE_LIMIT_URL: the URL of the shared limiter is not valid",
        ),
        ({"account": "a b"}, "EXOTEL_RATE_LIMIT_URL: account has a space"),
        ({"exchange": -1.0}, "EXOTEL_RATE_LIMIT_URL: exchange=-1.0: must be a positive number"),
        ({"max_in_flight": 0}, "EXOTEL_RATE_LIMIT_URL: max_in_flight=0: must be 1 or more"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            budgets(**settings)
        assert str(refused.value).startswith(words)
        assert refused.value.__suppress_context__


def test_loops_do_not_share() -> None:
    async def one() -> SharedTokenBucket:
        return budgets().limiter("voice", RATE)

    assert run(one()) is not run(one())
