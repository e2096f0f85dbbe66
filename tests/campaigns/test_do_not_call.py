"""Nobody is dialled who is on the do-not-call list, whenever they were put there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns import Contact, ContactState, Retries, Retry, clock, state
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.in_doubt import SEND_WITHIN
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator, Scenario
from tests.campaigns.running import (
    SHORT,
    by_number,
    campaign,
    dialled,
    dialling,
    number,
    numbers,
    run_all,
)

pytestmark = pytest.mark.anyio


async def test_whoever_was_listed_before_is_not_dialled(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.do_not_call(["098000 00001", number(3)], reason="asked us")
    await dialer.add("diwali", numbers(4))
    outcomes = by_number(await run_all(dialer))
    assert sorted(dialled(exotel_server)) == [number(0), number(2)]
    for who in (number(1), number(3)):
        assert outcomes[who].state is ContactState.DO_NOT_CALL
        assert outcomes[who].reason
        assert outcomes[who].attempts == ()
    known = await dialer.statistics("diwali")
    assert (known.do_not_call, known.reached, known.attempts) == (2, 2, 2)


async def test_whoever_was_taken_off_the_list_is_dialled(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.do_not_call(numbers(2))
    await dialer.allow(["09800000001"])
    await dialer.add("diwali", numbers(2))
    await run_all(dialer)
    assert dialled(exotel_server) == [number(1)]


async def test_a_number_that_is_none_lists_nobody(dialer: Dialer, exotel_server: Emulator) -> None:
    for method in (dialer.do_not_call, dialer.allow):
        with pytest.raises(InvalidRequest, match="numbers"):
            await method([number(0), "12"])
    await dialer.add("diwali", [number(0)])
    await run_all(dialer)
    assert dialled(exotel_server) == [number(0)]


async def test_what_are_no_numbers_is_refused_by_its_name(dialer: Dialer) -> None:
    for method in (dialer.do_not_call, dialer.allow):
        for wrong in (None, 98123, [None], [b"9812300001"], b"9812300001"):
            with pytest.raises(InvalidRequest, match="numbers"):
                await method(wrong)  # type: ignore[arg-type]
    for wrong in (None, 5, b"9812300001"):
        with pytest.raises(InvalidRequest, match="contact"):
            await dialer.forget(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="alternatives"):
        Contact(number(0), alternatives=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("listed", ["971501234567", "+971501234567"])
async def test_a_foreign_number_is_listed_with_and_without_its_plus(
    listed: str, dialer: Dialer, exotel_server: Emulator
) -> None:
    added = listed.removeprefix("+") if listed.startswith("+") else f"+{listed}"
    await dialer.do_not_call([listed])
    await dialer.add("diwali", [added])
    (outcome,) = await run_all(dialer)
    assert outcome.state is ContactState.DO_NOT_CALL
    await dialer.allow([added])
    await dialer.create(campaign("two"))
    await dialer.add("two", [added])
    (outcome,) = await run_all(dialer, "two")
    assert outcome.state is not ContactState.DO_NOT_CALL
    assert dialled(exotel_server) == [added]


@pytest.mark.slow(3)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_whoever_is_listed_while_a_dialer_has_taken_them_is_not_dialled(
    where: str, exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=20, settle=0)
    async with dialling(exotel_server, tmp_path, channels=1) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(6))
        async with asyncio.timeout(20), dialer.run("diwali") as outcomes:
            seen = [await anext(outcomes)]
            # All the others are claimed by now, and one of them is being dialled.
            if where == "here":
                await dialer.do_not_call([number(4)])
            else:
                async with Ledger(tmp_path / "campaigns.db") as other:
                    await other.do_not_call(["India 9800000004"], None, 0)
            exotel_server.scenario = SHORT
            seen += [outcome async for outcome in outcomes]
    assert by_number(seen)[number(4)].state is ContactState.DO_NOT_CALL
    assert sorted(dialled(exotel_server)) == [number(i) for i in (0, 1, 2, 3, 5)]


async def test_whoever_is_listed_between_the_intent_and_the_first_byte_is_not_dialled(
    dialer: Dialer, exotel_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    intend = dialer._ledger.intend
    await dialer.add("diwali", numbers(3))

    async def slow(intents: Any, within: float) -> Any:
        said = await intend(intents, within)
        if intents[0].number == number(1):
            await dialer.do_not_call([number(1)])
        return said

    monkeypatch.setattr(dialer._ledger, "intend", slow)
    outcomes = by_number(await run_all(dialer))
    assert outcomes[number(1)].state is ContactState.DO_NOT_CALL
    assert [one.sid for one in outcomes[number(1)].attempts] == [None]
    assert sorted(dialled(exotel_server)) == [number(0), number(2)]
    assert (await dialer.statistics("diwali")).attempts == 2


@pytest.mark.parametrize("listed", [0, 1, 2])
async def test_a_person_is_not_dialled_by_another_number(
    listed: int, dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.create(campaign("one"))
    await dialer.do_not_call([number(listed)])
    await dialer.add("one", [Contact(number(0), alternatives=[number(1), number(2)])])
    (outcome,) = await run_all(dialer, "one")
    assert outcome.state is ContactState.DO_NOT_CALL
    assert dialled(exotel_server) == []


async def test_a_person_who_is_listed_between_attempts_is_not_dialled_by_another_number(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = Scenario(busy=1, no_answer=0, failed=0, ring=(0, 0), settle=(0, 0))
    await dialer.create(campaign("one", retries=Retries(busy=Retry(3, timedelta(seconds=1)))))
    await dialer.add("one", [Contact(number(0), alternatives=[number(1)])])
    async with asyncio.timeout(20), dialer.run("one") as outcomes:
        while not dialled(exotel_server):
            await asyncio.sleep(0.01)
        await dialer.do_not_call([number(0)])
        (outcome,) = [outcome async for outcome in outcomes]
    assert outcome.state is ContactState.DO_NOT_CALL
    assert dialled(exotel_server) == [number(0)]


async def test_an_agent_who_is_listed_is_not_rung(dialer: Dialer, exotel_server: Emulator) -> None:
    agents = ["+919812399998", "+919812399999"]
    await dialer.create(campaign("two", agent=agents[0]))
    await dialer.add("two", [number(0), Contact(number(1), agent=agents[1])])
    await dialer.do_not_call([agents[1]])
    outcomes = by_number(await run_all(dialer, "two"))
    assert outcomes[number(1)].state is ContactState.DO_NOT_CALL
    assert dialled(exotel_server) == [number(0)]


async def test_whoever_another_process_takes_off_the_list_is_dialled(
    dialer: Dialer, exotel_server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dialer.add("diwali", [number(0)])
    await run_all(dialer)
    await dialer.do_not_call([number(1)])
    async with Ledger(tmp_path / "campaigns.db") as other:
        await other.allow(["India 9800000001"])
    # As if so much time had passed that each dial on its way then has left, or never does.
    monkeypatch.setattr(
        state, "seconds_since_boot", lambda: clock.seconds_since_boot() + SEND_WITHIN + 1
    )
    await dialer.add("diwali", [number(1)])
    await run_all(dialer)
    assert dialled(exotel_server) == numbers(2)
