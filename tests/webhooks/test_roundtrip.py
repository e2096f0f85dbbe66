"""From the emulator's encoder to the parser: no field of a real emulated call is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from exotel_async import same_number
from exotel_async.config import IST
from exotel_async.emulator import Behaviour, Emulator, Outcome, Scenario
from exotel_async.emulator.encoding import Encoding, encode
from exotel_async.models import CallStatus
from exotel_async.webhooks import StatusCallback
from exotel_async.wire.values import parse_time, seconds
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.webhooks.payloads import ENCODINGS

NOBODY_LISTENS = "http://127.0.0.1:9/callback"
OUTCOMES = [
    {},
    {AGENT: Behaviour(outcome=Outcome.BUSY)},
    {CUSTOMER: Behaviour(outcome=Outcome.NO_ANSWER)},
    {CUSTOMER: Behaviour(outcome=Outcome.CANCELED)},
]


@asynccontextmanager
async def called(numbers: dict[str, Behaviour], **options: Any) -> AsyncIterator[Emulator]:
    scenario = Scenario(
        busy=0, no_answer=0, failed=0, second_busy=0, second_no_answer=0, second_failed=0,
        second_canceled=0, numbers=numbers,
    )  # fmt: skip
    async with (
        Emulator(speed=1000, scenario=scenario, recording_ready=0) as emulator,
        session(emulator) as exotel,
    ):
        await exotel.calls.connect(
            AGENT,
            CUSTOMER,
            caller_id=EXOPHONE,
            record=True,
            custom_field='{"order": "7 & 8", "note": "नमस्ते [x]"}',
            status_callback=NOBODY_LISTENS,
            **options,
        )
        await emulator.finish_calls()
        yield emulator


def text(value: object) -> str | None:
    return None if value in {None, ""} else str(value)


def assert_nothing_is_lost(event: StatusCallback, document: dict[str, Any]) -> None:
    read = {
        "CallSid": event.sid,
        "EventType": event.event_type,
        "Status": event.status,
        "RecordingUrl": event.recording_url,
        "DateCreated": event.created_at,
        "DateUpdated": event.updated_at,
        "StartTime": event.started_at,
        "EndTime": event.ended_at,
        "To": event.to,
        "From": event.from_,
        "PhoneNumberSid": event.exophone,
        "ConversationDuration": event.talk_time,
        "Direction": event.direction,
        "CustomField": event.custom_field,
    }
    times = {"DateCreated", "DateUpdated", "StartTime", "EndTime"}
    for name, value in document.items():
        if name == "Legs":
            assert len(event.legs) == len(value)
            for leg, told in zip(event.legs, value, strict=True):
                assert leg.duration == timedelta(seconds=told["OnCallDuration"])
                assert leg.status == text(told["Status"])
                assert leg.answered_by is not None
                assert leg.answered_by == told["AnsweredBy"].lower()
        elif name in times:
            assert read[name] == parse_time(value, IST)
            assert read[name] is not None or value is None
        elif name == "ConversationDuration":
            assert read[name] == seconds(value)
        else:
            assert read[name] == text(value), name
    assert event.raw.keys() == document.keys()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("numbers", OUTCOMES)
async def test_a_long_callback(encoding: Encoding, numbers: dict[str, Behaviour]) -> None:
    async with called(numbers, status_callback_events=["terminal", "answered"]) as emulator:
        (call,) = emulator.calls.values()
        events = []
        for sent in emulator.callbacks:
            content_type, body = encode(sent.document, encoding, boundary="a9b8")
            event = StatusCallback.from_request(body, content_type)
            assert_nothing_is_lost(event, sent.document)
            events.append(event)
        assert [event.event_type for event in events] == [str(kind) for kind, _ in call.moments()]
        assert len({event.key for event in events}) == len(events)
        last = events[-1].to_call()
        assert last.is_final
        assert last.status == call.status
        assert last.details is not None
        assert [leg.status for leg in last.legs] == [leg.status for leg in call.legs()]
        assert same_number(last.from_, AGENT)
        assert same_number(last.to, CUSTOMER)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_short_callback(encoding: Encoding) -> None:
    async with called({}) as emulator:
        (sent,) = emulator.callbacks
        content_type, body = encode(sent.document, encoding, boundary="a9b8")
        event = StatusCallback.from_request(body, content_type)
        assert_nothing_is_lost(event, sent.document)
        assert event.event_type is None
        assert event.status is CallStatus.COMPLETED


async def test_a_callback_ends_a_wait() -> None:
    async with called({}, status_callback_events=["terminal"]) as emulator:
        (sent,) = emulator.callbacks
        content_type, body = encode(sent.document, "multipart", boundary="a9b8")
        event = StatusCallback.from_request(body, content_type)
        async with session(emulator) as other:
            other.calls.notify(event)
            before = len(emulator.requests)
            call = await other.calls.wait(event.sid, details=True)
        assert len(emulator.requests) == before
        assert call.talk_time == event.talk_time
        assert call.custom_field == event.custom_field
