"""Attempts with their results, the outcomes of contacts, and the statistics of campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.masking import masked
from exotel_async.models import AnsweredBy, CallStatus, Leg
from exotel_async.models.value import Value


@frozen(kw_only=True)
class Attempt(Value):
    """One dial of a contact. Times are aware, UTC, by Exotel's clock.

    Attributes:
        id: the id of the attempt, which is the `attempt` in its status callback's URL.
        number: the number that was dialled.
        agent: the number or SIP id that was rung second; None: there was none.
        caller_id: the ExoPhone.
        state: the state of the attempt.
        intended_at: when its intent was written, just before its request was sent.
        sid: the SID of the call; None: it is not known, or there is no call.
        status: the status of the call.
        started_at: when the call began.
        ended_at: when the call ended.
        duration: the duration of the whole call, ringing included.
        talk_time: how long both parties were connected.
        price: the price of the call, in the account's currency.
        answered_by: whether a person or a machine picked up.
        recording_url: the URL of the recording; it opens with the account's credentials.
        legs: the legs of the call.
        error: why it was refused or is in doubt, with numbers masked.
        candidates: for an unresolved attempt, SIDs of the calls that may be the contact's.
    """

    id: str
    number: str = field(repr=masked)
    agent: str | None = field(default=None, repr=masked)
    caller_id: str
    state: AttemptState
    intended_at: datetime
    sid: str | None = None
    status: CallStatus | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: timedelta | None = None
    talk_time: timedelta | None = None
    price: Decimal | None = None
    answered_by: AnsweredBy | None = None
    recording_url: str | None = field(default=None, repr=False)
    legs: tuple[Leg, ...] = ()
    error: str | None = None
    candidates: tuple[str, ...] = ()


@frozen(kw_only=True)
class ContactOutcome(Value):
    """The outcome of a contact.

    Attributes:
        campaign: the campaign's name.
        contact: the contact as it was added, with its numbers as they are sent.
        state: the final state of the contact.
        reason: an explanation, where the state alone does not suffice.
        ended_at: when it got its outcome; aware, UTC, by Exotel's clock.
        attempts: its dials, oldest first. Prices and recordings become available minutes after a
            call; they may be missing here, and be in `Dialer.outcomes` later.
    """

    campaign: str
    contact: Contact
    state: ContactState
    reason: str | None = None
    ended_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def is_reached(self) -> bool:
        """Whether the contact was reached."""
        return self.state is ContactState.REACHED

    def row(self) -> dict[str, Any]:
        """Return the outcome as one flat table row, in plain types.

        `attempts` is the number of calls that were placed; `status`, `sid` and `recording_url` are
        those of the last call; `talk_time`, in seconds, and `price` are totals over all calls; the
        contact's `fields` follow, with `field.` before each name.
        """
        calls = [one for one in self.attempts if one.sid is not None]
        last = calls[-1] if calls else None
        prices = [one.price for one in calls if one.price is not None]
        talked = sum((one.talk_time or timedelta() for one in calls), timedelta())
        return {
            "campaign": self.campaign,
            "key": self.contact.key,
            "number": self.contact.number,
            "state": self.state.value,
            "reason": self.reason,
            "ended_at": self.ended_at,
            "attempts": len(calls),
            "status": None if last is None or last.status is None else last.status.value,
            "sid": None if last is None else last.sid,
            "talk_time": talked.total_seconds(),
            "price": sum(prices, Decimal(0)) if prices else None,
            "recording_url": None if last is None else last.recording_url,
            **{f"field.{name}": value for name, value in self.contact.fields.items()},
        }


@frozen(kw_only=True)
class BadContact(Value):
    """A contact that was not added.

    Attributes:
        position: its position among the contacts that were passed, from 0.
        contact: the value that was passed.
        reason: why it was not added, with numbers masked.
        is_duplicate: whether its key, or one of its numbers, is in the campaign already.
    """

    position: int
    contact: Any = field(repr=False)
    reason: str
    is_duplicate: bool = False


@frozen(kw_only=True)
class CampaignStatistics(Value):
    """The statistics of a campaign at one moment.

    Attributes:
        name: the name of the campaign.
        state: the state of the campaign.
        reason: why it is paused or has failed.
        created: all contacts of the campaign: the sum of the following counts up to `canceled`.
        pending: contacts to be dialled, now or later, for the first time or again.
        in_progress: contacts that are being dialled, or have a call in progress.
        in_doubt: contacts of which it is not known whether their last dial placed a call.
        reached, not_reached, refused, unresolved, do_not_call, expired, canceled: contacts that
            have an outcome, by `ContactState`.
        attempts: calls that were placed.
        end_unknown: those of them whose end is not known: their contacts are unresolved.
        statuses: the number of ended calls by `CallStatus`.
        talk_time: the total time for which both parties were connected, over all calls.
        price: the total price of all calls whose price is known.
    """

    name: str
    state: CampaignState
    reason: str | None = None
    created: int = 0
    pending: int = 0
    in_progress: int = 0
    in_doubt: int = 0
    reached: int = 0
    not_reached: int = 0
    refused: int = 0
    unresolved: int = 0
    do_not_call: int = 0
    expired: int = 0
    canceled: int = 0
    attempts: int = 0
    end_unknown: int = 0
    statuses: Mapping[str, int] = field(factory=dict)
    talk_time: timedelta = timedelta()
    price: Decimal = Decimal(0)
