"""The pace and the bursts of requests, in virtual time."""

from __future__ import annotations

import asyncio
from bisect import bisect_right

import pytest

from exotel_async import Priority, RateLimit
from exotel_async.limiter.pacer import Pacer
from tests.support.virtual_time import run

BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE


def now() -> float:
    return asyncio.get_running_loop().time()


def at_once(pacer: Pacer, priority: Priority = INTERACTIVE) -> int:
    """Take all the tokens there are, and return how many there were."""
    taken = 0
    while taken < 1000 and pacer.take_at_once(priority, now()):
        taken += 1
    return taken


async def take_for(pacer: Pacer, seconds: float, priority: Priority = INTERACTIVE) -> list[float]:
    """Take as many as there are for so long, and return when."""
    taken, end = [], now() + seconds
    while now() < end:
        if await pacer.take(priority):
            taken.append(now())
    return [when for when in taken if when <= end]


def most_in(times: list[float], seconds: float) -> int:
    return max(bisect_right(times, t + seconds) - place for place, t in enumerate(times))


def test_the_pace_is_that_of_the_budget() -> None:
    async def main() -> None:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        assert pacer.pace == 2.0
        assert not pacer.strict
        assert at_once(pacer) == 10
        assert len(await take_for(pacer, 30.01)) == pytest.approx(60, abs=1)

    run(main())


@pytest.mark.parametrize(("burst", "bulk"), [(1, 1), (2, 2), (10, 2), (20, 4)])
def test_bulk_takes_a_fifth_of_a_burst_but_two_at_least(burst: int, bulk: int) -> None:
    async def main() -> list[float]:
        return await take_for(Pacer(RateLimit(120, per=60, burst=burst)), 0.4, BULK)

    assert len(run(main())) == bulk


def test_bulk_pays_with_its_pace_for_a_burst_ahead_of_it() -> None:
    async def main() -> list[float]:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        assert at_once(pacer, INTERACTIVE) == 10
        return await take_for(pacer, 6.25, BULK)

    # A burst of ten is five seconds' worth: bulk goes on when all but one have been paid for.
    assert run(main()) == pytest.approx([4.5, 5, 5.5, 6], abs=0.01)


def test_a_refusal_slows_down_and_the_pace_comes_back_bit_by_bit() -> None:
    async def main() -> list[float]:
        pacer, paces = Pacer(RateLimit(120, per=60)), []
        pacer.slow_down(strict=False)
        paces.append(pacer.pace)
        for _ in range(3):
            await take_for(pacer, 20)
            paces.append(pacer.pace)
        await take_for(pacer, 10)
        return [*paces, pacer.pace]

    # 0.7 of it at first, and 0.3 of it more in each minute.
    assert run(main()) == pytest.approx([1.4, 1.6, 1.8, 2.0, 2.0], abs=0.03)


def test_refusals_one_after_the_other_slow_down_to_a_twentieth() -> None:
    async def main() -> list[float]:
        pacer, paces = Pacer(RateLimit(120, per=60)), []
        for _ in range(12):
            pacer.slow_down(strict=False)
            paces.append(pacer.pace)
        return paces

    paces = run(main())
    assert paces[:3] == pytest.approx([2 * 0.7, 2 * 0.7**2, 2 * 0.7**3])
    assert paces[-1] == pytest.approx(2 / 20)


def test_a_refusal_long_after_another_slows_down_from_the_pace_there_is() -> None:
    async def main() -> float:
        pacer = Pacer(RateLimit(120, per=60))
        pacer.slow_down(strict=False)
        await asyncio.sleep(30)  # and that is half of 0.3
        pacer.slow_down(strict=False)
        return pacer.pace

    assert run(main()) == pytest.approx(2 * (0.7 + 0.15) * 0.7)


def test_the_pace_that_comes_back_brings_no_burst_with_it() -> None:
    async def main() -> list[float]:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        await asyncio.sleep(100)
        pacer.slow_down(strict=False)
        at_once(pacer)
        return await take_for(pacer, 90)

    assert most_in(run(main()), 5.0) <= 2.0 * 5 + 1


def test_a_refusal_that_nothing_explains_leaves_small_bursts_for_good() -> None:
    async def main() -> None:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        pacer.slow_down(strict=True)
        assert pacer.strict
        assert pacer.pace == pytest.approx(118 / 60 * 0.7)
        assert at_once(pacer) == 2
        await take_for(pacer, 120)
        pacer.slow_down(strict=False)
        assert pacer.strict
        await take_for(pacer, 120)
        assert pacer.pace == pytest.approx(118 / 60)
        await asyncio.sleep(60)
        assert at_once(pacer) == 2

    run(main())


def test_the_strictest_budget_has_a_pace_too() -> None:
    async def main() -> float:
        pacer = Pacer(RateLimit(2, per=60))
        pacer.slow_down(strict=True)
        await take_for(pacer, 120)
        return pacer.pace

    assert run(main()) == pytest.approx(1 / 60)


def test_another_limit_has_its_own_pace_and_begins_without_a_burst() -> None:
    async def main() -> None:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        pacer.keep_to(60)
        assert pacer.pace == 1.0
        assert at_once(pacer) == 0
        assert most_in(await take_for(pacer, 20), 10.01) <= 11
        await asyncio.sleep(60)
        assert at_once(pacer) == 10, "it is saved up as before"

    run(main())


def test_a_pace_decided_elsewhere_keeps_what_is_saved_up() -> None:
    async def main() -> tuple[int, int]:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        for _ in range(4):
            assert pacer.take_at_once(INTERACTIVE, now())
        assert pacer.set_pace(1.0, 8.0)
        assert pacer.pace == 1.0
        left = at_once(pacer)
        await asyncio.sleep(3.01)
        return left, at_once(pacer)

    assert run(main()) == (4, 3)


def test_a_pace_decided_elsewhere_that_is_the_same_is_no_change() -> None:
    async def main() -> list[bool]:
        pacer = Pacer(RateLimit(120, per=60))
        return [pacer.set_pace(*told) for told in ((1.0, 8.0), (1.0, 8.0), (1.0, 7.0), (2.0, 7.0))]

    assert run(main()) == [True, False, True, True]


def test_bulk_pays_for_what_was_taken_before_a_pace_was_decided_elsewhere() -> None:
    async def main() -> list[float]:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        at_once(pacer)
        pacer.set_pace(4.0, 10.0)
        return await take_for(pacer, 3.1, BULK)

    assert run(main()) == pytest.approx([2.25, 2.5, 2.75, 3.0], abs=0.01)


def test_after_a_smaller_burst_was_decided_elsewhere_no_more_than_that_is_owed() -> None:
    async def main() -> list[float]:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        at_once(pacer)
        pacer.set_pace(1.0, 2.0)
        return await take_for(pacer, 3.5)

    assert run(main()) == pytest.approx([1, 2, 3], abs=0.01)


def test_bulk_goes_by_the_burst_decided_elsewhere() -> None:
    async def main() -> int:
        pacer = Pacer(RateLimit(120, per=60, burst=10))
        pacer.set_pace(1.0, 20.0)
        return at_once(pacer, BULK)

    assert run(main()) == 4


def test_those_let_ahead_need_no_token_and_bulk_is_never_among_them() -> None:
    async def main() -> None:
        pacer = Pacer(RateLimit(120, per=60, burst=3))
        at_once(pacer)
        pacer.allow_without_token(2)
        assert not pacer.take_at_once(BULK, now())
        assert at_once(pacer, INTERACTIVE) == 2

    run(main())


def test_tokens_that_are_owed_go_to_nobody_here() -> None:
    async def main() -> None:
        pacer = Pacer(RateLimit(120, per=60, burst=5))
        pacer.add_debt(1)
        pacer.add_debt(2)
        assert pacer.owed == 3
        assert at_once(pacer) == 5 - 3
        assert pacer.owed == 0
        pacer.add_debt(2)
        began = now()
        taken = await take_for(pacer, 2.01)
        assert [when - began for when in taken] == pytest.approx([1.5, 2.0], abs=0.01)

    run(main())
