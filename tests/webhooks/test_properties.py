"""Whatever comes: a typed event or `InvalidWebhook`, and nothing else."""

from __future__ import annotations

import json
import pickle
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.errors import InvalidWebhook
from exotel_async.webhooks import (
    ConnectRequest,
    DialEvent,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    SmsRequest,
    StatusCallback,
    VoicebotRequest,
    WhisperRequest,
)
from tests.webhooks.payloads import AGENT_ANSWERED, DIAL, ENCODINGS, LONG, PASSTHRU, SHORT, callback
from tests.wire.test_converter import JUNK

KINDS: list[type[Any]] = [
    PassthruRequest,
    ConnectRequest,
    GatherRequest,
    GreetingRequest,
    SmsRequest,
    WhisperRequest,
    VoicebotRequest,
    DialEvent,
]
NAMES = sorted(LONG.keys() | PASSTHRU.keys() | DIAL.keys() | {"digits", "Insights[x]", "Stream[a]"})
names = st.sampled_from(NAMES) | st.text("CallSidLegs[]0189", max_size=30) | st.text(max_size=8)
values = st.sampled_from([*PASSTHRU.values(), '"1"', "null", ""]) | st.text(max_size=40)
told = JUNK | st.sampled_from(
    [*LONG.values(), *PASSTHRU.values(), "NaN", "1e999", "٣", "-1", 10**30]
)
fields = st.lists(st.tuples(names, values), max_size=20)
content_types = st.one_of(
    st.none(),
    st.text(max_size=60),
    st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            'multipart/form-data; boundary="b"; boundary=c',
            "multipart/form-data; boundary*0=b",
            "multipart/form-data",
        ]
    ),
    st.text(max_size=40).map("multipart/form-data; boundary=".__add__),
    st.text(max_size=40).map("multipart/form-data;".__add__),
)
# Pieces of multipart, so that the parser comes further than its first line.
pieces = st.lists(
    st.sampled_from(
        [
            b"--b",
            b"--b--",
            b"\r\n",
            b"\r\n\r\n",
            b"--",
            b"\r",
            b"Content-Disposition: form-data; name=CallSid",
            b'Content-Disposition: form-data; name="Legs[0][Status]"; filename="\xff',
            b"Content-Disposition: x; name*=utf-8''a; name=",
            b"Content-Type: text/plain",
            b": ",
            b"x1",
        ]
    )
    | st.binary(max_size=6),
    max_size=30,
).map(b"".join)
bodies = st.one_of(
    st.binary(max_size=300),
    pieces,
    fields.map(lambda pairs: urlencode(pairs, errors="replace").encode()),
    st.dictionaries(st.sampled_from(NAMES), told, max_size=6).map(
        lambda document: json.dumps(document, default=str)[:10_000].encode()
    ),
)


def assert_sound(event: Any) -> None:
    """It is what it says: every promise of a value holds, and its raw is all there."""
    if not (isinstance(event, VoicebotRequest) and event.sid is None):
        assert isinstance(event.sid, str)
        assert 1 <= len(event.sid) <= 128
    repr(event)
    hash(event)
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301
    for name in ("created_at", "started_at", "ended_at", "updated_at", "current_time"):
        time = getattr(event, name, None)
        assert time is None or time.tzinfo is not None
    if hasattr(event, "key"):
        assert event.key == event.key
        assert len(event.key) < 160


@pytest.mark.slow
@given(body=bodies, content_type=content_types)
def test_any_body(body: bytes, content_type: str | None) -> None:
    try:
        event = StatusCallback.from_request(body, content_type)
    except InvalidWebhook:
        return
    assert_sound(event)
    assert event.to_call().sid == event.sid


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(query=st.one_of(st.text(max_size=200), st.binary(max_size=200), fields.map(
    lambda pairs: urlencode([("CallSid", "x1"), *pairs], errors="replace")
)))  # fmt: skip
def test_any_query(kind: type[Any], query: str | bytes) -> None:
    try:
        event = kind.from_query(query)
    except InvalidWebhook:
        return
    assert_sound(event)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(sorted(LONG)), told))
def test_any_values_in_a_callback(values: dict[str, Any]) -> None:
    document = json.dumps(LONG | values, default=str)
    try:
        event = StatusCallback.from_request(document.encode(), "application/json")
    except InvalidWebhook:
        assert "CallSid" in values or len(document) > 4000
        return
    assert_sound(event)
    assert event.to_call().is_final == event.is_final


@given(st.sampled_from([SHORT, LONG, AGENT_ANSWERED]), st.dictionaries(names, values, max_size=5))
def test_the_encodings_agree(payload: dict[str, Any], more: dict[str, str]) -> None:
    # Names with brackets nest in forms only, and the emulator's multipart escapes nothing.
    plain = {
        name: value
        for name, value in more.items()
        if name.isalnum() and name.isascii() and value.isprintable() and name not in payload
    }
    events = [callback(payload | plain, encoding) for encoding in ENCODINGS]
    assert events[0] == events[1] == events[2]
    assert len({event.key for event in events}) == 1
    assert all(event.raw[name] == value for event in events for name, value in plain.items())
