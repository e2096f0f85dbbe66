"""A campaign is completed when each of its contacts has its outcome, and not before."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exotel_async.campaigns import CampaignState, Contact, feeding
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator, Scenario
from tests.campaigns.running import campaign, dialling, fast_exotel, number, numbers, run_all
from tests.conftest import SOON

pytestmark = pytest.mark.anyio


@pytest.mark.slow(1)
async def test_contacts_that_come_as_the_campaign_completes_are_not_left(
    dialer: Dialer, exotel_server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the statistics and the word "completed" somebody else adds."""
    await dialer.add("diwali", [number(0)])
    statistics = dialer._ledger.statistics

    async def late(campaign: int | str) -> Any:
        known = await statistics(campaign)
        if known is not None and not known.pending and known.reached == 1:
            monkeypatch.setattr(dialer._ledger, "statistics", statistics)
            async with dialling(exotel_server, tmp_path) as other:
                await other.add("diwali", [number(1)])
        return known

    monkeypatch.setattr(dialer._ledger, "statistics", late)
    outcomes = await run_all(dialer)
    assert {one.contact.number for one in outcomes} == set(numbers(2))
    assert (await dialer.statistics("diwali")).state is CampaignState.COMPLETED


async def test_contacts_that_come_as_an_empty_campaign_is_looked_at_do_not_expire(
    dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No contact has a time zone then, and so none of them is ever open again."""
    finish = dialer._ledger.finish
    await dialer.create(campaign("holi"))

    async def late(campaign_id: int, *args: Any) -> int:
        await dialer.add("holi", [number(1)])
        return await finish(campaign_id, *args)

    monkeypatch.setattr(dialer._ledger, "finish", late)
    await run_all(dialer, "holi")
    assert (await dialer.statistics("holi")).expired == 0


async def test_an_outcome_that_comes_while_a_run_begins_is_in_its_stream(
    dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads the ledger by is slow to be read, and a call is quick to be over."""
    last_outcome = Ledger.last_outcome

    async def slow(self: Ledger, campaign_id: int) -> int:
        while (known := await dialer.statistics("diwali")).state is CampaignState.IN_PROGRESS:
            if known.reached:
                break
            await asyncio.sleep(0.01)
        return await last_outcome(self, campaign_id)

    monkeypatch.setattr(Ledger, "last_outcome", slow)
    await dialer.add("diwali", [number(0)])
    assert [one.contact.number for one in await run_all(dialer)] == [number(0)]


async def test_it_is_completed_with_its_last_outcome_and_not_at_the_next_look(
    dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "_LEDGER_POLL", 2 * SOON)
    await dialer.add("diwali", numbers(3))
    assert len(await run_all(dialer)) == 3
    assert (await dialer.statistics("diwali")).state is CampaignState.COMPLETED


@pytest.mark.slow(1)
async def test_a_due_contact_is_dialled_before_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_LEDGER_POLL", "_TICK"):
        monkeypatch.setattr(feeding, name, 2 * SOON)
    async with fast_exotel(speed=1) as emulator, dialling(emulator, tmp_path) as dialer:
        emulator.scenario = Scenario.all_answered(ring=0, talk=0, settle=0)
        await dialer.create(campaign())
        later = emulator.clock.now() + timedelta(seconds=0.5)
        await dialer.add("diwali", [Contact(number(0), not_before=later)])
        assert len(await run_all(dialer)) == 1
        assert all(call.clock.wall(call.at) >= later for call in emulator.calls.values())
