"""What is known of contacts in the end, and what is not kept, or never told."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns import Contact, ContactState, Reached, Retries, Retry
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.emulator.scenario import Behaviour, Outcome
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


@pytest.mark.parametrize("unreached_second", ["second-leg", "completed"])
async def test_a_call_between_two_has_reached_somebody_only_if_they_spoke(
    dialer: Dialer, exotel_server: Emulator, unreached_second: str
) -> None:
    """Exotel's sources disagree on the status of a call whose second party was not reached."""
    agents = {end: f"+9198123999{index:02}" for index, end in enumerate(Outcome)}
    ends = [Outcome.COMPLETED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.FAILED]
    behaviour = {agents[end]: Behaviour(end, ring=1) for end in ends}
    behaviour[number(4)] = Behaviour(Outcome.BUSY, ring=1)
    exotel_server.unreached_second = unreached_second  # type: ignore[assignment]
    exotel_server.scenario = Scenario(
        busy=0, no_answer=0, failed=0, ring=(0, 1), talk=(3, 5), ring_timeout=3, settle=(0, 1),
        numbers=behaviour,
    )  # fmt: skip
    await dialer.create(campaign("two", agent=AGENT))
    contacts = [Contact(number(index), agent=agents[end]) for index, end in enumerate(ends)]
    await dialer.add("two", [*contacts, Contact(number(4), agent=agents[Outcome.COMPLETED])])
    outcomes = by_number(await run_all(dialer, "two"))
    reached = {who for who, outcome in outcomes.items() if outcome.is_reached}
    assert reached == {number(0)}
    assert {outcomes[number(i)].state for i in range(1, 5)} == {ContactState.NOT_REACHED}
    assert "not-reached" in str(outcomes[number(1)].reason)
    assert "busy" in str(outcomes[number(4)].reason)


@pytest.mark.slow(1)
async def test_how_long_somebody_must_have_spoken_is_a_rule_of_the_campaign(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = Scenario(
        busy=0, no_answer=0, failed=0, ring=(1, 1), settle=(0, 1),
        numbers={number(0): Behaviour(talk=4), number(1): Behaviour(talk=12)},
    )  # fmt: skip
    retries = Retries(not_reached=Retry(1, timedelta(seconds=1)))
    reached = Reached(talk_time=timedelta(seconds=10))
    await dialer.create(campaign("long", reached=reached, retries=retries))
    await dialer.add("long", numbers(2))
    outcomes = by_number(await run_all(dialer, "long"))
    assert outcomes[number(0)].state is ContactState.NOT_REACHED
    assert outcomes[number(1)].state is ContactState.REACHED
    assert sorted(dialled(exotel_server)) == [number(0), number(0), number(1)]


@pytest.mark.slow(4)
async def test_price_length_and_recording_come_after_the_outcome_and_are_kept(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=65, settle=60)
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign("one", agent=AGENT, record=True))
        await dialer.add("one", [Contact(number(0), key="a", fields={"name": "Åsa", "n": 1})])
        async with asyncio.timeout(SOON), dialer.run("one") as outcomes:
            assert (await anext(outcomes)).is_reached
            assert [outcome async for outcome in outcomes] == []
        (late,) = [outcome async for outcome in dialer.outcomes("one")]
        (row,) = [row async for row in dialer.rows("one")]
        known = await dialer.statistics("one")
    (call,) = exotel_server.calls.values()
    (attempt,) = late.attempts
    assert attempt.price == call.timeline.price > 0
    assert attempt.duration == timedelta(seconds=call.timeline.duration)
    assert attempt.recording_url is not None
    assert attempt.ended_at is not None
    assert [leg.status for leg in attempt.legs] == ["completed"] * 2
    assert attempt.talk_time == timedelta(seconds=65)
    assert row["key"] == "a"
    assert row["number"] == number(0)
    assert (row["state"], row["attempts"], row["status"]) == ("reached", 1, "completed")
    assert (row["sid"], row["price"]) == (call.sid, call.timeline.price)
    assert row["recording_url"] == attempt.recording_url
    assert (row["field.name"], row["field.n"]) == ("Åsa", 1)
    assert known.price == call.timeline.price


@pytest.mark.slow(1)
async def test_prices_that_come_after_the_block_was_left_are_fetched_by_the_next_run(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3, settle=60)
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(3))
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            for _ in range(3):
                assert (await anext(outcomes)).is_reached
    async with dialling(exotel_server, tmp_path) as dialer:
        assert await run_all(dialer) == []
        prices = [one.attempts[0].price async for one in dialer.outcomes("diwali")]
    assert prices == [Decimal("0.750")] * 3


async def test_outcomes_are_one_for_each_contact_however_many_read_them(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", numbers(7))
    both = await asyncio.gather(run_all(dialer), run_all(dialer))
    assert [sorted(one.contact.number for one in seen) for seen in both] == [numbers(7)] * 2
    assert sorted(dialled(exotel_server)) == numbers(7)


async def test_a_person_is_forgotten_by_number_and_by_key(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.create(campaign("other"))
    contacts = [
        Contact(number(0), key="a", alternatives=[number(10)]),
        Contact(number(1), key="b"),
        Contact(number(2), key="c"),
    ]
    for name in ("diwali", "other"):
        await dialer.add(name, contacts)
    await run_all(dialer)
    assert await dialer.forget("09800000000") == 2
    assert await dialer.forget(Contact(number(9), key="b")) == 2
    assert await dialer.forget(number(0)) == 0
    left = [one.contact.key async for one in dialer.outcomes("diwali")]
    assert left == ["c"]
    for name in ("diwali", "other"):
        assert (await dialer.statistics(name)).created == 1
    known = await dialer.statistics("diwali")
    assert (known.reached, known.attempts, known.statuses) == (1, 1, {"completed": 1})


@pytest.mark.slow(1)
async def test_nobody_is_forgotten_while_they_are_dialled(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=30, settle=0)
    await dialer.add("diwali", numbers(1))
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        await until(lambda: dials(exotel_server))
        with pytest.raises(InvalidRequest, match="being dialled") as caught:
            await dialer.forget(number(0))
        assert number(0)[3:] not in str(caught.value)
        assert len([outcome async for outcome in outcomes]) == 1
    assert await dialer.forget(number(0)) == 1


async def test_old_outcomes_are_purged(dialer: Dialer, exotel_server: Emulator) -> None:
    await dialer.add("diwali", numbers(3))
    ends = [outcome.ended_at for outcome in await run_all(dialer)]
    for wrong in (timedelta(seconds=-1), timedelta.max, 90, None):
        with pytest.raises(InvalidRequest, match="older_than"):
            await dialer.purge(wrong)  # type: ignore[arg-type]
    assert await dialer.purge(timedelta(days=1)) == 0
    await until(lambda: dialer.now() > max(end for end in ends if end is not None))
    assert await dialer.purge(timedelta()) == 3
    assert [one async for one in dialer.outcomes("diwali")] == []
    known = await dialer.statistics("diwali")
    assert (known.created, known.reached, known.attempts) == (0, 0, 0)


@pytest.mark.slow
async def test_no_log_shows_a_number_a_name_or_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens in a campaign: at DEBUG, and of all loggers but the emulator's."""
    faults = [
        Fault.act_then_drop(),
        Fault.act_then_status(500),
        Fault.too_many_requests(retry_after=0),
        Fault.answer(400, message=f"{number(3)} is no valid number"),
        Fault.act_then_garbage("html"),
    ]
    people = [
        Contact(one, key=f"key-{one}", fields={"name": "Hrishikesh"}, agent="+919812388888")
        for one in numbers(15)
    ]
    with caplog.at_level(logging.DEBUG):
        at_once = Scenario.all_answered(ring=0, talk=1, settle=0)
        async with (
            fast_exotel(speed=1, scenario=at_once) as emulator,
            dialling(emulator, tmp_path) as dialer,
        ):
            for index, fault in enumerate(faults):
                fail_dials(emulator, fault, after=index)
            emulator.ndnc = [number(9)]
            retries = Retries(busy=Retry(1, 1.0))
            await dialer.create(campaign(agent=AGENT, retries=retries, custom_field="Hrishikesh"))
            await dialer.add("diwali", [*people, "+91 98000 000x1"])
            await dialer.do_not_call([number(11)])
            async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
                seen = [outcome async for outcome in outcomes]
            known = await dialer.statistics("diwali")
            shown = [dialer, *seen, known, campaign(agent=AGENT)]
    texts = [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    texts += [repr(one) for one in shown] + [str(one.reason) for one in seen]
    texts += [str(attempt.error) for one in seen for attempt in one.attempts]
    assert len(texts) > 50
    secrets = [*numbers(15), "+919812388888", AGENT, emulator.api_token]
    secrets = [one.removeprefix("+91") for one in secrets] + ["Hrishikesh"]
    told = [(secret, text) for text in texts for secret in secrets if secret in text]
    assert told == []
