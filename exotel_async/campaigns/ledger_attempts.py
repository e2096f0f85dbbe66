"""Attempts in the ledger: their intents, and their later changes."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from attrs import fields
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from exotel_async.campaigns import ledger_campaigns, ledger_counts, ledger_people
from exotel_async.campaigns.entries import Change, Intent, IntentResult
from exotel_async.campaigns.ledger_contacts import rank
from exotel_async.campaigns.ledger_people import LISTED
from exotel_async.campaigns.ledger_sql import among, writable
from exotel_async.campaigns.ledger_statement import Statement
from exotel_async.campaigns.tables import attempts, campaigns, contacts
from exotel_async.campaigns.words import CampaignState, ContactState

# One statement, as each has more overhead than the database needs to execute it. The lock on the
# campaign makes a pause wait for intents that are being committed, and intents for a pause.
_WHOSE: Final = Statement(
    select(
        contacts.c.id,
        contacts.c.campaign_id,
        contacts.c.dialer,
        contacts.c.state,
        campaigns.c.state.label("of_campaign"),
        LISTED.exists().label("some_are_listed"),
    )
    .join_from(contacts, campaigns, contacts.c.campaign_id == campaigns.c.id)
    .where(among(contacts.c.id, "ids"))
    .with_for_update(of=[contacts, campaigns])
)
_DIALLED: Final = Statement(
    update(contacts)
    .where(contacts.c.id == bindparam("contact"))
    .values(state="in-progress", caller_id=bindparam("by_caller_id"))
)
_HELD: Final = select(contacts.c.id).where(contacts.c.id == bindparam("contact")).with_for_update()
_FORGET: Final = delete(attempts).where(
    attempts.c.id == bindparam("attempt"), attempts.c.state == "intended"
)
_CLAIMED_AGAIN: Final = (
    update(contacts)
    .where(contacts.c.id == bindparam("contact"), contacts.c.state == "in-progress")
    .values(state="claimed")
)

_ATTEMPTS: Final = Statement(
    select(
        attempts.c.id,
        attempts.c.campaign_id,
        attempts.c.state,
        attempts.c.sid,
        attempts.c.status,
        attempts.c.talk_ms,
        attempts.c.price,
    )
    .where(among(attempts.c.id, "ids"))
    .with_for_update()
)
_CONTACTS: Final = Statement(
    select(
        contacts.c.id,
        contacts.c.campaign_id,
        contacts.c.state,
        contacts.c.priority,
        contacts.c.attempts,
    )
    .where(among(contacts.c.id, "ids"))
    .with_for_update()
)
_INTENT_COLUMNS: Final = tuple(one.name for one in fields(Intent) if one.name != "identities")
"""The columns of an attempt that its intent fills."""
_INSERT: Final = Statement(insert(attempts), (*_INTENT_COLUMNS, "state", "dialer"))
_NO_LONGER_TAKEN: Final = {"dialer": None, "lease_until": None}


def intend(connection: Connection, dialer: str, intents: Sequence[Intent]) -> list[IntentResult]:
    """Write the intents of dials. Return the decision on each."""
    ids = sorted({intent.contact_id for intent in intents})
    identities = [one for intent in intents for one in intent.identities]
    asked = {"ids": ids, "identities": identities}
    rows = {row.id: row for row in _WHOSE.rows(connection, asked)}
    listed: set[str] = set()
    if any(row.some_are_listed for row in rows.values()):
        listed = ledger_people.listed(connection, identities)

    decisions: list[IntentResult] = []
    taken: list[Intent] = []
    for intent in intents:
        row = rows.get(intent.contact_id)
        if row is None or row.campaign_id != intent.campaign_id:
            decisions.append(IntentResult.NOT_OURS)
        elif row.of_campaign != CampaignState.IN_PROGRESS:
            decisions.append(IntentResult.NOT_IN_PROGRESS)
        elif row.state != ContactState.CLAIMED or row.dialer != dialer:
            decisions.append(IntentResult.NOT_OURS)
        elif not listed.isdisjoint(intent.identities):
            decisions.append(IntentResult.DO_NOT_CALL)
        else:
            del rows[intent.contact_id]  # so that it is dialled only once
            decisions.append(IntentResult.TAKEN)
            taken.append(intent)
    if taken:
        _write(connection, dialer, taken)
    return decisions


def _write(connection: Connection, dialer: str, taken: Sequence[Intent]) -> None:
    begun = {"state": "intended", "dialer": dialer}
    _INSERT.execute(
        connection,
        *({name: getattr(intent, name) for name in _INTENT_COLUMNS} | begun for intent in taken),
    )
    _DIALLED.execute(
        connection,
        *({"contact": intent.contact_id, "by_caller_id": intent.caller_id} for intent in taken),
    )
    counts = ledger_counts.Counts()
    for intent in taken:
        ledger_counts.moved(counts, intent.campaign_id, "claimed", "in-progress")
    ledger_counts.write(connection, counts)


def undo_intent(connection: Connection, intent: Intent) -> None:
    """Undo an intent: delete its attempt, and have its contact claimed as before."""
    # A server that lost the connection may still be committing the intent: wait for that.
    connection.execute(_HELD, {"contact": intent.contact_id})
    if connection.execute(_FORGET, {"attempt": intent.id}).rowcount:
        connection.execute(_CLAIMED_AGAIN, {"contact": intent.contact_id})
        counts = ledger_counts.Counts()
        ledger_counts.moved(counts, intent.campaign_id, "in-progress", "claimed")
        ledger_counts.write(connection, counts)


def record(connection: Connection, changes: Sequence[Change]) -> None:
    """Write changes of attempts and contacts, in the order given.

    Raises:
        ValueError: a contact gets its outcome without `ended_at`.
    """
    own = _Rows(connection, _ATTEMPTS, {change.attempt_id for change in changes})
    theirs = _Rows(connection, _CONTACTS, {change.contact_id for change in changes})
    counts = ledger_counts.Counts()
    for change in changes:
        if change.attempt_id is not None:
            row = own.rows.get(change.attempt_id)
            if row is None or row["state"] not in change.attempt_was:
                continue
            before = ledger_counts.of_attempt(row)
            own.change(change.attempt_id, _plain(change.attempt))
            after = ledger_counts.of_attempt(row)
            after.subtract(before)
            for name, value in after.items():
                counts[row["campaign_id"], name] += value
        if change.contact_id is not None:
            row = theirs.rows.get(change.contact_id)
            if row is not None and row["state"] in change.contact_was:
                was = row["state"]
                theirs.change(change.contact_id, _of_contact(row, _plain(change.contact)))
                ledger_counts.moved(counts, row["campaign_id"], was, row["state"])
    _number_outcomes(connection, theirs)
    own.write(attempts)
    theirs.write(contacts)
    ledger_counts.write(connection, counts)


@cache
def _update_of(table: Table, columns: tuple[str, ...]) -> Statement:
    return Statement(update(table).where(table.c.id == bindparam("row")), columns)


def _number_outcomes(connection: Connection, theirs: _Rows) -> None:
    """Assign the contacts that got their outcome their positions in the order of outcomes."""
    ended: dict[int, list[int]] = {}
    for contact_id, values in theirs.changed.items():
        if values.get("ended_at") is not None:
            ended.setdefault(theirs.rows[contact_id]["campaign_id"], []).append(contact_id)
    for campaign_id, ids in sorted(ended.items()):
        first = ledger_campaigns.next_outcomes(connection, campaign_id, len(ids))
        for place, contact_id in enumerate(ids, first):
            theirs.change(contact_id, {"outcome": place})


class _Rows:
    """Rows that are first changed in memory, and then written once each."""

    def __init__(self, connection: Connection, select_rows: Statement, ids: set[Any]) -> None:
        self._connection = connection
        wanted = sorted(one for one in ids if one is not None)
        found = select_rows.rows(connection, {"ids": wanted}) if wanted else ()
        self.rows: dict[Any, dict[str, Any]] = {row.id: row._asdict() for row in found}
        self.changed: dict[Any, dict[str, Any]] = {}
        """New values by row id."""

    def change(self, row_id: Any, values: Mapping[str, Any]) -> None:
        self.changed.setdefault(row_id, {}).update(values)
        self.rows[row_id].update(values)

    def write(self, table: Table) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row_id, values in self.changed.items():
            if values:
                alike.setdefault(tuple(sorted(values)), []).append({"row": row_id, **values})
        for columns, rows in alike.items():
            _update_of(table, columns).execute(self._connection, *rows)


def _of_contact(row: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the new values of a contact, completed by those that follow from them."""
    state = ContactState(values["state"])
    if state.is_final and values.get("ended_at") is None:
        raise ValueError("a contact that gets its outcome needs ended_at")
    if state is ContactState.WAITING and values.get("due_at") is None:
        values["state"] = ContactState.READY.value
    if state in {ContactState.WAITING, ContactState.READY}:
        is_retry = values.get("attempts", row["attempts"]) > 0
        values["rank"] = rank(row["priority"], is_retry=is_retry)
    if state is not ContactState.CLAIMED:
        values |= _NO_LONGER_TAKEN
    return values


_WRITTEN: Final[Mapping[str, Callable[[Any], str]]] = {
    "candidates": lambda sids: json.dumps(list(sids)),
    "legs": lambda legs: json.dumps([leg.to_dict() for leg in legs]),
    "tries": lambda tries: json.dumps(dict(tries)),
}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values to what their columns store."""
    plain = {}
    for name, value in values.items():
        if isinstance(value, enum.Enum):
            plain[name] = value.value
        elif value is not None and name in _WRITTEN:
            plain[name] = _WRITTEN[name](value)
        elif isinstance(value, str):
            plain[name] = writable(value)
        else:
            plain[name] = value
    return plain
