"""What is read of a ledger, beside whatever is written."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate

from exotel_async.campaigns import (
    ledger_campaigns,
    ledger_contacts,
    ledger_dialers,
    ledger_people,
    ledger_reading,
)
from exotel_async.campaigns.ledger_thread import LedgerThread, P, T, Urgency

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exotel_async.campaigns.ledger_thread import Database


def _reads(
    operation: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[LedgerReader, P], Coroutine[Any, Any, T]]:
    """Return the method that runs an operation, and is documented there."""

    @wraps(operation)
    async def method(self: LedgerReader, /, *args: P.args, **named: P.kwargs) -> T:
        return await self._reader.do(Urgency.OTHER, operation, *args, **named)

    return method


class LedgerReader:
    """Reads a ledger in a thread of its own: what may take long holds up no intent."""

    def __init__(self, database: Database) -> None:
        self._reader = LedgerThread("exotel-ledger-reader", database, to_read=True)

    campaign = _reads(ledger_campaigns.find)
    campaign_with = _reads(ledger_campaigns.find_with)
    campaigns = _reads(ledger_campaigns.list_all)
    last_outcome = _reads(ledger_campaigns.last_outcome)
    holder = _reads(ledger_dialers.alive)
    retries = _reads(ledger_contacts.retries)
    known = _reads(ledger_contacts.known)
    open_attempts = _reads(ledger_reading.open_attempts)
    find_attempt = _reads(ledger_reading.find_attempt)
    sids_near = _reads(ledger_reading.sids_near)
    statistics = _reads(ledger_reading.statistics)
    outcomes = _reads(ledger_reading.outcomes)
    outcome = _reads(ledger_reading.outcome)
    listed = _reads(ledger_people.listed)
    remembered = _reads(ledger_people.remembered)
    to_look_up = _reads(ledger_people.to_look_up)
