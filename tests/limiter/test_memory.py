"""One event loop after the other: what one has spent and learned, the next one knows."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import weakref
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import Priority, RateLimit, RequestOutcome
from exotel_async.limiter import memory
from exotel_async.limiter.memory import Memories
from exotel_async.limiter.token_bucket import TokenBucket, shared_bucket
from tests.support.virtual_time import VirtualTimeLoop

T = TypeVar("T")
OK = RequestOutcome(status=200)
KEY = "host", "acme1", "voice"
RATE = RateLimit(20, per=60)


class Process:
    """A process with a clock of its own, in which one loop after the other runs in virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 5_000.0
        self._loop: VirtualTimeLoop | None = None
        self._ahead = 0.0
        self.memories = Memories()
        monkeypatch.setattr(memory, "monotonic", self.monotonic)
        monkeypatch.setattr("exotel_async.limiter.token_bucket.MEMORIES", self.memories)

    def monotonic(self) -> float:
        """Return the process's time."""
        return self.now if self._loop is None else self._loop.time() + self._ahead

    def run(self, main: Coroutine[Any, Any, T], ahead: float = 0.0) -> T:
        """Run in a loop whose clock is so many seconds behind the process's."""
        loop = VirtualTimeLoop(self.now - ahead)
        self._ahead = ahead
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            self._loop = loop
            try:
                return runner.run(main)
            finally:
                self.now, self._loop = self.monotonic(), None


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(monkeypatch)


async def send(process: Process, number: int = 1, rate: RateLimit = RATE) -> list[float]:
    """Send so many requests, each answered after a tenth of a second; return when they left."""
    left = []
    for _ in range(number):
        permit = await shared_bucket(KEY, rate, 64).acquire()
        left.append(process.monotonic())
        await asyncio.sleep(0.1)
        permit.finish(OK)
    return left


def most_in_any_window(times: list[float], per: float) -> int:
    times = sorted(times)
    return max(bisect_right(times, moment + per - 1e-9) - i for i, moment in enumerate(times))


@pytest.mark.parametrize("each", [1, 3, 30])
@pytest.mark.parametrize("ahead", [[0.0], [0.0, 4_000.0], [4_999.0, -1e6, 4_000.0]])
def test_a_loop_for_each_task_keeps_the_budget(
    process: Process, each: int, ahead: list[float]
) -> None:
    times: list[float] = []
    for turn in range(90 // each):
        times += process.run(send(process, each), ahead[turn % len(ahead)])
    assert most_in_any_window(times, RATE.per) <= RATE.limit
    # And nearly all of it: as much as one loop would send, but for what the edge of each costs.
    assert times[-1] - times[0] < 90 / (RATE.limit - 1) * (RATE.per + 1)


def test_the_pace_is_kept_too(process: Process) -> None:
    times = [left for _ in range(15) for left in process.run(send(process))]
    assert times[9] - times[0] < 2, "the burst"
    assert times[14] - times[0] > 4 * RATE.per / RATE.limit, "and then at the pace"


def test_what_was_in_flight_when_a_loop_ended_is_spent(process: Process) -> None:
    async def leave() -> None:
        for _ in range(5):
            await shared_bucket(KEY, RATE, 64).acquire()
            await asyncio.sleep(2)  # the first one is the probe

    async def look(after: float) -> int:
        await asyncio.sleep(after)
        return shared_bucket(KEY, RATE, 64).statistics().window_used

    process.run(leave())
    assert process.run(look(0)) == 5
    assert process.run(look(RATE.per + 1)) == 5, "it may have come to the service late"
    assert process.run(look(RATE.per)) == 0


def test_a_pause_goes_on(process: Process) -> None:
    async def refused() -> None:
        bucket = shared_bucket(KEY, RATE, 64)
        (await bucket.acquire()).finish(RequestOutcome(status=429, retry_after=40))

    async def paused() -> tuple[float, float]:
        bucket = shared_bucket(KEY, RATE, 64)
        left = bucket.statistics().paused_for
        began = process.monotonic()
        (await bucket.acquire()).finish(RequestOutcome(status=429))
        return left, process.monotonic() - began

    process.run(refused())
    process.now += 10
    left, waited = process.run(paused())
    assert left == pytest.approx(30, abs=0.1)
    assert waited == pytest.approx(30, abs=0.1)
    left, _ = process.run(paused(), ahead=3_000)
    assert left == pytest.approx(2 * RATE.per / 60, abs=0.1), "the second in a row is twice as long"


def test_a_pause_of_an_hour_goes_on(process: Process) -> None:
    async def refused() -> None:
        outcome = RequestOutcome(status=429, retry_after=3_600, longest_pause=3_600)
        (await shared_bucket(KEY, RATE, 64).acquire()).finish(outcome)

    async def paused() -> float:
        return shared_bucket(KEY, RATE, 64).statistics().paused_for

    process.run(refused())
    process.now += 1_800
    assert process.run(paused()) == pytest.approx(1_800, abs=1)
    process.now += 1_801
    assert process.run(paused()) == 0


class Less:
    """A service that takes so many requests in any minute, and refuses the others."""

    def __init__(self, process: Process, limit: int) -> None:
        self.process = process
        self.limit = limit
        self.taken: list[float] = []
        self.refused: list[float] = []

    async def task(self, number: int) -> None:
        bucket = shared_bucket(KEY, RATE, 64)
        for _ in range(number):
            permit = await bucket.acquire(Priority.BULK)
            await asyncio.sleep(0.05)
            now = self.process.monotonic()
            fits = len([one for one in self.taken if one > now - 60]) < self.limit
            (self.taken if fits else self.refused).append(now)
            permit.finish(RequestOutcome(status=200 if fits else 429))


def test_what_was_learned_is_known(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    service = Less(process, 10)

    async def look() -> tuple[int | None, int, bool]:
        now = shared_bucket(KEY, RATE, 64).statistics()
        return now.learned_limit, now.window_size, now.strict

    process.run(service.task(100))
    told = len(caplog.records)
    learned, size, strict = process.run(look(), ahead=2_500)
    assert learned is not None
    assert 8 <= learned <= 10
    assert size == learned - 1
    assert strict
    refused = len(service.refused)
    for _ in range(30):
        process.run(service.task(1))
    assert len(service.refused) == refused
    assert len(caplog.records) == told, "it is not told again by each loop"


def test_tasks_of_one_request_learn_as_one_loop_does(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Less(process, 10)
    for _ in range(60):
        process.run(service.task(1))
    alone = Process(monkeypatch)
    in_one_loop = Less(alone, 10)
    alone.run(in_one_loop.task(60))
    assert len(service.refused) <= len(in_one_loop.refused)


@pytest.mark.parametrize("ahead", [0.0, 2_500.0, -2_500.0])
@pytest.mark.parametrize(("later", "early"), [(59.0, True), (61.0, False)])
def test_since_when_the_account_is_used_is_known(
    process: Process, ahead: float, later: float, early: bool
) -> None:
    """Before that, somebody else may have spent what is refused, and it need not be shared."""

    async def main() -> bool:
        bucket = shared_bucket(KEY, RATE, 64)
        (await bucket.acquire()).finish(RequestOutcome(status=429))
        return bucket.statistics().strict

    process.run(send(process))
    process.now += later - 0.1
    assert process.run(main(), ahead) is not early


@pytest.mark.parametrize("limit", [1, 2])
def test_the_smallest_limit_that_was_learned_leaves_a_permit(process: Process, limit: int) -> None:
    process.run(Less(process, limit).task(20))

    async def look() -> tuple[int | None, int]:
        now = shared_bucket(KEY, RATE, 64).statistics()
        return now.learned_limit, now.window_size

    learned, size = process.run(look())
    assert learned is not None
    assert learned <= limit
    assert size == max(1, learned - 1)


def test_to_wait_for_the_answer_to_a_probe_is_no_pause(process: Process) -> None:
    async def leave() -> None:
        await send(process)
        bucket = shared_bucket(KEY, RATE, 64)
        answered_late = await bucket.acquire()
        (await bucket.acquire()).finish(RequestOutcome(status=429))
        await bucket.acquire()
        answered_late.finish(OK)

    async def look() -> float:
        return shared_bucket(KEY, RATE, 64).statistics().paused_for

    process.run(leave())
    assert process.run(look()) == 0


@pytest.mark.parametrize(
    ("late", "ahead"), [(-0.5, -0.5), (0.0, 0.0), (0.5, 0.0), (59.5, 0.0), (61.0, 61.0)]
)
def test_a_clock_that_is_read_once_in_a_turn_is_the_same_clock(
    process: Process, late: float, ahead: float
) -> None:
    """Permits must not return sooner for that."""

    async def main() -> float:
        known = shared_bucket(KEY, RATE, 64)._memory
        known.note_clock(asyncio.get_running_loop())
        return known.ahead

    assert process.run(main(), late) == ahead


def test_all_is_forgotten_after_ten_windows(process: Process) -> None:
    process.run(Less(process, 10).task(100))

    async def look() -> tuple[int | None, bool, int]:
        now = shared_bucket(KEY, RATE, 64).statistics()
        return now.learned_limit, now.strict, now.window_used

    process.now += 9 * RATE.per
    assert process.run(look())[0] is not None
    process.now += 1.1 * RATE.per
    assert process.run(look()) == (None, False, 0)


def test_another_rate_knows_what_was_spent(process: Process) -> None:
    async def look() -> tuple[int, int]:
        bucket = shared_bucket(KEY, RateLimit(50, per=120), 64)
        spent = bucket.statistics().window_used
        await asyncio.sleep(90)
        return spent, bucket.statistics().window_used

    process.run(send(process, 5))
    assert process.run(look()) == (5, 5)


def test_no_loop_is_kept_alive(process: Process) -> None:
    async def main() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        await send(process, 15)
        loop = asyncio.get_running_loop()
        return weakref.ref(loop), weakref.ref(shared_bucket(KEY, RATE, 64))

    loop, bucket = process.run(main())
    gc.collect()
    assert loop() is None
    assert bucket() is None
    assert process.run(send(process))


def test_many_accounts_do_not_pile_up(process: Process) -> None:
    async def one(account: int) -> int:
        bucket = shared_bucket(("host", account), RATE, 64)
        spent = bucket.statistics().window_used
        (await bucket.acquire()).finish(OK)
        return spent

    for account in range(1_000):
        process.run(one(account))
    assert len(process.memories._newest) <= 256
    assert process.run(one(999)) == 1


@given(st.data())
def test_no_window_is_ever_overdrawn(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        process, times = Process(monkeypatch), list[float]()
        rate = RateLimit(5, per=10)

        async def task(number: int, answered: float) -> None:
            """Send some, and leave with some of them in flight."""
            bucket = shared_bucket(KEY, rate, 64)

            async def one() -> None:
                permit = await bucket.acquire()
                times.append(process.monotonic())
                await asyncio.sleep(answered)
                permit.finish(OK)

            await asyncio.wait([asyncio.create_task(one()) for _ in range(number)], timeout=12)

        for _ in range(data.draw(st.integers(2, 6))):
            number, answered = data.draw(st.integers(1, 4)), data.draw(st.floats(0, 15))
            process.run(task(number, answered), data.draw(st.sampled_from([0.0, 4_000.0, -50.0])))
            process.now += data.draw(st.floats(0, 12))
        assert most_in_any_window(times, rate.per) <= rate.limit


# Side by side


def test_loops_side_by_side_are_told_of_once(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(inner: Callable[[], object]) -> None:
        bucket = shared_bucket(KEY, RateLimit(200, per=60, burst=200), 64)
        (await bucket.acquire()).finish(OK)
        inner()
        for _ in range(3):
            (await bucket.acquire()).finish(OK)

    with caplog.at_level(logging.WARNING, "exotel_async"):
        process.run(main(lambda: None))
        process.run(main(lambda: None))
        assert not caplog.records, "one after the other"
        for _ in range(3):
            process.run(main(partial(in_a_thread, main(lambda: None))))
    (record,) = caplog.records
    assert record.name == "exotel_async"
    assert record.getMessage() == (
        "Several event loops of this process send requests for one account, and each of them uses "
        "the whole rate limit: use one event loop, or set EXOTEL_RATE_LIMIT_URL, through which "
        "they share it"
    )


def in_a_thread(main: Coroutine[Any, Any, Any]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, main).result()


def test_a_limiter_of_the_users_own_is_left_alone(process: Process) -> None:
    async def main() -> int:
        bucket = TokenBucket(RATE)
        (await bucket.acquire()).finish(OK)
        return bucket.statistics().window_used

    assert [process.run(main()), process.run(main())] == [1, 1]


FORK = """
import asyncio, os, sys, threading
from exotel_async import RateLimit, RequestOutcome
from exotel_async.limiter.memory import MEMORIES
from exotel_async.limiter.token_bucket import shared_bucket

async def used(number=0):
    bucket = shared_bucket("key", RateLimit(50), 64)
    for _ in range(number):
        (await bucket.acquire()).finish(RequestOutcome(status=200))
    return bucket.statistics().window_used

asyncio.run(used(3))
held, forked = threading.Event(), threading.Event()
def hold():  # as another thread may when this one forks
    with MEMORIES.lock:
        held.set()
        forked.wait(0.1)
holder = threading.Thread(target=hold)
holder.start()
held.wait()
child = os.fork()
forked.set()
os.write(1, b"%d\\n" % asyncio.run(used(1 if child else 2)))
if child:
    holder.join()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_process_knows_what_was_spent_before() -> None:
    told = subprocess.check_output([sys.executable, "-W", "ignore", "-c", FORK], timeout=60)
    assert sorted(told.split()) == [b"4", b"5"]
