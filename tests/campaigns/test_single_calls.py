"""Single calls: each is named by its key, and is not made twice."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async.campaigns import Contact, ContactOutcome
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.campaigns.running import dials, fail_dials, number, until
from tests.conftest import EXOPHONE

pytestmark = pytest.mark.anyio


async def test_one_key_makes_one_call_whatever_its_settings(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    contact = Contact(number(1), key="order-1")
    outcomes = await asyncio.gather(
        *(dialer.call(contact, flow=flow, caller_id=EXOPHONE) for flow in (926, 926, 927))
    )
    assert len({outcome.attempts[0].sid for outcome in outcomes}) == 1
    assert exotel_server.rung(number(1)) == 1


async def test_a_number_is_forgotten_with_its_calls(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    # No price comes between the outcome and the look at what is left.
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3, settle=3000)
    for key in ("order-1", "order-2"):
        await dialer.call(Contact(number(1), key=key), flow=926, caller_id=EXOPHONE)
    other = await dialer.call(Contact(number(11), key="order-3"), flow=926, caller_id=EXOPHONE)
    assert await dialer.forget("098000 00001") == 2
    assert [one async for one in dialer.outcomes(other.campaign)] == [other]


@pytest.mark.slow(1)
async def test_calls_with_settings_of_their_own_leave_nothing_behind_in_memory(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    # Of a campaign that is not run, nothing is looked at.
    await dialer._ledger.create("of another version", '{"unknown": 1}', 0)
    for limit in (60, 70, 80):
        contact = Contact(number(limit), key=f"order-{limit}")
        await dialer.call(contact, flow=926, caller_id=EXOPHONE, time_limit=limit)
        again = await dialer.call(contact, flow=926, caller_id=EXOPHONE, time_limit=90)
        assert again.is_reached
        assert exotel_server.rung(number(limit)) == 1
    state = dialer._engines.state
    assert state is not None
    await until(lambda: not state.campaigns)


@pytest.mark.slow(1)
async def test_a_call_that_nobody_waits_for_is_not_made_until_somebody_does(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    def call(who: int) -> asyncio.Task[ContactOutcome]:
        contact = Contact(number(who), key=who)
        return asyncio.create_task(dialer.call(contact, flow=926, caller_id=EXOPHONE))

    fail_dials(exotel_server, Fault.too_many_requests(retry_after=1), times=2)
    left, other = call(1), call(2)
    await until(lambda: dials(exotel_server))
    left.cancel()
    assert (await other).is_reached
    assert exotel_server.rung(number(1)) == 0
    # The next one with these settings does not bring it back either.
    assert (await call(3)).is_reached
    assert exotel_server.rung(number(1)) == 0
    assert (await call(1)).is_reached
    assert exotel_server.rung(number(1)) == 1
