"""Writes a person's decision about an unresolved attempt."""

from __future__ import annotations

from typing import Final

from attrs import evolve
from sqlalchemy import Connection, bindparam, select

from exotel_async.campaigns import ledger_attempts, ledger_campaigns
from exotel_async.campaigns.after_call import final
from exotel_async.campaigns.entries import Change
from exotel_async.campaigns.tables import attempts, campaigns, contacts
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

_CAMPAIGN_OF: Final = (
    select(campaigns.c.id, campaigns.c.state)
    .join_from(attempts, contacts, attempts.c.contact_id == contacts.c.id)
    .join(campaigns, contacts.c.campaign_id == campaigns.c.id)
    .where(
        attempts.c.id == bindparam("attempt"),
        attempts.c.state == AttemptState.UNRESOLVED.value,
        contacts.c.state == ContactState.UNRESOLVED.value,
    )
    .with_for_update(of=[attempts, contacts])
)
_NO_OUTCOME: Final = {"outcome": None, "ended_at": None, "reason": None}


def resolve(connection: Connection, change: Change, now: int) -> bool:
    """Write the result of an unresolved attempt, and its contact's new state.

    A contact that is to be dialled again is cancelled if its campaign was cancelled; a completed
    campaign continues.
    Return whether it was written. False: the attempt is not unresolved any more.
    """
    row = connection.execute(_CAMPAIGN_OF, {"attempt": change.attempt_id}).one_or_none()
    if row is None:
        return False
    contact = dict(change.contact)
    if not contact["state"].is_final:
        if row.state == CampaignState.CANCELED:
            contact |= final(ContactState.CANCELED, None, now) | {"due_at": None}
        else:
            ledger_campaigns.begin_again(connection, row.id, now)
            contact |= _NO_OUTCOME
    ledger_attempts.record(connection, [evolve(change, contact=contact)])
    return True
