"""What follows when Exotel refuses to dial: for the contact, for the campaign, for the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exotel_async import RateLimit
from exotel_async.campaigns import (
    AttemptState,
    CampaignState,
    ContactOutcome,
    ContactState,
    refusing,
)
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.entries import CampaignEntry
from exotel_async.campaigns.errors import CampaignStopped
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.emulator.calls import Dial
from exotel_async.emulator.scenario import Behaviour
from tests.campaigns.running import (
    SHORT,
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
from tests.conftest import EXOPHONE, SOON

pytestmark = pytest.mark.anyio


async def run_until_stopped(
    dialer: Dialer, *names: str
) -> tuple[list[ContactOutcome], CampaignStopped]:
    """Run until the stream raises. Returns what it told before, and what it raised."""
    seen: list[ContactOutcome] = []
    with pytest.raises(CampaignStopped) as caught:
        async with asyncio.timeout(SOON), dialer.run(*(names or ("diwali",))) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)  # noqa: PERF401 - it ends with an error
    return seen, caught.value


async def test_without_kyc_the_campaign_fails_with_the_reason_and_loses_nobody(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.kyc = False
    await dialer.add("diwali", numbers(30))
    seen, error = await run_until_stopped(dialer)
    assert (error.name, error.state) == ("diwali", CampaignState.FAILED)
    assert "KYC" in error.why
    assert seen == []
    assert len(dials(exotel_server)) < 10
    known = await dialer.statistics("diwali")
    assert (known.state, known.reason) == (CampaignState.FAILED, error.why)
    assert (known.created, known.pending) == (30, 30)

    # It stays so until somebody says otherwise.
    exotel_server.kyc = True
    before = len(dials(exotel_server))
    again, error = await run_until_stopped(dialer)
    assert (again, error.state, len(dials(exotel_server))) == ([], CampaignState.FAILED, before)

    await dialer.resume("diwali")
    assert {one.state for one in await run_all(dialer)} == {ContactState.REACHED}
    assert [exotel_server.rung(one) for one in numbers(30)] == [1] * 30


async def test_without_balance_the_campaign_fails_when_none_of_its_calls_is_live(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.balance_exhausted = True
    await dialer.add("diwali", numbers(30))
    seen, error = await run_until_stopped(dialer)
    assert (seen, error.state) == ([], CampaignState.FAILED)
    assert "402" in error.why
    exotel_server.balance_exhausted = False
    await dialer.resume("diwali")
    assert len(await run_all(dialer)) == 30
    assert [exotel_server.rung(one) for one in numbers(30)] == [1] * 30


@pytest.mark.slow
async def test_without_balance_while_calls_are_live_dialling_waits_for_their_ends(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """It may be the channels that are lacking: 402 is said for both."""
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=60, settle=0)
    await dialer.add("diwali", numbers(3))
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        await until(lambda: len(exotel_server.calls) == 3)
        exotel_server.balance_exhausted = True
        await dialer.add("diwali", [number(10)])
        await until(lambda: number(10) in dialled(exotel_server))
        refused = len(dials(exotel_server))
        for _ in range(3):
            assert (await anext(outcomes)).state is ContactState.REACHED
        with pytest.raises(CampaignStopped):
            await anext(outcomes)
    # Not while they went on: once for each channel that became free at most.
    assert len(dials(exotel_server)) - refused <= 3


@pytest.mark.slow(1)
async def test_refusals_for_want_of_channels_wait_and_cost_no_contact(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.channels = 3
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=10, settle=0)
    await dialer.add("diwali", numbers(15))
    outcomes = await run_all(dialer)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert [exotel_server.rung(one) for one in numbers(15)] == [1] * 15
    statuses = Counter(one.status for one in dials(exotel_server))
    assert statuses[200] == 15
    assert 0 < statuses[402] < 60
    for outcome in outcomes:
        *refused, last = outcome.attempts
        assert {one.state for one in refused} <= {"not-placed"}
        assert last.sid is not None
    assert (await dialer.statistics("diwali")).attempts == 15


async def test_a_number_on_the_registry_ends_that_contact_alone(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    listed = [number(index) for index in range(0, 24, 2)]
    exotel_server.ndnc = listed
    await dialer.add("diwali", numbers(24))
    outcomes = by_number(await run_all(dialer))
    for who, outcome in outcomes.items():
        wanted = ContactState.DO_NOT_CALL if who in listed else ContactState.REACHED
        assert outcome.state is wanted
    assert len(dials(exotel_server)) == 24
    for who in listed:
        assert outcomes[who].reason
        assert who[3:] not in str(outcomes[who].reason)


REFUSED = [
    (400, "Invalid parameter: Url"),
    (401, "Authentication failed"),
    (404, "Flow 926 not found"),
    (403, "Forbidden"),
]


@pytest.mark.parametrize(("status", "message"), REFUSED)
async def test_refusals_of_one_kind_in_a_row_pause_the_campaign_and_lose_nobody(
    dialer: Dialer, exotel_server: Emulator, status: int, message: str
) -> None:
    fault = fail_dials(exotel_server, Fault.answer(status, message=message), times=None)
    await dialer.add("diwali", numbers(30))
    seen, error = await run_until_stopped(dialer)
    assert (seen, error.state) == ([], CampaignState.PAUSED)
    assert str(status) in error.why
    assert message in error.why
    assert 5 <= len(dials(exotel_server)) < 16  # those that were on their way
    known = await dialer.statistics("diwali")
    assert (known.state, known.created, known.pending) == (CampaignState.PAUSED, 30, 30)

    exotel_server.faults.remove(fault)
    await dialer.resume("diwali")
    outcomes = await run_all(dialer)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert [exotel_server.rung(one) for one in numbers(30)] == [1] * 30


@pytest.mark.slow(1)
async def test_a_campaign_resumed_while_refusals_are_on_their_way_loses_nobody(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.latency = lambda _: (0.0, 0.5 if len(dials(exotel_server)) > 5 else 0.0)
    fault = fail_dials(exotel_server, Fault.answer(403, message="Forbidden"), times=None)
    await dialer.add("diwali", numbers(30))
    running = asyncio.create_task(run_all(dialer))
    async with asyncio.timeout(SOON):
        while (await dialer.statistics("diwali")).state is not CampaignState.PAUSED:
            await asyncio.sleep(0.01)
    assert len(dials(exotel_server)) > 5
    exotel_server.faults.remove(fault)
    await dialer.resume("diwali")
    exotel_server.latency = None
    assert {one.state for one in await running} == {ContactState.REACHED}


@pytest.mark.slow(1)
async def test_a_refusal_from_before_a_resume_does_not_stop_the_campaign_again(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.kyc = False
    exotel_server.latency = lambda _: (0.0, 0.7 if len(dials(exotel_server)) > 1 else 0.3)
    await dialer.add("diwali", numbers(30))
    running = asyncio.create_task(run_all(dialer))
    async with asyncio.timeout(SOON):
        while (await dialer.statistics("diwali")).state is not CampaignState.FAILED:
            await asyncio.sleep(0.01)
    assert len(dials(exotel_server)) > 1
    exotel_server.kyc = True
    await dialer.resume("diwali")
    exotel_server.latency = None
    assert {one.state for one in await running} == {ContactState.REACHED}


@pytest.mark.slow
async def test_what_was_read_before_errors_paused_the_campaign_loses_nobody(
    dialer: Dialer, exotel_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other dials are refused later, by a dialer that has read that the campaign is dialled."""
    ledger, paused = dialer._ledger, asyncio.Event()
    read, write = ledger.campaigns, ledger.set_state
    known: set[CampaignState] = set()

    async def late() -> Sequence[CampaignEntry]:
        if paused.is_set() and dialer._state is not None:
            known.update(running.state for running in dialer._state.campaigns.values())
        entries = await read()
        if dials(exotel_server) and not paused.is_set():
            await paused.wait()
        else:
            while await ledger.open_attempts((AttemptState.INTENDED,)):
                await asyncio.sleep(0.01)
        return entries

    async def noted(campaign_id: int, state: CampaignState, *others: Any, **options: Any) -> bool:
        done = await write(campaign_id, state, *others, **options)
        if state is CampaignState.PAUSED:
            asyncio.get_running_loop().call_soon(paused.set)
        return done

    monkeypatch.setattr(ledger, "campaigns", late)
    monkeypatch.setattr(ledger, "set_state", noted)
    exotel_server.latency = lambda _: (0.0, 0.3 if len(dials(exotel_server)) > 5 else 0.0)
    fault = fail_dials(exotel_server, Fault.answer(403, message="Forbidden"), times=None)
    await dialer.add("diwali", numbers(30))
    await run_until_stopped(dialer)
    assert len(dials(exotel_server)) > 5
    assert known == {CampaignState.PAUSED}
    exotel_server.faults.remove(fault)
    await dialer.resume("diwali")
    assert {one.state for one in await run_all(dialer)} == {ContactState.REACHED}


@pytest.mark.slow(4)
async def test_nobody_is_lost_who_was_on_their_way_when_it_was_paused(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """Another campaign goes on meanwhile, so that the same dialer goes on with this one."""
    await dialer.create(campaign("other"))
    talk = Behaviour(talk=150)
    exotel_server.scenario = evolve(SHORT, numbers={number(100): talk})
    await dialer.add("other", [number(100)])
    # All that are on their way get the answer at nearly the same time.
    wrong = Fault(acts=False, status=400, message="Wrong flow", delay=0.3)
    fail_dials(exotel_server, wrong, times=None, after=1)
    await dialer.add("diwali", numbers(30))
    async with asyncio.timeout(SOON), dialer.run("other") as of_other:
        await until(lambda: dialled(exotel_server) == [number(100)])
        async with dialer.run("diwali") as outcomes:
            with pytest.raises(CampaignStopped):
                await anext(outcomes)
        assert len(dials(exotel_server)) > 1 + 5
        exotel_server.faults.clear()
        await dialer.resume("diwali")
        async with dialer.run("diwali") as outcomes:
            seen = [outcome async for outcome in outcomes]
        assert [one.contact.number async for one in of_other] == [number(100)]
    assert Counter(one.state for one in seen) == {ContactState.REACHED: 30}


async def test_refusals_of_different_kinds_end_their_contacts(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    for index in range(12):
        message = "Wrong" if index % 2 else f"Bad {'x' * index}"
        fail_dials(exotel_server, Fault.answer(400, message=message))
    await dialer.create(campaign("one", channels=1))
    await dialer.add("one", numbers(14))
    outcomes = await run_all(dialer, "one")
    states = Counter(one.state for one in outcomes)
    assert states == {ContactState.REFUSED: 12, ContactState.REACHED: 2}


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 3, 5])
async def test_a_single_refusal_ends_that_contact_with_the_reason(
    dialer: Dialer, exotel_server: Emulator, place: int
) -> None:
    """Also if it is the last one: nobody comes after who would show it was the contact."""
    message = f"{number(place)} is no valid number"
    fail_dials(exotel_server, Fault.answer(400, message=message), after=place)
    await dialer.create(campaign("one", channels=1))
    await dialer.add("one", numbers(6))
    outcomes = by_number(await run_all(dialer, "one"))
    assert len(dials(exotel_server)) == 6
    states = Counter(one.state for one in outcomes.values())
    assert states == {ContactState.REFUSED: 1, ContactState.REACHED: 5}
    refused = outcomes[number(place)]
    assert refused.state is ContactState.REFUSED
    assert "400" in str(refused.reason)
    assert number(place)[3:] not in str(refused.reason)
    (attempt,) = refused.attempts
    assert (attempt.state, attempt.sid) == ("refused", None)


async def test_a_refusal_of_max_retries_says_what_to_do(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    message = "Invalid parameter: MaxRetries"
    fail_dials(exotel_server, Fault.answer(400, message=message), times=None)
    await dialer.add("diwali", numbers(9))
    _, error = await run_until_stopped(dialer)
    assert "max_retries=None" in error.why


@pytest.mark.slow(1)
async def test_a_storm_of_429_costs_nobody_and_no_attempt(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    fail_dials(exotel_server, Fault.too_many_requests(retry_after=0), times=12)
    await dialer.add("diwali", numbers(20))
    outcomes = await run_all(dialer)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert [exotel_server.rung(one) for one in numbers(20)] == [1] * 20
    assert (await dialer.statistics("diwali")).attempts == 20


async def test_others_go_on_while_one_campaign_is_paused_by_errors(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """A flow that is not there: its refusals say nothing of another campaign's."""
    await dialer.create(campaign("wrong", flow=927))
    real = exotel_server.faults.take_for_request

    def of_wrong(method: str, path: str, *rest: Any) -> Fault | None:
        asked = exotel_server.requests[-1]
        if "927" in asked.form.get("Url", ""):
            return Fault.answer(400, message="No such flow")
        return real(method, path, *rest)

    exotel_server.faults.take_for_request = of_wrong  # type: ignore[assignment,method-assign]
    try:
        await dialer.add("wrong", [number(100 + index) for index in range(20)])
        await dialer.add("diwali", numbers(20))
        seen, error = await run_until_stopped(dialer, "wrong", "diwali")
    finally:
        exotel_server.faults.take_for_request = real  # type: ignore[method-assign]
    assert (error.name, error.state) == ("wrong", CampaignState.PAUSED)
    assert {one.contact.number for one in seen} == set(numbers(20))
    assert (await dialer.statistics("diwali")).state is CampaignState.COMPLETED
    assert (await dialer.statistics("wrong")).pending == 20


@pytest.mark.slow(5)
@pytest.mark.parametrize("status", [400, 402, 403])
async def test_refusals_for_channels_that_others_use_wait_whatever_their_status(
    dialer: Dialer, exotel_server: Emulator, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exotel states no code for them. None of our own calls is live, and yet it is no defect."""
    monkeypatch.setattr(refusing, "_NO_ROOM", 0.2)
    exotel_server.channels, exotel_server.channels_status = 1, status
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=80, settle=0)
    exotel_server.add_call(Dial(from_=number(100), to=None, caller_id=EXOPHONE))
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=1, settle=0)
    await dialer.create(campaign("one", channels=1))
    await dialer.add("one", numbers(2))
    outcomes = await run_all(dialer, "one")
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    refused = [one for one in dials(exotel_server) if one.status == status]
    assert 1 <= len(refused) <= 12


async def test_without_balance_dials_that_wait_for_their_permits_are_no_live_calls(
    tmp_path: Path,
) -> None:
    async with (
        fast_exotel(balance_exhausted=True) as emulator,
        dialling(emulator, tmp_path, rate_limit=RateLimit(60, per=2)) as dialer,
    ):
        for name in ("diwali", "holi"):
            await dialer.create(campaign(name))
            await dialer.add(name, numbers(30))
        seen, error = await run_until_stopped(dialer, "diwali", "holi")
        assert (seen, error.state) == ([], CampaignState.FAILED)
        for name in ("diwali", "holi"):
            assert (await dialer.statistics(name)).state is CampaignState.FAILED
        assert len(dials(emulator)) <= 2 * 8
