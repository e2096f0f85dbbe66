"""The queries that users and dialers make on the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, or_, select, text

from exotel_async.campaigns import ledger_counts
from exotel_async.campaigns.clock import from_ms
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.entries import OpenAttempt
from exotel_async.campaigns.ledger_contacts import CLAIMED, claimed
from exotel_async.campaigns.ledger_sql import among
from exotel_async.campaigns.ledger_statement import Statement
from exotel_async.campaigns.outcome import Attempt, CampaignStatistics, ContactOutcome
from exotel_async.campaigns.tables import (
    HAS_OUTCOME,
    HAS_SID,
    IS_CLAIMED,
    IS_OPEN,
    IS_READY,
    IS_WAITING,
    attempts,
    campaigns,
    contacts,
    counts,
    other_numbers,
)
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.models import AnsweredBy, CallStatus, Leg

_COUNTS: Final = select(
    campaigns.c.name, campaigns.c.state, campaigns.c.reason, counts.c.name, counts.c.value
).join_from(campaigns, counts, counts.c.campaign_id == campaigns.c.id, isouter=True)
_IN_STATE: Final = (
    "pending",
    "in_progress",
    "in_doubt",
    *(ledger_counts.of_state(state) for state in ContactState if state.is_final),
)

_ATTEMPT: Final = (
    attempts.c.id.label("attempt_id"),
    attempts.c.number.label("dialled"),
    attempts.c.agent.label("rung_second"),
    attempts.c.caller_id.label("dialled_with"),
    attempts.c.custom_field.label("sent_along"),
    attempts.c.intended_at,
    attempts.c.time_limit,
    attempts.c.state.label("attempt_state"),
    attempts.c.lost_at,
    attempts.c.certain_after,
    attempts.c.sid,
    contacts.c.state,
)
_WITH_CONTACT: Final = select(*_ATTEMPT, *CLAIMED).join_from(
    attempts, contacts, attempts.c.contact_id == contacts.c.id
)
_OPEN: Final = (
    _WITH_CONTACT.where(
        text(f"attempts.{IS_OPEN}"),
        among(attempts.c.state, "states"),
        attempts.c.id > bindparam("after"),
    )
    .order_by(attempts.c.id)
    .limit(bindparam("most"))
)
_BY_ID: Final = _WITH_CONTACT.where(attempts.c.id == bindparam("attempt"))
_BY_SID: Final = _WITH_CONTACT.where(
    text(f"attempts.{HAS_SID}"), attempts.c.sid == bindparam("call")
)
_SIDS_NEAR: Final = (
    select(attempts.c.sid)
    .join_from(attempts, contacts, attempts.c.contact_id == contacts.c.id)
    .where(
        attempts.c.intended_at.between(bindparam("since"), bindparam("until")),
        text(f"attempts.{HAS_SID}"),
        or_(
            among(contacts.c.identity, "identities"),
            exists().where(
                other_numbers.c.contact_id == contacts.c.id,
                among(other_numbers.c.identity, "identities"),
            ),
        ),
    )
)

_PENDING: Final = select(
    or_(
        *(
            exists().where(
                text(f"contacts.{condition}"),
                contacts.c.campaign_id == bindparam("of_campaign"),
                contacts.c.zone == bindparam("in_zone"),
            )
            for condition in (IS_READY, IS_CLAIMED, IS_WAITING)
        )
    ).label("are_there")
)

_CONTACTS: Final = select(contacts, campaigns.c.name.label("campaign")).join_from(
    contacts, campaigns, contacts.c.campaign_id == campaigns.c.id
)
_ENDED: Final = Statement(
    _CONTACTS.where(
        text(f"contacts.{HAS_OUTCOME}"),
        contacts.c.campaign_id == bindparam("of_campaign"),
        contacts.c.outcome > bindparam("after"),
    )
    .order_by(contacts.c.outcome)
    .limit(bindparam("most"))
)
_BY_KEY: Final = _CONTACTS.where(
    contacts.c.campaign_id == bindparam("of_campaign"), contacts.c.key == bindparam("by_key")
)
_OF_CONTACTS: Final = Statement(
    select(attempts)
    .where(among(attempts.c.contact_id, "ids"))
    .order_by(attempts.c.intended_at, attempts.c.id)
)


def statistics(connection: Connection, campaign: int | str) -> CampaignStatistics | None:
    """Return the statistics of a campaign, by its id or name; None: there is none."""
    column = campaigns.c.name if isinstance(campaign, str) else campaigns.c.id
    rows = connection.execute(_COUNTS.where(column == campaign)).all()
    if not rows:
        return None
    name, state, reason, *_ = rows[0]
    values: dict[str, int] = {row[3]: row[4] for row in rows if row[3] is not None}
    in_state = {one: values.get(one, 0) for one in _IN_STATE}
    return CampaignStatistics(
        name=name,
        state=CampaignState(state),
        reason=reason,
        created=sum(in_state.values()),
        **in_state,
        attempts=values.get("attempts", 0),
        end_unknown=values.get("end_unknown", 0),
        statuses={
            one.removeprefix(ledger_counts.STATUS): value
            for one, value in sorted(values.items())
            if one.startswith(ledger_counts.STATUS) and value
        },
        talk_time=timedelta(milliseconds=values.get("talk_ms", 0)),
        price=Decimal(values.get("price", 0)) / ledger_counts.MILLIONTHS,
    )


def pending_zones(connection: Connection, campaign_id: int, zones: Sequence[str]) -> list[str]:
    """Return those of these time zones that have contacts to be dialled, now or later."""
    asked = {"of_campaign": campaign_id}
    return [
        zone
        for zone in zones
        if connection.execute(_PENDING, asked | {"in_zone": zone}).scalar_one()
    ]


def open_attempts(
    connection: Connection, states: Sequence[AttemptState], after_id: str = "", limit: int = 1000
) -> list[OpenAttempt]:
    """Return unsettled attempts in one of these states, in order of their ids."""
    asked = {"states": [state.value for state in states], "after": after_id, "most": limit}
    return [_open(row) for row in connection.execute(_OPEN, asked)]


def find_attempt(
    connection: Connection, attempt_id: str | None = None, *, sid: str | None = None
) -> OpenAttempt | None:
    """Return an attempt in any state, by its id or its call's SID; None: there is none."""
    if attempt_id is not None:
        row = connection.execute(_BY_ID, {"attempt": attempt_id}).one_or_none()
    else:
        row = connection.execute(_BY_SID, {"call": sid}).first()
    return None if row is None else _open(row)


def _open(row: Any) -> OpenAttempt:
    return OpenAttempt(
        id=row.attempt_id,
        number=row.dialled,
        agent=row.rung_second,
        caller_id=row.dialled_with,
        custom_field=row.sent_along,
        intended_at=row.intended_at,
        time_limit=row.time_limit,
        state=AttemptState(row.attempt_state),
        lost_at=row.lost_at,
        certain_after=row.certain_after,
        sid=row.sid,
        contact=claimed(row),
        contact_state=ContactState(row.state),
    )


def sids_near(
    connection: Connection, identities: Sequence[str], since: int, until: int
) -> list[str]:
    """Return the SIDs of calls to the people with these numbers, with intents in that time."""
    asked = {"identities": list(identities), "since": since, "until": until}
    return list(connection.execute(_SIDS_NEAR, asked).scalars())


def outcomes(
    connection: Connection, campaign_id: int, after: int, limit: int
) -> list[tuple[int, ContactOutcome]]:
    """Return outcomes of contacts, in the order in which they were recorded.

    Each comes with its position in that order, from 1, to be passed as `after` for the next page.
    A reader that continues like this misses none.
    """
    asked = {"of_campaign": campaign_id, "after": after, "most": limit}
    rows = _ENDED.rows(connection, asked)
    found = _outcomes(connection, rows)
    return [(row.outcome, one) for row, one in zip(rows, found, strict=True)]


def outcome(connection: Connection, campaign_id: int, key: str) -> ContactOutcome | None:
    """Return the current state of a contact, final or not; None: there is no such contact."""
    asked = {"of_campaign": campaign_id, "by_key": key}
    found = _outcomes(connection, connection.execute(_BY_KEY, asked).all())
    return found[0] if found else None


def _outcomes(connection: Connection, rows: Sequence[Any]) -> list[ContactOutcome]:
    theirs: dict[int, list[Attempt]] = {row.id: [] for row in rows}
    if rows:
        for attempt in _OF_CONTACTS.rows(connection, {"ids": list(theirs)}):
            theirs[attempt.contact_id].append(_attempt(attempt))
    return [
        ContactOutcome(
            campaign=row.campaign,
            contact=Contact(
                row.number,
                key=row.key,
                fields=json.loads(row.fields) if row.fields else {},
                priority=row.priority,
                not_before=_time(row.not_before),
                time_zone=row.zone or None,
                alternatives=json.loads(row.alternatives) if row.alternatives else (),
                agent=row.agent,
                custom_field=row.custom_field,
            ),
            state=ContactState(row.state),
            reason=row.reason,
            ended_at=_time(row.ended_at),
            attempts=tuple(theirs[row.id]),
        )
        for row in rows
    ]


def _attempt(row: Any) -> Attempt:
    return Attempt(
        id=row.id,
        number=row.number,
        agent=row.agent,
        caller_id=row.caller_id,
        state=AttemptState(row.state),
        intended_at=from_ms(row.intended_at),
        sid=row.sid,
        status=None if row.status is None else CallStatus(row.status),
        started_at=_time(row.started_at),
        ended_at=_time(row.ended_at),
        duration=_length(row.duration_ms),
        talk_time=_length(row.talk_ms),
        price=None if row.price is None else Decimal(row.price),
        answered_by=None if row.answered_by is None else AnsweredBy(row.answered_by),
        recording_url=row.recording_url,
        legs=tuple(Leg.from_dict(leg) for leg in json.loads(row.legs or "[]")),
        error=row.error,
        candidates=tuple(json.loads(row.candidates or "[]")),
    )


def _time(moment: int | None) -> datetime | None:
    return None if moment is None else from_ms(moment)


def _length(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)
