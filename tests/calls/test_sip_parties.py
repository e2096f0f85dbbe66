"""Agents by their SIP ids, which have no host, wherever a party is taken: against the emulator."""

from __future__ import annotations

import pytest

from exotel_async import (
    AsyncExotel,
    CallFound,
    CallOutcomeUnknown,
    DialTarget,
    InvalidRequest,
    same_number,
)
from exotel_async.emulator import Behaviour, Emulator, Fault, Scenario
from tests.conftest import CUSTOMER, EXOPHONE

ONE, OTHER = "sip:agent7f3a", "sip:agent8b2c"
AT_ONCE = Scenario(numbers={ONE: Behaviour("busy", ring=0)})


async def test_both_parties_of_a_call_are_rung(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario.all_answered()
    call = await exotel.calls.connect(ONE, OTHER, caller_id=EXOPHONE)
    assert (call.from_, call.to) == (ONE, OTHER)
    assert same_number(call.to, OTHER)
    assert (emulator.rung(ONE), emulator.rung(OTHER)) == (1, 1)


async def test_many_dials(emulator: Emulator, exotel: AsyncExotel) -> None:
    targets = [DialTarget(from_=ONE, to=CUSTOMER), DialTarget(from_=CUSTOMER, to=OTHER)]
    dials = exotel.calls.connect_many(targets, caller_id=EXOPHONE)
    async with dials as outcomes:
        assert [outcome.error async for outcome in outcomes] == [None, None]
    assert [emulator.rung(party) for party in (ONE, OTHER, CUSTOMER)] == [1, 1, 2]


@pytest.mark.slow(1)
async def test_records_are_found_by_them(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario(numbers={ONE: Behaviour(ring=0, talk=0)})
    made = await exotel.calls.connect(ONE, OTHER, caller_id=EXOPHONE)
    await exotel.calls.connect(CUSTOMER, ONE, caller_id=EXOPHONE)
    await exotel.calls.wait(made.sid, timeout=60, interval=0.1)
    for filters in ({"from_": ONE}, {"to": OTHER}, {"from_": [ONE, CUSTOMER], "to": [OTHER]}):
        page = await exotel.calls.list(**filters)
        assert [call.sid for call in page.calls] == [made.sid]


async def test_a_lost_dial_between_agents_is_found(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = AT_ONCE
    emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
    with pytest.raises(CallOutcomeUnknown) as caught:
        await exotel.calls.connect(ONE, OTHER, caller_id=EXOPHONE)
    found = await exotel.calls.reconcile(caught.value, timeout=30, interval=0.1)
    assert isinstance(found, CallFound)
    assert [found.call.sid] == [*emulator.calls]


async def test_an_agent_is_not_connected_with_themself(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    with pytest.raises(InvalidRequest, match="must not be the party in from_"):
        await exotel.calls.connect(ONE, ONE, caller_id=EXOPHONE)
    assert not emulator.requests
