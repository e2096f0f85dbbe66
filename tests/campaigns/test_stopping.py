"""A dialer that is stopped dials nobody any more, whenever that is, and whoever waits is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from exotel_async.campaigns import (
    Contact,
    ContactOutcome,
    DialerStopped,
    Ledger,
    Retries,
    Retry,
)
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.campaigns.running import (
    SHORT,
    campaign,
    dialling,
    dials,
    number,
    numbers,
    run_all,
    until,
)
from tests.conftest import EXOPHONE, SOON

pytestmark = pytest.mark.anyio


async def test_a_dialer_is_stopped_while_its_first_run_begins(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(3))
        exotel_server.faults.add(Fault.delay_before(0.3))  # what Exotel's clock is read from
        running = asyncio.create_task(run_all(dialer))
        await until(lambda: exotel_server.requests)
        dialer.stop()
        assert await running == []
        assert not dials(exotel_server)
        assert len(await run_all(dialer)) == 3


async def test_a_dialer_is_stopped_while_it_waits_for_the_ledger(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with Ledger(tmp_path / "campaigns.db") as other:
        await other.lock(0, 0)
        async with dialling(exotel_server, tmp_path) as dialer:
            await dialer.create(campaign())
            running = asyncio.create_task(run_all(dialer))
            await until(lambda: exotel_server.requests)
            dialer.stop()
            with pytest.raises(DialerStopped, match="another dialer has the ledger"):
                await running


@pytest.mark.slow(1)
async def test_a_call_that_is_not_made_for_the_dialer_was_stopped(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=60, settle=1)
    first = asyncio.create_task(call(dialer, 1))
    await until(lambda: dials(exotel_server))
    dialer.stop()
    async with asyncio.timeout(SOON):
        with pytest.raises(DialerStopped, match="same key"):
            await call(dialer, 2)
        exotel_server.scenario = SHORT
        # One that was made is waited for.
        assert (await first).is_reached
        assert (await call(dialer, 2)).is_reached
    assert [exotel_server.rung(number(who)) for who in (1, 2)] == [1, 1]


async def call(dialer: Dialer, who: int) -> ContactOutcome:
    return await dialer.call(Contact(number(who), key=f"order-{who}"), flow=926, caller_id=EXOPHONE)


async def test_a_dialer_is_closed_while_a_run_waits_for_the_ledger(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with Ledger(tmp_path / "campaigns.db") as other:
        await other.lock(0, 0)
        async with asyncio.timeout(SOON), dialling(exotel_server, tmp_path) as dialer:
            await dialer.create(campaign())
            running = asyncio.create_task(run_all(dialer))
            await until(lambda: exotel_server.requests)
        with pytest.raises(DialerStopped):
            await running


async def test_a_run_that_was_stopped_ends_with_a_call_after_which_somebody_waits(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """Nobody gets an outcome by that."""
    exotel_server.scenario = Scenario(busy=1.0, no_answer=0, failed=0, ring=(20, 20), settle=(1, 1))
    await dialer.create(campaign("again", retries=Retries(busy=Retry(1, timedelta(hours=1)))))
    await dialer.add("again", [number(0)])
    async with asyncio.timeout(SOON), dialer.run("again") as outcomes:
        await until(lambda: dials(exotel_server))
        dialer.stop()
        assert [outcome async for outcome in outcomes] == []
    known = await dialer.statistics("again")
    assert (known.pending, known.attempts) == (1, 1)
