"""The query parameters of each request to the application (VOICE_V1 7.1, 7.3, 7.5, 7.6, 7.7)."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from exotel_async.emulator.calls import IN_PROGRESS
from exotel_async.emulator.numbers import national

if TYPE_CHECKING:
    from datetime import datetime

    from exotel_async.emulator.flow_engine.line import Line
    from exotel_async.emulator.flow_engine.state import AgentLeg
    from exotel_async.emulator.flows.settings import FlowSettings

Parameters = dict[str, str]
_RECORDING_TAKES = timedelta(minutes=5)
"""Until `RecordingAvailableBy`: "about 5 min later"."""


def of_call(line: Line) -> Parameters:
    """Return the long list: that of Passthru, of both kinds of Connect, and of Gather."""
    call, state, rules = line.call, line.state, line.rules
    attempts = state.attempts
    listed = {
        **_parties(line),
        "ForwardedFrom": "null",
        "DialCallDuration": "0" if attempts is None else str(attempts.duration),
        "StartTime": call.clock.text(call.at),
        "EndTime": rules.end_time,
        "CallType": state.call_type,
        "DialWhomNumber": state.whom,
        "ProcessStatus": "null",
        "flow_id": line.flow.id,
        "tenant_id": rules.tenant_id,
    }
    if rules.call_status:
        listed["CallStatus"] = IN_PROGRESS if line.left is None else call.timeline.status.value
    if attempts is not None:
        listed["DialCallStatus"] = attempts.status.value
        listed["OutgoingPhoneNumber"] = national(attempts.outgoing)
        for number, leg in enumerate(attempts.legs):
            listed |= _leg(f"Legs[{number}]", leg, rules)
    if state.recording_url is not None:
        listed["RecordingUrl"] = state.recording_url
        listed["RecordingAvailableBy"] = _rfc(line.now + _RECORDING_TAKES)
    if call.custom_field is not None:
        listed["CustomField"] = call.custom_field
    return listed | _digits(line)


def of_dial_event(line: Line, event: str, agent: str, *, busy: bool) -> Parameters:
    """Return those of a dial event. `Status` is the agent's state, not the call's."""
    return {
        **_parties(line),
        "DialWhomNumber": national(agent),
        "Status": "busy" if busy else "free",
        "EventType": event,
        "AgentEmail": line.rules.agent_emails.get(agent, ""),
    }


def of_prompt(line: Line) -> Parameters:
    """Return those of a Greeting or a Menu prompt."""
    custom = line.call.custom_field
    return {
        **_legacy(line),
        "DialWhomNumber": line.state.whom,
        **({} if custom is None else {"CustomField": custom}),
    }


def of_sms(line: Line) -> Parameters:
    """Return those of an SMS."""
    return _legacy(line) | _digits(line)


def of_whisper(line: Line) -> Parameters:
    """Return those of what an agent hears first."""
    return {**_legacy(line), "DialWhomNumber": line.state.whom}


def _legacy(line: Line) -> Parameters:
    call = line.call
    return {
        "CallSid": call.sid,
        "From": national(call.from_),
        "To": national(call.caller_id),
    }


def _parties(line: Line) -> Parameters:
    """Return what dial events and the long list have in common."""
    call, legacy = line.call, _legacy(line)
    created = call.clock.wall(call.at)
    to = legacy["To"]
    return {
        **legacy,
        "CallFrom": legacy["From"],
        "CallTo": to.removeprefix("0") if line.rules.bare_call_to else to,
        # A call that the API dialled is `outbound-api` in its record, but not here.
        "Direction": "incoming" if call.incoming else "outbound-dial",
        "Created": _rfc(created) if line.rules.created == "rfc" else call.clock.text(call.at),
        "CurrentTime": call.clock.text(call.at + line.age),
    }


def _digits(line: Line) -> Parameters:
    digits = line.state.digits
    if digits is None:
        return {}
    if line.rules.digits_once:
        line.state.digits = None
    # The quotes are part of the value.
    return {"digits": f'"{digits}"'}


def _leg(prefix: str, leg: AgentLeg, rules: FlowSettings) -> Parameters:
    word, number = leg.cause
    listed = {
        f"{prefix}[Number]": national(leg.number),
        f"{prefix}[Type]": "single",
        f"{prefix}[OnCallDuration]": str(leg.seconds),
        f"{prefix}[CallerId]": national(leg.caller_id),
        f"{prefix}[CauseCode]": word,
        f"{prefix}[Cause]": number,
    }
    if rules.disconnected_by is not None:
        listed[f"{prefix}[DisconnectedBy]"] = leg.disconnected_by
    if rules.insights and leg.answered is not None:
        listed |= {
            f"{prefix}[Insights][Status]": leg.outcome.value,
            f"{prefix}[Insights][DetailedStatus]": "CALL_COMPLETED",
            f"{prefix}[Insights][RingingDuration]": f"{leg.answered - leg.dialled:.2f}",
        }
    return listed


def _rfc(moment: datetime) -> str:
    """Return `Wed, 23 Feb 2022 12:31:59`: the date of a mail header without its zone."""
    return format_datetime(moment).rpartition(" ")[0]
