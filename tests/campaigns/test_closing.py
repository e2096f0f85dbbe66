"""What is on its way when a dialer is closed is known to the next one, be that in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from exotel_async.campaigns import ContactState, engine
from exotel_async.emulator import Emulator, Fault
from tests.campaigns.running import campaign, dialer_of, dials, fail_dials, number, run_all, until
from tests.conftest import session

pytestmark = pytest.mark.anyio


@pytest.mark.slow(1)
async def test_a_dial_that_is_answered_after_the_dialer_was_closed_is_not_made_again(
    exotel_server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LEAVING", 0.1)
    fail_dials(exotel_server, Fault.delay_before(0.6))
    async with session(exotel_server, timeout=2) as exotel:
        async with dialer_of(exotel, tmp_path) as dialer:
            await dialer.create(campaign(time_limit=10))
            await dialer.add("diwali", [number(0)])
            async with dialer.run("diwali"):
                await until(lambda: dials(exotel_server))
        assert not exotel_server.calls
        await until(lambda: exotel_server.calls)
        async with dialer_of(exotel, tmp_path) as dialer:
            (outcome,) = await run_all(dialer)
    assert outcome.state is ContactState.REACHED
    assert [one.sid for one in outcome.attempts] == list(exotel_server.calls)
