"""The payloads of status callbacks: the short one and the long one (VOICE_V1 6.1, 6.2)."""

from __future__ import annotations

from exotel_async.emulator.calls import IN_PROGRESS, EmulatedCall, Event, Leg
from exotel_async.emulator.documents import CallDocuments, echo
from exotel_async.emulator.numbers import national
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings


def is_long(call: EmulatedCall) -> bool:
    """Return whether the payload is long: with subscribed events, and two numbers or a stream."""
    streams = call.dial.stream_url is not None
    return (call.to is not None or streams) and bool(call.dial.events)


def is_sent(call: EmulatedCall, event: Event) -> bool:
    """Return whether that event is sent for a call."""
    return event in call.dial.events if is_long(call) else event is Event.TERMINAL


def due_moments(call: EmulatedCall) -> list[tuple[Event, float]]:
    """Return the events that are sent for a call, each with the call's age it is due at."""
    return [(event, age) for event, age in call.moments() if is_sent(call, event)]


def document(
    call: EmulatedCall, event: Event, age: float, settings: Settings, documents: CallDocuments
) -> Document:
    """Return the payload for an event that happened at that age of the call."""
    clock, line, nothing = call.clock, call.timeline, settings.unrecorded_url
    over = event is Event.TERMINAL
    short: Document = {
        "CallSid": call.sid,
        "Status": line.status.value if over else IN_PROGRESS,
        "RecordingUrl": (documents.recording_url(call) if over else None) or nothing,
        "DateUpdated": clock.text(call.at + age),
    }
    if not is_long(call):
        return short
    first, second = call.legs(age)
    bridged = line.bridged is not None and age >= line.bridged
    # `AnsweredBy` is reported for the second leg only. A call to a stream has no such leg.
    legs = [_leg(first, settings, human=False)]
    if call.to is not None:
        legs.append(_leg(second, settings, human=bridged))
    return {
        **short,
        "EventType": event.value,
        "DateCreated": clock.text(call.at),
        "To": documents.to(call, settings.callback_numbers),
        "From": echo(call.from_, settings.callback_numbers),
        "PhoneNumberSid": national(call.caller_id),
        "StartTime": clock.text(call.at),
        "EndTime": clock.text(call.at + line.ended) if over else None,
        "ConversationDuration": call.talked if over else 0,
        "Direction": call.dial.direction,
        # Sent with the terminal event only.
        "CustomField": call.custom_field if over else None,
        "Legs": legs,
    }


def _leg(leg: Leg, settings: Settings, *, human: bool) -> Document:
    return {
        "OnCallDuration": leg.seconds,
        "Status": leg.status or settings.undialled_leg,
        "AnsweredBy": "HUMAN" if human else "NA",
    }
