"""The limiter's promises, in virtual time: hours pass in milliseconds, and exactly."""

from __future__ import annotations

import asyncio
import gc
import random
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import overstated
from benchmarks.overstated import Case
from benchmarks.traffic import KINDS, LOG, Kind
from exotel_async import ConfigurationError, Priority, RateLimit, RateLimitTimeout, RequestOutcome
from exotel_async.emulator import RateWindow
from exotel_async.emulator.rate_limit import new_window
from exotel_async.limiter.token_bucket import TokenBucket, shared_bucket
from tests.support.virtual_time import run

OK = RequestOutcome(status=200)
BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE


def now() -> float:
    return asyncio.get_running_loop().time()


async def opened(rate: RateLimit | None = None, **options: Any) -> TokenBucket:
    """A limiter past its cold start."""
    bucket = TokenBucket(rate, **options)
    (await bucket.acquire()).finish(OK)
    return bucket


def most_in_any_window(times: list[float], per: float) -> int:
    times = sorted(times)
    return max(bisect_right(times, t + per - 1e-9) - i for i, t in enumerate(times))


async def load(
    bucket: TokenBucket,
    count: int,
    *,
    response: Callable[[], float],
    priority: Callable[[], Priority] = lambda: BULK,
    cancelled: float = 0.0,
    seed: int = 0,
) -> list[float]:
    """Send `count` requests at once; return when the service saw them arrive."""
    chance = random.Random(seed)
    arrivals = []

    async def one() -> None:
        permit = await bucket.acquire(priority())
        took = response()
        on_the_way = took * chance.random()
        await asyncio.sleep(on_the_way)
        arrivals.append(now())
        await asyncio.sleep(took - on_the_way)
        permit.finish(OK)

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    for task in tasks:
        if chance.random() < cancelled:
            asyncio.get_running_loop().call_later(chance.random() * 200, task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    return arrivals


@pytest.mark.slow
@settings(max_examples=40)
@given(
    limit=st.integers(1, 60),
    burst=st.integers(1, 60),
    count=st.integers(1, 200),
    slowest=st.floats(0.01, 40.0),
    seed=st.integers(0, 1000),
)
def test_never_more_than_the_budget_in_any_window(
    limit: int, burst: int, count: int, slowest: float, seed: int
) -> None:
    async def main() -> list[float]:
        chance = random.Random(seed)
        bucket = TokenBucket(RateLimit(limit, per=60, burst=min(burst, limit)))
        return await load(
            bucket,
            count,
            response=lambda: chance.random() * slowest,
            priority=lambda: chance.choice([BULK, INTERACTIVE]),
            seed=seed,
        )

    arrivals = run(main())
    assert len(arrivals) == count
    assert most_in_any_window(arrivals, 60) <= limit


def test_nearly_all_of_the_budget() -> None:
    async def main() -> list[float]:
        return await load(TokenBucket(), 2000, response=lambda: 0.15)

    arrivals = run(main())
    start = arrivals[0] + 60
    whole = int((arrivals[-1] - start) // 60)
    steady = sum(start < t <= start + 60 * whole for t in arrivals)
    assert steady / whole >= 0.995 * 199 / 60.15 * 60


def test_bulk_leaves_in_bursts_of_two_and_interactive_of_ten() -> None:
    async def burst(priority: Priority) -> int:
        bucket = await opened()
        await asyncio.sleep(30)
        tasks = [asyncio.create_task(bucket.acquire(priority)) for _ in range(20)]
        await asyncio.sleep(0.1)
        sent = bucket.statistics().granted - 1
        for task in tasks:
            task.cancel()
        return sent

    assert run(burst(BULK)) == 2
    assert run(burst(INTERACTIVE)) == 10


def test_an_interactive_burst_comes_out_of_the_pace_of_bulk() -> None:
    async def main() -> int:
        bucket = await opened()
        await asyncio.sleep(30)
        crowd = [asyncio.create_task(bucket.acquire(BULK)) for _ in range(50)]
        await asyncio.sleep(0.01)
        for _ in range(8):
            (await bucket.acquire(INTERACTIVE)).finish(OK)
        await asyncio.sleep(2.9)
        for task in crowd:
            task.cancel()
        return bucket.statistics().granted - 1

    # 2 of bulk's burst, 8 interactive, and nothing but what 3 s bring on top.
    assert run(main()) <= 2 + 10


def test_first_come_first_served_and_interactive_first() -> None:
    async def main() -> list[str]:
        bucket = await opened()
        order = []

        async def one(name: str, priority: Priority, *, retry: bool = False) -> None:
            permit = await bucket.acquire(priority, retry=retry)
            order.append(name)
            permit.finish(OK)

        # The burst goes first, so that everybody below waits.
        first = [asyncio.create_task(one("-", INTERACTIVE)) for _ in range(12)]
        waiting = [asyncio.create_task(one(f"bulk{n}", BULK)) for n in range(3)]
        waiting += [asyncio.create_task(one("bulk again", BULK, retry=True))]
        waiting += [asyncio.create_task(one(f"web{n}", INTERACTIVE)) for n in range(3)]
        waiting += [asyncio.create_task(one("web again", INTERACTIVE, retry=True))]
        await asyncio.gather(*first, *waiting)
        return order

    ours = run(main())
    assert [name for name in ours if name != "-"] == (
        ["web again", "web0", "web1", "web2", "bulk again", "bulk0", "bulk1", "bulk2"]
    )


@pytest.mark.slow
def test_an_interactive_request_overtakes_ten_thousand() -> None:
    async def main() -> list[float]:
        bucket = await opened()
        chance = random.Random(1)
        waits = []

        async def bulk() -> None:
            permit = await bucket.acquire(BULK)
            await asyncio.sleep(0.1)
            permit.finish(OK)

        tasks = [asyncio.create_task(bulk()) for _ in range(10_000)]
        for _ in range(300):
            await asyncio.sleep(chance.expovariate(1 / 7))
            began = now()
            permit = await bucket.acquire(INTERACTIVE)
            waits.append(now() - began)
            permit.finish(OK)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return waits

    waits = sorted(run(main()))
    assert waits[int(0.99 * len(waits))] <= 0.3, "one token interval"


def test_a_cold_start_sends_one_and_waits_for_its_answer() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        tasks = [asyncio.create_task(bucket.acquire()) for _ in range(5)]
        await asyncio.sleep(1)
        assert bucket.statistics().granted == 1
        (await tasks[0]).finish(OK)
        await asyncio.sleep(0.01)
        assert bucket.statistics().granted == 5

    run(main())


def test_a_probe_that_hangs_holds_the_others_two_seconds() -> None:
    async def main() -> list[float]:
        bucket = TokenBucket()
        went = []

        async def one() -> None:
            await bucket.acquire()
            went.append(now())

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.gather(*tasks)
        return went

    went = run(main())
    assert went == pytest.approx([0, 2.0, 2.3, 2.6, 2.9], abs=0.01)


@pytest.mark.parametrize(
    "outcome", [RequestOutcome(written=False), RequestOutcome(), RequestOutcome(status=500)]
)
def test_any_outcome_but_429_ends_the_probe(outcome: RequestOutcome) -> None:
    async def main() -> None:
        bucket = TokenBucket()
        (await bucket.acquire()).finish(outcome)
        await asyncio.wait_for(bucket.acquire(), 0.01)
        await asyncio.wait_for(bucket.acquire(), 0.01)

    run(main())


def test_a_probe_that_was_never_sent_leaves_the_probing_to_the_next() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        (await bucket.acquire()).release()
        probe = await bucket.acquire()
        waiting = asyncio.create_task(bucket.acquire())
        await asyncio.sleep(1)
        assert not waiting.done()
        probe.finish(OK)
        await waiting

    run(main())


def test_a_permit_comes_back_a_window_after_the_answer() -> None:
    async def main() -> tuple[float, float, float]:
        bucket = TokenBucket(RateLimit(2, per=60))  # one permit
        (await bucket.acquire()).finish(RequestOutcome(written=False))
        first = await bucket.acquire()
        assert now() < 0.1, "nothing written: the permit is back at once"
        await asyncio.sleep(10)
        first.finish(OK)
        second = await bucket.acquire()
        answered = now()
        second.finish(RequestOutcome(late=30.0))
        third = await bucket.acquire()
        late = now()
        third.finish(RequestOutcome(late=500.0))
        await bucket.acquire()
        return answered, late, now()

    answered, late, latest = run(main())
    assert answered == pytest.approx(70, abs=0.01)
    assert late == pytest.approx(70 + 90, abs=0.01)
    assert latest == pytest.approx(160 + 120, abs=0.01)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (RequestOutcome(status=429, retry_after=7.5), 7.5),
        (RequestOutcome(status=429), 1.0),
        (RequestOutcome(status=503, retry_after=4.0), 4.0),
    ],
)
def test_a_pause_holds_everybody_and_then_one_probe_goes(
    outcome: RequestOutcome, expected: float
) -> None:
    async def main() -> None:
        bucket = await opened()
        (await bucket.acquire()).finish(outcome)
        assert bucket.statistics().paused_for == pytest.approx(expected, abs=0.01)
        tasks = [asyncio.create_task(bucket.acquire(p)) for p in (BULK, INTERACTIVE, BULK)]
        began = now()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert now() - began == pytest.approx(expected, abs=0.01)
        assert done == {tasks[1]}
        await asyncio.sleep(1)
        assert bucket.statistics().granted == 3
        tasks[1].result().finish(OK)
        await asyncio.gather(*tasks)

    run(main())


def test_refused_probes_wait_longer_each_time_and_at_most_a_window() -> None:
    async def main() -> list[float]:
        bucket = TokenBucket()
        pauses = []
        for _ in range(9):
            (await bucket.acquire()).finish(RequestOutcome(status=429))
            pauses.append(bucket.statistics().paused_for)
        return pauses

    assert run(main()) == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], abs=0.01)


def test_a_good_answer_ends_the_series_of_refusals() -> None:
    async def main() -> None:
        bucket = await opened()
        for outcome in (
            RequestOutcome(status=429),
            RequestOutcome(status=429),
            OK,
            RequestOutcome(status=429),
        ):
            (await bucket.acquire()).finish(outcome)
        assert bucket.statistics().paused_for == pytest.approx(1.0, abs=0.01)

    run(main())


def test_refusals_of_what_was_in_the_air_are_one_pause() -> None:
    async def main() -> None:
        bucket = await opened()
        permits = [await bucket.acquire() for _ in range(5)]
        for permit in permits:
            permit.finish(RequestOutcome(status=429))
        assert bucket.statistics().paused_for == pytest.approx(1.0, abs=0.01)
        assert bucket.statistics().refused == 5

    run(main())


def test_a_late_refusal_asking_for_more_prolongs_the_pause() -> None:
    async def main() -> None:
        bucket = await opened()
        first, second = await bucket.acquire(), await bucket.acquire()
        first.finish(RequestOutcome(status=429, retry_after=2))
        second.finish(RequestOutcome(status=429, retry_after=9))
        assert bucket.statistics().paused_for == pytest.approx(9.0, abs=0.01)

    run(main())


DAY = 86_400.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("longest", "lasts"), [(None, 180.0), (20.0, 20.0), (400.0, 400.0), (0.5, 0.5)]
)
def test_no_pause_is_longer_than_it_may_be(
    status: int, longest: float | None, lasts: float
) -> None:
    async def main() -> None:
        bucket = await opened()
        outcome = RequestOutcome(status=status, retry_after=DAY, longest_pause=longest)
        (await bucket.acquire()).finish(outcome)
        assert bucket.statistics().paused_for == pytest.approx(lasts)
        began = now()
        # Then one probe decides, and the same answer makes it no longer.
        (await bucket.acquire()).finish(outcome)
        assert now() - began == pytest.approx(lasts, abs=0.01)
        (await bucket.acquire()).finish(OK)
        assert now() - began == pytest.approx(2 * lasts, abs=0.01)
        assert bucket.statistics().paused_for == 0

    run(main())


def test_a_blind_pause_is_not_longer_either() -> None:
    async def main() -> list[float]:
        bucket, pauses = TokenBucket(), []
        for _ in range(5):
            (await bucket.acquire()).finish(RequestOutcome(status=429, longest_pause=3.0))
            pauses.append(bucket.statistics().paused_for)
        return pauses

    assert run(main()) == pytest.approx([1, 2, 3, 3, 3], abs=0.01)


def test_late_refusals_make_no_pause_longer_than_it_may_be() -> None:
    async def main() -> None:
        bucket = await opened()
        permits = [await bucket.acquire() for _ in range(8)]
        began = now()
        for permit in permits:
            permit.finish(RequestOutcome(status=429, retry_after=DAY))
            await asyncio.sleep(20)
        (await bucket.acquire()).finish(OK)
        assert now() - began == pytest.approx(180, abs=0.01)

    run(main())


def test_refusals_that_ask_for_no_wait_at_all_are_not_a_storm() -> None:
    async def main() -> float:
        bucket = await opened()
        began = now()
        for _ in range(10):
            (await bucket.acquire()).finish(RequestOutcome(status=429, retry_after=0.0))
        await bucket.acquire()
        return now() - began

    # The first is believed. After that each probe that is refused waits longer, as without.
    assert run(main()) == pytest.approx(sum([0, 2, 4, 8, 16, 32, 60, 60, 60, 60]), abs=0.1)


def test_learns_from_refusals_its_window_cannot_explain() -> None:
    async def main() -> None:
        bucket = await opened()
        (await bucket.acquire()).finish(RequestOutcome(status=429))
        assert not bucket.statistics().strict, "the process before us may have spent it"
        await asyncio.sleep(61)
        (await bucket.acquire()).finish(OK)
        (await bucket.acquire()).finish(RequestOutcome(status=503, retry_after=1))
        assert not bucket.statistics().strict, "a 503 teaches nothing"
        await asyncio.sleep(2)
        (await bucket.acquire()).finish(RequestOutcome(status=429))
        assert bucket.statistics().strict
        assert bucket.statistics().pace == pytest.approx(198 / 60 * 0.7)
        for _ in range(100):
            await asyncio.sleep(1)
            (await bucket.acquire()).finish(OK)
        assert bucket.statistics().strict
        assert bucket.statistics().pace == pytest.approx(198 / 60)

    run(main())


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", [True, False])
@pytest.mark.parametrize("real", [100, 20])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_account_that_takes_less_than_stated_is_found_out(
    kind: Kind, real: int, retry_after: bool
) -> None:
    result = overstated.run(Case(kind=kind, real=real, retry_after=retry_after, windows=26))
    assert result.found <= 3
    assert result.first_ten <= 20, "98 at half of it, and 183 at a tenth, before it learned"
    assert result.worst_ten <= 3, "the price of a trial"
    assert result.rate >= 0.85
    known = [limit for _, limit in result.learned if limit is not None]
    assert min(known) >= 0.7 * real
    trials = [when for (when, a), (_, b) in pairwise(result.learned) if (b or 0) > (a or 0)]
    assert trials, "it tries for more"


@pytest.mark.parametrize("window", [RateWindow.SLIDING_LOG, RateWindow.SLIDING_COUNTER])
@pytest.mark.parametrize("before", [0, 100, 200])
def test_nothing_is_learned_of_an_account_that_takes_all(window: RateWindow, before: int) -> None:
    """Not even where somebody has used it up before the first request."""

    async def main() -> int:
        service = new_window(window, 200, 60, leaky_burst=20, count_refusals=False)
        for place in range(before):
            service.admit(60 * place / max(before, 1))
        bucket, chance = TokenBucket(), random.Random(1)
        learned = set()

        async def work() -> None:
            retry = False
            while True:
                permit = await bucket.acquire(BULK, retry=retry)
                await asyncio.sleep(chance.uniform(0.02, 0.4))
                retry = not service.admit(60 + now())
                permit.finish(RequestOutcome(status=429) if retry else OK)
                learned.add(bucket.statistics().learned_limit)

        crowd = [asyncio.create_task(work()) for _ in range(30)]
        await asyncio.sleep(600)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert learned == {None}
        return bucket.statistics().granted

    assert run(main()) >= 0.9 * 2000


def test_somebody_else_who_uses_the_account_for_a_while_is_no_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[float]:
        service = new_window(RateWindow.SLIDING_LOG, 200, 60, leaky_burst=20, count_refusals=False)
        bucket = TokenBucket()
        taken = []

        async def work() -> None:
            while True:
                permit = await bucket.acquire(BULK)
                await asyncio.sleep(0.1)
                good = service.admit(now())
                if good:
                    taken.append(now())
                permit.finish(OK if good else RequestOutcome(status=429))

        crowd = [asyncio.create_task(work()) for _ in range(30)]
        await asyncio.sleep(300)
        for _ in range(100):
            service.admit(now())
            await asyncio.sleep(0.9)
        await asyncio.sleep(300)
        assert bucket.statistics().learned_limit is None
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return taken

    taken = run(main())
    # The pace is back two windows after the other has left.
    assert sum(when > 690 - 120 for when in taken) >= 0.95 * 198 * 2
    assert "takes about" not in caplog.text


def test_what_was_learned_is_said_once_and_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "exotel_async")
    case = Case(kind=LOG, real=100, retry_after=True, windows=9)
    result = overstated.run(case)
    assert result.learned[-1][1] == 100
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "Exotel takes about 100 requests in 60 s from this account, fewer than RateLimit(200): "
        "keeping below that"
    ]


def test_one_refusal_now_and_then_teaches_no_limit() -> None:
    async def main() -> None:
        bucket = await opened()
        await asyncio.sleep(61)
        for _ in range(50):
            for _ in range(5):
                (await bucket.acquire()).finish(OK)
                await asyncio.sleep(10)
            (await bucket.acquire()).finish(RequestOutcome(status=429))
        assert bucket.statistics().learned_limit is None, "there was room, and nobody waited"

    run(main())


@pytest.mark.parametrize("taken", [4, 80])
def test_one_stray_refusal_lowers_what_was_learned_by_a_quarter_at_most(taken: int) -> None:
    """What comes after few good answers is not refused for the limit that was learned."""

    async def main() -> None:
        service = new_window(RateWindow.SLIDING_LOG, 100, 60, leaky_burst=20, count_refusals=False)
        bucket = TokenBucket()

        async def work() -> None:
            while True:
                permit = await bucket.acquire(BULK)
                await asyncio.sleep(0.1)
                permit.finish(OK if service.admit(now()) else RequestOutcome(status=429))

        crowd = [asyncio.create_task(work()) for _ in range(40)]
        await asyncio.sleep(240)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert bucket.statistics().learned_limit == 100
        await asyncio.sleep(180)

        async def one(place: int) -> None:
            permit = await bucket.acquire()
            await asyncio.sleep(0.1)
            permit.finish(RequestOutcome(status=429) if place == taken else OK)

        await asyncio.gather(*(one(place) for place in range(taken + 15)))
        learned = bucket.statistics().learned_limit
        assert learned is not None
        assert 75 <= learned <= 95

    run(main())


@pytest.mark.parametrize("kind", KINDS[:4], ids=lambda kind: kind.name)
@pytest.mark.parametrize("seconds", [100, 170])
def test_a_light_load_learns_nothing_from_somebody_else(kind: Kind, seconds: int) -> None:
    """A burst now and then waits for its tokens, and says nothing of the whole budget."""

    async def main() -> set[int | None]:
        service = new_window(kind.window, 200, 60, leaky_burst=20, count_refusals=False)
        bucket = TokenBucket()
        learned = set()

        async def one() -> None:
            permit = await bucket.acquire()
            await asyncio.sleep(0.05)
            permit.finish(OK if service.admit(13 + now()) else RequestOutcome(status=429))
            learned.add(bucket.statistics().learned_limit)

        async def load_lightly() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(60):
                    for _ in range(15):
                        group.create_task(one())
                    await asyncio.sleep(20)

        async def use_it_up() -> None:
            await asyncio.sleep(600)
            for _ in range(6 * seconds):
                service.admit(13 + now())
                await asyncio.sleep(1 / 6)

        await asyncio.gather(load_lightly(), use_it_up())
        return learned

    assert run(main()) == {None}


def test_what_overtakes_a_crowd_does_not_hide_that_it_waits() -> None:
    """Of a budget that is overstated, with an interactive request now and then."""

    async def main() -> int | None:
        service = new_window(RateWindow.SLIDING_LOG, 100, 60, leaky_burst=20, count_refusals=False)
        bucket = TokenBucket()

        async def work(priority: Priority, every: float) -> None:
            while True:
                permit = await bucket.acquire(priority)
                await asyncio.sleep(0.1)
                permit.finish(OK if service.admit(now()) else RequestOutcome(status=429))
                await asyncio.sleep(every)

        crowd = [asyncio.create_task(work(BULK, 0)) for _ in range(40)]
        crowd.append(asyncio.create_task(work(INTERACTIVE, 5)))
        await asyncio.sleep(120)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return bucket.statistics().learned_limit

    assert run(main()) == 100


async def learn_from(account: Callable[[], bool], at_work: int, until: float) -> int | None:
    """Have so many workers send to an account until a moment; return what was learned by then."""
    bucket = await opened(RateLimit(20, per=60))

    async def work() -> None:
        while True:
            permit = await bucket.acquire(BULK)
            await asyncio.sleep(0.1)
            permit.finish(OK if account() else RequestOutcome(status=429))

    began = now()
    workers = [asyncio.create_task(work()) for _ in range(at_work)]
    await asyncio.sleep(until - now() + began)
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return bucket.statistics().learned_limit


def test_half_a_window_after_a_request_that_did_not_wait_a_refusal_teaches() -> None:
    """From then on it is the whole budget that was waited for, and no burst."""
    service = new_window(RateWindow.SLIDING_LOG, 10, 60, leaky_burst=20, count_refusals=False)
    assert run(learn_from(lambda: service.admit(now()), 3, until=100)) == 10


def test_those_that_have_waited_longer_than_a_window_show_that_the_budget_is_used_up() -> None:
    """Of 200 that came at once, none has begun to wait in the last window."""

    async def main() -> set[int | None]:
        service = new_window(RateWindow.SLIDING_LOG, 10, 60, leaky_burst=20, count_refusals=False)
        bucket = await opened(RateLimit(20, per=60))
        learned = set()

        async def one() -> None:
            permit = await bucket.acquire(BULK)
            await asyncio.sleep(0.1)
            is_taken = service.admit(now()) or now() < 200
            permit.finish(OK if is_taken else RequestOutcome(status=429))
            learned.add(bucket.statistics().learned_limit)

        await asyncio.gather(*(one() for _ in range(200)))
        return learned

    assert 10 in run(main())


def test_max_wait_is_estimated_by_what_was_learned() -> None:
    """Also while more is out than it allows: what is above it comes back first."""

    async def main() -> None:
        service = new_window(RateWindow.TOKEN_BUCKET, 3, 60, leaky_burst=3, count_refusals=False)
        bucket = TokenBucket(RateLimit(30))

        async def work() -> None:
            while True:
                permit = await bucket.acquire(BULK)
                await asyncio.sleep(0.1)
                permit.finish(OK if service.admit(now()) else RequestOutcome(status=429))

        crowd = [asyncio.create_task(work()) for _ in range(3)]
        while bucket.statistics().learned_limit is None:
            await asyncio.sleep(1)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        known = bucket.statistics()
        assert known.window_used > known.window_size
        began = now()
        permit = await bucket.acquire(max_wait=120)
        assert now() - began <= 120
        permit.finish(OK)

    run(main())


def test_probes_that_are_refused_for_an_hour_teach_no_limit() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        await load(bucket, 800, response=lambda: 0.1)
        crowd = [asyncio.create_task(bucket.acquire(BULK)) for _ in range(40)]
        done: set[asyncio.Task[Any]] = set()
        began = now()
        while now() - began < 3600:
            new, _ = await asyncio.wait(set(crowd) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= new
            for task in new:
                task.result().finish(RequestOutcome(status=429))
                crowd.append(asyncio.create_task(bucket.acquire(BULK)))
        assert bucket.statistics().learned_limit is None
        for task in set(crowd) - done:
            task.cancel()

    run(main())


def test_cancelled_waiters_leave_nothing_behind() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        arrivals = await load(bucket, 2000, response=lambda: 0.1, cancelled=0.5)
        assert len(arrivals) < 2000
        statistics = bucket.statistics()
        assert statistics.waiting_bulk == statistics.waiting_interactive == 0
        # A task cancelled between its grant and its answer never says how it ended: those are
        # the tasks of this test, not the limiter's.
        assert statistics.granted == len(arrivals) + statistics.in_flight
        await asyncio.sleep(61)
        assert bucket.statistics().window_used == statistics.in_flight
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_a_waiter_cancelled_as_it_is_let_through_gives_the_permit_back() -> None:
    async def main() -> None:
        bucket = await opened(max_in_flight=1)
        permit = await bucket.acquire()
        waiting = asyncio.create_task(bucket.acquire())
        await asyncio.sleep(1)
        permit.finish(OK)
        while bucket.statistics().in_flight == 0:
            await asyncio.sleep(0)
        assert not waiting.done(), "let through, and not yet told"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert bucket.statistics().in_flight == 0
        assert bucket.statistics().window_used == 2

    run(main())


def test_the_last_waiter_that_leaves_ends_the_limiters_task() -> None:
    async def main() -> None:
        bucket = await opened()
        for _ in range(3):
            waiting = [asyncio.create_task(bucket.acquire(BULK)) for _ in range(20)]
            await asyncio.sleep(0.1)
            left = bucket.statistics().waiting_bulk
            assert left > 10
            assert len(asyncio.all_tasks()) == 1 + left + 1, "it waits for tokens"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1
        assert bucket.statistics().waiting_bulk == 0

    run(main())


def test_max_wait_refuses_at_once_what_would_take_longer() -> None:
    async def main() -> None:
        bucket = await opened()
        crowd = [asyncio.create_task(bucket.acquire(BULK)) for _ in range(1000)]
        await asyncio.sleep(1)
        began = now()
        with pytest.raises(RateLimitTimeout) as refused:
            await bucket.acquire(BULK, max_wait=60)
        assert now() - began < 0.001
        assert refused.value.wait == pytest.approx(300, rel=0.1)
        # The crowd is bulk: it does not stand in an interactive line.
        (await bucket.acquire(INTERACTIVE, max_wait=1)).finish(OK)
        for task in crowd:
            task.cancel()

    run(main())


def test_max_wait_refuses_in_any_case_at_its_end() -> None:
    async def main() -> None:
        bucket = TokenBucket(max_in_flight=1)
        await bucket.acquire()
        began = now()
        with pytest.raises(RateLimitTimeout):
            await bucket.acquire(max_wait=2.5)
        assert now() - began == pytest.approx(2.5, abs=0.01)
        assert bucket.statistics().waiting_interactive == 0

    run(main())


def test_max_wait_estimates_the_window_as_well() -> None:
    async def main() -> None:
        bucket = TokenBucket(RateLimit(3, per=60))
        for _ in range(2):
            (await bucket.acquire()).finish(OK)
            await asyncio.sleep(20)
        with pytest.raises(RateLimitTimeout):
            await bucket.acquire(max_wait=5)
        (await bucket.acquire(max_wait=21)).finish(OK)

    run(main())


def test_no_more_are_in_flight_than_the_cap_allows() -> None:
    async def main() -> None:
        bucket = await opened(max_in_flight=3)
        permits = [await bucket.acquire() for _ in range(3)]
        bulk = asyncio.create_task(bucket.acquire(BULK))
        web = asyncio.create_task(bucket.acquire(INTERACTIVE))
        await asyncio.sleep(5)
        assert not bulk.done() and not web.done()  # noqa: PT018
        permits[0].finish(OK)
        await asyncio.sleep(0.5)
        assert web.done() and not bulk.done()  # noqa: PT018
        permits[1].finish(OK)
        await bulk

    run(main())


def test_a_second_ending_of_a_permit_changes_nothing() -> None:
    async def main() -> None:
        bucket = await opened()
        permit = await bucket.acquire()
        permit.finish(OK)
        permit.finish(RequestOutcome(status=429))
        permit.release()
        statistics = bucket.statistics()
        assert (statistics.in_flight, statistics.window_used, statistics.refused) == (0, 2, 0)

    run(main())


def test_statistics_show_what_the_service_reports_and_do_not_wait_on_it() -> None:
    async def main() -> None:
        bucket = await opened()
        reported = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999"}
        (await bucket.acquire()).finish(RequestOutcome(status=200, reported=reported))
        await asyncio.wait_for(bucket.acquire(), 0.01)
        assert bucket.statistics().reported == reported

    run(main())


def test_belongs_to_one_loop() -> None:
    bucket = TokenBucket()
    run(bucket.acquire())
    with pytest.raises(ConfigurationError, match="another event loop"):
        run(bucket.acquire())


def test_shared_in_a_loop_and_remembered_while_a_permit_is_out() -> None:
    async def main() -> None:
        rate = RateLimit(3, per=60)
        for _ in range(2):
            (await shared_bucket("key", rate, 64).acquire()).finish(OK)
            gc.collect()
        assert shared_bucket("key", rate, 64).statistics().window_used == 2
        assert shared_bucket("other", rate, 64).statistics().window_used == 0
        await asyncio.sleep(61)
        gc.collect()
        assert shared_bucket("key", rate, 64).statistics().granted == 0, "forgotten"

    run(main())


def test_one_account_has_one_budget() -> None:
    async def main() -> None:
        kept = shared_bucket("key", RateLimit(200), 64)
        with pytest.raises(ConfigurationError, match="one budget"):
            shared_bucket("key", RateLimit(100), 64)
        assert shared_bucket("key", RateLimit(200), 8) is kept

    run(main())


def test_loops_do_not_share() -> None:
    async def main() -> int:
        bucket = shared_bucket("key", RateLimit(200), 64)
        (await bucket.acquire()).finish(OK)
        return bucket.statistics().granted

    assert [run(main()), run(main())] == [1, 1]


def _arguments() -> list[Coroutine[Any, Any, Any] | Callable[[], object]]:
    return [
        lambda: RateLimit(0),
        lambda: RateLimit(200, per=0),
        lambda: RateLimit(200, per=float("inf")),
        lambda: RateLimit(200, burst=201),
        lambda: RateLimit(200, burst=0),
        lambda: RateLimit(1.5),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("make", _arguments())
def test_impossible_budgets_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match="RateLimit"):
        make()
