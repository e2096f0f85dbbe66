"""Dials and the ledger that has to take them before they leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exotel_async.campaigns import AttemptState, dialing
from exotel_async.campaigns.clock import seconds_since_boot
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.errors import LedgerBusy, LedgerUnavailable
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
    monkeypatch.setattr(dialing, "seconds_since_boot", lambda: seconds_since_boot() + slept)
    await dialer.add("diwali", [number(0)])
    (outcome,) = await run_all(dialer)
    assert next(one.state for one in outcome.attempts) is AttemptState.NOT_PLACED
    assert len(outcome.attempts) == 2
    assert exotel_server.rung(number(0)) == 1


@pytest.mark.parametrize("failure", [LedgerBusy, LedgerUnavailable])
async def test_a_ledger_that_does_not_take_an_intent_puts_the_dial_off(
    dialer: Dialer,
    exotel_server: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[LedgerUnavailable],
) -> None:
    failures = [failure("the disk is full"), failure("the disk is full")]
    intend = Ledger.intend

    async def fail(self: Ledger, intents: Sequence[Any], within: float) -> Any:
        if failures:
            raise failures.pop()
        return await intend(self, intents, within)

    monkeypatch.setattr(Ledger, "intend", fail)
    await dialer.add("diwali", [number(0)])
    (outcome,) = await run_all(dialer)
    assert outcome.is_reached
    assert len(outcome.attempts) == 1
    assert exotel_server.rung(number(0)) == 1
