"""Ledgers for tests, and what is put into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve
from sqlalchemy import Connection, select

from exotel_async.campaigns import ledger_counts, ledger_schema
from exotel_async.campaigns.entries import (
    CampaignEntry,
    Change,
    ClaimedContact,
    Intent,
    IntentResult,
    NewContact,
)
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.ledger_postgres import Postgres
from exotel_async.campaigns.tables import attempts, contacts, counts
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

NOW = 1_772_600_000_000
EXCHANGE = 60_000
"""The longest exchange of dialers: a minute."""


def person(number: int, **values: Any) -> NewContact:
    """Return a contact; another one for each number."""
    whole = f"98123{number:05}"
    return NewContact(
        **({"key": f"customer {number}", "number": f"0{whole}", "identity": whole} | values)
    )


def people(number: int) -> list[NewContact]:
    return [person(one) for one in range(number)]


@cache
def copied_file() -> bytes:
    """Return the file of a ledger with nothing in it: it is copied more quickly than made."""
    with TemporaryDirectory() as folder:
        place = Path(folder, "campaigns.db")
        make(Ledger(place))
        return place.read_bytes()


def copy_to(place: Path) -> None:
    """Let there be a ledger with nothing in it."""
    place.touch(0o600)
    place.write_bytes(copied_file())


def make(ledger: Ledger) -> None:
    """Make the tables of a ledger, as is done where it is opened first."""
    with closing(connection(ledger)) as one, one.begin():
        ledger_schema.bring_up_to_date(one)
    one.engine.dispose()


def connection(ledger: Ledger) -> Connection:
    """Return a connection of one's own to a ledger's database."""
    return ledger._database.connect(to_read=False)


def is_postgres(ledger: Ledger) -> bool:
    return isinstance(ledger._database, Postgres)


async def running(
    ledger: Ledger, new: Iterable[NewContact] = (), name: str = "diwali"
) -> CampaignEntry:
    """Make a campaign that is in progress, with some contacts, in a ledger that is locked."""
    if ledger._dialer is None:
        assert await ledger.lock(NOW, EXCHANGE) is None
    campaign = await ledger.create(name, "{}", NOW)
    await ledger.set_state(campaign.id, CampaignState.IN_PROGRESS, None, NOW)
    assert await ledger.add(campaign.id, list(new), NOW) == []
    return campaign


async def claimed(ledger: Ledger, campaign: CampaignEntry, limit: int) -> list[ClaimedContact]:
    found = await ledger.claim(campaign.id, [""], limit, NOW, NOW + EXCHANGE)
    assert len(found) == limit
    return found


def intent(contact: ClaimedContact, name: str = "") -> Intent:
    return Intent(
        id=name or f"{contact.id:016x}",
        contact_id=contact.id,
        campaign_id=contact.campaign_id,
        number=contact.number,
        caller_id="08030000000",
        identities=(contact.number[1:],),
        intended_at=NOW,
    )


async def intended(
    ledger: Ledger, campaign: CampaignEntry, number: int = 1, *, apart: int = 0
) -> list[Intent]:
    """Intend dials of contacts that are ready, so many milliseconds apart."""
    intents = [
        evolve(intent(one), intended_at=NOW + place * apart)
        for place, one in enumerate(await claimed(ledger, campaign, number))
    ]
    assert await ledger.intend(intents, 2) == [IntentResult.TAKEN] * number
    return intents


def placed(one: Intent) -> Change:
    was = (AttemptState.INTENDED, AttemptState.IN_DOUBT)
    new = {"state": AttemptState.PLACED, "sid": f"sid{one.id}"}
    return Change(attempt_id=one.id, attempt_was=was, attempt=new)


def ended(
    one: Intent,
    state: ContactState = ContactState.REACHED,
    *,
    status: str = "completed",
    at: int = NOW,
) -> Change:
    """Return that a call has ended, and its contact is in a state."""
    return Change(
        attempt_id=one.id,
        attempt_was=(AttemptState.PLACED,),
        attempt={"state": AttemptState.ENDED, "status": status, "talk_ms": 1000},
        contact_id=one.contact_id,
        contact_was=(ContactState.IN_PROGRESS,),
        contact={"state": state, "attempts": 1, "due_at": at, "ended_at": at}
        if state.is_final
        else {"state": state, "attempts": 1, "due_at": at},
    )


def settled(one: Intent, price: str) -> Change:
    new = {"state": AttemptState.SETTLED, "price": Decimal(price)}
    return Change(attempt_id=one.id, attempt_was=(AttemptState.ENDED,), attempt=new)


def counted(ledger: Ledger) -> tuple[Counter[Any], Counter[Any]]:
    """Return a ledger's counts, and what they are by its rows."""
    there: Counter[Any] = Counter()
    true: Counter[Any] = Counter()
    with connection(ledger) as own:
        for count in own.execute(select(counts)):
            there[count.campaign_id, count.name] += count.value
        for row in own.execute(select(contacts)):
            true[row.campaign_id, ledger_counts.of_state(row.state)] += 1
            true[row.campaign_id, f"zone:{row.zone}"] += 1
        for attempt in own.execute(select(attempts)).mappings():
            for name, value in ledger_counts.of_attempt(attempt).items():
                true[attempt["campaign_id"], name] += value
        own.engine.dispose()
    return +there, +true


def path_of(ledger: Ledger) -> Path:
    """Return the file of a ledger in SQLite."""
    assert not isinstance(ledger._database, Postgres)
    return ledger._database.path
