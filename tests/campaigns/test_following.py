"""Calls are followed until all is known of them, but not for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from exotel_async.campaigns import AttemptState, ContactState, following
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault
from exotel_async.models import Call, CallStatus
from tests.campaigns.running import dials, number, until
from tests.conftest import SOON

pytestmark = pytest.mark.anyio


@pytest.mark.slow(1)
async def test_a_call_that_cannot_be_read_is_asked_for_now_and_then_and_ends_the_run_nevertheless(
    dialer: Dialer, exotel_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SETTLED_AFTER", timedelta(seconds=1))
    await dialer.add("diwali", [number(0)])
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        exotel_server.faults.add(Fault.answer(403), method="GET", times=None)
        await until(lambda: exotel_server.calls)
        (sid,) = exotel_server.calls
        (dial,) = dials(exotel_server)
        call = Call(sid=sid, status=CallStatus.COMPLETED, custom_field=dial.form["CustomField"])
        await until(lambda: dialer.notify(call))
        (outcome,) = [outcome async for outcome in outcomes]
    assert outcome.state is ContactState.REACHED
    (known,) = [one async for one in dialer.outcomes("diwali")]
    assert known.attempts[0].state is AttemptState.SETTLED
    asked = [one for one in exotel_server.requests if one.path.endswith(f"{sid}.json")]
    assert len(asked) < 20


async def test_a_call_whose_record_has_gone_was_placed_and_is_counted(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", [number(0)])
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        exotel_server.faults.add(Fault.answer(404), method="GET", times=None)
        (outcome,) = [outcome async for outcome in outcomes]
    assert outcome.state is ContactState.UNRESOLVED
    (attempt,) = outcome.attempts
    assert [attempt.sid] == list(exotel_server.calls)
    known = await dialer.statistics("diwali")
    assert (known.attempts, known.unresolved, known.end_unknown) == (1, 1, 1)
    assert known.statuses == {}
