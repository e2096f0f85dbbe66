"""Status callbacks and dial events: what Exotel reports during a call (VOICE_V1 6, 7.3c)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Self

from attrs import field, frozen

from exotel_async.config import IST, check_time_zone
from exotel_async.masking import masked
from exotel_async.models import (
    AnsweredBy,
    Call,
    CallbackEvent,
    CallDetails,
    CallStatus,
    Direction,
    Leg,
)
from exotel_async.models.value import Value
from exotel_async.webhooks.body import read_body, read_parameters, read_query, rows
from exotel_async.webhooks.enums import AgentState, DialEventType
from exotel_async.webhooks.fields import call_sid, direction, event_key, read_fields
from exotel_async.wire.values import amount, enum_reader, free_text, parse_time, seconds, text

_status: Final = enum_reader(CallStatus)
_event: Final = enum_reader(CallbackEvent)
_step: Final = enum_reader(DialEventType)
_state: Final = enum_reader(AgentState)
_other_answered_by: Final = enum_reader(AnsweredBy)
_ANSWERED_BY: Final = {member.value.upper(): member for member in AnsweredBy}


@frozen(kw_only=True)
class StatusCallback(Value):
    """The status callback that Exotel posts to the `status_callback` URL of a dial.

    There are two sizes. The short one (Exotel's support articles 48259 and 48278) has `sid`,
    `status`, `recording_url` and `updated_at`; it is sent once, when the call has ended. The long
    one, for dials with `status_callback_events`, has the others as well, and is sent up to three
    times: twice as `answered`, when the first and when the second party has picked up, and then as
    `terminal`. For calls to a stream `ringing` may come first, each time the party is rung.

    Callbacks are not signed, may be late or lost, and may arrive more than once and out of order:
    see `key`. The times are aware, in the zone the event was read with. Durations are as known when
    it was sent; call details read minutes later are more accurate.

    Attributes:
        sid: the call's SID.
        event_type: what happened; None in a short callback.
        status: the call's status; at its end as in `Call.status`. In some callbacks it does not
            agree with `event_type`.
        direction: who began the call.
        from_: the party dialled first. Exotel may write a number differently from how it was
            passed: use `same_number` to compare.
        to: the party dialled second.
        exophone: the ExoPhone the call was made with.
        created_at: when the call was created.
        updated_at: when Exotel last changed this record.
        started_at: when the call began.
        ended_at: when it ended; None while it is in progress.
        talk_time: how long both parties were connected.
        duration: the duration of the whole call. Undocumented in callbacks, but observed.
        price: the price of the call. Undocumented in callbacks, but observed.
        recording_url: the URL of the recording; it requires the account's credentials.
        presigned_recording_url: the same for anybody who has the link, for a short time.
        custom_field: what was passed as `custom_field`; only in the terminal event.
        legs: the parties of the call; the one dialled first has `id` 1. A leg without a status was
            not dialled, or not yet.
        query: the parameters in the URL it was posted to, as in the `status_callback` of the dial;
            "" for a name without a value. It does not affect the `key`.
        raw: the complete original data. A form is nested according to the brackets in its names.
    """

    sid: str
    event_type: CallbackEvent | None = None
    status: CallStatus | None = None
    direction: Direction | None = None
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    exophone: str | None = field(default=None, repr=masked)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    talk_time: timedelta | None = None
    duration: timedelta | None = None
    price: Decimal | None = None
    recording_url: str | None = field(default=None, repr=False)
    presigned_recording_url: str | None = field(default=None, repr=False)
    custom_field: str | None = field(default=None, repr=False)
    legs: tuple[Leg, ...] = ()
    query: Mapping[str, str] = field(factory=dict, repr=False, hash=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_request(
        cls,
        body: bytes,
        content_type: str | None,
        *,
        query: str | bytes = b"",
        time_zone: tzinfo = IST,
    ) -> Self:
        """Read a callback: multipart, urlencoded or JSON.

        If a name occurs twice the last value wins.

        Args:
            body: the whole body of the request. Limit its length before you read it.
            content_type: the Content-Type header.
            query: the query of the URL it was posted to, percent-encoded, without a `?`.
            time_zone: the time zone in which Exotel writes times, and that of the event's times.

        Raises:
            InvalidWebhook: this is not a status callback. Its text shows nothing of the body.
            ConfigurationError: `time_zone` is not a time zone; or the body is multipart and the
                extra `webhooks` is not installed.
        """
        check_time_zone(time_zone)
        raw = read_body(body, content_type)
        get = raw.get
        return cls(
            sid=call_sid(raw),
            event_type=_event(get("EventType")),
            status=_status(get("Status")),
            direction=direction(get("Direction")),
            from_=text(get("From")),
            to=text(get("To")),
            exophone=text(get("PhoneNumberSid")),  # the number itself, not a SID
            created_at=parse_time(get("DateCreated"), time_zone),
            updated_at=parse_time(get("DateUpdated"), time_zone),
            started_at=parse_time(get("StartTime"), time_zone),
            ended_at=parse_time(get("EndTime"), time_zone),
            talk_time=seconds(get("ConversationDuration")),
            duration=seconds(get("Duration")),
            price=amount(get("Price")),
            recording_url=text(get("RecordingUrl")),
            presigned_recording_url=text(get("PreSignedRecordingUrl")),
            custom_field=free_text(get("CustomField")),
            legs=tuple(_leg(index + 1, leg) for index, leg in rows(get("Legs"))),
            query=read_parameters(query) if query else {},
            raw=raw,
        )

    @property
    def is_final(self) -> bool:
        """Whether the call has ended, according to its status.

        The status decides, whatever the event: an `answered` callback sent late may say
        `completed`, and a `terminal` one with `in-progress` does not mean that the call ended.
        """
        return self.status is not None and self.status.is_final

    @property
    def key(self) -> str:
        """A unique key of this event, for deduplication.

        A callback sent again has the same key, in any encoding; the two `answered` events of a call
        have different ones. It is made of the SID, the event type and the statuses of call and
        legs, not of times or durations, and is the same in every process.
        """
        standing = [(leg.id, leg.status) for leg in self.legs if leg.status]
        return event_key(self.sid, self.event_type, self.status, standing)

    def to_call(self) -> Call:
        """Return the call with the data in this callback.

        `exotel.calls.notify(event)` passes it to all waits for the call. A short callback has
        little more than status and SID; a long one all but `duration` and `price`, known later.
        """
        return Call(
            sid=self.sid,
            status=self.status,
            direction=self.direction,
            from_=self.from_,
            to=self.to,
            exophone=self.exophone,
            created_at=self.created_at,
            updated_at=self.updated_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            duration=self.duration,
            price=self.price,
            recording_url=self.recording_url,
            presigned_recording_url=self.presigned_recording_url,
            custom_field=self.custom_field,
            details=self._details(),
            raw=self.raw,
        )

    def _details(self) -> CallDetails | None:
        if not self.legs and self.talk_time is None:
            return None
        statuses = {leg.id: leg.status for leg in self.legs}
        return CallDetails(
            talk_time=self.talk_time,
            leg1_status=statuses.get(1),
            leg2_status=statuses.get(2),
            legs=self.legs,
        )


def _leg(position: int, leg: Mapping[str, Any]) -> Leg:
    return Leg(
        id=position,
        duration=seconds(leg.get("OnCallDuration")),
        status=_status(leg.get("Status")),
        answered_by=_answered_by(leg.get("AnsweredBy")),
    )


def _answered_by(value: object) -> AnsweredBy | None:
    # A shortcut for Exotel's usual spelling: going through the enumeration is ten times slower.
    known = _ANSWERED_BY.get(value) if isinstance(value, str) else None
    return known or _other_answered_by(value)


@frozen(kw_only=True)
class DialEvent(Value):
    """The event Exotel sends to a plan's `event_url`, or a Connect applet's "create popup" URL.

    For each attempt `Dial` comes first, then `Answered` if the agent picks up, and `Terminal`. The
    query also has a field `Status`, which is the agent's and not the call's: `agent_state`.

    Attributes:
        sid: the call's SID.
        event_type: the step.
        agent_state: `busy` from `Dial` on, `free` with `Terminal`.
        dialled_number: the agent's number.
        agent_email: the agent's email address.
        from_: the party that is connected to the flow: see `FlowRequest`, also for the next four.
        to: the ExoPhone.
        call_from: the caller.
        call_to: the number that was called.
        exophone: the ExoPhone.
        direction: who began the call.
        created_at: when the call was created; aware, like `current_time`.
        current_time: when the event was sent, by Exotel's clock.
        raw: the complete original data: the query, nested according to the brackets in its names.
    """

    sid: str
    event_type: DialEventType | None = None
    agent_state: AgentState | None = None
    dialled_number: str | None = field(default=None, repr=masked)
    agent_email: str | None = field(default=None, repr=False)
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    call_from: str | None = field(default=None, repr=masked)
    call_to: str | None = field(default=None, repr=masked)
    exophone: str | None = field(default=None, repr=masked)
    direction: Direction | None = None
    created_at: datetime | None = None
    current_time: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_query(cls, query: str | bytes, *, time_zone: tzinfo = IST) -> Self:
        """Read an event.

        Args:
            query: the query as received, percent-encoded, without a `?`. If a name occurs twice
                the last value wins.
            time_zone: the time zone in which Exotel writes times, and that of the event's times.

        Raises:
            InvalidWebhook: this is not a dial event. Its text shows nothing of the query.
            ConfigurationError: `time_zone` is not a time zone.
        """
        check_time_zone(time_zone)
        raw = read_query(query)
        return cls(
            sid=call_sid(raw),
            event_type=_step(raw.get("EventType")),
            agent_state=_state(raw.get("Status")),
            **read_fields(cls, raw, time_zone),
        )

    @property
    def key(self) -> str:
        """A unique key of this event, for deduplication.

        It is made of the SID, the step, the agent and `current_time`: an agent may be dialled twice
        in one call, and the two attempts differ only in the time.
        """
        time = self.current_time and self.current_time.isoformat()
        return event_key(self.sid, self.event_type, self.agent_state, self.dialled_number, time)
