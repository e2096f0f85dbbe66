"""A fast Exotel, and dialers that run campaigns against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from exotel_async import AsyncExotel
from exotel_async.campaigns import Campaign, ContactOutcome, Schedule
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.emulator.calls import EmulatedCall
from exotel_async.emulator.request_log import ReceivedRequest
from tests.campaigns.ledgers import copy_to
from tests.conftest import EXOPHONE, SOON, session

ALWAYS = Schedule(hours="00:00-24:00")
SHORT = Scenario.all_answered(ring=1, talk=3, settle=1)
"""Everybody answers, and a call lasts 4 seconds of the emulator's."""


def fast_exotel(**settings: Any) -> Emulator:
    """Make an emulator sixty times as fast as time, with a budget that does not bind."""
    usual: dict[str, Any] = {"speed": 60, "rate": 60_000, "scenario": SHORT}
    return Emulator(**(usual | settings))


def number(index: int) -> str:
    """Return a customer's number."""
    return f"+9198{index:08d}"


def numbers(count: int) -> list[str]:
    """Return the numbers of some customers."""
    return [number(index) for index in range(count)]


def campaign(name: str = "diwali", **settings: Any) -> Campaign:
    """Make a campaign to a flow, that dials at all hours."""
    usual: dict[str, Any] = {"flow": 926, "caller_ids": [EXOPHONE], "schedule": ALWAYS}
    if "agent" in settings or "stream_url" in settings:
        del usual["flow"]
    return Campaign(name, **(usual | settings))


@asynccontextmanager
async def dialling(
    emulator: Emulator,
    place: Path,
    *,
    channels: int | None = None,
    poll_interval: float = 0.03,
    **options: Any,
) -> AsyncIterator[Dialer]:
    """A dialer on a ledger in that directory."""
    async with (
        session(emulator, **options) as exotel,
        dialer_of(exotel, place, channels=channels, poll_interval=poll_interval) as dialer,
    ):
        yield dialer


def dialer_of(
    exotel: AsyncExotel, place: Path, *, channels: int | None = None, poll_interval: float = 0.03
) -> Dialer:
    """Make a dialer on a ledger in that directory."""
    ledger = place / "campaigns.db"
    if not ledger.exists():
        copy_to(ledger)
    return Dialer(exotel, ledger, channels=channels, poll_interval=poll_interval)


async def run_all(dialer: Dialer, *names: str, **options: Any) -> list[ContactOutcome]:
    """Run campaigns to their end."""
    async with asyncio.timeout(SOON), dialer.run(*(names or ("diwali",)), **options) as outcomes:
        return [outcome async for outcome in outcomes]


def by_number(outcomes: list[ContactOutcome]) -> dict[str, ContactOutcome]:
    """Return outcomes by the contacts' numbers."""
    found = {outcome.contact.number: outcome for outcome in outcomes}
    assert len(found) == len(outcomes)
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; the emulator tells of nothing by itself."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)


def dials(emulator: Emulator) -> list[ReceivedRequest]:
    """Return the dials that came, in their order."""
    return [one for one in emulator.requests if one.method == "POST"]


def dialled(emulator: Emulator) -> list[str]:
    """Return whom they were for, as sent."""
    return [one.form["From"] for one in dials(emulator)]


def since_the_first_of(least: int, emulator: Emulator) -> list[str]:
    """Return who was dialled since the first one whose number is `number(least)` or higher."""
    who = dialled(emulator)
    first = next((place for place, one in enumerate(who) if one >= number(least)), len(who))
    return who[first:]


def most_legs(emulator: Emulator) -> int:
    """Return how many legs were in progress at most, by the emulator's own record."""
    changes: list[tuple[float, int]] = []
    for call in emulator.calls.values():
        legs = _legs(call)
        changes += [(call.at, legs), (call.ends_at, -legs)]
    live = most = 0
    for _, legs in sorted(changes):
        live += legs
        most = max(most, live)
    return most


def _legs(call: EmulatedCall) -> int:
    return 1 if call.to is None else 2


def fail_dials(emulator: Emulator, fault: Fault, **order: Any) -> int:
    """Have the next dials meet a fault."""
    return emulator.faults.add(fault, **({"method": "POST", "path": "Calls/connect"} | order))
