"""Requests of applets, which a flow sends while a call is in it (VOICE_V1 7).

They are GETs with the call's data in the query. Not every request has all fields: it depends on
where in the flow the applet is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

from attrs import field, frozen

from exotel_async.config import IST, check_time_zone
from exotel_async.errors import InvalidWebhook
from exotel_async.masking import masked
from exotel_async.models import Call, CallStatus, Direction
from exotel_async.models.value import Value
from exotel_async.webhooks.body import read_query
from exotel_async.webhooks.enums import FlowCallType
from exotel_async.webhooks.fields import (
    DialledLeg,
    Insights,
    Raw,
    StreamReport,
    call_sid,
    read_fields,
)


@frozen(kw_only=True)
class AppletRequest(Value):
    """The fields that every applet request has.

    Attributes:
        sid: the call's SID.
        from_: the party that is connected to the flow: the caller, or, in a call made by the API,
            the party that was rung. Formats of numbers vary: use `same_number` to compare.
        to: the ExoPhone.
        raw: the complete original data: the query, nested according to the brackets in its names.
            If a name occurs twice the last value wins.
    """

    sid: str
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_query(cls, query: str | bytes, *, time_zone: tzinfo = IST) -> Self:
        """Read a request.

        Args:
            query: the query as received, percent-encoded, without a `?`.
            time_zone: the time zone in which Exotel writes times, and that of the request's times,
                if it has any.

        Raises:
            InvalidWebhook: this is not an applet's request. Its text shows nothing of the query.
            ConfigurationError: `time_zone` is not a time zone.
        """
        check_time_zone(time_zone)
        raw = read_query(query)
        return cls(sid=call_sid(raw), **read_fields(cls, raw, time_zone))


@frozen(kw_only=True)
class GreetingRequest(AppletRequest):
    """A Greeting or Menu applet asks what to say. Answer with `Speak` or `Play`.

    Exotel documents it in its support article 48285.

    Attributes:
        dialled_number: the last party dialled.
        custom_field: what was passed as `custom_field`; only calls made by the API have one.
    """

    dialled_number: str | None = field(default=None, repr=masked)
    custom_field: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class WhisperRequest(AppletRequest):
    """A Connect applet asks what to play when a party picks up. Answer with `Playback`.

    Exotel documents it in its support article 3000106202.

    Attributes:
        dialled_number: the number being dialled; may be None.
    """

    dialled_number: str | None = field(default=None, repr=masked)


@frozen(kw_only=True)
class SmsRequest(AppletRequest):
    """An SMS applet asks for the text of its message. Answer with `SmsText`.

    Exotel documents it in its support article 76228.

    Attributes:
        digits: the keys the caller pressed before, without the quotes Exotel puts around them.
    """

    digits: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class FlowRequest(AppletRequest):
    """The extended set of fields that Passthru, Connect and Gather send.

    Exotel lists most of them at docs.exotel.com/voice-apis/working-with-passthru-applet.
    The times are aware, in the zone the request was read with.

    Attributes:
        from_: the party that is connected to the flow: `From`, or `CallFrom` if that is missing.
        to: the ExoPhone: `To`, or `CallTo` if that is missing.
        call_from: the caller: `CallFrom`. In calls you make it may be your own number.
        call_to: the number that was called: `CallTo`. It may be written differently from `to`;
            another number was observed in it as well.
        exophone: the ExoPhone: `To`.
        status: the call's status; often None.
        direction: who began it. A call to a flow that was started by the API is `outbound-dial`
            here and `outbound-api` in its call details.
        call_type: how far the call got.
        created_at: when the call was created.
        started_at: when it began.
        ended_at: None: Exotel sends a constant, because the call is still in progress.
        current_time: when the request was sent, by Exotel's clock.
        dial_status: the outcome of dialling the last party; after Connect.
        dial_duration: the time from dialling that party to the end of its leg, with its ringing; 0
            if it did not answer, unless it rejected.
        dialled_number: the last party dialled.
        digits: the keys the caller pressed in the preceding Gather or Menu, without the quotes
            Exotel puts around them. They are not validated, and later requests may lack them.
        recording_url: the URL of the recording; after Connect, Voicemail or a recorded Greeting.
        recording_available_by: when it will be available; about five minutes later.
        custom_field: what was passed as `custom_field`; only calls made by the API have one.
        forwarded_from: the number that forwarded the call.
        outgoing_number: the number the dialled parties see.
        flow_id: the flow.
        tenant_id: another identifier of the account.
        process_status: undocumented; no value of it was observed.
        legs: the parties the flow has dialled.
        insights: the outcome in detail, if the account has that add-on.
        stream: what a preceding Stream or Voicebot applet did.
    """

    call_from: str | None = field(default=None, repr=masked)
    call_to: str | None = field(default=None, repr=masked)
    exophone: str | None = field(default=None, repr=masked)
    status: CallStatus | None = None
    direction: Direction | None = None
    call_type: FlowCallType | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    current_time: datetime | None = None
    dial_status: CallStatus | None = None
    dial_duration: timedelta | None = None
    dialled_number: str | None = field(default=None, repr=masked)
    digits: str | None = field(default=None, repr=False)
    recording_url: str | None = field(default=None, repr=False)
    recording_available_by: datetime | None = None
    custom_field: str | None = field(default=None, repr=False)
    forwarded_from: str | None = field(default=None, repr=masked)
    outgoing_number: str | None = field(default=None, repr=masked)
    flow_id: str | None = None
    tenant_id: str | None = None
    process_status: str | None = None
    legs: tuple[DialledLeg, ...] = ()
    insights: Insights | None = None
    stream: StreamReport | None = None

    def to_call(self) -> Call:
        """Return the call with the data in this request.

        `exotel.calls.notify(request)` accepts it. Status callbacks of calls to a flow have no
        custom field, but requests do: they allow finding a dial whose response was lost.
        """
        incoming = self.direction is Direction.INBOUND
        return Call(
            sid=self.sid,
            status=self.status,
            # For calls made by the API, flows write another direction than call details.
            direction=self.direction if incoming else None,
            from_=self.from_,
            to=self.to,
            exophone=self.exophone,
            created_at=self.created_at,
            started_at=self.started_at,
            recording_url=self.recording_url,
            custom_field=self.custom_field,
            forwarded_from=self.forwarded_from,
            raw=self.raw,
        )


@frozen(kw_only=True)
class PassthruRequest(FlowRequest):
    """A Passthru applet reports the state of the call, and may ask which branch it takes.

    Answer with `Passthru`: the caller waits for it, unless the applet is configured as asynchronous
    (Exotel's support article 48283).
    """


@frozen(kw_only=True)
class ConnectRequest(FlowRequest):
    """A Connect applet asks whom to dial.

    Answer with `ConnectPlan`, or, for the older "dial whom" URL, with `DialWhom` (Exotel's support
    articles 3000096873 and 3000088074).
    """


@frozen(kw_only=True)
class GatherRequest(FlowRequest):
    """A Gather applet asks what to say, and how to collect the caller's input.

    Answer with `GatherPlan`. The keys pressed are in the request of the following applet (Exotel's
    support article 3000084635).
    """


@frozen(kw_only=True)
class VoicebotRequest(Value):
    """A Voicebot applet asks for the URL of the bot.

    Answer with `VoicebotStream`. Its parameters are not documented, so each may be missing; these
    are the ones that other applets send.

    Attributes:
        sid: the call's SID.
        from_: the party that is connected to the flow: `From`, or `CallFrom` if that is missing.
        to: the ExoPhone: `To`, or `CallTo` if that is missing.
        call_from: the caller: `CallFrom`.
        call_to: the number that was called: `CallTo`.
        direction: who began the call.
        current_time: when the request was sent, by Exotel's clock; aware.
        digits: the keys the caller pressed before, without the quotes Exotel puts around them.
        custom_field: what was passed as `custom_field`.
        raw: the complete original data: the query, nested according to the brackets in its names.
            If a name occurs twice the last value wins.
    """

    sid: str | None = None
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    call_from: str | None = field(default=None, repr=masked)
    call_to: str | None = field(default=None, repr=masked)
    direction: Direction | None = None
    current_time: datetime | None = None
    digits: str | None = field(default=None, repr=False)
    custom_field: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_query(cls, query: str | bytes, *, time_zone: tzinfo = IST) -> Self:
        """Read a request.

        Args:
            query: the query as received, percent-encoded, without a `?`. It may be empty.
            time_zone: the time zone in which Exotel writes times, and that of the request's time.

        Raises:
            InvalidWebhook: it has more fields or is nested deeper than any request of Exotel's. Its
                text shows nothing of the query.
            ConfigurationError: `time_zone` is not a time zone.
        """
        check_time_zone(time_zone)
        raw = read_query(query)
        return cls(sid=_sid_if_any(raw), **read_fields(cls, raw, time_zone))


def _sid_if_any(raw: Raw) -> str | None:
    try:
        return call_sid(raw)
    except InvalidWebhook:
        return None
