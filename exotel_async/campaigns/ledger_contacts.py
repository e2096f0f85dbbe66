"""Contacts in the ledger before they are dialled: added, waiting, ready, claimed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from attrs import fields
from sqlalchemy import (
    Column,
    Connection,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
    update,
)

from exotel_async.campaigns import ledger_campaigns, ledger_counts
from exotel_async.campaigns.entries import NEVER, ClaimedContact, NewContact
from exotel_async.campaigns.ledger_sql import among
from exotel_async.campaigns.ledger_statement import Statement
from exotel_async.campaigns.tables import (
    IS_CLAIMED,
    IS_READY,
    IS_WAITING,
    contacts,
    dialers,
    other_numbers,
)

_OF_CAMPAIGN: Final = contacts.c.campaign_id == bindparam("campaign")
_IDENTITIES: Final = select(contacts.c.identity, contacts.c.id).where(
    _OF_CAMPAIGN, among(contacts.c.identity, "identities")
)
# One statement: after each, the thread waits for the response, and then for the GIL.
_KNOWN: Final = Statement(
    union_all(
        select(literal_column("0").label("is_identity"), contacts.c.key, contacts.c.id).where(
            _OF_CAMPAIGN, among(contacts.c.key, "keys")
        ),
        select(literal_column("1").label("is_identity"), contacts.c.identity, contacts.c.id).where(
            _OF_CAMPAIGN, among(contacts.c.identity, "identities")
        ),
        select(
            literal_column("1").label("is_identity"),
            other_numbers.c.identity,
            other_numbers.c.contact_id,
        ).where(
            other_numbers.c.campaign_id == bindparam("campaign"),
            among(other_numbers.c.identity, "identities"),
        ),
    )
)

_ADDED: Final = (
    "campaign_id",
    "key",
    "number",
    "identity",
    "fields",
    "custom_field",
    "priority",
    "zone",
    "not_before",
    "due_at",
    "alternatives",
    "agent",
    "state",
    "rank",
    "attempts",
)
InsertRows = Callable[[Connection, str, Sequence[str], Iterable[tuple[Any, ...]]], None]
"""Inserts many rows into a table, in the fastest way that the database has."""

_DUE: Final = Statement(
    select(contacts.c.id)
    .where(text(IS_WAITING), _OF_CAMPAIGN, contacts.c.due_at <= bindparam("now"))
    .order_by(contacts.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = Statement(
    select(func.min(contacts.c.due_at).label("due_at")).where(text(IS_WAITING), _OF_CAMPAIGN)
)
MAX_RETRIES_COUNTED: Final = 10_000
_RETRIES: Final = (
    select(contacts.c.due_at)
    .where(text(IS_WAITING), _OF_CAMPAIGN, contacts.c.attempts > 0)
    .order_by(contacts.c.due_at)
    .limit(MAX_RETRIES_COUNTED)
    .subquery()
)
_COUNTED_RETRIES: Final = Statement(
    select(func.count().label("number"), func.min(_RETRIES.c.due_at).label("due_at"))
)
_READY: Final = Statement(update(contacts).where(among(contacts.c.id, "ids")).values(state="ready"))

CLAIMED: Final[tuple[Column[Any], ...]] = tuple(
    contacts.c[one.name] for one in fields(ClaimedContact)
)
"""The columns of a `ClaimedContact`."""
_IS_THERE: Final = Statement(
    select(dialers.c.id)
    .where(dialers.c.id == bindparam("dialer"), dialers.c.left_at.is_(None))
    .with_for_update(read=True)
)
# It waits for a claim of this dialer that is being committed.
_NO_CLAIM: Final = select(dialers.c.id).where(dialers.c.id == bindparam("dialer")).with_for_update()
_FIRST: Final = Statement(
    select(contacts.c.rank, *CLAIMED)
    .where(text(IS_READY), _OF_CAMPAIGN, contacts.c.zone == bindparam("in_zone"))
    .order_by(contacts.c.rank, contacts.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLAIM: Final = Statement(
    update(contacts)
    .where(among(contacts.c.id, "ids"))
    .values(state="claimed", dialer=bindparam("by"), lease_until=bindparam("until"))
)
_RECALL: Final = (
    update(contacts)
    .where(
        contacts.c.campaign_id == bindparam("campaign"),
        contacts.c.key == bindparam("by_key"),
        text(IS_WAITING),
        contacts.c.due_at == NEVER,
    )
    .values(state="ready", due_at=None)
)
_UNCLAIM: Final = (
    update(contacts)
    .where(
        contacts.c.id == bindparam("contact"),
        text(IS_CLAIMED),
        contacts.c.dialer == bindparam("by"),
    )
    .values(state=bindparam("to_state"), due_at=bindparam("due"), dialer=None, lease_until=None)
)

RELEASE: Final = (
    update(contacts).where(text(IS_CLAIMED)).values(state="ready", dialer=None, lease_until=None)
)
_RELEASE_LEASED: Final = RELEASE.where(
    _OF_CAMPAIGN,
    contacts.c.dialer == bindparam("by"),
    contacts.c.lease_until == bindparam("until"),
)


def rank(priority: int, *, is_retry: bool) -> int:
    """Return the sort key for claiming and dialling: by priority, and retries before others."""
    return -2 * priority + (0 if is_retry else 1)


def add(
    connection: Connection,
    insert_rows: InsertRows,
    campaign_id: int,
    new: Sequence[NewContact],
    now: int,
) -> list[tuple[int, str]]:
    """Add contacts. Return the index of each that was not added, and why: see `_taken_by`."""
    ledger_campaigns.begin_again(connection, campaign_id, now)
    # Check first: if a row is refused, PostgreSQL writes the key or number to the server's log.
    keys, identities = _known(connection, campaign_id, new)
    refused: list[tuple[int, str]] = []
    taken: list[NewContact] = []
    for index, one in enumerate(new):
        if what := _taken_by(one, keys, identities):
            refused.append((index, what))
        else:
            owner = -1 - index  # it has no id yet
            keys[one.key] = identities[one.identity] = owner
            identities.update(dict.fromkeys(one.others, owner))
            taken.append(one)
    if taken:
        rows = [_row(campaign_id, one) for one in taken]
        insert_rows(connection, contacts.name, _ADDED, rows)
        _add_others(connection, campaign_id, taken)
        change = ledger_counts.Counts()
        change[campaign_id, "pending"] = len(taken)
        for one in taken:
            change[campaign_id, ledger_counts.ZONE + one.zone] += 1
        ledger_counts.write(connection, change)
    return refused


def known(
    connection: Connection, campaign_id: int, new: Sequence[NewContact]
) -> list[tuple[int, str]]:
    """Return the index of each contact in the campaign already, and why: see `_taken_by`."""
    keys, identities = _known(connection, campaign_id, new)
    by = ((index, _taken_by(one, keys, identities)) for index, one in enumerate(new))
    return [(index, what) for index, what in by if what is not None]


def retries(connection: Connection, campaign_id: int) -> tuple[int, int | None]:
    """Return how many contacts wait for a retry, and when the next one is due.

    It counts 10,000 at most. The moment is in milliseconds since the epoch; None: none waits.
    """
    (row,) = _COUNTED_RETRIES.rows(connection, {"campaign": campaign_id})
    return row.number, row.due_at


def _taken_by(one: NewContact, keys: dict[str, int], identities: dict[str, int]) -> str | None:
    """Return what is in the campaign already, its "key" or a "number"; None: neither.

    It is "other number" if the contact with that key does not have its number.
    """
    if one.key in keys:
        is_same = identities.get(one.identity) == keys[one.key]
        return "key" if is_same else "other number"
    is_there = one.identity in identities or not identities.keys().isdisjoint(one.others)
    return "number" if is_there else None


def _known(
    connection: Connection, campaign_id: int, new: Sequence[NewContact]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return which keys and identities are in the campaign already, each with its contact's id."""
    identities = [one.identity for one in new]
    identities += [other for one in new for other in one.others]
    keys = [one.key for one in new]
    asked = {"campaign": campaign_id, "keys": keys, "identities": identities}
    known: tuple[dict[str, int], dict[str, int]] = {}, {}
    for is_identity, value, owner in _KNOWN.rows(connection, asked):
        known[is_identity][value] = owner
    return known


def _row(campaign_id: int, one: NewContact) -> tuple[Any, ...]:
    """Return a row of the columns `_ADDED`."""
    # Not compared with the time here: it may be the machine's. The dialer goes by Exotel's.
    is_waiting = one.due_at is not None
    return (
        campaign_id,
        one.key,
        one.number,
        one.identity,
        one.fields,
        one.custom_field,
        one.priority,
        one.zone,
        one.due_at,
        one.due_at,
        json.dumps(one.alternatives) if one.alternatives else None,
        one.agent,
        "waiting" if is_waiting else "ready",
        rank(one.priority, is_retry=False),
        0,
    )


def _add_others(connection: Connection, campaign_id: int, taken: Sequence[NewContact]) -> None:
    others = {one.identity: {*one.others} - {one.identity} for one in taken if one.others}
    if others:
        asked = {"campaign": campaign_id, "identities": list(others)}
        rows = [
            {"campaign_id": campaign_id, "identity": other, "contact_id": contact_id}
            for identity, contact_id in connection.execute(_IDENTITIES, asked).all()
            for other in others[identity]
        ]
        if rows:
            connection.execute(insert(other_numbers), rows)


def promote(
    connection: Connection, campaign_id: int, now: int, limit: int = 1000
) -> tuple[int, int | None]:
    """Make waiting contacts ready that are due.

    Return their number, and when the next one is due, or was; None: none waits.
    """
    due = {"campaign": campaign_id, "now": now, "most": limit}
    ids = [row.id for row in _DUE.rows(connection, due)]
    if ids:
        _READY.execute(connection, {"ids": ids})
    (next_one,) = _NEXT_DUE.rows(connection, {"campaign": campaign_id})
    return len(ids), next_one.due_at


def claim(
    connection: Connection,
    dialer: str,
    campaign_id: int,
    zones: Sequence[str],
    *,
    limit: int,
    lease_until: int,
) -> list[ClaimedContact]:
    """Claim ready contacts; none if another dialer has taken over the ledger."""
    if not _IS_THERE.rows(connection, {"dialer": dialer}):
        return []
    rows: list[Any] = []
    for zone in zones:
        asked = {"campaign": campaign_id, "in_zone": zone, "most": limit}
        rows += _FIRST.rows(connection, asked)
    rows = sorted(rows, key=attrgetter("rank", "id"))[:limit]
    if rows:
        ids = [row.id for row in rows]
        _CLAIM.execute(connection, {"ids": ids, "by": dialer, "until": lease_until})
    return [claimed(row) for row in rows]


def claimed(row: Any) -> ClaimedContact:
    """Return the contact of a row with the columns `CLAIMED`."""
    values = {column.name: getattr(row, column.name) for column in CLAIMED}
    values["alternatives"] = tuple(json.loads(row.alternatives or "[]"))
    values["tries"] = json.loads(row.tries or "{}")
    return ClaimedContact(**values)


def recall(connection: Connection, campaign_id: int, key: str) -> None:
    """Make a contact ready that waits until `NEVER`."""
    connection.execute(_RECALL, {"campaign": campaign_id, "by_key": key})


def unclaim(connection: Connection, dialer: str, back: Sequence[tuple[int, int | None]]) -> None:
    """Give claimed contacts back: each is ready again, or waits until its moment."""
    if back:
        connection.execute(
            _UNCLAIM,
            [
                {
                    "contact": contact_id,
                    "by": dialer,
                    "to_state": "ready" if due_at is None else "waiting",
                    "due": due_at,
                }
                for contact_id, due_at in back
            ],
        )


def unclaim_leased(connection: Connection, dialer: str, campaign_id: int, lease_until: int) -> None:
    """Give back the contacts that were claimed with this lease, if any."""
    connection.execute(_NO_CLAIM, {"dialer": dialer})
    leased = {"campaign": campaign_id, "by": dialer, "until": lease_until}
    connection.execute(_RELEASE_LEASED, leased)
