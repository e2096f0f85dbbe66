"""Dials that have waited for too long since they were written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exotel_async.campaigns import AttemptState, dialing
from exotel_async.campaigns.clock import awake
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.in_doubt import SEND_WITHIN
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator
from tests.campaigns.running import number, run_all


async def test_a_dial_does_not_leave_long_after_its_intent(
    dialer: Dialer, exotel_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was stopped meanwhile, and the call would not be searched for so late."""
    stopped = [SEND_WITHIN + 1]
    slept = 0.0
    intend = Ledger.intend

    async def be_stopped(self: Ledger, intents: Sequence[Any], within: float) -> Any:
        nonlocal slept
        said = await intend(self, intents, within)
        slept += stopped.pop() if stopped else 0.0
        return said

    monkeypatch.setattr(Ledger, "intend", be_stopped)
    monkeypatch.setattr(dialing, "awake", lambda: awake() + slept)
    await dialer.add("diwali", [number(0)])
    (outcome,) = await run_all(dialer)
    assert next(one.state for one in outcome.attempts) is AttemptState.NOT_PLACED
    assert len(outcome.attempts) == 2
    assert exotel_server.rung(number(0)) == 1
