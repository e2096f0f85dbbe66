"""Calling hours: nobody is dialled outside them, whatever has held up a dial."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exotel_async import RateLimit
from exotel_async.campaigns import (
    CampaignAdmin,
    CampaignState,
    Contact,
    ContactState,
    Retries,
    Retry,
    Schedule,
)
from exotel_async.config import IST
from exotel_async.emulator import Emulator, Scenario
from tests.campaigns.running import (
    campaign,
    dialled,
    dialling,
    dials,
    number,
    numbers,
    run_all,
    until,
)

pytestmark = pytest.mark.anyio

USUAL = Schedule()
EVENING = datetime(2026, 12, 1, 21, tzinfo=IST)
MORNING = datetime(2026, 12, 2, 9, tzinfo=IST)
AT_ONCE = Scenario.all_answered(ring=0, talk=0, settle=0)


def exotel_at(now: datetime, **settings: Any) -> Emulator:
    """Make an emulator that begins at that time, and goes on as real time does."""
    usual: dict[str, Any] = {"now": now, "rate": 60_000, "scenario": AT_ONCE}
    return Emulator(**(usual | settings))


def moments(emulator: Emulator) -> list[datetime]:
    """Return when dials arrived, by the emulator's clock."""
    return [emulator.clock.wall(one.arrived) for one in dials(emulator)]


@pytest.mark.slow(12)
@pytest.mark.parametrize("late", [0.1, 0.8])
async def test_a_queue_that_crosses_the_evening_dials_nobody_after_it(
    late: float, tmp_path: Path
) -> None:
    """Whatever part of a second Exotel's clock is at: it tells whole ones."""
    before = timedelta(seconds=4 + late)
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        await admin.create(campaign(schedule=USUAL))
        await admin.add("diwali", numbers(400))
    async with (
        exotel_at(EVENING - before) as emulator,
        dialling(emulator, tmp_path, rate_limit=RateLimit(40, per=1)) as dialer,
    ):
        async with dialer.run("diwali"):
            await until(lambda: emulator.clock.now() > EVENING + timedelta(seconds=1))
        assert 0 < len(moments(emulator)) < 400
        assert max(moments(emulator)) < EVENING
        known = await dialer.statistics("diwali")
        assert known.pending == 400 - len(emulator.calls)
        assert (known.reached, known.expired) == (len(emulator.calls), 0)


@pytest.mark.slow(10)
@pytest.mark.parametrize("step", ["permit", "intent"])
async def test_a_dial_that_was_held_up_is_not_sent_after_hours(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has waited for its permit, or the ledger was slow to take its intent."""
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        await admin.create(campaign(schedule=USUAL))
        await admin.add("diwali", numbers(9))
    async with (
        exotel_at(EVENING - timedelta(seconds=4)) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        owner, name = {
            "permit": (dialer._exotel.calls.parts().pipeline, "acquire"),
            "intent": (dialer._ledger, "intend"),
        }[step]
        real, held = getattr(owner, name), 0

        async def slow(*args: Any, **options: Any) -> Any:
            nonlocal held
            held += 1
            await until(lambda: emulator.clock.now() > EVENING)
            return await real(*args, **options)

        monkeypatch.setattr(owner, name, slow)
        async with dialer.run("diwali"):
            await until(lambda: emulator.clock.now() > EVENING + timedelta(seconds=0.5))
        assert held >= 8
        assert moments(emulator) == []
        assert (await dialer.statistics("diwali")).pending == 9


async def test_hours_are_those_of_the_contacts_own_zone(tmp_path: Path) -> None:
    """21:30 in India is 20:00 in Dubai, and 16:00 in London."""
    async with (
        exotel_at(EVENING + timedelta(minutes=30), speed=60) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        await dialer.create(campaign(schedule=USUAL))
        zones = [None, "Asia/Dubai", "Asia/Tokyo", "Europe/London", "+05:30"]
        given = [Contact(number(i), time_zone=zone) for i, zone in enumerate(zones)]
        await dialer.add("diwali", [*given, *numbers(60)[10:]])
        async with dialer.run("diwali") as outcomes:
            reached = {(await anext(outcomes)).contact.number for _ in range(2)}
        assert reached == {number(1), number(3)} == set(dialled(emulator))
        assert (await dialer.statistics("diwali")).pending == 53


async def test_nobody_is_dialled_on_a_holiday_of_their_zone(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 8, 12, tzinfo=IST)
    async with exotel_at(noon, speed=60) as emulator, dialling(emulator, tmp_path) as dialer:
        await dialer.create(campaign(schedule=Schedule(holidays=["2026-11-08"])))
        await dialer.create(campaign("other"))
        await dialer.add("diwali", numbers(3))
        await dialer.add("other", [number(9)])
        async with dialer.run("diwali"):
            await run_all(dialer, "other")
        assert dialled(emulator) == [number(9)]


@pytest.mark.slow(6)
async def test_whoever_is_left_at_the_end_of_the_schedule_expires(tmp_path: Path) -> None:
    end = EVENING - timedelta(hours=5)
    async with (
        exotel_at(end - timedelta(seconds=4.5)) as emulator,
        dialling(emulator, tmp_path, channels=1, poll_interval=0.05) as dialer,
    ):
        emulator.scenario = Scenario.all_answered(ring=0, talk=1, settle=0)
        await dialer.create(campaign(schedule=Schedule(end=end)))
        later = Contact(number(100), not_before=end + timedelta(days=1))
        await dialer.add("diwali", [*numbers(60), later])
        outcomes = await run_all(dialer)
        assert max(moments(emulator)) < end
        assert len(outcomes) == 61
        states = {one.contact.number: one.state for one in outcomes}
        expired = {who for who, state in states.items() if state is ContactState.EXPIRED}
        assert expired == set(states) - set(dialled(emulator))
        known = await dialer.statistics("diwali")
        assert known.state is CampaignState.COMPLETED
        assert known.reached == len(emulator.calls) > 0


async def test_no_retry_is_made_after_the_end_of_the_schedule(tmp_path: Path) -> None:
    end = EVENING - timedelta(hours=5)
    async with (
        exotel_at(end - timedelta(minutes=5), speed=60) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        emulator.scenario = Scenario(busy=1, no_answer=0, failed=0, ring=(0, 0), settle=(0, 0))
        retries = Retries(busy=Retry(5, timedelta(minutes=10)))
        await dialer.create(campaign(schedule=Schedule(end=end), retries=retries))
        await dialer.add("diwali", numbers(2))
        outcomes = await run_all(dialer)
        assert {one.state for one in outcomes} == {ContactState.NOT_REACHED}
        assert len(emulator.calls) == 2


@pytest.mark.slow
async def test_a_campaign_that_starts_later_waits(tmp_path: Path) -> None:
    noon = EVENING - timedelta(hours=9)
    start = noon + timedelta(seconds=2)
    async with exotel_at(noon) as emulator, dialling(emulator, tmp_path) as dialer:
        await dialer.create(campaign(schedule=Schedule(start=start)))
        await dialer.add("diwali", numbers(3))
        outcomes = await run_all(dialer)
        assert {one.state for one in outcomes} == {ContactState.REACHED}
        assert len(moments(emulator)) == 3
        assert min(moments(emulator)) >= start


@pytest.mark.slow
async def test_a_campaign_begins_in_the_morning(tmp_path: Path) -> None:
    async with (
        exotel_at(MORNING - timedelta(seconds=2)) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        await dialer.create(campaign(schedule=USUAL))
        await dialer.add("diwali", numbers(3))
        assert len(await run_all(dialer)) == 3
        assert min(moments(emulator)) >= MORNING
