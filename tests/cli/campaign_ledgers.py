"""Ledgers for the tests of `campaign`, and its commands run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from exotel_async.campaigns import (
    AttemptState,
    Campaign,
    CampaignAdmin,
    CampaignState,
    Contact,
    ContactState,
    Ledger,
)
from exotel_async.campaigns.clock import to_ms
from exotel_async.campaigns.entries import Change
from exotel_async.cli import main
from tests.campaigns.ledgers import EXCHANGE, intent
from tests.campaigns.running import campaign
from tests.cli.support import Ended

DIALLED_AT = datetime(2026, 11, 6, 5, 30, tzinfo=UTC)
"""When the contacts of these ledgers are dialled: at 11:00 in India."""
SID = "f{}"


@frozen(kw_only=True)
class End:
    """How a contact ends, in a ledger that is made for a test."""

    state: ContactState = ContactState.REACHED
    reason: str | None = None
    status: str | None = "completed"
    """How the call ended; None: none was placed."""
    attempt: Mapping[str, Any] = {}
    """More columns of the attempt."""
    attempt_state: AttemptState = AttemptState.SETTLED


REACHED = End(
    attempt={
        "talk_ms": 42_000,
        "duration_ms": 61_000,
        "price": Decimal("1.250"),
        "started_at": to_ms(DIALLED_AT),
        "answered_by": "human",
        "recording_url": "https://s3-ap-southeast-1.amazonaws.com/exotel/rec1.mp3",
    }
)
BUSY = End(state=ContactState.NOT_REACHED, reason="the last call: busy", status="busy")
REFUSED = End(
    state=ContactState.REFUSED,
    reason="Exotel refuses the number",
    status=None,
    attempt_state=AttemptState.REFUSED,
)


def unresolved(*candidates: str) -> End:
    """Return the end of one of whom it cannot be known whether they were rung."""
    return End(
        state=ContactState.UNRESOLVED,
        reason="nothing distinguishes the calls",
        status=None,
        attempt={
            "candidates": candidates,
            "certain_after": to_ms(datetime.now(UTC)),  # behind the calls of emulators
        },
        attempt_state=AttemptState.UNRESOLVED,
    )


def accepted(sid: str) -> End:
    """Return the end of one whose call Exotel has accepted, and does not tell the end of."""
    return End(
        state=ContactState.UNRESOLVED,
        reason="how the call ended is not known",
        status="in-progress",
        attempt={"sid": sid, "candidates": [sid]},
        attempt_state=AttemptState.UNRESOLVED,
    )


async def fill(
    place: Path,
    contacts: Sequence[Contact | str] = (),
    ends: Sequence[End] = (),
    made: Campaign | None = None,
    state: CampaignState | None = None,
    reason: str | None = None,
) -> None:
    """Make a campaign, of whose contacts the first ones have ended.

    Args:
        place: the ledger.
        contacts: the contacts.
        ends: how the first of them have ended.
        made: the campaign; None: "diwali", to a flow.
        state: how the campaign stands then.
        reason: why.
    """
    made = made or campaign()
    now = to_ms(DIALLED_AT)
    async with CampaignAdmin(place) as admin, Ledger(place) as ledger:
        await admin.create(made)
        assert (await admin.add(made.name, contacts)).added == len(contacts)
        entry = await ledger.campaign(made.name)
        assert entry is not None
        if ends:
            assert await ledger.lock(now, EXCHANGE) is None
            await ledger.set_state(entry.id, CampaignState.IN_PROGRESS, None, now)
            for number, end in enumerate(ends):
                (contact,) = await ledger.claim(entry.id, [""], 1, now, now + EXCHANGE)
                name = f"{made.name}{number}"
                one = evolve(intent(contact, name), intended_at=now, agent=made.agent)
                await ledger.intend([one], 5)
                attempt = {"state": end.attempt_state, "status": end.status}
                if end.status is not None:
                    attempt["sid"] = SID.format(name)
                attempt |= end.attempt
                change = Change(
                    attempt_id=one.id,
                    attempt_was=(AttemptState.INTENDED,),
                    attempt=attempt,
                    contact_id=one.contact_id,
                    contact_was=(ContactState.IN_PROGRESS,),
                    contact={
                        "state": end.state,
                        "reason": end.reason,
                        "attempts": 0 if end.status is None else 1,
                        "ended_at" if end.state.is_final else "due_at": now + 60_000,
                    },
                )
                await ledger.record([change])
            await ledger.unlock(now)
        if state is not None:
            assert await ledger.set_state(entry.id, state, reason, now)


def filled(place: Path, *args: Any, **options: Any) -> None:
    """Make a campaign, outside of an event loop."""
    asyncio.run(fill(place, *args, **options))


def commanded(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command of `campaign` in this process, where nobody can be asked."""
    capsys.readouterr()
    code = main(["campaign", *arguments])
    told = capsys.readouterr()
    return Ended(code, told.out, told.err)
