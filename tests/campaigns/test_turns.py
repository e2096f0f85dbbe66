"""Whose turn it is to dial: by weight, and nobody is passed over for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from exotel_async import InvalidRequest, Priority
from exotel_async.campaigns import Contact
from exotel_async.campaigns.channels import Channels
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.entries import ClaimedContact
from exotel_async.campaigns.running import RunningCampaign, whose_turn
from exotel_async.campaigns.words import CampaignState
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.campaigns.running import (
    campaign,
    dialled,
    dialling,
    dials,
    number,
    numbers,
    run_all,
    since_the_first_of,
    until,
)
from tests.conftest import SOON


def running(
    name: str, contacts: int = 99, share: float = 0.0, **settings: object
) -> RunningCampaign:
    """Make a campaign whose contacts are claimed, and may be dialled."""
    made = RunningCampaign(
        id=1,
        campaign=campaign(name, **settings),
        zones=("",),
        state=CampaignState.IN_PROGRESS,
        runs=1,
        share=share,
    )
    made.add(ClaimedContact(id=one, campaign_id=1, key="", number="") for one in range(contacts))
    return made


def turn(
    campaigns: list[RunningCampaign], channels: Channels | None = None
) -> RunningCampaign | None:
    return whose_turn(campaigns, channels or Channels(), 0.0, lambda *_: True)


def turns(campaigns: list[RunningCampaign], number: int) -> str:
    """Return whose turns came, by the first letters of their names."""
    seen = ""
    for _ in range(number):
        chosen = turn(campaigns)
        assert chosen is not None
        chosen.reserve(0.0)
        seen += chosen.name[0]
    return seen


def test_a_call_of_two_legs_is_not_passed_over_where_one_channel_is_free() -> None:
    pairs, singles = running("pairs", agent="+919800099999"), running("singles", share=5)
    channels = Channels(4)
    channels.take(3)
    assert turn([singles, pairs], channels) is None
    channels.free(1)
    assert turn([singles, pairs], channels) is pairs
    # What cannot be dialled for another reason holds up nobody.
    pairs.channels.most, pairs.channels.held = 2, 1
    assert turn([singles, pairs], channels) is singles


def test_what_the_register_says_is_known_while_a_contact_is_claimed() -> None:
    checked = running("checked", 3, check_dnd=True)
    checked.listed = {0: True, 1: False, 2: True, 99: True}
    checked.take()
    checked.forget_listed()
    assert checked.listed == {1: False, 2: True}


def test_single_calls_go_first() -> None:
    call, many = running("call", 2, share=9), running("many")
    call.priority = Priority.INTERACTIVE
    assert turns([many, call], 4) == "ccmm"


@pytest.mark.anyio
async def test_a_campaign_that_needs_more_channels_than_there_are_is_not_begun(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with dialling(exotel_server, tmp_path, channels=1) as dialer:
        await dialer.create(campaign(agent="+919800099999"))
        await dialer.add("diwali", [number(0)])
        with pytest.raises(InvalidRequest, match="channels=1: must be 2 or more"):
            await run_all(dialer)
        assert not dials(exotel_server)


@pytest.mark.slow(4)
@pytest.mark.anyio
async def test_who_had_nobody_to_dial_gets_its_part_from_then_on(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=8, settle=1)
    async with dialling(exotel_server, tmp_path, channels=1) as dialer:
        await dialer.create(campaign("from 0"))
        await dialer.create(campaign("from 100"))
        # So many that some are left when the others may be dialled.
        await dialer.add("from 0", [number(one) for one in range(50, 90)])
        later = exotel_server.clock.now() + timedelta(seconds=120)
        for first in (0, 100):
            await dialer.add(
                f"from {first}",
                [Contact(number(first + one), not_before=later) for one in range(8)],
            )
        async with dialer.run("from 0", "from 100"):
            await until(lambda: len(since_the_first_of(100, exotel_server)) >= 6)
    turns = since_the_first_of(100, exotel_server)
    assert len(dialled(exotel_server)) - len(turns) > 2
    assert 2 <= sum(who < number(100) for who in turns[:6]) <= 4


@pytest.mark.anyio
async def test_a_register_that_does_not_answer_holds_up_its_campaign_alone(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.create(campaign("checked", check_dnd=True, weight=100))
    await dialer.add("checked", numbers(30))
    await dialer.add("diwali", [number(one) for one in range(50, 60)])
    exotel_server.faults.add(Fault.answer(500), path="Numbers", times=None)
    async with asyncio.timeout(SOON), dialer.run("checked", "diwali") as outcomes:
        reached = [await anext(outcomes) for _ in range(10)]
    assert {one.campaign for one in reached} == {"diwali"}
    # Those who were on their way, and each asks again a few times.
    assert sum("Numbers" in one.path for one in exotel_server.requests) < 50
