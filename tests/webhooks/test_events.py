"""Status callbacks: both sizes, three encodings, and every quirk of VOICE_V1 6."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.config import IST
from exotel_async.emulator.encoding import Encoding
from exotel_async.errors import InvalidWebhook
from exotel_async.models import (
    AnsweredBy,
    Call,
    CallbackEvent,
    CallDetails,
    CallStatus,
    Direction,
    Leg,
)
from exotel_async.webhooks import StatusCallback
from tests.webhooks.payloads import (
    AGENT_ANSWERED,
    BRIDGED,
    ENCODINGS,
    LONG,
    SHORT,
    SID,
    as_form,
    as_json,
    callback,
)

EVERY_ENCODING = pytest.mark.parametrize("encoding", ENCODINGS)
FORM = "application/x-www-form-urlencoded"


def at(hour: int, minute: int, second: int) -> datetime:
    return datetime(2026, 3, 2, hour, minute, second, tzinfo=IST)


@EVERY_ENCODING
def test_a_short_callback(encoding: Encoding) -> None:
    event = callback(SHORT, encoding)
    assert event == StatusCallback(
        sid=SID,
        status=CallStatus.COMPLETED,
        recording_url="https://recordings.example/acme1/call.mp3",
        updated_at=at(11, 21, 12),
    )
    assert event.is_final
    assert event.raw == SHORT


@EVERY_ENCODING
def test_a_long_callback(encoding: Encoding) -> None:
    event = callback(LONG, encoding)
    assert event == StatusCallback(
        sid=SID,
        event_type=CallbackEvent.TERMINAL,
        status=CallStatus.COMPLETED,
        direction=Direction.OUTBOUND_API,
        from_="+919812300002",
        to="+919812300001",
        exophone="08030000000",
        created_at=at(11, 20, 5),
        updated_at=at(11, 21, 12),
        started_at=at(11, 20, 5),
        ended_at=at(11, 21, 10),
        talk_time=timedelta(seconds=41),
        recording_url="https://recordings.example/acme1/call.mp3",
        custom_field="order-7",
        legs=(
            Leg(
                id=1,
                duration=timedelta(seconds=60),
                status=CallStatus.COMPLETED,
                answered_by=AnsweredBy.NOT_APPLICABLE,
            ),
            Leg(
                id=2,
                duration=timedelta(seconds=41),
                status=CallStatus.COMPLETED,
                answered_by=AnsweredBy.HUMAN,
            ),
        ),
    )
    assert event.is_final


@EVERY_ENCODING
def test_a_leg_not_dialled_yet_has_no_status(encoding: Encoding) -> None:
    first, second = callback(AGENT_ANSWERED, encoding).legs
    assert first.status is CallStatus.IN_PROGRESS
    assert second.status is None
    assert second.duration == timedelta()


@EVERY_ENCODING
@pytest.mark.parametrize("status", ["ringing", "in-progress", None])
def test_a_phone_that_rings_is_no_end(encoding: Encoding, status: str | None) -> None:
    leg = {"OnCallDuration": 0, "Status": status, "AnsweredBy": "NA"}
    one_party = {"EventType": "ringing", "Status": status, "To": None, "Legs": [leg]}
    event = callback(AGENT_ANSWERED | one_party, encoding)
    assert event.event_type is CallbackEvent.RINGING
    assert (event.status, event.to) == (status, None)
    assert not event.is_final
    assert not event.to_call().is_final
    answered = callback(AGENT_ANSWERED | one_party | {"EventType": "answered"}, encoding)
    assert event.key != answered.key


@EVERY_ENCODING
def test_a_call_going_on_has_no_end(encoding: Encoding) -> None:
    event = callback(BRIDGED, encoding)
    assert event.event_type is CallbackEvent.ANSWERED
    assert not event.is_final
    assert event.ended_at is None
    assert event.recording_url is None
    assert event.custom_field is None


@EVERY_ENCODING
def test_legs_without_who_answered(encoding: Encoding) -> None:
    legs = [{"OnCallDuration": 60, "Status": "completed"}]
    (leg,) = callback(LONG | {"Legs": legs}, encoding).legs
    assert leg == Leg(id=1, duration=timedelta(seconds=60), status=CallStatus.COMPLETED)


def test_bracketed_keys_as_they_are_written() -> None:
    body = b"CallSid=x1&Legs[0][OnCallDuration]=60&Legs[0][Status]=completed&Legs[1][Status]=busy"
    event = StatusCallback.from_request(body, FORM)
    assert [leg.status for leg in event.legs] == [CallStatus.COMPLETED, CallStatus.BUSY]
    assert event.raw == {
        "CallSid": "x1",
        "Legs": [{"OnCallDuration": "60", "Status": "completed"}, {"Status": "busy"}],
    }


def test_bracketed_keys_percent_encoded() -> None:
    event = StatusCallback.from_request(as_form(LONG), FORM)
    assert event == callback(LONG)
    assert b"%5B0%5D" in as_form(LONG)


def test_a_missing_first_leg_does_not_move_the_second() -> None:
    event = StatusCallback.from_request(b"CallSid=x1&Legs[1][Status]=busy", FORM)
    assert event.legs == (Leg(id=2, status=CallStatus.BUSY),)
    assert event.to_call().details == CallDetails(
        leg2_status=CallStatus.BUSY, legs=(Leg(id=2, status=CallStatus.BUSY),)
    )


def test_legs_out_of_order_are_put_in_order() -> None:
    body = b"CallSid=x1&Legs[1][Status]=busy&Legs[0][Status]=completed"
    legs = StatusCallback.from_request(body, FORM).legs
    assert [(leg.id, leg.status) for leg in legs] == [(1, "completed"), (2, "busy")]


def test_an_index_past_all_sense_is_kept_and_no_leg() -> None:
    body = b"CallSid=x1&Legs[999999999][Status]=busy&Legs[x][Status]=busy"
    event = StatusCallback.from_request(body, FORM)
    assert event.legs == ()
    assert event.raw["Legs"] == {"999999999": {"Status": "busy"}, "x": {"Status": "busy"}}


def test_legs_wrapped_as_in_call_details() -> None:
    legs = [{"Leg": {"Id": 1, "OnCallDuration": 60}}, {"Leg": {"Id": 2, "OnCallDuration": 41}}]
    event = callback(LONG | {"Legs": legs})
    assert [leg.duration for leg in event.legs] == [timedelta(seconds=60), timedelta(seconds=41)]


@pytest.mark.parametrize("legs", [None, "", "null", 7, ["x", None, 3], {"Leg": "x"}, [[]]])
def test_legs_that_are_none(legs: object) -> None:
    assert callback(LONG | {"Legs": legs}).legs == ()


@EVERY_ENCODING
@pytest.mark.parametrize(
    "end", ["1970-01-01 05:30:00", "0000-00-00 00:00:00", "0001-01-01T00:00:00Z", "", "null", None]
)
def test_an_end_that_has_not_come(end: str | None, encoding: Encoding) -> None:
    assert callback(LONG | {"EndTime": end}, encoding).ended_at is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-02T18:06:59+05:30", at(18, 6, 59)),
        ("2026-03-02T12:36:59+00:00", at(18, 6, 59)),
        ("2026-03-02T12:36:59Z", at(18, 6, 59)),
        ("Mon, 02 Mar 2026 18:06:59", at(18, 6, 59)),
        ("Mon, 02 Mar 2026 18:06:59 +0530", at(18, 6, 59)),
    ],
)
def test_times_in_other_shapes(written: str, read: datetime) -> None:
    event = callback(LONG | {"StartTime": written})
    assert event.started_at == read
    assert event.started_at is not None
    assert event.started_at.tzinfo is IST


def test_an_end_before_the_start_is_told_as_it_is() -> None:
    event = callback(LONG | {"EndTime": "2026-03-02 11:20:01"})
    assert event.ended_at == at(11, 20, 1)


def test_the_clock_can_be_another_one() -> None:
    event = StatusCallback.from_request(as_json(SHORT), "application/json", time_zone=UTC)
    assert event.updated_at == datetime(2026, 3, 2, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("written", ["None", "NULL", "undefined", "N/A"])
def test_words_that_mean_nothing(written: str) -> None:
    kept = {"CallSid", "CustomField", "Legs"}
    sent = {name: written for name in LONG if name not in kept}
    legs = [{"OnCallDuration": written, "Status": written, "AnsweredBy": written}]
    event = callback(sent | {"CallSid": "a1", "CustomField": written, "Legs": legs})
    assert event == StatusCallback(sid="a1", custom_field=written, legs=(Leg(id=1),))
    with pytest.raises(InvalidWebhook, match="no CallSid"):
        callback(SHORT | {"CallSid": written})


@pytest.mark.parametrize("word", ["cancelled", "no_answer", "no answer"])
def test_a_status_in_another_spelling_is_an_end(word: str) -> None:
    event = callback(LONG | {"Status": word})
    assert event.is_final
    assert event.status in {CallStatus.CANCELED, CallStatus.NO_ANSWER}


@EVERY_ENCODING
@pytest.mark.parametrize(
    "field", ["To", "From", "RecordingUrl", "CustomField", "Status", "EventType", "Direction"]
)
def test_null_as_text_is_nothing(field: str, encoding: Encoding) -> None:
    event = callback(LONG | {field: "null"}, encoding)
    names = {"To": "to", "From": "from_", "EventType": "event_type", "CustomField": "custom_field"}
    assert getattr(
        event, names.get(field, "recording_url" if "Url" in field else field.lower())
    ) is (None)


def test_what_is_seen_but_not_documented() -> None:
    more = {"Duration": "65", "Price": "1.500", "PreSignedRecordingUrl": "https://s3.example/x"}
    event = callback(LONG | more)
    assert event.duration == timedelta(seconds=65)
    assert event.price == Decimal("1.500")
    assert event.presigned_recording_url == "https://s3.example/x"


@EVERY_ENCODING
def test_unknown_fields_are_kept(encoding: Encoding) -> None:
    event = callback(SHORT | {"Mood": "good", "Parts": [{"A": "1"}, {"A": "2"}]}, encoding)
    assert event.raw["Mood"] == "good"
    assert event.raw["Parts"] == [{"A": "1"}, {"A": "2"}]


def test_unknown_words_stay_what_they_are() -> None:
    event = callback(LONG | {"Status": "parked", "EventType": "moved", "Direction": "sideways"})
    assert (event.status, event.event_type, event.direction) == ("parked", "moved", "sideways")
    assert not event.is_final


def test_who_answered_is_read_in_any_case() -> None:
    for word in ("human", "Human", "HUMAN"):
        (leg,) = callback(LONG | {"Legs": [{"AnsweredBy": word}]}).legs
        assert leg.answered_by is AnsweredBy.HUMAN


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    form = b"CallSid=x1&Status=busy&Status=completed"
    doc = b'{"CallSid":"x1","Status":"busy","Status":"completed"}'
    parts = (
        b"--b\r\nContent-Disposition: form-data; name=CallSid\r\n\r\nx1\r\n"
        b'--b\r\nContent-Disposition: form-data; name="Status"\r\n\r\nbusy\r\n'
        b'--b\r\nContent-Disposition: form-data; name="Status"\r\n\r\ncompleted\r\n--b--\r\n'
    )
    for body, kind in (
        (form, FORM),
        (doc, "application/json"),
        (parts, "multipart/form-data; boundary=b"),
    ):
        assert StatusCallback.from_request(body, kind).status is CallStatus.COMPLETED


@pytest.mark.parametrize(
    ("event_type", "status", "final"),
    [
        ("terminal", "completed", True),
        ("terminal", "canceled", True),
        ("answered", "in-progress", False),
        # Both of these pairs were seen and are not in agreement; the status decides.
        ("terminal", "in-progress", False),
        ("answered", "completed", True),
        ("terminal", None, False),
    ],
)
def test_the_status_decides_whether_it_is_over(
    event_type: str, status: str | None, *, final: bool
) -> None:
    event = callback(LONG | {"EventType": event_type, "Status": status})
    assert event.is_final is final
    assert event.to_call().is_final is final


@EVERY_ENCODING
def test_the_key_is_the_same_for_a_callback_sent_again(encoding: Encoding) -> None:
    again = LONG | {
        "DateUpdated": "2026-03-02 11:26:12",
        "RecordingUrl": "https://recordings.example/later.mp3",
        "ConversationDuration": 42,
    }
    assert callback(LONG, encoding).key == callback(again).key


def test_the_two_answered_have_different_keys() -> None:
    keys = {callback(payload).key for payload in (AGENT_ANSWERED, BRIDGED, LONG, SHORT)}
    assert len(keys) == 4
    assert (
        len({callback(payload | {"CallSid": "other"}).key for payload in (LONG, SHORT)} | keys) == 6
    )


def test_the_key_does_not_tell_an_absent_leg_from_one_without_a_status() -> None:
    lone = AGENT_ANSWERED | {"Legs": AGENT_ANSWERED["Legs"][:1]}
    assert callback(lone).key == callback(AGENT_ANSWERED).key


def test_the_key_tells_which_leg_it_was() -> None:
    first = b"CallSid=x1&Legs[0][Status]=busy&Legs[1][Status]="
    second = b"CallSid=x1&Legs[0][Status]=&Legs[1][Status]=busy"
    keys = {StatusCallback.from_request(body, FORM).key for body in (first, second)}
    assert len(keys) == 2


def test_a_key_stays_the_same_in_other_processes() -> None:
    # Where keys are stored, an update of this package must not make old events new.
    assert callback(LONG).key == "0a1b2c3d4e5f60718293a4b5c6d71a3j:e4879c4fc879d0b8c5b9d7c8"


def test_keys_are_short_whatever_is_told() -> None:
    event = callback(LONG | {"Status": "x" * 100_000, "EventType": "\ud800", "CallSid": "s" * 128})
    assert len(event.key) < 160


def test_the_call_it_tells_of() -> None:
    event = callback(LONG)
    assert event.to_call() == Call(
        sid=SID,
        status=CallStatus.COMPLETED,
        direction=Direction.OUTBOUND_API,
        from_="+919812300002",
        to="+919812300001",
        exophone="08030000000",
        created_at=at(11, 20, 5),
        updated_at=at(11, 21, 12),
        started_at=at(11, 20, 5),
        ended_at=at(11, 21, 10),
        recording_url="https://recordings.example/acme1/call.mp3",
        custom_field="order-7",
        details=CallDetails(
            talk_time=timedelta(seconds=41),
            leg1_status=CallStatus.COMPLETED,
            leg2_status=CallStatus.COMPLETED,
            legs=event.legs,
        ),
    )
    assert event.to_call().raw is event.raw


def test_the_call_of_a_short_callback_has_no_details() -> None:
    call = callback(SHORT).to_call()
    assert call.is_final
    assert call.details is None


@pytest.mark.parametrize("payload", [SHORT, LONG, BRIDGED])
def test_events_compare_hash_copy_and_pickle(payload: dict[str, Any]) -> None:
    event = callback(payload)
    for again in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event)):  # noqa: S301
        assert again == event
        assert hash(again) == hash(event)
        assert again.raw == event.raw
        assert again.key == event.key


def test_the_query_is_what_the_caller_says_and_no_part_of_the_key() -> None:
    body = as_json(LONG)
    bare = StatusCallback.from_request(body, "application/json")
    asked = StatusCallback.from_request(body, "application/json", query="attempt=ab12")
    assert bare.query == {}
    assert asked.query == {"attempt": "ab12"}
    assert asked.key == bare.key
    assert asked != bare
    assert "ab12" not in repr(asked)
    assert StatusCallback.from_dict(asked.to_dict()) == asked
    assert hash(asked) == hash(bare)


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=8))
def test_any_query_comes_back_as_it_was_written(query: dict[str, str]) -> None:
    written = urlencode(query, errors="replace")
    event = StatusCallback.from_request(as_json(SHORT), "application/json", query=written)
    assert event.query == {
        name.encode(errors="replace").decode(): value.encode(errors="replace").decode()
        for name, value in query.items()
    }


def test_events_are_frozen_and_slotted() -> None:
    event = callback(SHORT)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.sid = "other"  # type: ignore[misc]
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize(
    "sid", [None, "", "null", "a/b", "..", "a b", "a\nb", "x" * 129, "%2e", "\ud800", True, []]
)
def test_without_a_sid_it_is_no_callback(sid: object) -> None:
    with pytest.raises(InvalidWebhook, match="CallSid"):
        StatusCallback.from_request(as_json(SHORT | {"CallSid": sid}), "application/json")


def test_names_are_written_as_exotel_writes_them() -> None:
    with pytest.raises(InvalidWebhook, match="no CallSid"):
        StatusCallback.from_request(b"callsid=x1", FORM)
