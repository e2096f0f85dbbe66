"""What a session makes of a `Retry-After`, however absurd, and the gate that it shuts."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from exotel_async import AsyncExotel, RateLimit, RequestOutcome, RetryPolicy
from exotel_async.emulator import Emulator, Fault
from exotel_async.limiter.pause import PauseGate
from tests.conftest import session
from tests.support.virtual_time import run


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_of_a_day_holds_up_nobody_for_longer_than_a_pause_may_be(
    emulator: Emulator, status: int
) -> None:
    rate, day = RateLimit(200, per=0.2), "86400"
    for seconds in (day, "8640000"):
        emulator.faults.add(Fault.answer(status, retry_after=seconds), times=1)
    async with session(emulator, rate_limit=rate) as exotel:
        await exotel.account.balance()
    first, second, third = (one.arrived / emulator.speed for one in emulator.requests)
    assert second - first >= 0.6 - 0.001
    assert third - second >= 0.6 - 0.001


@pytest.mark.parametrize("status", [429, 503])
async def test_the_log_says_how_long_a_pause_is_and_until_when(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    emulator.faults.add(Fault.answer(status, retry_after=86_400), times=1)
    async with session(emulator, retry=RetryPolicy(longest_pause=0.4)) as exotel:
        began = datetime.now(UTC).replace(microsecond=0)
        await exotel.account.balance()
        ended = datetime.now(UTC)
    (said,) = [one.getMessage() for one in caplog.records if "requests pause" in one.getMessage()]
    found = re.fullmatch(
        rf"HTTP {status} from Exotel: the account's requests pause for (0\.\d) s, until (.*) UTC",
        said,
    )
    assert found
    assert float(found[1]) <= 0.4
    assert began <= datetime.fromisoformat(found[2] + "+00:00") <= ended


@pytest.mark.parametrize(
    "retry_after", ["nan", "-1", "1e400", "0", datetime(1970, 1, 1, tzinfo=UTC)]
)
async def test_a_retry_after_that_asks_for_nothing(
    emulator: Emulator, exotel: AsyncExotel, retry_after: Any
) -> None:
    for status in (429, 503):
        emulator.faults.add(Fault.answer(status, retry_after=retry_after), times=1)
    await exotel.account.balance()
    assert len(emulator.requests) == 3


# The gate, in virtual time

OK = RequestOutcome(status=200)


class Gate(PauseGate):
    """One that says when it opened."""

    def __init__(self, rate: RateLimit | None = None) -> None:
        super().__init__(rate or RateLimit(60, per=60), lambda: self.opened_at.append(now()))
        self.opened_at: list[float] = []

    def refuse(self, retry_after: float | None = None, **options: Any) -> bool:
        outcome = RequestOutcome(status=429, retry_after=retry_after, **options)
        return self.pause(self.epoch, outcome, now())

    def is_shut(self) -> bool:
        return self.until is not None

    def is_half_open(self) -> bool:
        return self.half_open

    async def wait_until_open(self) -> float:
        """Wait for a pause to end, and return how long it was."""
        began = now()
        while self.until is not None:
            await asyncio.sleep(self.until - now())
        return now() - began


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        (None, [1, 2, 4, 8, 16, 32, 60, 60]),
        (0.0, [0, 2, 4, 8, 16, 32, 60, 60]),
        (3.0, [3, 3, 4, 8, 16, 32, 60, 60]),
        (100.0, [100] * 8),
        (1000.0, [180] * 8),
    ],
)
def test_probes_that_are_refused_wait_longer_each_time_whatever_is_asked_for(
    retry_after: float | None, expected: list[float]
) -> None:
    async def main() -> list[float]:
        gate, waited = Gate(), []
        for _ in expected:
            gate.let_through(now())
            assert gate.refuse(retry_after)
            waited.append(await gate.wait_until_open())
        assert gate.pauses == len(expected)
        return waited

    assert run(main()) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("per", "hold"), [(15.0, 0.5), (60.0, 2.0), (600.0, 2.0)])
def test_a_probe_without_an_answer_holds_the_others_and_then_they_go_one_by_one(
    per: float, hold: float
) -> None:
    async def main() -> list[float]:
        gate = Gate(RateLimit(60, per=per))
        for _ in range(3):
            gate.let_through(now())
            assert gate.paused_for(now()) == 0, "it is not paused"
            assert gate.shut_for(now()) > 0
            await gate.wait_until_open()
        return gate.opened_at

    assert run(main()) == pytest.approx([hold, hold + per / 60, hold + 2 * per / 60], abs=0.001)


def test_the_answer_to_a_probe_opens_it_for_all() -> None:
    async def main() -> None:
        gate = Gate()
        assert gate.is_half_open()
        gate.let_through(now())
        await asyncio.sleep(1)
        gate.answer(gate.epoch, OK)
        assert not gate.is_shut()
        assert not gate.is_half_open()
        assert gate.opened_at == [now()]
        gate.answer(gate.epoch, OK)
        await asyncio.sleep(10)
        assert len(gate.opened_at) == 1, "and once"

    run(main())


def test_an_answer_from_before_the_pause_does_not_end_it() -> None:
    async def main() -> None:
        gate = Gate()
        before = gate.epoch
        gate.refuse(10.0)
        gate.answer(before, OK)
        assert gate.pauses == 1
        assert gate.paused_for(now()) == pytest.approx(10)
        between = gate.epoch
        await gate.wait_until_open()
        gate.refuse(10.0)
        gate.answer(between, OK)
        assert gate.pauses == 2
        assert gate.paused_for(now()) == pytest.approx(10)

    run(main())


@pytest.mark.parametrize(("outcome", "after"), [(OK, 1.0), (RequestOutcome(), 2.0)])
def test_only_a_good_answer_ends_the_series(outcome: RequestOutcome, after: float) -> None:
    async def main() -> float:
        gate = Gate()
        gate.refuse()
        await gate.wait_until_open()
        gate.let_through(now())
        gate.answer(gate.epoch, outcome)
        gate.refuse()
        return gate.paused_for(now())

    assert run(main()) == pytest.approx(after)


def test_a_probe_that_was_never_sent_is_replaced_by_the_next() -> None:
    async def main() -> None:
        gate = Gate()
        gate.let_through(now())
        gate.give_up(gate.epoch + 1)
        assert gate.is_shut(), "it was not the probe of this pause"
        gate.give_up(gate.epoch)
        assert not gate.is_shut()
        assert gate.is_half_open()
        gate.let_through(now())
        assert gate.shut_for(now()) == pytest.approx(2.0), "the next one is a probe"
        gate.answer(gate.epoch, OK)
        opened = len(gate.opened_at)
        gate.give_up(gate.epoch)
        assert len(gate.opened_at) == opened, "it was open"

    run(main())


def test_a_late_refusal_prolongs_a_pause_and_never_shortens_it() -> None:
    async def main() -> None:
        gate = Gate()
        before = gate.epoch
        gate.refuse(20.0)
        began, pauses = now(), gate.pauses
        for at, late, ends in (
            (5.0, 10.0, 20.0),
            (19.5, None, 20.0),
            (19.5, 10.5, 30.0),
            (20.0, 500.0, 180.0),
            (150.0, 10.0, 180.0),
        ):
            await asyncio.sleep(began + at - now())
            assert not gate.pause(before, RequestOutcome(status=429, retry_after=late), now())
            assert gate.paused_for(now()) == pytest.approx(began + ends - now(), abs=0.001)
        assert gate.pauses == pauses, "all that is one pause"
        await gate.wait_until_open()
        assert gate.opened_at == pytest.approx([began + 180], abs=0.001)

    run(main())


def test_a_late_refusal_after_the_pause_begins_none_that_outlasts_the_longest() -> None:
    async def main() -> float:
        gate = Gate()
        before = gate.epoch
        gate.refuse(10.0)
        await gate.wait_until_open()
        gate.pause(before, RequestOutcome(status=429, retry_after=500.0), now())
        return gate.paused_for(now())

    assert run(main()) == pytest.approx(170, abs=0.001)


def test_the_longest_pause_is_that_of_the_request_or_three_windows() -> None:
    gate = Gate(RateLimit(60, per=20))
    assert gate.longest_pause(RequestOutcome(status=429)) == 60.0
    assert gate.longest_pause(RequestOutcome(status=429, longest_pause=7.0)) == 7.0


def test_a_pause_that_is_over_is_none() -> None:
    async def main() -> None:
        gate = Gate()
        assert gate.refuse(5.0)
        assert not gate.probe_sent
        assert gate.is_half_open()
        await asyncio.sleep(2)
        assert gate.paused_for(now()) == pytest.approx(3, abs=0.001)
        await asyncio.sleep(4)
        assert gate.opened_at == pytest.approx([5], abs=0.001)
        assert gate.paused_for(now()) == gate.shut_for(now()) == 0
        gate.let_through(now())
        assert gate.paused_for(now()) == 0, "a probe is no pause"

    run(main())
