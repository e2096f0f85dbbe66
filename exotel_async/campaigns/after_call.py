"""Decides what follows from the end of a call: the contact's outcome, or another attempt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from exotel_async.campaigns.clock import to_ms
from exotel_async.campaigns.words import ContactState

if TYPE_CHECKING:
    from exotel_async.campaigns.campaign import Campaign
    from exotel_async.campaigns.entries import ClaimedContact


def after_call(
    contact: ClaimedContact, campaign: Campaign, word: str, ended_at: datetime, now: int
) -> tuple[dict[str, Any], int | None]:
    """Return the contact's new columns, and when it is dialled again; None: never.

    `contact` is its state before the call, `word` the result of the attempt by `Reached.word_of`.
    The gap until a retry starts at `ended_at`.
    """
    tries = {**contact.tries, word: contact.tries.get(word, 0) + 1}
    columns: dict[str, Any] = {"attempts": contact.attempts + 1, "tries": tries}
    if word == "reached":
        return columns | final(ContactState.REACHED, None, now), None
    due = campaign.retries.due_at(word, tries, ended_at, campaign.schedule, contact.zone or None)
    if due is None:
        return columns | final(ContactState.NOT_REACHED, f"the last call: {word}", now), None
    return columns | {"state": ContactState.WAITING, "due_at": to_ms(due)}, to_ms(due)


def final(state: ContactState, reason: str | None, now: int) -> dict[str, Any]:
    """Return the columns of a contact that has its outcome."""
    return {"state": state, "reason": reason, "ended_at": now}
