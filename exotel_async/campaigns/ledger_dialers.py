"""The dialers that have had the ledger, and what a dead one has left behind."""

from __future__ import annotations

import os
import socket
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from exotel_async.campaigns import ledger_counts
from exotel_async.campaigns.entries import LEASE, Holder
from exotel_async.campaigns.ledger_contacts import RELEASE
from exotel_async.campaigns.ledger_sql import among
from exotel_async.campaigns.tables import IS_OPEN, attempts, contacts, dialers

_LEASE_MS: Final = round(LEASE * 1000)

_NEWEST: Final = (
    select(dialers)
    .where(dialers.c.left_at.is_(None))
    .order_by(dialers.c.started_at.desc())
    .limit(1)
)
_LEAVE: Final = (
    update(dialers).where(dialers.c.id == bindparam("dialer")).values(left_at=bindparam("now"))
)
_LEAVE_ALL: Final = (
    update(dialers).where(dialers.c.left_at.is_(None)).values(left_at=bindparam("now"))
)
_RENEW_LEASE: Final = (
    update(dialers)
    .where(dialers.c.id == bindparam("dialer"), dialers.c.left_at.is_(None))
    .values(lease_until=bindparam("until"))
)

_RELEASE_OWN: Final = RELEASE.where(contacts.c.dialer == bindparam("by"))

_INTENDED: Final = (
    select(attempts.c.id, attempts.c.contact_id, attempts.c.campaign_id, dialers.c.longest_exchange)
    .join_from(attempts, dialers, attempts.c.dialer == dialers.c.id, isouter=True)
    .where(text(f"attempts.{IS_OPEN}"), attempts.c.state == "intended")
)
_IN_DOUBT: Final = (
    update(attempts)
    .where(attempts.c.id == bindparam("attempt"))
    .values(state="in-doubt", lost_at=bindparam("now"), certain_after=bindparam("certain"))
)
_BEING_DIALLED: Final = (
    select(contacts.c.campaign_id, func.count())
    .where(among(contacts.c.id, "ids"), contacts.c.state == "in-progress")
    .group_by(contacts.c.campaign_id)
)
_CONTACTS_IN_DOUBT: Final = (
    update(contacts)
    .where(among(contacts.c.id, "ids"), contacts.c.state == "in-progress")
    .values(state="in-doubt")
)


def holder(connection: Connection, now: int) -> Holder:
    """Return which process has the ledger."""
    row = connection.execute(_NEWEST).one_or_none()
    # It may have started just now, and not have written its row yet.
    return Holder(host="", pid=0, since=now) if row is None else _holder(row)


def alive(connection: Connection, now: int) -> Holder | None:
    """Return the dialer whose lease on the ledger has not expired; None: there is none."""
    row = connection.execute(_NEWEST).one_or_none()
    return None if row is None or row.lease_until < now else _holder(row)


def _holder(row: Any) -> Holder:
    return Holder(host=row.host, pid=row.pid, since=row.started_at)


def enter(connection: Connection, now: int, longest_exchange: int) -> str:
    """Register the dialer that has the ledger, in place of all others. Return its id.

    Contacts that dead dialers claimed are ready again, and their intents are in doubt.
    """
    connection.execute(_LEAVE_ALL, {"now": now})
    connection.execute(RELEASE)
    lost = connection.execute(_INTENDED).all()
    if lost:
        connection.execute(
            _IN_DOUBT,
            [
                {
                    "attempt": row.id,
                    "now": now,
                    "certain": now + max(row.longest_exchange or 0, longest_exchange),
                }
                for row in lost
            ],
        )
        whose = {"ids": sorted({row.contact_id for row in lost})}
        counts = ledger_counts.Counts()
        for campaign_id, number in connection.execute(_BEING_DIALLED, whose):
            counts[campaign_id, "in_progress"] -= number
            counts[campaign_id, "in_doubt"] += number
        connection.execute(_CONTACTS_IN_DOUBT, whose)
        ledger_counts.write(connection, counts)
    dialer = uuid4().hex
    connection.execute(
        insert(dialers),
        {
            "id": dialer,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": now,
            "lease_until": now + _LEASE_MS,
            "longest_exchange": longest_exchange,
        },
    )
    return dialer


def renew_lease(connection: Connection, dialer: str, now: int) -> bool:
    """Renew the lease of a dialer. Return whether it still has the ledger."""
    sign: dict[str, Any] = {"dialer": dialer, "until": now + _LEASE_MS}
    return connection.execute(_RENEW_LEASE, sign).rowcount == 1


def leave(connection: Connection, dialer: str, now: int) -> None:
    """Deregister a dialer. Contacts that it claimed are ready again."""
    connection.execute(_RELEASE_OWN, {"by": dialer})
    connection.execute(_LEAVE, {"dialer": dialer, "now": now})
