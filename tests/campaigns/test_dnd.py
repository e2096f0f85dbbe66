"""The Do Not Disturb register, asked before a number is dialled first."""

from __future__ import annotations

import pytest

from exotel_async.campaigns import ContactState, Dialer, dnd
from exotel_async.emulator import Emulator, Fault
from tests.campaigns.running import by_number, campaign, dialled, number, numbers, run_all

pytestmark = pytest.mark.anyio

LISTED = number(1)


@pytest.fixture
async def registered(exotel_server: Emulator) -> Emulator:
    """An Exotel that knows a number as one on the register."""
    exotel_server.ndnc = (LISTED,)
    return exotel_server


def lookups(emulator: Emulator) -> int:
    """How many numbers were looked up."""
    return sum("/Numbers/" in request.path for request in emulator.requests)


async def test_whoever_is_on_the_register_is_not_dialled(
    dialer: Dialer, registered: Emulator
) -> None:
    await dialer.create(campaign("polite", check_dnd=True))
    await dialer.add("polite", numbers(3))
    assert await dialer.dnd_lookups("polite") == 3
    seen = by_number(await run_all(dialer, "polite"))
    assert seen[LISTED].state is ContactState.DO_NOT_CALL
    assert seen[LISTED].attempts == ()
    assert sorted(dialled(registered)) == [number(0), number(2)]
    assert lookups(registered) == 3


async def test_what_was_looked_up_is_remembered_for_all_campaigns(
    dialer: Dialer, registered: Emulator
) -> None:
    for name in ("first", "second"):
        await dialer.create(campaign(name, check_dnd=True))
        await dialer.add(name, [LISTED])
    await run_all(dialer, "first")
    assert await dialer.dnd_lookups("second") == 0
    (outcome,) = await run_all(dialer, "second")
    assert outcome.state is ContactState.DO_NOT_CALL
    assert lookups(registered) == 1


async def test_numbers_of_other_countries_are_not_looked_up(
    dialer: Dialer, registered: Emulator
) -> None:
    await dialer.create(campaign("abroad", check_dnd=True))
    await dialer.add("abroad", ["+14155550100"])
    assert await dialer.dnd_lookups("abroad") == 0
    await run_all(dialer, "abroad")
    assert lookups(registered) == 0
    assert dialled(registered) == ["+14155550100"]


async def test_a_lookup_that_fails_for_good_leaves_it_to_exotel(
    dialer: Dialer, registered: Emulator
) -> None:
    """Which refuses the call by itself."""
    registered.faults.add(Fault.answer(404), path="Numbers/", times=None)
    await dialer.create(campaign("polite", check_dnd=True))
    await dialer.add("polite", [LISTED])
    (outcome,) = await run_all(dialer, "polite")
    assert outcome.state is ContactState.DO_NOT_CALL
    assert dialled(registered) == [LISTED]


async def test_a_lookup_that_fails_for_a_while_is_made_again(
    dialer: Dialer, registered: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnd, "_AGAIN", 0.2)
    registered.faults.add(Fault.answer(503), path="Numbers/", times=8)
    await dialer.create(campaign("polite", check_dnd=True))
    await dialer.add("polite", [LISTED, number(0)])
    await run_all(dialer, "polite")
    assert dialled(registered) == [number(0)]
