"""What became of contacts, of their attempts, and of a whole campaign."""

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
        id: what identifies it: the `attempt` in its status callback's URL.
        number: the number that was dialled.
        agent: who was rung second; None: nobody.
        caller_id: the ExoPhone.
        state: how it stands.
        intended_at: when it was written down, just before its request left.
        sid: the call's SID; None: none is known.
        status: how the call stands or ended.
        started_at: when the call began.
        ended_at: when it ended.
        duration: length of the whole call, ringing included.
        talk_time: how long both parties were connected.
        price: what it cost, in the account's currency.
        answered_by: who picked up.
        recording_url: where the recording is; it opens with the account's credentials.
        legs: the parties' parts in the call.
        error: why it was refused, or is in doubt, in words, numbers masked.
        candidates: SIDs of the calls that may be the contact's, of one that is unresolved.
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
    """What became of a contact.

    Attributes:
        campaign: the campaign's name.
        contact: the contact, as it was added, its numbers as they are sent.
        state: how it ended.
        reason: why, in words, where the state does not say it all.
        ended_at: when, aware, UTC, by Exotel's clock.
        attempts: its dials, the first one first. Price and recording come minutes after a call, so
            that they may be missing here and be in `Dialer.outcomes` later.
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
        """Return the outcome as one flat row of a table, in plain types.

        `attempts` is how many calls were placed; `status`, `sid` and `recording_url` are the last
        call's; `talk_time`, in seconds, and `price` are those of all calls together; the contact's
        `fields` follow, each under its own name with `field.` before it.
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
    """A contact that was not taken.

    Attributes:
        position: which it was of those that were passed, from 0.
        contact: what was passed.
        reason: why, in words, numbers masked.
        is_duplicate: whether it, or one of its numbers, is in the campaign already.
    """

    position: int
    contact: Any = field(repr=False)
    reason: str
    is_duplicate: bool = False


@frozen(kw_only=True)
class CampaignStatistics(Value):
    """A campaign at one moment.

    Attributes:
        name: the campaign.
        state: how it stands.
        reason: why it is paused or has failed, in words.
        created: contacts it has: all that follows together, up to `canceled`.
        pending: to be dialled, now or later, first attempts and retries.
        in_progress: being dialled, or with a call in progress.
        in_doubt: for which it is not known whether their last dial has rung them.
        reached, not_reached, refused, unresolved, do_not_call, expired, canceled: those that have
            their outcome, by `ContactState`.
        attempts: calls that were placed.
        end_unknown: those of them whose end is not known: their contacts are unresolved.
        statuses: how calls ended, by `CallStatus`: how many.
        talk_time: both parties connected, in all calls together.
        price: what all calls cost that have a price yet.
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
