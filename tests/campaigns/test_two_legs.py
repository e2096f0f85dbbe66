"""Calls of campaigns that are followed to their ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exotel_async import AsyncExotel
from exotel_async.campaigns import Campaign, ContactState, Schedule
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Behaviour, Emulator, Outcome, Scenario
from tests.conftest import AGENT, EXOPHONE, SOON

ANSWERS, DOES_NOT = "+919812300003", "+919812300004"


@pytest.mark.slow
async def test_whether_the_two_spoke_is_known_when_the_details_have_come(
    emulator: Emulator, exotel: AsyncExotel, tmp_path: Path
) -> None:
    """The end of a call between two numbers does not tell."""
    emulator.scenario = Scenario(
        ring=(1, 2),
        talk=(2, 3),
        settle=(5, 10),
        second_busy=0,
        second_no_answer=0,
        second_failed=0,
        second_canceled=0,
        numbers={ANSWERS: Behaviour(Outcome.COMPLETED), DOES_NOT: Behaviour(Outcome.NO_ANSWER)},
    )
    async with Dialer(exotel, tmp_path / "campaigns.db", poll_interval=0.03) as dialer:
        campaign = Campaign(
            "two",
            agent=AGENT,
            caller_ids=[EXOPHONE],
            schedule=Schedule(hours="00:00-24:00"),
            time_limit=60,
        )
        await dialer.create(campaign)
        await dialer.add("two", [ANSWERS, DOES_NOT])
        async with asyncio.timeout(SOON), dialer.run("two") as outcomes:
            states = {one.contact.number: one.state async for one in outcomes}
        known = await dialer.statistics("two")
    assert states == {ANSWERS: ContactState.REACHED, DOES_NOT: ContactState.NOT_REACHED}
    assert known.talk_time.total_seconds() > 0
