"""Campaigns that are paused, resumed, canceled, stopped, left, and run again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns import CampaignState, CampaignStatistics, ContactState, Retries, Retry
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.campaigns.running import (
    SHORT,
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
from tests.conftest import SOON

pytestmark = pytest.mark.anyio

LONG = Scenario.all_answered(ring=0, talk=45, settle=0)
"""A call takes three quarters of a second."""
BUSY = Scenario(busy=1, no_answer=0, failed=0, ring=(25, 25), settle=(0, 0))


def total(known: CampaignStatistics) -> int:
    """Return the sum of all states: it is `created` at every moment."""
    return (
        known.pending
        + known.in_progress
        + known.in_doubt
        + known.reached
        + known.not_reached
        + known.refused
        + known.unresolved
        + known.do_not_call
        + known.expired
        + known.canceled
    )


@asynccontextmanager
async def from_elsewhere(
    emulator: Emulator, place: Path, *, here: Dialer | None
) -> AsyncIterator[Dialer]:
    """The dialer that runs a campaign, or another one on its file, as of another process."""
    if here is not None:
        yield here
        return
    async with dialling(emulator, place) as other:
        yield other


WHERE = pytest.mark.parametrize("where", ["here", "elsewhere"])


@pytest.mark.slow(5)
@WHERE
async def test_a_campaign_is_paused_and_resumed_while_it_runs(
    where: str, exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = LONG
    async with dialling(exotel_server, tmp_path, channels=3) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(9))
        here = dialer if where == "here" else None
        async with (
            from_elsewhere(exotel_server, tmp_path, here=here) as other,
            asyncio.timeout(SOON),
            dialer.run("diwali") as outcomes,
        ):
            seen = [await anext(outcomes)]
            await other.pause("diwali")
            paused_at = len(dials(exotel_server))
            exotel_server.scenario = SHORT
            # Calls in progress go on, and are counted.
            while (await other.statistics("diwali")).in_progress:
                await asyncio.sleep(0.02)
            known = await other.statistics("diwali")
            assert known.state is CampaignState.PAUSED
            assert known.reason is None
            assert known.reached == len(dials(exotel_server)) == paused_at
            assert known.pending == 9 - paused_at
            assert dialer.channels_in_use == other.channels_in_use == 0
            await other.resume("diwali")
            seen += [outcome async for outcome in outcomes]
    assert Counter(one.state for one in seen) == {ContactState.REACHED: 9}
    assert [exotel_server.rung(one) for one in numbers(9)] == [1] * 9


@pytest.mark.slow
@WHERE
async def test_a_campaign_is_canceled_while_it_runs(
    where: str, exotel_server: Emulator, tmp_path: Path
) -> None:
    """Also those whose call is in progress are dialled no more: their retries are not made."""
    exotel_server.scenario = BUSY
    async with dialling(exotel_server, tmp_path, channels=3) as dialer:
        await dialer.create(campaign(retries=Retries(busy=Retry(3, timedelta(seconds=1)))))
        await dialer.add("diwali", numbers(9))
        here = dialer if where == "here" else None
        async with (
            from_elsewhere(exotel_server, tmp_path, here=here) as other,
            asyncio.timeout(SOON),
            dialer.run("diwali") as outcomes,
        ):
            await until(lambda: len(dials(exotel_server)) == 3)
            assert dialer.channels_in_use == 3
            canceled = await other.cancel("diwali")
            seen = [outcome async for outcome in outcomes]
        known = await dialer.statistics("diwali")
    assert len(dials(exotel_server)) == 3
    assert canceled == 6
    assert len(seen) == 9
    assert {one.state for one in seen} <= {ContactState.CANCELED, ContactState.NOT_REACHED}
    assert (known.state, known.created, total(known)) == (CampaignState.CANCELED, 9, 9)
    assert (known.pending, known.in_progress) == (0, 0)


@pytest.mark.slow(1)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_process_that_dies_as_it_cancels_leaves_nobody_without_an_outcome(
    when: str, exotel_server: Emulator, tmp_path: Path
) -> None:
    """The campaign is canceled by then, and its contacts are not."""
    exotel_server.scenario = BUSY

    async def cancel_half() -> None:
        async with Ledger(tmp_path / "campaigns.db") as other:
            entry = await other.campaign("diwali")
            assert entry is not None
            await other.set_state(entry.id, CampaignState.CANCELED, None, 0)

    async with dialling(exotel_server, tmp_path, channels=2) as dialer:
        await dialer.create(campaign(retries=Retries(busy=Retry(3, timedelta(hours=1)))))
        await dialer.add("diwali", numbers(400))
        if when == "before":
            await cancel_half()
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            if when == "meanwhile":
                while not (await dialer.statistics("diwali")).attempts:
                    await asyncio.sleep(0.01)
                await cancel_half()
            seen = [outcome async for outcome in outcomes]
        known = await dialer.statistics("diwali")
    assert len(seen) == 400
    assert (known.canceled, known.pending, total(known)) == (400, 0, 400)


@pytest.mark.slow(1)
async def test_a_contact_that_was_refused_as_the_campaign_was_canceled_is_not_left(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    fail_dials(exotel_server, Fault(acts=False, status=402, delay=0.5), times=None)
    await dialer.add("diwali", numbers(2))
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        await until(lambda: len(dials(exotel_server)) == 2)
        await dialer.cancel("diwali")
        seen = [outcome async for outcome in outcomes]
    known = await dialer.statistics("diwali")
    assert (known.canceled, known.pending, total(known)) == (2, 0, 2)
    assert {one.state for one in seen} == {ContactState.CANCELED}


@pytest.mark.slow
async def test_a_stop_lets_calls_in_progress_end_and_dials_nobody_more(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = LONG
    await dialer.create(campaign("one", channels=3))
    await dialer.add("one", numbers(9))
    async with asyncio.timeout(SOON), dialer.run("one") as outcomes:
        await until(lambda: len(dials(exotel_server)) == 3)
        dialer.stop()
        exotel_server.scenario = SHORT
        seen = [outcome async for outcome in outcomes]
    assert len(dials(exotel_server)) == 3
    assert {one.contact.number for one in seen} == set(dialled(exotel_server))
    known = await dialer.statistics("one")
    assert (known.state, known.pending, known.in_progress) == (CampaignState.IN_PROGRESS, 6, 0)
    assert len(await run_all(dialer, "one")) == 6


async def test_a_stop_does_not_wait_for_retries_or_for_what_is_in_doubt(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = BUSY
    fail_dials(exotel_server, Fault.drop_before())
    await dialer.create(campaign("one", retries=Retries(busy=Retry(3, timedelta(hours=1)))))
    await dialer.add("one", numbers(3))
    async with asyncio.timeout(SOON), dialer.run("one") as outcomes:
        await until(lambda: len(dials(exotel_server)) == 3)
        dialer.stop()
        assert [outcome async for outcome in outcomes] == []
    known = await dialer.statistics("one")
    assert (known.pending, known.in_doubt, known.in_progress) == (2, 1, 0)


@pytest.mark.slow
async def test_leaving_the_block_early_loses_nothing_and_the_next_run_goes_on(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = LONG
    await dialer.create(campaign("one", channels=4))
    await dialer.add("one", numbers(10))
    async with asyncio.timeout(SOON), dialer.run("one") as outcomes:
        first = await anext(outcomes)
    exotel_server.scenario = SHORT
    dialled_by_then = len(dials(exotel_server))
    assert dialled_by_then < 10
    await run_all(dialer, "one")
    known = await dialer.statistics("one")
    assert (known.state, known.reached) == (CampaignState.COMPLETED, 10)
    everybody = [one.contact.number async for one in dialer.outcomes("one")]
    assert sorted(everybody) == numbers(10)
    assert everybody[0] == first.contact.number
    assert [exotel_server.rung(one) for one in numbers(10)] == [1] * 10


@pytest.mark.slow(1)
async def test_the_next_dialer_follows_what_an_earlier_one_has_left(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = LONG
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(6))
        async with dialer.run("diwali"):
            await until(lambda: len(dials(exotel_server)) == 6)
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())  # as the same program does
        await dialer.add("diwali", numbers(6))
        seen = await run_all(dialer)
        assert Counter(one.state for one in seen) == {ContactState.REACHED: 6}
    assert len(dials(exotel_server)) == 6


async def test_a_campaign_that_is_completed_or_canceled_ends_at_once(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", numbers(2))
    await run_all(dialer)
    assert await run_all(dialer) == []
    assert (await dialer.statistics("diwali")).state is CampaignState.COMPLETED
    assert await dialer.cancel("diwali") == 0
    assert await run_all(dialer) == []
    assert (await dialer.statistics("diwali")).state is CampaignState.CANCELED
    await dialer.resume("diwali")
    assert (await dialer.statistics("diwali")).state is CampaignState.CANCELED
    assert len(dials(exotel_server)) == 2


async def test_a_campaign_that_is_paused_waits_to_be_resumed(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", numbers(2))
    await dialer.pause("diwali")
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        waiting = asyncio.ensure_future(anext(outcomes))
        await dialer.create(campaign("other"))
        await dialer.add("other", [number(100)])
        await run_all(dialer, "other")
        assert not waiting.done()
        assert dialled(exotel_server) == [number(100)]
        await dialer.resume("diwali")
        seen = [await waiting] + [outcome async for outcome in outcomes]
    assert Counter(one.state for one in seen) == {ContactState.REACHED: 2}


@pytest.fixture
async def slow_exotel() -> AsyncIterator[Emulator]:
    """An emulator whose clock is known well enough to search for a call that was lost."""
    async with fast_exotel(speed=6) as emulator:
        yield emulator


@pytest.mark.slow(6)
async def test_statistics_add_up_at_every_moment(slow_exotel: Emulator, tmp_path: Path) -> None:
    async with dialling(slow_exotel, tmp_path) as dialer:
        await add_up(slow_exotel, dialer)


async def add_up(exotel_server: Emulator, dialer: Dialer) -> None:
    """Run a campaign to which all kinds of things happen, and look again and again."""
    exotel_server.scenario = Scenario(
        busy=0.3, no_answer=0.2, failed=0.1, ring=(0, 3), talk=(1, 5), settle=(0, 1), ring_timeout=3
    )
    exotel_server.ndnc = [number(3)]
    fail_dials(exotel_server, Fault.act_then_drop(), after=5)
    await dialer.do_not_call([number(7)])
    retries = Retries(busy=Retry(1, 1.0), no_answer=Retry(1, 1.0))
    await dialer.create(campaign("one", retries=retries, channels=5))
    await dialer.add("one", numbers(25))
    told: list[CampaignStatistics] = []
    async with asyncio.timeout(SOON * 2), dialer.run("one", on_progress=told.append) as outcomes:
        running = asyncio.ensure_future(_rest(outcomes))
        while not running.done():
            known = await dialer.statistics("one")
            assert known.created == total(known) == 25
            await asyncio.sleep(0.02)
        seen = await running
    known = await dialer.statistics("one")
    assert len(seen) == 25
    assert Counter(one.state.replace("-", "_") for one in seen) == {
        name: value
        for name in ("reached", "not_reached", "refused", "do_not_call")
        if (value := getattr(known, name))
    }
    assert known.attempts == len(exotel_server.calls)
    truth = Counter(call.timeline.status.value for call in exotel_server.calls.values())
    assert Counter(known.statuses) == truth
    assert known.price == sum(call.timeline.price for call in exotel_server.calls.values())
    assert told
    assert all(one.created == total(one) == 25 for one in told)


async def _rest(outcomes: Any) -> list[Any]:
    return [outcome async for outcome in outcomes]


async def test_the_last_report_of_progress_is_how_the_campaigns_have_ended(dialer: Dialer) -> None:
    """However short they were."""
    await dialer.create(campaign("holi"))
    await dialer.add("diwali", numbers(3))
    await dialer.add("holi", numbers(2))
    told: list[CampaignStatistics] = []
    await run_all(dialer, "diwali", "holi", on_progress=told.append)
    ends = [await dialer.statistics(name) for name in ("diwali", "holi")]
    assert told[-2:] == ends
    assert {one.state for one in ends} == {CampaignState.COMPLETED}


async def test_a_report_of_progress_that_raises_ends_nothing(
    dialer: Dialer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: CampaignStatistics) -> None:
        raise ZeroDivisionError

    await dialer.add("diwali", numbers(3))
    assert len(await run_all(dialer, on_progress=broken)) == 3
    assert "ZeroDivisionError" in caplog.text


async def test_a_report_of_progress_that_cannot_be_called(dialer: Dialer) -> None:
    async def awaited(_: CampaignStatistics) -> None:
        raise AssertionError

    wrong: list[Any] = [7, lambda: 0, awaited]
    for one in wrong:
        with pytest.raises(InvalidRequest, match=r"^on_progress=.*: must be a .*function"):
            dialer.run("diwali", on_progress=one)


async def test_a_campaign_that_is_not_there(dialer: Dialer) -> None:
    for operation in (dialer.pause, dialer.resume, dialer.cancel, dialer.statistics):
        with pytest.raises(InvalidRequest, match="no such campaign"):
            await operation("holi")
    with pytest.raises(InvalidRequest, match="no such campaign"):
        async with dialer.run("diwali", "holi"):
            pass
    with pytest.raises(InvalidRequest, match="campaign"):
        dialer.run()
    # What has failed to begin holds up nothing.
    await dialer.add("diwali", numbers(1))
    assert len(await run_all(dialer)) == 1


async def test_a_campaign_of_the_same_name_has_the_same_settings(dialer: Dialer) -> None:
    await dialer.create(campaign())
    with pytest.raises(InvalidRequest, match="other settings"):
        await dialer.create(campaign(flow=927))
