"""Calls, as Exotel returns them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from exotel_async.masking import masked
from exotel_async.models.dial import DialTarget
from exotel_async.models.row import CallRow
from exotel_async.models.value import Value
from exotel_async.models.words import AnsweredBy, CallStatus, Direction, OpenEnum


@frozen(kw_only=True)
class Leg(Value):
    """One party's part in a call.

    Attributes:
        id: 1 is the party dialled first, 2 the second.
        duration: how long this party was on the call.
        status: the leg's current or final status; None: this party was not dialled.
        answered_by: who picked up.
    """

    id: int | None = None
    duration: timedelta | None = None
    status: CallStatus | None = None
    answered_by: AnsweredBy | None = None


@frozen(kw_only=True)
class CallDetails(Value):
    """The legs of a call and its talk time; Exotel returns them if `details` are requested.

    They are known when the call's `ended_at` is, about two minutes after its end. Until then Exotel
    reports nothing about the second party.

    Attributes:
        talk_time: how long both parties were connected; None or 0 as long as it is not known.
        leg1_status: current or final status of the first party's leg.
        leg2_status: the same of the second; None if no second party was dialled, or not known yet.
        legs: the legs, the first party's first.
    """

    talk_time: timedelta | None = None
    leg1_status: CallStatus | None = None
    leg2_status: CallStatus | None = None
    legs: tuple[Leg, ...] = ()


@frozen(kw_only=True)
class Call(Value):
    """A call, as Exotel returned it in one answer.

    Times are aware, in the session's time zone (Exotel's own clock is IST). `ended_at`, `duration`,
    `price` and `recording_url` come late: about two minutes after the call is over, sometimes
    fifteen. Exotel documents the fields at developer.exotel.com/api/call-details.

    Attributes:
        sid: the call's identifier: 32 letters and digits, not hexadecimal.
        status: its current or final status. If the second party of a call between two numbers was
            not reached, it is that party's (`failed` if the caller hung up) or `completed`:
            captures and Exotel's support disagree. Only `details` show for sure that two people
            spoke.
        direction: who started it.
        from_: the party dialled first. Exotel may write a number in another form than it was
            passed, `09812300001` for `+919812300001`; `same_number` compares.
        to: the party dialled second; in a call to a flow the ExoPhone, or None; to a stream None;
            in an incoming call the agent who was reached, such as `sip:agent7f3a`, or the ExoPhone.
        exophone: the ExoPhone the call was made with.
        created_at: when the call was created.
        updated_at: when Exotel last changed this record.
        started_at: when the call began.
        ended_at: when it ended.
        duration: the duration of the whole call, including the second party's ringing.
        price: what it cost, in the account's currency.
        answered_by: who picked up.
        recording_url: where the recording is; it opens with the account's credentials.
        presigned_recording_url: the same, open to anyone who has the link, for a short time.
        custom_field: what was passed as `custom_field`, even if that was the word "None".
        parent_sid: the call this one is a leg of.
        account_sid: the account.
        forwarded_from: the number that forwarded the call.
        caller_name: the caller's name.
        uri: path of the call as Exotel writes it. It cannot be requested; use `sid`.
        details: legs and talk time, if they were requested.
        raw: the complete original data, including what has no attribute here.
        target: in the result of a dial, what was passed to the dial, numbers as they were written;
            None if the call was read.
    """

    sid: str
    status: CallStatus | None = None
    direction: Direction | None = None
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    exophone: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: timedelta | None = None
    price: Decimal | None = None
    answered_by: AnsweredBy | None = None
    recording_url: str | None = field(default=None, repr=False)
    presigned_recording_url: str | None = field(default=None, repr=False)
    custom_field: str | None = field(default=None, repr=False)
    parent_sid: str | None = None
    account_sid: str | None = None
    forwarded_from: str | None = field(default=None, repr=masked)
    caller_name: str | None = field(default=None, repr=False)
    uri: str | None = field(default=None, repr=False)
    details: CallDetails | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)
    target: DialTarget | None = field(default=None, repr=False, eq=False)

    @property
    def is_final(self) -> bool:
        """Whether the call is over; `duration` and `price` may still be missing then."""
        return self.status is not None and self.status.is_final

    @property
    def talk_time(self) -> timedelta | None:
        """How long both parties were connected. None if `details` were not requested; see there."""
        return self.details.talk_time if self.details else None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The call's legs. Empty if `details` were not requested."""
        return self.details.legs if self.details else ()

    def row(self) -> CallRow:
        """Return the call as one flat row of a table, a plain dict; see `CallRow`."""
        details = self.details or CallDetails()
        lengths = {leg.id: leg.duration for leg in reversed(details.legs)}
        return {
            "sid": self.sid,
            "created_at": self.created_at,
            "status": _plain(self.status),
            "direction": _plain(self.direction),
            "from_number": self.from_,
            "to_number": self.to,
            "exophone": self.exophone,
            "duration": _seconds(self.duration),
            "price": self.price,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "updated_at": self.updated_at,
            "answered_by": _plain(self.answered_by),
            "talk_time": _seconds(details.talk_time),
            "leg1_status": _plain(details.leg1_status),
            "leg1_duration": _seconds(lengths.get(1)),
            "leg2_status": _plain(details.leg2_status),
            "leg2_duration": _seconds(lengths.get(2)),
            "custom_field": self.custom_field,
            "caller_name": self.caller_name,
            "forwarded_from": self.forwarded_from,
            "recording_url": self.recording_url,
            "presigned_recording_url": self.presigned_recording_url,
            "parent_sid": self.parent_sid,
            "account_sid": self.account_sid,
            "uri": self.uri,
        }


def _plain(word: OpenEnum | None) -> str | None:
    return None if word is None else word.value


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


@frozen(kw_only=True)
class CallPage(Value):
    """One page of call records.

    Attributes:
        calls: the calls on it, in the requested order.
        total: how many calls match the whole query, as Exotel counts them.
        after: the cursor of the next page; None on the last one.
        raw: the complete original data.
    """

    calls: tuple[Call, ...]
    total: int | None = None
    after: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)
