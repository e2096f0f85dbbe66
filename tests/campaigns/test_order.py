"""In which order contacts are dialled, how fast, and over how many channels."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from exotel_async.campaigns import Contact, Retries, Retry
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Scenario
from exotel_async.emulator.scenario import Behaviour, Outcome
from tests.campaigns.running import (
    campaign,
    dialled,
    dialling,
    dials,
    fast_exotel,
    most_legs,
    number,
    numbers,
    run_all,
    since_the_first_of,
    until,
)

pytestmark = pytest.mark.anyio

SOON_AGAIN = Retry(1, timedelta(seconds=1))
AT_ONCE = Scenario.all_answered(ring=0, talk=0, settle=0)


@pytest.mark.slow(1)
async def test_higher_priority_goes_first(dialer: Dialer, exotel_server: Emulator) -> None:
    priorities = [0, 5, -3, 5, 1000, -1000, 0]
    await dialer.create(campaign("one", channels=1))
    given = [Contact(number(i), priority=p) for i, p in enumerate(priorities)]
    await dialer.add("one", given)
    await run_all(dialer, "one")
    assert dialled(exotel_server) == [number(i) for i in (4, 1, 3, 0, 6, 2, 5)]


@pytest.mark.slow
async def test_few_are_claimed_while_many_come_due_one_after_the_other(tmp_path: Path) -> None:
    """The ledger keeps what cannot be dialled yet: a pause would have to give all of it back."""
    async with fast_exotel(speed=1) as emulator, dialling(emulator, tmp_path, channels=1) as dialer:
        emulator.scenario = Scenario.all_answered(talk=600)
        await dialer.create(campaign())
        first = emulator.clock.now() + timedelta(seconds=0.5)
        dues = [first + timedelta(milliseconds=8 * i) for i in range(150)]
        later = [Contact(number(1000 + i), not_before=due) for i, due in enumerate(dues)]
        await dialer.add("diwali", [*later, *numbers(300)])
        async with dialer.run("diwali"):
            state = dialer._engines.state
            assert state is not None
            await until(lambda: emulator.clock.now() > dues[-1])
            (running,) = state.campaigns.values()
            assert running.claimed <= 100


@pytest.mark.slow
async def test_retries_go_before_first_attempts_of_their_priority(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    busy = {number(i): Behaviour(Outcome.BUSY) for i in (0, 1)}
    exotel_server.scenario = Scenario(
        busy=0, no_answer=0, failed=0, ring=(1, 1), talk=(60, 60), settle=(0, 0), numbers=busy
    )
    await dialer.create(campaign("one", channels=1, retries=Retries(busy=SOON_AGAIN)))
    given: list[Contact | str] = [Contact(number(0), priority=1), number(1), *numbers(80)[2:]]
    await dialer.add("one", given)
    async with dialer.run("one"):
        await until(lambda: dialled(exotel_server).count(number(1)) == 2)
    order = dialled(exotel_server)
    # They were not the last ones, behind all who waited.
    assert order[:2] == [number(0), number(1)]
    again = [order.index(number(i), 2) for i in (0, 1)]
    assert again == sorted(again)
    assert again[-1] < 40


@pytest.mark.slow(3)
async def test_nobody_is_dialled_before_their_time(tmp_path: Path) -> None:
    async with (
        Emulator(speed=1, rate=60_000, scenario=AT_ONCE) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        await dialer.create(campaign())
        later = emulator.clock.now() + timedelta(seconds=1.5)
        await dialer.add("diwali", [Contact(number(0), not_before=later), number(1)])
        outcomes = await run_all(dialer)
        assert [one.contact.number for one in outcomes] == [number(1), number(0)]
        at = {call.from_: call.clock.wall(call.at) for call in emulator.calls.values()}
        assert at[number(1)] < later <= at[number(0)]


@pytest.mark.slow(3)
async def test_campaigns_share_the_budget_by_weight(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=6, settle=0)
    async with dialling(exotel_server, tmp_path, channels=4) as dialer:
        for name, weight, offset in (("one", 1, 0), ("three", 3, 1000)):
            await dialer.create(campaign(name, weight=weight))
            await dialer.add(name, numbers(1200)[offset : offset + 150])
        await dialer.create(campaign("late", weight=4))
        await dialer.add("late", [number(2000 + i) for i in range(40)])
        async with dialer.run("one", "three") as outcomes:
            await until(lambda: len(dials(exotel_server)) >= 56)
            order = [one >= number(1000) for one in dialled(exotel_server)]
            began = order.index(True)  # they are begun one after the other
            assert 28 <= sum(order[began : began + 40]) <= 32
            async with dialer.run("late"):
                # One that comes later gets its part from then on, and does not catch up.
                await until(lambda: len(since_the_first_of(2000, exotel_server)) >= 32)
                next_ones = since_the_first_of(2000, exotel_server)[:32]
                late = sum(one >= number(2000) for one in next_ones)
                assert 14 <= late <= 18
            assert outcomes is not None
        assert most_legs(exotel_server) <= 4


@pytest.mark.slow
async def test_a_throttle_paces_one_campaign_and_not_the_others(tmp_path: Path) -> None:
    async with (
        fast_exotel(speed=1, scenario=AT_ONCE) as emulator,
        dialling(emulator, tmp_path) as dialer,
    ):
        await dialer.create(campaign("slow", throttle=300))  # one every 0.2 s
        await dialer.create(campaign("quick"))
        await dialer.add("slow", numbers(11))
        await dialer.add("quick", [number(100 + i) for i in range(20)])
        await run_all(dialer, "slow", "quick")
        at = [one.arrived for one in dials(emulator) if one.form["From"] < number(100)]
        assert at[-1] - at[0] >= 2 - 0.05
        others = [one.arrived for one in dials(emulator) if one.form["From"] >= number(100)]
        assert others[-1] < at[-1]


@pytest.mark.slow(4)
@pytest.mark.parametrize("limit", ["dialer", "campaign"])
async def test_channels_are_never_exceeded(
    limit: str, exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=45, settle=0)
    exotel_server.channels = 5
    of_dialer = 5 if limit == "dialer" else None
    async with dialling(exotel_server, tmp_path, channels=of_dialer) as dialer:
        of_campaign = 5 if limit == "campaign" else None
        await dialer.create(campaign(channels=of_campaign))
        await dialer.add("diwali", numbers(9))
        outcomes = await run_all(dialer)
    assert len(outcomes) == 9
    assert most_legs(exotel_server) == 5
    assert not [one for one in dials(exotel_server) if one.status != 200]


@pytest.mark.slow(1)
async def test_a_call_between_two_numbers_takes_two_channels(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.channels = 5
    async with dialling(exotel_server, tmp_path, channels=5) as dialer:
        await dialer.create(campaign("two", agent="+919812399999"))
        await dialer.create(campaign("one", channels=2))
        await dialer.add("two", numbers(10))
        await dialer.add("one", [number(100 + i) for i in range(10)])
        outcomes = await run_all(dialer, "one", "two")
    assert len(outcomes) == 20
    assert {one.state for one in outcomes} == {"reached"}
    assert most_legs(exotel_server) <= 5
    assert not [one for one in dials(exotel_server) if one.status != 200]


@pytest.mark.slow
async def test_a_contact_keeps_its_caller_id_and_its_numbers_take_turns(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exophones = [f"0803000000{digit}" for digit in range(3)]
    before, exotel_server.exophones = exotel_server.exophones, exophones
    exotel_server.scenario = Scenario(busy=1, no_answer=0, failed=0, ring=(0, 0), settle=(0, 0))
    try:
        async with dialling(exotel_server, tmp_path) as dialer:
            retries = Retries(busy=Retry(3, timedelta(seconds=1)))
            await dialer.create(campaign(caller_ids=exophones, retries=retries))
            given = [
                Contact(
                    number(i),
                    alternatives=[
                        number(i).replace("+91", "0"),  # a repeat has no turn
                        number(100 + i),
                        number(100 + i).replace("+91", ""),
                        number(200 + i),
                    ],
                )
                for i in range(6)
            ]
            await dialer.add("diwali", given)
            outcomes = await run_all(dialer)
    finally:
        exotel_server.exophones = before
    assert {len(one.attempts) for one in outcomes} == {4}
    assert {one.state for one in outcomes} == {"not-reached"}
    used = set()
    for index, outcome in enumerate(sorted(outcomes, key=lambda one: one.contact.number)):
        turns = [number(index + 100 * turn) for turn in (0, 1, 2, 0)]
        assert [one.number for one in outcome.attempts] == turns
        (caller_id,) = {one.caller_id for one in outcome.attempts}
        used.add(caller_id)
    assert used == set(exophones)


@pytest.mark.slow(1)
async def test_retries_by_outcome_and_how_often(dialer: Dialer, exotel_server: Emulator) -> None:
    ends = [Outcome.BUSY, Outcome.NO_ANSWER, Outcome.FAILED]
    behaviour = {number(i): Behaviour(end, ring=0) for i, end in enumerate(ends)}
    exotel_server.scenario = Scenario(
        busy=0, no_answer=0, failed=0, ring_timeout=1, settle=(0, 0), numbers=behaviour
    )
    retries = Retries(busy=Retry(2, timedelta(seconds=1)), no_answer=SOON_AGAIN)
    await dialer.create(campaign("one", retries=retries))
    await dialer.add("one", numbers(3))
    outcomes = await run_all(dialer, "one")
    assert [exotel_server.rung(number(i)) for i in range(3)] == [3, 2, 1]
    for outcome in outcomes:
        words = {attempt.status for attempt in outcome.attempts}
        assert len(words) == 1
        assert outcome.reason is not None
        assert outcome.reason.endswith(str(words.pop()))
        ended = [one.ended_at for one in outcome.attempts if one.ended_at is not None]
        began = [one.intended_at for one in outcome.attempts]
        gaps = [(b - e).total_seconds() for e, b in zip(ended, began[1:], strict=False)]
        assert all(gap >= 0 for gap in gaps)
