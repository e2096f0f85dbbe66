"""How long a request would have to wait: the estimate that `max_wait` is compared with."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import Priority, RateLimit, RateLimitTimeout, RequestOutcome
from exotel_async.limiter.token_bucket import TokenBucket
from tests.support.virtual_time import run

OK = RequestOutcome(status=200)
BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE


def now() -> float:
    return asyncio.get_running_loop().time()


async def estimate(bucket: TokenBucket, priority: Priority = INTERACTIVE) -> float:
    """How long the limiter says that it would take."""
    began = now()
    with pytest.raises(RateLimitTimeout) as refused:
        await bucket.acquire(priority, max_wait=0)
    assert now() == began, "it is refused at once"
    assert refused.value.max_wait == 0
    return refused.value.wait


async def is_refused_at_once(bucket: TokenBucket, max_wait: float) -> bool:
    began = now()
    with pytest.raises(RateLimitTimeout):
        await bucket.acquire(max_wait=max_wait)
    return now() == began


async def send(bucket: TokenBucket, priority: Priority = INTERACTIVE) -> float:
    """Send a request that is answered at once, and return how long it waited."""
    began = now()
    (await bucket.acquire(priority)).finish(OK)
    return now() - began


async def spent(limit: int, every: float = 0.0) -> TokenBucket:
    """A limiter all of whose permits have just been used, one each so many seconds."""
    bucket = TokenBucket(RateLimit(limit, per=60))
    for place in range(limit - 1):
        await asyncio.sleep(every if place else 0)
        await send(bucket)
    return bucket


@pytest.mark.parametrize(
    ("waiting", "expected"), [(0, 40), (1, 60), (2, 100), (3, 120), (4, 160), (11, 360), (12, 400)]
)
def test_behind_a_crowd_it_counts_the_windows(waiting: int, expected: float) -> None:
    """Two permits a minute, of which one came back 20 s after the other."""

    async def main() -> tuple[float, float]:
        bucket = await spent(3, every=20)
        crowd = [asyncio.create_task(send(bucket)) for _ in range(waiting)]
        await asyncio.sleep(0)
        said = await estimate(bucket)
        took = await send(bucket)
        await asyncio.gather(*crowd)
        return said, took

    said, took = run(main())
    assert said == pytest.approx(expected, abs=0.01)
    assert took == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("waiting", [20, 50, 90])
def test_while_there_are_permits_it_counts_the_tokens(waiting: int) -> None:
    async def main() -> tuple[float, float]:
        bucket = TokenBucket(RateLimit(120, per=60))
        await send(bucket)
        await asyncio.gather(*(send(bucket) for _ in range(9)))
        crowd = [asyncio.create_task(send(bucket, BULK)) for _ in range(waiting)]
        await asyncio.sleep(0.1)
        said = await estimate(bucket, BULK)
        took = await send(bucket, BULK)
        await asyncio.gather(*crowd)
        return said, took

    said, took = run(main())
    assert said == pytest.approx(waiting / 2, rel=0.1)
    assert took == pytest.approx(said, abs=6), "but for the burst that bulk pays for first"


def test_nobody_waits_behind_those_of_a_lower_priority() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        await bucket.acquire()  # a probe that is not answered
        crowd = [asyncio.create_task(send(bucket, BULK)) for _ in range(100)]
        await asyncio.sleep(0.1)
        assert await estimate(bucket, BULK) == pytest.approx(30)
        assert not await is_refused_at_once(bucket, max_wait=0.1)
        for task in crowd:
            task.cancel()

    run(main())


def test_it_counts_a_pause_and_not_the_probe_after_it() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        (await bucket.acquire()).finish(RequestOutcome(status=429, retry_after=30))
        assert await estimate(bucket) == pytest.approx(30)
        await asyncio.sleep(30.01)
        await bucket.acquire()
        assert not await is_refused_at_once(bucket, max_wait=0.1)

    run(main())


def test_what_has_no_answer_yet_is_expected_back_in_a_window() -> None:
    async def main() -> tuple[float, float]:
        bucket = TokenBucket(RateLimit(3, per=60))
        await send(bucket)
        await asyncio.sleep(10)
        await bucket.acquire()
        one = await estimate(bucket)
        waiting = asyncio.create_task(bucket.acquire())
        await asyncio.sleep(0)
        two = await estimate(bucket)
        waiting.cancel()
        return one, two

    assert run(main()) == pytest.approx((50, 60))


def test_whoever_would_get_through_just_in_time_may_wait() -> None:
    async def main() -> float:
        bucket = TokenBucket()
        (await bucket.acquire()).finish(RequestOutcome(status=429, retry_after=30))
        began = now()
        (await bucket.acquire(max_wait=30.1)).finish(OK)
        return now() - began

    assert run(main()) == pytest.approx(30, abs=0.001)


def test_a_bound_that_is_no_number_allows_no_waiting() -> None:
    async def main() -> bool:
        bucket = TokenBucket(max_in_flight=1)
        await bucket.acquire()
        return await is_refused_at_once(bucket, float("nan"))

    assert run(main())


def test_whoever_waits_in_vain_is_told_for_how_long() -> None:
    async def main() -> RateLimitTimeout:
        bucket = TokenBucket(max_in_flight=1)
        await bucket.acquire()
        with pytest.raises(RateLimitTimeout) as refused:
            await bucket.acquire(max_wait=2.5)
        return refused.value

    refused = run(main())
    assert (refused.wait, refused.max_wait) == (2.5, 2.5)
