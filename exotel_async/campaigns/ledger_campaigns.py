"""Campaigns in the ledger."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Text, bindparam, func, select, text, update

from exotel_async.campaigns import ledger_counts
from exotel_async.campaigns.entries import CampaignEntry
from exotel_async.campaigns.ledger_sql import writable
from exotel_async.campaigns.ledger_statement import Statement
from exotel_async.campaigns.tables import (
    IS_CLAIMED,
    IS_READY,
    IS_WAITING,
    campaigns,
    contacts,
    counts,
)
from exotel_async.campaigns.words import CampaignState, ContactState
from exotel_async.errors import InvalidRequest

_BLOCK: Final = 1000  # contacts that are ended in one transaction

_ZONES: Final = select(counts.c.campaign_id, counts.c.name).where(
    counts.c.name.startswith(ledger_counts.ZONE), counts.c.value > 0
)
_ZONES_OF_ONE: Final = _ZONES.where(counts.c.campaign_id == bindparam("campaign"))
_ALL_ZONES: Final = Statement(_ZONES)
_ALL: Final = Statement(select(campaigns).order_by(campaigns.c.id))
_BY_NAME: Final = select(campaigns).where(campaigns.c.name == bindparam("campaign"))
_PREFIX: Final = bindparam("prefix", type_=Text())
_WITH: Final = (
    select(campaigns.c.name)
    .join_from(campaigns, contacts, contacts.c.campaign_id == campaigns.c.id)
    .where(
        func.substr(campaigns.c.name, 1, func.length(_PREFIX)) == _PREFIX,
        contacts.c.key == bindparam("key"),
    )
    .limit(1)
)
_BY_ID: Final = select(campaigns).where(campaigns.c.id == bindparam("campaign"))
_FOR_CHANGE: Final = _BY_ID.with_for_update()
_FOR_ADDING: Final = _BY_ID.with_for_update(read=True)
_LEFT: Final = select(counts.c.name).where(
    counts.c.campaign_id == bindparam("campaign"),
    counts.c.name.in_(["pending", "in_progress", "in_doubt"]),
    counts.c.value > 0,
)
# Another process may create it at the same moment.
_CREATE: Final = text(
    "INSERT INTO campaigns (name, settings, state, created_at, outcomes)"
    " VALUES (:name, :settings, 'created', :now, 0) ON CONFLICT (name) DO NOTHING"
)
_SET_STATE: Final = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("campaign"))
    .values(
        state=bindparam("to_state"),
        reason=bindparam("why"),
        started_at=bindparam("since"),
        ended_at=bindparam("until"),
    )
)
# Readers that continue after a position miss none: the row lock keeps other transactions from
# getting positions until this one ends.
_NEXT_OUTCOMES: Final = Statement(
    update(campaigns)
    .where(campaigns.c.id == bindparam("campaign"))
    .values(outcomes=campaigns.c.outcomes + bindparam("number"))
    .returning(campaigns.c.outcomes)
)
_ENDED: Final = (CampaignState.COMPLETED, CampaignState.FAILED, CampaignState.CANCELED)

_TO_FINISH: Final = tuple(
    select(contacts.c.id)
    .where(text(condition), contacts.c.campaign_id == bindparam("campaign"))
    .limit(bindparam("most"))
    .with_for_update()
    for condition in (IS_READY, IS_WAITING, IS_CLAIMED)
)
_FINISH: Final = (
    update(contacts)
    .where(contacts.c.id == bindparam("contact"))
    .values(
        state=bindparam("to_state"),
        outcome=bindparam("place"),
        ended_at=bindparam("now"),
        due_at=None,
        dialer=None,
        lease_until=None,
    )
)


def create(connection: Connection, name: str, settings: str, now: int) -> CampaignEntry:
    """Create a campaign, or return the existing one with the same settings.

    Raises:
        InvalidRequest: a campaign of that name exists with other settings.
    """
    found = find(connection, name)
    if found is None:
        connection.execute(_CREATE, {"name": name, "settings": settings, "now": now})
        found = find(connection, name)
    assert found is not None  # noqa: S101 - it was just made
    if found.settings != settings:
        raise InvalidRequest("name", name, "is the name of a campaign that has other settings")
    return found


def find(connection: Connection, name: str) -> CampaignEntry | None:
    """Return the campaign of that name; None: there is none."""
    row = connection.execute(_BY_NAME, {"campaign": name}).one_or_none()
    if row is None:
        return None
    zones = connection.execute(_ZONES_OF_ONE, {"campaign": row.id})
    return _entry(row, [zone.name for zone in zones])


def find_with(connection: Connection, prefix: str, key: str) -> str | None:
    """Return the name, beginning with `prefix`, of a campaign with a contact `key`, if any."""
    name: str | None = connection.execute(_WITH, {"prefix": prefix, "key": key}).scalar()
    return name


def list_all(connection: Connection) -> list[CampaignEntry]:
    """Return all campaigns, oldest first."""
    zones: dict[int, list[str]] = {}
    for campaign_id, name in _ALL_ZONES.rows(connection, {}):
        zones.setdefault(campaign_id, []).append(name)
    return [_entry(row, zones.get(row.id, [])) for row in _ALL.rows(connection, {})]


def _entry(row: Any, zones: list[str]) -> CampaignEntry:
    return CampaignEntry(
        id=row.id,
        name=row.name,
        settings=row.settings,
        state=CampaignState(row.state),
        reason=row.reason,
        zones=tuple(sorted(zone.removeprefix(ledger_counts.ZONE) for zone in zones)),
    )


def set_state(
    connection: Connection,
    campaign_id: int,
    state: CampaignState,
    reason: str | None,
    now: int,
    *,
    only_from: Collection[CampaignState] | None = None,
) -> bool:
    """Set a campaign's state if its current state is in `only_from`; None: whatever it is.

    Return whether it was set. A campaign is not completed while a contact lacks an outcome.
    Once the state is not in progress, no more intents of the campaign are taken.
    """
    asked = {"campaign": campaign_id}
    row = connection.execute(_FOR_CHANGE, asked).one_or_none()
    if row is None or (only_from is not None and row.state not in only_from):
        return False
    if state is CampaignState.COMPLETED and connection.execute(_LEFT, asked).first() is not None:
        return False
    started_at = row.started_at
    if started_at is None and state is CampaignState.IN_PROGRESS:
        started_at = now
    connection.execute(
        _SET_STATE,
        {
            "campaign": campaign_id,
            "to_state": state.value,
            "why": None if reason is None else writable(reason),
            "since": started_at,
            "until": now if state in _ENDED else None,
        },
    )
    return True


def next_outcomes(connection: Connection, campaign_id: int, number: int) -> int:
    """Reserve the next positions in the order of a campaign's outcomes. Return the first."""
    asked = {"campaign": campaign_id, "number": number}
    (row,) = _NEXT_OUTCOMES.rows(connection, asked)
    return int(row.outcomes) - number + 1


def last_outcome(connection: Connection, campaign_id: int) -> int:
    """Return the position of the campaign's last outcome; 0: it has none."""
    found = connection.execute(_BY_ID, {"campaign": campaign_id}).one_or_none()
    return 0 if found is None else int(found.outcomes)


def begin_again(connection: Connection, campaign_id: int, now: int) -> None:
    """Continue a completed campaign, because it gets new contacts.

    Raises:
        InvalidRequest: it was cancelled, or does not exist.
    """
    # The lock keeps it from being completed until they are added.
    row = connection.execute(_FOR_ADDING, {"campaign": campaign_id}).one_or_none()
    if row is None:
        raise InvalidRequest("campaign_id", campaign_id, "is not a campaign of this ledger")
    if row.state == CampaignState.CANCELED:
        raise InvalidRequest("name", row.name, "is a campaign that was cancelled")
    if row.state == CampaignState.COMPLETED:
        was_run = row.started_at is not None
        state = CampaignState.IN_PROGRESS if was_run else CampaignState.CREATED
        only_from = (CampaignState.COMPLETED,)
        set_state(connection, campaign_id, state, None, now, only_from=only_from)


def finish_some(connection: Connection, campaign_id: int, state: ContactState, now: int) -> int:
    """End some of the contacts that wait to be dialled. Return how many; 0: none are left."""
    for statement in _TO_FINISH:
        found = {"campaign": campaign_id, "most": _BLOCK}
        ids = list(connection.execute(statement, found).scalars())
        if ids:
            first = next_outcomes(connection, campaign_id, len(ids))
            connection.execute(
                _FINISH,
                [
                    {"contact": one, "to_state": state.value, "now": now, "place": place}
                    for place, one in enumerate(ids, first)
                ],
            )
            change = ledger_counts.Counts()
            change[campaign_id, "pending"] = -len(ids)
            change[campaign_id, ledger_counts.of_state(state)] = len(ids)
            ledger_counts.write(connection, change)
            return len(ids)
    return 0
