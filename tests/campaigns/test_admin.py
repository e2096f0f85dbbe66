"""Campaigns administered by a program that dials nobody, beside one that does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns import CampaignAdmin, CampaignState, Contact, ContactState
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator
from tests.campaigns.running import campaign, dials, numbers, run_all
from tests.conftest import EXOPHONE

pytestmark = pytest.mark.anyio


async def test_it_needs_no_session(tmp_path: Path) -> None:
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        assert await admin.names() == []
        await admin.create(campaign())
        assert (await admin.add("diwali", numbers(3))).added == 3
        assert await admin.names() == ["diwali"]
        assert await admin.settings("diwali") == campaign()
        assert (await admin.statistics("diwali")).pending == 3
        assert await admin.cancel("diwali") == 3
        states = [outcome.state async for outcome in admin.outcomes("diwali")]
        assert states == [ContactState.CANCELED] * 3
        with pytest.raises(InvalidRequest, match="no such campaign"):
            await admin.settings("holi")


async def test_it_says_whether_it_has_changed_anything(tmp_path: Path) -> None:
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        await admin.create(campaign())
        assert not await admin.resume("diwali")
        assert await admin.pause("diwali")
        assert not await admin.pause("diwali")
        assert await admin.resume("diwali")
        await admin.cancel("diwali")
        assert not await admin.pause("diwali")
        assert not await admin.resume("diwali")


async def test_it_changes_what_another_program_runs(
    dialer: Dialer, exotel_server: Emulator, tmp_path: Path
) -> None:
    await dialer.add("diwali", numbers(2))
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        assert await admin.running_dialer() is None
        seen = await run_all(dialer)
        assert Counter(one.state for one in seen) == {ContactState.REACHED: 2}
        running = await admin.running_dialer()
        assert running is not None
        assert running.pid
        assert (await admin.add("diwali", numbers(3))).added == 1
        assert await admin.pause("diwali")
        assert (await dialer.statistics("diwali")).state is CampaignState.PAUSED
    assert len(dials(exotel_server)) == 2


async def test_a_dialer_tells_the_time_by_exotel_s_clock(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """Sixty times as fast as the machine's, here."""
    await dialer.add("diwali", numbers(1))
    await run_all(dialer)
    ahead = exotel_server.clock.now() - datetime.now(UTC)
    assert ahead > timedelta(seconds=5)
    assert abs(dialer.now() - datetime.now(UTC) - ahead) < ahead / 2


async def test_single_calls_are_no_campaigns_of_the_user(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.call(Contact(numbers(1)[0], key="order-1"), caller_id=EXOPHONE, flow=926)
    assert await dialer.names() == ["diwali"]
