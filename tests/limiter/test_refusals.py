"""What a limiter makes of answers 429 beside the pause: its pace, and what the account takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exotel_async import Priority, RateLimit, RequestOutcome
from exotel_async.emulator import RateWindow
from exotel_async.emulator.rate_limit import new_window
from exotel_async.limiter.token_bucket import TokenBucket
from tests.support.virtual_time import run

OK, REFUSED = RequestOutcome(status=200), RequestOutcome(status=429)
RATE = RateLimit(20, per=60)
FULL = 20 / 60  # requests in a second


def now() -> float:
    return asyncio.get_running_loop().time()


async def send(bucket: TokenBucket, outcome: RequestOutcome = OK) -> None:
    (await bucket.acquire()).finish(outcome)


@pytest.mark.parametrize("start", [0, 100])
def test_a_refusal_in_the_first_window_may_be_for_somebody_before(start: float) -> None:
    async def main() -> None:
        await asyncio.sleep(start)
        bucket = TokenBucket(RATE)
        await send(bucket)
        await asyncio.sleep(50)
        await send(bucket, REFUSED)
        assert not bucket.statistics().strict
        assert bucket.statistics().pace == pytest.approx(FULL * 0.7)
        await asyncio.sleep(20)
        await send(bucket)
        await send(bucket, REFUSED)
        assert bucket.statistics().strict

    run(main())


def test_who_is_refused_from_the_first_request_on_has_not_been_too_fast() -> None:
    async def main() -> float:
        bucket = TokenBucket(RATE)
        for _ in range(3):
            await send(bucket, REFUSED)
        return bucket.statistics().pace

    assert run(main()) == FULL


def test_the_probe_that_is_refused_after_it_slows_down_no_further() -> None:
    async def main() -> None:
        bucket = TokenBucket(RATE)
        await send(bucket)
        await send(bucket, REFUSED)
        assert bucket.statistics().pace == pytest.approx(FULL * 0.7)
        for _ in range(3):
            await send(bucket, REFUSED)
        assert bucket.statistics().pace >= FULL * 0.7

    run(main())


def test_a_refusal_after_a_pause_for_another_reason_slows_down() -> None:
    async def main() -> list[float]:
        bucket = TokenBucket(RATE)
        await send(bucket)
        await send(bucket, RequestOutcome(status=503, retry_after=1))
        paces = [bucket.statistics().pace]
        await send(bucket, REFUSED)
        return [*paces, bucket.statistics().pace]

    assert run(main()) == pytest.approx([FULL, FULL * 0.7])


class Crowd:
    """More bulk requests than there is budget, to a service that takes some of them."""

    def __init__(self, rate: RateLimit, takes: int) -> None:
        self.bucket = TokenBucket(rate)
        self._service = new_window(
            RateWindow.SLIDING_LOG, takes, 60, leaky_burst=20, count_refusals=False
        )

    async def work(self) -> None:
        while True:
            permit = await self.bucket.acquire(Priority.BULK)
            await asyncio.sleep(0.1)
            permit.finish(OK if self._service.admit(now()) else REFUSED)

    async def run_until(self, what: Callable[[TokenBucket], object]) -> None:
        tasks = [asyncio.create_task(self.work()) for _ in range(5)]
        while not what(self.bucket):
            await asyncio.sleep(5)
            assert now() < 40 * 60, "it does not come to that"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def learned(limit: int | None) -> Callable[[TokenBucket], bool]:
    return lambda bucket: bucket.statistics().learned_limit == limit


def test_what_the_account_takes_is_the_budget_until_it_takes_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "exotel_async")

    async def main() -> None:
        crowd = Crowd(RATE, takes=10)
        await crowd.run_until(learned(10))
        statistics = crowd.bucket.statistics()
        assert (statistics.window_size, statistics.strict) == (9, True)
        assert statistics.pace <= 8 / 60
        await crowd.run_until(learned(11))
        await crowd.run_until(learned(10))
        crowd._service = new_window(
            RateWindow.SLIDING_LOG, 20, 60, leaky_burst=20, count_refusals=False
        )
        await crowd.run_until(learned(None))
        assert crowd.bucket.statistics().window_size == 19

    run(main())
    said = [record.getMessage() for record in caplog.records]
    less = (
        "Exotel takes about 10 requests in 60 s from this account, fewer than RateLimit(20): "
        "keeping below that"
    )
    trials = [f"Trying whether Exotel takes {n} requests in 60 s" for n in (11, 13, 17)]
    assert said == [
        less,
        *trials[:2],
        less,
        *trials,
        "Exotel takes RateLimit(20) from this account again",
    ]


def test_the_smallest_account_keeps_a_permit() -> None:
    async def main() -> int:
        crowd = Crowd(RateLimit(4, per=60), takes=1)
        await crowd.run_until(learned(1))
        return crowd.bucket.statistics().window_size

    assert run(main()) == 1
