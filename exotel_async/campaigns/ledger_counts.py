"""The statistics of a campaign: counts, updated in the transactions that change the rows."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from exotel_async.campaigns.ledger_statement import Statement
from exotel_async.campaigns.words import AttemptState, ContactState

MILLIONTHS: Final = 1_000_000
"""Prices are summed in millionths of the account's currency."""
_MOST: Final = 10**9
"""Largest price, in the account's currency: more is an error, and might overflow the sum."""
STATUS: Final = "status:"
ZONE: Final = "zone:"

_PENDING: Final = (ContactState.WAITING, ContactState.READY, ContactState.CLAIMED)
_CALLS: Final = (AttemptState.PLACED, AttemptState.ENDED, AttemptState.SETTLED)
_OVER: Final = (AttemptState.ENDED, AttemptState.SETTLED)

_ADD: Final = Statement(
    text(
        "INSERT INTO counts (campaign_id, name, value) VALUES (:campaign_id, :name, :value)"
        " ON CONFLICT (campaign_id, name) DO UPDATE SET value = counts.value + excluded.value"
    )
)

Counts = Counter[tuple[int, str]]
"""The change of each count, by campaign id and name."""


def of_state(state: str) -> str:
    """Return the name of the count of contacts in a state."""
    found = ContactState(state)
    return "pending" if found in _PENDING else found.value.replace("-", "_")


def of_attempt(row: Any) -> Counter[str]:
    """Return what an attempt adds to each count; `row` has its columns by name."""
    counted: Counter[str] = Counter()
    state = row["state"]
    end_is_unknown = state == AttemptState.UNRESOLVED and row["sid"] is not None
    if state in _CALLS or end_is_unknown:
        counted["attempts"] = 1
    if end_is_unknown:
        counted["end_unknown"] = 1
    if state in _OVER and row["status"] is not None:
        counted[STATUS + row["status"]] = 1
    if row["talk_ms"]:
        counted["talk_ms"] = row["talk_ms"]
    if row["price"]:
        counted["price"] = millionths(Decimal(row["price"]))
    return counted


def millionths(price: Decimal) -> int:
    """Return a price in millionths; 0 if it is not plausible."""
    return int((price * MILLIONTHS).to_integral_value()) if abs(price) <= _MOST else 0


def moved(counts: Counts, campaign_id: int, before: str, after: str) -> None:
    """Count a contact in its new state instead of the old one."""
    counts[campaign_id, of_state(before)] -= 1
    counts[campaign_id, of_state(after)] += 1


def write(connection: Connection, counts: Counts) -> None:
    """Add the changes to the counts in the database."""
    # In a fixed order, to avoid deadlocks between two transactions.
    changed = [
        {"campaign_id": campaign_id, "name": name, "value": value}
        for (campaign_id, name), value in sorted(counts.items())
        if value
    ]
    if changed:
        _ADD.execute(connection, *changed)
