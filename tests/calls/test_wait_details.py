"""Waiting for a call's details: they come after its end, and tell nothing of it before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from exotel_async import AsyncExotel, Call, CallDetails, CallStatus
from exotel_async.calls import wait as waiting
from exotel_async.calls.wait_state import WaitOptions, satisfies
from exotel_async.emulator import Behaviour, Emulator, Scenario
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON

FAST = 0.05  # seconds between polls


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel thirty times as fast as time, with a budget that nothing uses up."""
    async with Emulator(speed=30, rate=100_000) as emulator:
        yield emulator


@pytest.mark.slow(3)
@pytest.mark.parametrize(("number", "bulk_details"), [(1, True), (2, True), (2, False)])
async def test_details_are_waited_for_that_come_after_the_end(
    emulator: Emulator, exotel: AsyncExotel, number: int, bulk_details: bool
) -> None:
    """Before, the second party would be taken for one who was not dialled."""
    emulator.scenario = Scenario.all_answered(ring=3, talk=6, settle=12)
    emulator.bulk_details = bulk_details
    made = [await exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE) for _ in range(number)]
    sids = [call.sid for call in made]
    wait = asyncio.create_task(exotel.calls.wait(sids, details=True, interval=FAST))
    for sid in sids:
        await emulator.calls[sid].over()
        exotel.calls.notify(Call(sid=sid, status=CallStatus.COMPLETED))
    for result in await wait:
        call = result.unwrap()
        assert (call.talk_time, call.duration) == (timedelta(seconds=6), timedelta(seconds=12))
        assert call.details is not None
        assert call.details.leg2_status is CallStatus.COMPLETED


async def test_details_of_an_unreached_first_party_are_there_at_the_end(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = Scenario(numbers={CUSTOMER: Behaviour("busy", ring=3)}, settle=(9000, 9000))
    made = await exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE)
    call = await exotel.calls.wait(made.sid, details=True, interval=FAST, timeout=SOON)
    assert (call.status, call.ended_at) == (CallStatus.BUSY, None)
    assert call.details is not None
    assert call.details.leg1_status is CallStatus.BUSY


@pytest.mark.slow(1)
async def test_details_that_never_come_are_not_waited_for_for_ever(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SETTLING", 0.3)
    emulator.scenario = Scenario.all_answered(ring=3, talk=3, settle=36_000)
    made = await exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE)
    call = await exotel.calls.wait(made.sid, details=True, interval=FAST, timeout=SOON)
    assert call.details is not None
    assert (call.status, call.details.leg2_status) == (CallStatus.COMPLETED, None)


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "second", "ended_at", "known"),
    [
        ("completed", None, None, False),
        ("completed", None, NOON, True),
        ("completed", "completed", None, True),
        ("completed", "busy", None, True),
        ("completed", "in-progress", None, False),
        ("busy", None, None, True),
        ("canceled", None, None, True),
        ("in-progress", None, None, False),
        (None, None, None, False),
        (None, None, NOON, True),
    ],
)
def test_when_legs_and_talk_time_are_known(
    first: str | None, second: str | None, ended_at: datetime | None, known: bool
) -> None:
    legs = [None if word is None else CallStatus(word) for word in (first, second)]
    details = CallDetails(leg1_status=legs[0], leg2_status=legs[1])
    call = Call(sid="s", status=CallStatus.COMPLETED, details=details, ended_at=ended_at)
    assert satisfies(call, WaitOptions(details=True)) is known
    assert satisfies(call, WaitOptions())
    assert not satisfies(evolve(call, details=None), WaitOptions(details=True))
