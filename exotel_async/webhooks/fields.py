"""Parsing of the fields that several of Exotel's requests share, and of their nested parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta, tzinfo
from functools import cache
from hashlib import blake2b
from typing import Any, Final

from attrs import field, fields_dict, frozen

from exotel_async.errors import InvalidRequest, InvalidWebhook
from exotel_async.masking import masked
from exotel_async.models import CallStatus, Direction
from exotel_async.models.value import Value
from exotel_async.webhooks.body import rows
from exotel_async.webhooks.enums import FlowCallType
from exotel_async.wire.validation import segment
from exotel_async.wire.values import count, enum_reader, free_text, parse_time, seconds, text

Raw = Mapping[str, Any]
"""A payload as returned by `read_body` and `read_query`."""

_direction: Final = enum_reader(Direction)
_status: Final = enum_reader(CallStatus)


def call_sid(raw: Raw) -> str:
    """Return the call's SID, the only field that every event must have.

    Raises:
        InvalidWebhook: it is missing, or could not be a segment of a path.
    """
    found = text(raw.get("CallSid"))
    if found is None:
        raise InvalidWebhook("no CallSid")
    try:
        segment("CallSid", found)
    except InvalidRequest:
        pass
    else:
        return found
    raise InvalidWebhook("CallSid is not a call identifier")


def direction(value: object) -> Direction | None:
    """Read the direction of a call; flows write `incoming` for `inbound` (VOICE_V1 7.1)."""
    found = _direction(value)
    return Direction.INBOUND if found is not None and found.casefold() == "incoming" else found


def _keys_pressed(value: object) -> str | None:
    """Return digits without the literal double quotes that they are sent in (VOICE_V1 7.1)."""
    found = text(value)
    if found is not None and len(found) > 1 and found[0] == found[-1] == '"':
        return text(found[1:-1])
    return found


def event_key(sid: str, *content: object) -> str:
    """Return a key made of the call and the event's content: equal for equal events."""
    # A digest, because the values may have any content and length.
    digest = blake2b(json.dumps(content).encode(), digest_size=12).hexdigest()
    return f"{sid}:{digest}"


@frozen(kw_only=True)
class Insights(Value):
    """The outcome of an attempt to reach a party; an add-on of Exotel's.

    Attributes:
        status: the status, in Exotel's words.
        detailed_status: a more detailed status, such as `CALL_COMPLETED`.
        ringing_duration: how long it rang, to the hundredth of a second.
    """

    status: str | None = None
    detailed_status: str | None = None
    ringing_duration: timedelta | None = None


@frozen(kw_only=True)
class DialledLeg(Value):
    """One party a flow has dialled.

    Attributes:
        id: 1 is the party dialled first. `Leg` counts differently: there 1 is the caller.
        number: the party's number.
        type: the type, in Exotel's words; only `single` was observed.
        duration: how long the party was on the call.
        caller_id: the number it saw.
        cause: why the leg ended, in a word: `NORMAL_CLEARING`, `NO_ANSWER`, `RING_TIMEOUT`.
        cause_code: the same as a number: 16, 19, 1003. Exotel sends the word as `CauseCode` and the
            number as `Cause`; here they are told apart by their values, not by these names.
        disconnected_by: who hung up, in Exotel's words.
        insights: the outcome in detail, if the account has that add-on.
    """

    id: int
    number: str | None = field(default=None, repr=masked)
    type: str | None = None
    duration: timedelta | None = None
    caller_id: str | None = field(default=None, repr=masked)
    cause: str | None = None
    cause_code: int | None = None
    disconnected_by: str | None = None
    insights: Insights | None = None


@frozen(kw_only=True)
class StreamReport(Value):
    """What a Stream or Voicebot applet did.

    Attributes:
        sid: the stream's identifier.
        status: how it ended, in Exotel's words.
        duration: how long audio was streamed.
        url: the URL it was streamed to.
        recording_url: the URL of its recording.
        disconnected_by: who ended it, in Exotel's words.
    """

    sid: str | None = None
    status: str | None = None
    duration: timedelta | None = None
    url: str | None = field(default=None, repr=False)
    recording_url: str | None = field(default=None, repr=False)
    disconnected_by: str | None = None


def _insights(value: object) -> Insights | None:
    """Read `Insights[...]`; None if there are none."""
    if not isinstance(value, Mapping):
        return None
    return Insights(
        status=text(value.get("Status")),
        detailed_status=text(value.get("DetailedStatus")),
        ringing_duration=seconds(value.get("RingingDuration")),
    )


def _stream(value: object) -> StreamReport | None:
    """Read `Stream[...]`; None if there was no stream."""
    if not isinstance(value, Mapping):
        return None
    return StreamReport(
        sid=text(value.get("StreamSID")),
        status=text(value.get("Status")),
        duration=seconds(value.get("Duration")),
        url=text(value.get("StreamUrl")),
        recording_url=text(value.get("RecordingUrl")),
        disconnected_by=text(value.get("DisconnectedBy")),
    )


def _legs(value: object) -> tuple[DialledLeg, ...]:
    """Read `Legs[i][...]`, in order."""
    return tuple(_dialled(index + 1, leg) for index, leg in rows(value))


def _dialled(position: int, leg: Raw) -> DialledLeg:
    causes = [text(leg.get("CauseCode")), text(leg.get("Cause"))]
    return DialledLeg(
        id=position,
        number=text(leg.get("Number")),
        type=text(leg.get("Type")),
        duration=seconds(leg.get("OnCallDuration")),
        caller_id=text(leg.get("CallerId")),
        cause=next((cause for cause in causes if cause and count(cause) is None), None),
        cause_code=next((code for code in map(count, causes) if code is not None), None),
        disconnected_by=text(leg.get("DisconnectedBy")),
        insights=_insights(leg.get("Insights")),
    )


_FIELDS: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = {
    "call_from": ("CallFrom", text),
    "call_to": ("CallTo", text),
    "exophone": ("To", text),
    "status": ("CallStatus", _status),
    "direction": ("Direction", direction),
    "call_type": ("CallType", enum_reader(FlowCallType)),
    "created_at": ("Created", parse_time),
    "started_at": ("StartTime", parse_time),
    "ended_at": ("EndTime", parse_time),
    "current_time": ("CurrentTime", parse_time),
    "dial_status": ("DialCallStatus", _status),
    "dial_duration": ("DialCallDuration", seconds),
    "dialled_number": ("DialWhomNumber", text),
    "agent_email": ("AgentEmail", text),
    "digits": ("digits", _keys_pressed),
    "recording_url": ("RecordingUrl", text),
    "recording_available_by": ("RecordingAvailableBy", parse_time),
    "custom_field": ("CustomField", free_text),
    "forwarded_from": ("ForwardedFrom", text),
    "outgoing_number": ("OutgoingPhoneNumber", text),
    "flow_id": ("flow_id", text),
    "tenant_id": ("tenant_id", text),
    "process_status": ("ProcessStatus", text),
    "legs": ("Legs", _legs),
    "insights": ("Insights", _insights),
    "stream": ("Stream", _stream),
}
"""For each attribute: the name of the field in a flow's request, and the parser of its value."""


@cache
def _fields_of(kind: type[Any]) -> list[tuple[str, str, Callable[..., Any]]]:
    return [(name, *_FIELDS[name]) for name in fields_dict(kind) if name in _FIELDS]


def read_fields(kind: Callable[..., Value], raw: Raw, time_zone: tzinfo) -> dict[str, Any]:
    """Return the keyword arguments of `kind` for the fields that flows send, except the SID."""
    get = raw.get
    found = {
        name: read(get(sent), time_zone) if read is parse_time else read(get(sent))
        for name, sent, read in _fields_of(kind)
    }
    # Both fields of a pair may be sent, with different values (VOICE_V1 7.1).
    from_, to = text(get("From")) or text(get("CallFrom")), text(get("To")) or text(get("CallTo"))
    return {"from_": from_, "to": to, "raw": raw, **found}
