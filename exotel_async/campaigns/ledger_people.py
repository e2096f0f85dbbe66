"""People in the ledger: the do-not-call list, DND results, and the deletion of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    delete,
    exists,
    func,
    select,
    text,
    union_all,
)

from exotel_async.campaigns import ledger_counts
from exotel_async.campaigns.entries import SINGLE_CALLS
from exotel_async.campaigns.ledger_sql import among
from exotel_async.campaigns.tables import (
    HAS_ENDED,
    attempts,
    campaigns,
    contacts,
    do_not_call,
    lookups,
    other_numbers,
)
from exotel_async.campaigns.words import AttemptState, ContactState
from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number

_BLOCK: Final = 500  # rows that are deleted in one transaction

_LIST: Final = text(
    "INSERT INTO do_not_call (identity, added_at, reason) VALUES (:identity, :now, :reason)"
    " ON CONFLICT (identity) DO NOTHING"
)
_ALLOW: Final = delete(do_not_call).where(among(do_not_call.c.identity, "identities"))
LISTED: Final = select(do_not_call.c.identity).where(among(do_not_call.c.identity, "identities"))
_REMEMBER: Final = text(
    "INSERT INTO lookups (identity, dnd, looked_up_at) VALUES (:identity, :dnd, :now)"
    " ON CONFLICT (identity) DO UPDATE"
    " SET dnd = excluded.dnd, looked_up_at = excluded.looked_up_at"
)
_REMEMBERED: Final = select(lookups.c.identity, lookups.c.dnd).where(
    among(lookups.c.identity, "identities"), lookups.c.looked_up_at >= bindparam("since")
)

# The DND register has only Indian numbers.
_TO_LOOK_UP: Final = (
    select(func.count())
    .select_from(contacts)
    .where(
        contacts.c.campaign_id == bindparam("campaign"),
        contacts.c.state.in_([ContactState.WAITING, ContactState.READY, ContactState.CLAIMED]),
        contacts.c.identity.startswith("India "),
        ~exists().where(
            lookups.c.identity == contacts.c.identity,
            lookups.c.looked_up_at >= bindparam("since"),
        ),
    )
)

_BEING_DIALLED: Final = (ContactState.IN_PROGRESS.value, ContactState.IN_DOUBT.value)
_MAY_RING: Final = (
    AttemptState.INTENDED.value,
    AttemptState.IN_DOUBT.value,
    AttemptState.PLACED.value,
)
_HAS_CALL: Final = exists().where(
    attempts.c.contact_id == contacts.c.id, attempts.c.state.in_(_MAY_RING)
)
# By campaign, as the indexes begin with it: so no other contacts are read.
_WHO: Final = bindparam("who", type_=Text())
_EACH: Final = select(campaigns.c.id)
_WITH_CALLS: Final = _EACH.where(campaigns.c.name.startswith(SINGLE_CALLS))
_OF_PERSON: Final = contacts.c.id.in_(
    union_all(
        select(contacts.c.id).where(contacts.c.campaign_id.in_(_EACH), contacts.c.identity == _WHO),
        select(contacts.c.id).where(contacts.c.campaign_id.in_(_EACH), contacts.c.key == _WHO),
        select(other_numbers.c.contact_id).where(
            other_numbers.c.campaign_id.in_(_EACH), other_numbers.c.identity == _WHO
        ),
        select(contacts.c.id).where(
            contacts.c.campaign_id.in_(_WITH_CALLS),
            func.substr(contacts.c.identity, 1, func.length(_WHO) + 1) == _WHO.concat(" "),
        ),
    )
)
_IDS: Final = select(contacts.c.id, contacts.c.campaign_id, contacts.c.state, contacts.c.zone)
_PERSON: Final = (
    _IDS.add_columns(contacts.c.identity, contacts.c.key, _HAS_CALL.label("has_call"))
    .where(_OF_PERSON)
    .with_for_update()
)
_OTHERS: Final = select(other_numbers.c.identity).where(among(other_numbers.c.contact_id, "ids"))
_NO_LOOKUPS: Final = delete(lookups).where(among(lookups.c.identity, "identities"))
_OLD_LOOKUPS: Final = (
    select(lookups.c.identity).where(lookups.c.looked_up_at < bindparam("before")).limit(_BLOCK)
)
_OLD: Final = (
    _IDS.where(text(HAS_ENDED), contacts.c.ended_at < bindparam("before"), ~_HAS_CALL)
    .limit(_BLOCK)
    .with_for_update()
)


def do_not_call_them(
    connection: Connection, identities: Sequence[str], reason: str | None, now: int
) -> None:
    """Put numbers on the do-not-call list."""
    if identities:
        connection.execute(
            _LIST, [{"identity": one, "now": now, "reason": reason} for one in identities]
        )


def allow(connection: Connection, identities: Sequence[str]) -> int:
    """Take numbers off the do-not-call list. Return how many were on it."""
    return connection.execute(_ALLOW, {"identities": list(identities)}).rowcount


def listed(connection: Connection, identities: Sequence[str]) -> set[str]:
    """Return those of these numbers that are on the do-not-call list."""
    return set(connection.execute(LISTED, {"identities": list(identities)}).scalars())


def remember(connection: Connection, identity: str, dnd: bool, now: int) -> None:
    """Remember whether a number is on the DND register."""
    connection.execute(_REMEMBER, {"identity": identity, "dnd": dnd, "now": now})


def remembered(connection: Connection, identities: Sequence[str], since: int) -> dict[str, bool]:
    """Return, by number, the DND results that were remembered since a moment."""
    asked = {"identities": list(identities), "since": since}
    return {row.identity: row.dnd for row in connection.execute(_REMEMBERED, asked)}


def to_look_up(connection: Connection, campaign_id: int, since: int) -> int:
    """Return how many contacts to be dialled have a number not looked up since a moment."""
    asked = {"campaign": campaign_id, "since": since}
    return int(connection.execute(_TO_LOOK_UP, asked).scalar_one())


def forget(connection: Connection, who: str) -> int:
    """Delete a person, by an identity or a key, from all campaigns. Return how many contacts.

    Raises:
        InvalidRequest: a contact is being dialled, has a call in progress, or is in doubt.
            Nothing is deleted.
    """
    rows = connection.execute(_PERSON, {"who": who}).all()
    if any(row.state in _BEING_DIALLED or row.has_call for row in rows):
        rule = "is being dialled, or it is in doubt whether it was: forget it when that is over"
        raise InvalidRequest("contact", who, rule, shown=mask_number(who))
    # Identities of single calls have the key appended.
    numbers = {who, *(row.identity.removesuffix(f" {row.key}") for row in rows)}
    numbers.update(connection.execute(_OTHERS, {"ids": [row.id for row in rows]}).scalars())
    connection.execute(_NO_LOOKUPS, {"identities": sorted(numbers)})
    _delete(connection, rows)
    return len(rows)


def purge_some(connection: Connection, before: int) -> int:
    """Delete some of the contacts that ended before a moment. Return how many; 0: none are left."""
    rows = connection.execute(_OLD, {"before": before}).all()
    _delete(connection, rows)
    return len(rows)


def purge_lookups(connection: Connection, before: int) -> int:
    """Delete some DND results from before a moment. Return how many; 0: none are left."""
    old = connection.execute(_OLD_LOOKUPS, {"before": before}).scalars().all()
    connection.execute(_NO_LOOKUPS, {"identities": list(old)})
    return len(old)


def _delete(connection: Connection, rows: Sequence[Any]) -> None:
    ids = {"ids": [row.id for row in rows]}
    if not rows:
        return
    counts = ledger_counts.Counts()
    for row in rows:
        counts[row.campaign_id, ledger_counts.of_state(row.state)] -= 1
        counts[row.campaign_id, ledger_counts.ZONE + row.zone] -= 1
    theirs = select(attempts).where(among(attempts.c.contact_id, "ids"))
    for attempt in connection.execute(theirs, ids).mappings():
        for name, value in ledger_counts.of_attempt(attempt).items():
            counts[attempt["campaign_id"], name] -= value
    connection.execute(delete(attempts).where(among(attempts.c.contact_id, "ids")), ids)
    connection.execute(delete(other_numbers).where(among(other_numbers.c.contact_id, "ids")), ids)
    connection.execute(delete(contacts).where(among(contacts.c.id, "ids")), ids)
    ledger_counts.write(connection, counts)
