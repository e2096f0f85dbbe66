"""Exotel out of reach, and answers that are lost: nobody is rung twice, and nobody is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from exotel_async import (
    AuthenticationError,
    ConnectionFailed,
    ExotelError,
    LimiterStatistics,
    LimiterUnavailable,
    RateLimit,
    TokenBucket,
)
from exotel_async.campaigns import AttemptState, CampaignState, ContactState, circuit
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.campaigns.running import (
    by_number,
    campaign,
    dialled,
    dialling,
    dials,
    fail_dials,
    fast_exotel,
    number,
    numbers,
    run_all,
    until,
)
from tests.conftest import AGENT, SOON

pytestmark = pytest.mark.anyio

AT_ONCE = Scenario.all_answered(ring=0, talk=0, settle=0)
LOST = [
    Fault.act_then_drop(),
    Fault.act_then_drop(reset=True),
    Fault.act_then_cut(),
    Fault.act_then_status(500),
    Fault.act_then_status(503, retry_after=0),
    Fault.act_then_status(303),
    Fault.act_then_garbage("html"),
    Fault.act_then_garbage("empty"),
]


@pytest.fixture
async def slow_exotel() -> AsyncIterator[Emulator]:
    """An emulator as quick as time: what its clock shows was so when a dial was lost, too."""
    async with fast_exotel(speed=1, scenario=AT_ONCE) as emulator:
        yield emulator


@pytest.mark.slow
async def test_calls_whose_answers_were_lost_are_found_by_their_marks(
    slow_exotel: Emulator, tmp_path: Path
) -> None:
    for index, fault in enumerate(LOST):
        fail_dials(slow_exotel, fault, after=index)
    async with dialling(slow_exotel, tmp_path) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(20))
        outcomes = await run_all(dialer)
        known = await dialer.statistics("diwali")
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert [slow_exotel.rung(one) for one in numbers(20)] == [1] * 20
    calls = {call.from_: sid for sid, call in slow_exotel.calls.items()}
    for outcome in outcomes:
        (attempt,) = outcome.attempts
        assert attempt.sid == calls[outcome.contact.number]
    assert (known.attempts, known.in_doubt, known.statuses) == (20, 0, {"completed": 20})


@pytest.mark.slow(3)
async def test_a_dial_without_a_call_is_made_again_once_that_is_certain(tmp_path: Path) -> None:
    """By Exotel's clock, which is quick here: the time limit, and a quarter of an hour."""
    async with (
        fast_exotel(speed=900) as exotel_server,
        dialling(exotel_server, tmp_path) as dialer,
    ):
        fail_dials(exotel_server, Fault.drop_before())
        await dialer.create(campaign(time_limit=60))
        await dialer.add("diwali", numbers(2))
        async with asyncio.timeout(SOON * 2), dialer.run("diwali") as outcomes:
            first = await anext(outcomes)
            doubtful = ({*numbers(2)} - {first.contact.number}).pop()
            assert (await dialer.statistics("diwali")).in_doubt == 1
            (last,) = [outcome async for outcome in outcomes]
        assert (await dialer.statistics("diwali")).attempts == 2
    assert (last.contact.number, last.state) == (doubtful, ContactState.REACHED)
    assert [one.state is AttemptState.NOT_PLACED for one in last.attempts] == [True, False]
    arrived = [one.arrived for one in dials(exotel_server) if one.form["From"] == doubtful]
    assert arrived[1] - arrived[0] >= 60 + 15 * 60
    assert exotel_server.rung(doubtful) == 1


async def test_without_a_mark_in_the_records_the_parties_tell(
    slow_exotel: Emulator, tmp_path: Path
) -> None:
    """The custom field is the user's, and the records do not show it anyway."""
    fail_dials(slow_exotel, Fault.act_then_drop())
    async with dialling(slow_exotel, tmp_path) as dialer:
        await dialer.create(campaign(custom_field="mine", agent=AGENT))
        await dialer.add("diwali", numbers(4))
        outcomes = await run_all(dialer)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert {call.custom_field for call in slow_exotel.calls.values()} == {"mine"}
    assert [slow_exotel.rung(one) for one in numbers(4)] == [1] * 4


@pytest.mark.slow
async def test_calls_that_nothing_distinguishes_leave_the_contact_unresolved(
    tmp_path: Path,
) -> None:
    """Somebody else dials the same parties at the same time, with the same custom field."""
    async with (
        fast_exotel(speed=1, scenario=AT_ONCE) as exotel_server,
        dialling(exotel_server, tmp_path, poll_interval=0.2) as dialer,
    ):
        fail_dials(exotel_server, Fault.act_then_drop())
        await dialer.create(campaign(custom_field="mine", channels=1))
        await dialer.add("diwali", numbers(3))
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            await until(lambda: exotel_server.calls)
            (own,) = exotel_server.calls.values()
            ago = timedelta(seconds=exotel_server.clock.elapsed() - own.at)
            twin = exotel_server.add_call(own.dial, ago=ago)
            seen = by_number([outcome async for outcome in outcomes])
        unresolved = seen[number(0)]
        assert unresolved.state is ContactState.UNRESOLVED
        (attempt,) = unresolved.attempts
        assert attempt.state is AttemptState.UNRESOLVED
        assert set(attempt.candidates) == {
            sid for sid, call in exotel_server.calls.items() if call.from_ == number(0)
        }
        assert twin.sid in attempt.candidates
        assert len(attempt.candidates) == 2
        assert (await dialer.statistics("diwali")).unresolved == 1
        # Nor by another run.
        assert await run_all(dialer) == []
        assert dialled(exotel_server).count(number(0)) == 1


@pytest.mark.slow(4)
async def test_dialling_waits_while_exotel_is_out_of_reach(
    dialer: Dialer, exotel_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "_FIRST", 0.3)
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=10, settle=0)
    await dialer.create(campaign("one", channels=2))
    await dialer.add("one", numbers(20))
    async with asyncio.timeout(SOON * 2), dialer.run("one") as outcomes:
        seen = [await anext(outcomes)]
        async with exotel_server.unreachable():
            await asyncio.sleep(0.8)  # for so long it is: not for anything to happen
        seen += [outcome async for outcome in outcomes]
    assert {one.state for one in seen} == {ContactState.REACHED}
    assert [exotel_server.rung(one) for one in numbers(20)] == [1] * 20


@pytest.mark.slow(6)
async def test_a_row_of_lost_answers_stops_dialling_until_one_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exotel_async")

    def pauses() -> int:
        """Count the pauses between dials that were lost, after the row of them."""
        arrived = [one.arrived for one in dials(emulator)][4:]
        return sum(later - one > 0.3 for one, later in pairwise(arrived))

    async with (
        fast_exotel(speed=1, scenario=AT_ONCE) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        fail_dials(emulator, Fault.act_then_status(500), times=None)
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(60))
        async with asyncio.timeout(SOON * 2), dialer.run("diwali") as outcomes:
            await until(lambda: pauses() == 2)
            emulator.faults.clear()
            lost = len(dials(emulator))
            seen = [outcome async for outcome in outcomes]
    # A row of them, those that were on their way, and then one at a time.
    assert lost <= 5 + 7 + 2
    assert {one.state for one in seen} == {ContactState.REACHED}
    assert [emulator.rung(one) for one in numbers(60)] == [1] * 60
    told = [one.getMessage() for one in caplog.records if "respon" in one.getMessage()]
    assert told == [
        "Exotel does not respond: 5 dials in a row had no answer. Dialling is paused, and one dial"
        " at a time is tried. The last one: Fault injected by the emulator",
        "Exotel responds again: dialling continues",
    ]


async def test_a_wrong_token_is_told_at_the_start(exotel_server: Emulator, tmp_path: Path) -> None:
    async with dialling(exotel_server, tmp_path, api_token="a-wrong-token") as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(2))
        with pytest.raises(AuthenticationError) as caught:
            async with dialer.run("diwali"):
                pass
        assert "a-wrong-token" not in str(caught.value)
    # The ledger is free, and nobody was touched.
    async with dialling(exotel_server, tmp_path) as dialer:
        assert len(await run_all(dialer)) == 2


async def test_exotel_out_of_reach_at_the_start_is_told(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(2))
        async with exotel_server.unreachable():
            with pytest.raises(ConnectionFailed):
                async with dialer.run("diwali"):
                    pass
        # The same dialer is tried again, once it is back.
        assert len(await run_all(dialer)) == 2


@pytest.mark.slow(1)
async def test_a_session_that_is_closed_in_the_middle_ends_the_run_and_loses_nobody(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with dialling(exotel_server, tmp_path, channels=2) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(20))
        with pytest.raises(ExotelError):
            async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
                await anext(outcomes)
                await dialer._exotel.aclose()
                async for _ in outcomes:
                    pass
    async with dialling(exotel_server, tmp_path, channels=2) as dialer:
        await run_all(dialer)
        known = await dialer.statistics("diwali")
        assert (known.state, known.reached) == (CampaignState.COMPLETED, 20)
    assert [exotel_server.rung(one) for one in numbers(20)] == [1] * 20


class Unsteady:
    """A limiter of the user's own, that fails for a while."""

    def __init__(self) -> None:
        self._limiter = TokenBucket(RateLimit(1000, per=0.1))
        self.error: Exception | None = None
        self.failed = 0

    async def acquire(self, *args: Any, **options: Any) -> Any:
        if self.error is not None:
            self.failed += 1
            raise self.error
        return await self._limiter.acquire(*args, **options)

    def statistics(self) -> LimiterStatistics:
        return self._limiter.statistics()


@pytest.mark.slow(1)
async def test_a_limiter_that_is_gone_for_a_while_holds_up_dialling_and_ends_nothing(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    limiter = Unsteady()
    async with dialling(exotel_server, tmp_path, rate_limit=limiter) as dialer:
        await dialer.create(campaign())
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            limiter.error = LimiterUnavailable("its server is gone")
            await dialer.add("diwali", numbers(6))
            await until(lambda: limiter.failed >= 10)
            limiter.error = None
            seen = [outcome async for outcome in outcomes]
    assert Counter(one.state for one in seen) == {ContactState.REACHED: 6}


async def test_a_defect_of_a_limiter_ends_the_run_with_it(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    limiter = Unsteady()
    async with dialling(exotel_server, tmp_path, rate_limit=limiter) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(6))
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
                limiter.error = ZeroDivisionError()
                async for _ in outcomes:
                    pass
        limiter.error = None
        assert len(await run_all(dialer)) == 6
