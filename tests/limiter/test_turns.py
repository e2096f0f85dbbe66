"""Who is let through, and when, where several things hold requests up."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import Priority, RateLimit, RateLimitTimeout, RequestOutcome
from exotel_async.limiter.token_bucket import TokenBucket, shared_bucket
from tests.support.virtual_time import run

OK = RequestOutcome(status=200)
BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE


def now() -> float:
    return asyncio.get_running_loop().time()


async def opened(rate: RateLimit | None = None, *, max_in_flight: int = 64) -> TokenBucket:
    """A limiter past its cold start."""
    bucket = TokenBucket(rate, max_in_flight=max_in_flight)
    (await bucket.acquire()).finish(OK)
    return bucket


def join(
    bucket: TokenBucket, order: list[str], name: str, priority: Priority = INTERACTIVE
) -> asyncio.Task[None]:
    """Send a request that is answered at once, and note its name when it goes."""

    async def one() -> None:
        permit = await bucket.acquire(priority)
        order.append(name)
        permit.finish(OK)

    return asyncio.create_task(one())


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("priority", Priority)
def test_a_newcomer_overtakes_nobody_where_there_is_room_all_of_a_sudden(
    priority: Priority,
) -> None:
    async def main() -> list[str]:
        bucket, order = await opened(max_in_flight=1), list[str]()
        permit = await bucket.acquire()
        first = join(bucket, order, "first", priority)
        await asyncio.sleep(10)
        bucket.allow_in_flight(2)  # another session has come
        second = join(bucket, order, "second", priority)
        await asyncio.sleep(10)
        permit.finish(OK)
        await asyncio.gather(first, second)
        return order

    assert run(main()) == ["first", "second"]


def test_an_interactive_request_does_not_wait_behind_bulk_that_waits_for_its_pace() -> None:
    async def main() -> None:
        bucket, order = await opened(), list[str]()
        crowd = [join(bucket, order, "bulk", BULK) for _ in range(100)]
        await asyncio.sleep(1)
        began = now()
        await bucket.acquire(INTERACTIVE)
        assert now() == began
        await end(*crowd)

    run(main())


def test_the_others_go_on_when_somebody_has_cancelled_the_limiters_own_task() -> None:
    async def main() -> list[str]:
        bucket, order = await opened(), list[str]()
        ours = [join(bucket, order, "burst") for _ in range(10)]
        ours += [join(bucket, order, f"bulk{place}", BULK) for place in range(3)]
        await asyncio.sleep(0.01)
        for task in asyncio.all_tasks() - {*ours, asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)
        await join(bucket, order, "web")
        await asyncio.gather(*ours)
        return order[10:]

    assert run(main()) == ["web", "bulk0", "bulk1", "bulk2"]


@pytest.mark.parametrize(("limit", "kept"), [(3, 1), (10, 1), (140, 1), (160, 2)])
def test_bulk_leaves_a_permit_in_a_hundred_where_there_are_interactive_requests(
    limit: int, kept: int
) -> None:
    async def left(bucket: TokenBucket) -> int:
        """How many permits bulk does not take in a window."""
        crowd = [join(bucket, [], "bulk", BULK) for _ in range(2 * limit)]
        await asyncio.sleep(59.9)
        statistics = bucket.statistics()
        await end(*crowd)
        return statistics.window_size - statistics.window_used

    async def main() -> tuple[int, int]:
        await asyncio.sleep(100)
        bucket = await opened(RateLimit(limit, per=60))
        soon = await left(bucket)
        await asyncio.sleep(70)
        return soon, await left(bucket)

    assert run(main()) == (kept, 0)


def test_bulk_may_have_the_only_permit() -> None:
    async def main() -> list[str]:
        bucket, order = await opened(RateLimit(2, per=60)), list[str]()
        bulk = join(bucket, order, "bulk", BULK)
        await asyncio.sleep(30)
        with pytest.raises(RateLimitTimeout):
            await bucket.acquire(INTERACTIVE, max_wait=0)
        await asyncio.sleep(30.1)
        await end(bulk)
        return order

    assert run(main()) == ["bulk"]


def test_bulk_that_comes_alone_leaves_that_permit_too() -> None:
    async def main() -> tuple[int, bool]:
        bucket, order = await opened(RateLimit(10, per=60)), list[str]()
        for _ in range(7):
            await join(bucket, order, "bulk", BULK)
            await asyncio.sleep(6)
        bulk = join(bucket, order, "one too many", BULK)
        await asyncio.sleep(6)
        await asyncio.wait_for(join(bucket, order, "web"), 0.001)
        await end(bulk)
        return len(order), "one too many" in order

    assert run(main()) == (8, False)


def test_who_does_not_say_that_it_is_a_retry_is_none() -> None:
    async def main() -> list[str]:
        bucket, order = await opened(RateLimit(2, per=60)), list[str]()
        first = join(bucket, order, "first")
        again = asyncio.create_task(bucket.acquire(retry=True))
        again.add_done_callback(lambda _: order.append("again"))
        await asyncio.sleep(130)
        (await again).finish(OK)
        await first
        return order

    assert run(main()) == ["again", "first"]


def test_a_permit_is_given_back_once() -> None:
    async def main() -> int:
        bucket = await opened()
        one, other = await bucket.acquire(), await bucket.acquire()
        one.release()
        one.release()
        one.finish(OK)
        assert bucket.statistics().in_flight == 1
        other.finish(OK)
        other.finish(OK)
        other.release()
        return bucket.statistics().in_flight

    assert run(main()) == 0


def test_sessions_that_share_a_limiter_raise_what_may_be_in_flight() -> None:
    async def main() -> list[int]:
        in_flight = []
        for most in (2, 3, 1):
            bucket = shared_bucket("key", RateLimit(100, per=60), most)
            crowd = [asyncio.create_task(bucket.acquire()) for _ in range(5)]
            await asyncio.sleep(10)
            in_flight.append(bucket.statistics().in_flight)
            for task in crowd:
                if task.done():
                    task.result().finish(OK)
                task.cancel()
            await asyncio.wait(crowd)
        return in_flight

    assert run(main()) == [2, 3, 3]


def test_an_answer_that_was_written_frees_nothing_and_one_that_was_not_does() -> None:
    async def main() -> tuple[bool, bool]:
        bucket, order = await opened(RateLimit(3, per=60)), list[str]()
        last = await bucket.acquire()
        waiting = join(bucket, order, "next")
        await asyncio.sleep(1)
        before = waiting.done()
        last.finish(RequestOutcome(written=False))
        await asyncio.sleep(1)
        return before, waiting.done()

    assert run(main()) == (False, True)


def test_when_one_leaves_the_others_go_on() -> None:
    async def main() -> list[str]:
        bucket, order = await opened(), list[str]()
        crowd = [join(bucket, order, f"bulk{place}", BULK) for place in range(5)]
        await asyncio.sleep(0.1)
        await end(crowd.pop(3))
        await asyncio.gather(*crowd)
        return order

    assert run(main()) == ["bulk0", "bulk1", "bulk2", "bulk4"]


def test_a_permit_that_is_given_back_goes_to_whoever_waits() -> None:
    async def main() -> bool:
        bucket, order = await opened(RateLimit(3, per=60)), list[str]()
        last = await bucket.acquire()
        waiting = join(bucket, order, "next")
        await asyncio.sleep(1)
        last.release()
        await asyncio.sleep(0.5)
        return waiting.done()

    assert run(main())


def test_statistics_of_a_limiter_that_was_not_used() -> None:
    bucket = TokenBucket(RateLimit(120, per=60))
    statistics = bucket.statistics()
    assert (statistics.granted, statistics.refused, statistics.longest_wait) == (0, 0, 0.0)
    assert (statistics.window_used, statistics.window_size) == (0, 119)
    assert (statistics.pace, statistics.strict, statistics.paused_for) == (2.0, False, 0.0)
    assert (statistics.learned_limit, statistics.reported) == (None, {})


def test_statistics_tell_who_waits_and_how_long_somebody_had_to() -> None:
    async def main() -> None:
        await asyncio.sleep(100)
        bucket, order = await opened(RateLimit(3, per=60)), list[str]()
        await bucket.acquire()
        crowd = [join(bucket, order, "web") for _ in range(2)]
        crowd += [join(bucket, order, "bulk", BULK) for _ in range(3)]
        await asyncio.sleep(1)
        statistics = bucket.statistics()
        assert (statistics.waiting_interactive, statistics.waiting_bulk) == (2, 3)
        assert (statistics.granted, statistics.in_flight, statistics.window_used) == (2, 1, 2)
        await asyncio.sleep(60)
        assert bucket.statistics().longest_wait == pytest.approx(60, abs=0.01)
        await end(*crowd)

    run(main())


def test_what_was_reported_last_stays_until_something_else_is() -> None:
    async def main() -> list[object]:
        bucket, seen = await opened(), list[object]()
        for reported in ({"x-ratelimit-limit": "200"}, {}, {"x-ratelimit-limit": "100"}):
            (await bucket.acquire()).finish(RequestOutcome(status=200, reported=reported))
            seen.append(dict(bucket.statistics().reported))
        return seen

    assert [one["x-ratelimit-limit"] for one in run(main())] == ["200", "200", "100"]  # type: ignore[index]


def test_refusals_are_counted_and_a_503_is_none() -> None:
    async def main() -> int:
        bucket = await opened()
        permits = [await bucket.acquire() for _ in range(4)]
        for permit, status in zip(permits, (429, 503, 429, 200), strict=True):
            permit.finish(RequestOutcome(status=status, retry_after=1))
        return bucket.statistics().refused

    assert run(main()) == 2
