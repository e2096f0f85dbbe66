"""No repr and no error shows a number, a link, a custom field or what a caller pressed."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from exotel_async.errors import InvalidRequest
from exotel_async.webhooks import (
    ConnectPlan,
    ConnectRequest,
    DialEvent,
    DialWhom,
    GatherPlan,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    Play,
    Playback,
    SmsRequest,
    SmsText,
    Speak,
    StatusCallback,
    WhisperRequest,
)
from tests.webhooks.payloads import DIAL, LONG, PASSTHRU, as_json

DIGITS = "9876501234"
NUMBER = f"+91{DIGITS}"
TOKEN = "canary-token"
LINK = f"https://files.example/{DIGITS}?X-Amz-Signature={TOKEN}"
PRIVATE = f"for {DIGITS}, {TOKEN}"

FIELDS = {
    **dict.fromkeys(
        ("CallFrom", "CallTo", "From", "To", "DialWhomNumber", "ForwardedFrom"), NUMBER
    ),
    **dict.fromkeys(("OutgoingPhoneNumber", "PhoneNumberSid"), NUMBER),
    **dict.fromkeys(("Legs[0][Number]", "Legs[0][CallerId]"), NUMBER),
    **dict.fromkeys(("RecordingUrl", "PreSignedRecordingUrl", "Stream[StreamUrl]"), LINK),
    "Stream[RecordingUrl]": LINK,
    "CustomField": PRIVATE,
    "AgentEmail": f"{TOKEN}@shop.example",
    "digits": f'"{DIGITS}"',
    "Unknown": PRIVATE,
}
KINDS: list[type[Any]] = [
    PassthruRequest,
    ConnectRequest,
    GatherRequest,
    GreetingRequest,
    WhisperRequest,
    SmsRequest,
    DialEvent,
]


def assert_private(shown: str) -> None:
    assert DIGITS not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("kind", KINDS)
def test_requests(kind: type[Any]) -> None:
    request = kind.from_query(urlencode(PASSTHRU | DIAL | FIELDS))
    assert request.raw["Unknown"] == PRIVATE
    for shown in (repr(request), str(request), f"{request}", repr([request])):
        assert_private(shown)
        assert request.sid in shown
        assert "1234'" in shown


def test_callbacks() -> None:
    known = {name: value for name, value in FIELDS.items() if "[" not in name}
    event = StatusCallback.from_request(as_json(LONG | known), "application/json")
    assert event.from_ == NUMBER
    assert event.presigned_recording_url == LINK
    assert_private(repr(event))
    assert_private(event.key)


@pytest.mark.parametrize(
    "answer",
    [
        Speak(PRIVATE),
        Play(LINK),
        SmsText(PRIVATE),
        DialWhom(NUMBER),
        Playback(PRIVATE),
        Playback(Play(LINK)),
        GatherPlan(PRIVATE, repeats=1, repeat_prompt=Play(LINK)),
        ConnectPlan(
            [NUMBER],
            music_on_hold="some_tone",
            music_on_hold_url=LINK,
            playback=Playback(PRIVATE),
            event_url=LINK,
            extra={"sticky": PRIVATE},
        ),
        ConnectPlan(trunk="t", custom_params={"token": TOKEN}, caller_id=NUMBER),
    ],
)
def test_answers(answer: Any) -> None:
    assert_private(repr(answer))
    assert_private(repr(answer.render()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Speak(PRIVATE + "\x00"),
        lambda: Speak(LINK),
        lambda: SmsText(PRIVATE + "\x00"),
        lambda: Play(f"ftp:{LINK}"),
        lambda: DialWhom(f"{NUMBER}x"),
        lambda: DialWhom(f"tel:{NUMBER}"),
        lambda: GatherPlan(Play([LINK, LINK])),
        lambda: ConnectPlan([f"{NUMBER}{NUMBER}"]),
        lambda: ConnectPlan([int(DIGITS)]),  # type: ignore[list-item]
        lambda: ConnectPlan([NUMBER], caller_id=NUMBER),
        lambda: ConnectPlan([NUMBER], trunk="t"),
        lambda: ConnectPlan([NUMBER], playback=PRIVATE),  # type: ignore[arg-type]
        lambda: ConnectPlan([NUMBER], event_url=f"x/{DIGITS}"),
        lambda: ConnectPlan([NUMBER], extra={"a": {TOKEN}}),
        lambda: ConnectPlan(trunk="t", custom_params={"token": f"{TOKEN} "}),
        lambda: ConnectPlan(trunk="t", custom_params={"token": TOKEN * 30}),
    ],
)
def test_errors(make: Callable[[], Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make()
    error = caught.value
    assert_private(f"{error} {error!r} {error.args} {error.shown}")
    assert_private(pickle.dumps(error).decode("latin-1"))
    last = traceback.format_exception_only(error)
    assert_private("".join(last))
