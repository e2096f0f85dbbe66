"""Requests of applets, and dial events: the captured payloads, every quirk, one test each."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exotel_async.config import IST
from exotel_async.errors import InvalidWebhook
from exotel_async.models import Call, CallStatus, Direction
from exotel_async.webhooks import (
    AgentState,
    AppletRequest,
    ConnectRequest,
    DialEvent,
    DialEventType,
    DialledLeg,
    FlowCallType,
    FlowRequest,
    GatherRequest,
    GreetingRequest,
    Insights,
    PassthruRequest,
    SmsRequest,
    StreamReport,
    VoicebotRequest,
    WhisperRequest,
)
from tests.webhooks.payloads import DIAL, PASSTHRU, SID, query

LONG_LIST: list[type[FlowRequest]] = [PassthruRequest, ConnectRequest, GatherRequest]
SHORT_LIST: list[type[Any]] = [GreetingRequest, WhisperRequest, SmsRequest]
EVERY_LONG = pytest.mark.parametrize("kind", LONG_LIST)


def at(hour: int, minute: int, second: int) -> datetime:
    return datetime(2026, 3, 2, hour, minute, second, tzinfo=IST)


def passthru(**more: str) -> PassthruRequest:
    return PassthruRequest.from_query(query(PASSTHRU, **more))


@EVERY_LONG
def test_the_long_list(kind: type[FlowRequest]) -> None:
    assert kind.from_query(query(PASSTHRU)) == kind(
        sid=SID,
        from_="09812300001",
        to="08030000000",
        call_from="09812300001",
        call_to="08030000001",
        exophone="08030000000",
        direction=Direction.INBOUND,
        call_type=FlowCallType.COMPLETED,
        created_at=at(11, 20, 5),
        started_at=at(11, 20, 4),
        current_time=at(11, 20, 31),
        dial_status=CallStatus.COMPLETED,
        dial_duration=timedelta(seconds=17),
        dialled_number="09812300003",
        recording_url="https://recordings.example/acme1/call.mp3",
        recording_available_by=at(11, 25, 31),
        outgoing_number="08030000000",
        flow_id="228040",
        tenant_id="67291",
        legs=(
            DialledLeg(
                id=1,
                number="09812300003",
                type="single",
                duration=timedelta(seconds=10),
                caller_id="08030000001",
                cause="NORMAL_CLEARING",
                cause_code=16,
                disconnected_by="Callee",
            ),
        ),
    )


@EVERY_LONG
def test_next_to_nothing_is_enough(kind: type[FlowRequest]) -> None:
    assert kind.from_query("CallSid=x1") == kind(sid="x1")
    assert isinstance(kind.from_query("CallSid=x1"), AppletRequest)


def test_bytes_are_read_as_well() -> None:
    assert PassthruRequest.from_query(query(PASSTHRU).encode()) == passthru()


def test_only_the_older_names() -> None:
    request = PassthruRequest.from_query("CallSid=x1&From=09812300001&To=08030000000")
    assert (request.from_, request.to, request.exophone) == (
        "09812300001",
        "08030000000",
        "08030000000",
    )
    assert (request.call_from, request.call_to) == (None, None)


def test_only_the_newer_names() -> None:
    request = PassthruRequest.from_query("CallSid=x1&CallFrom=09812300001&CallTo=8030000000")
    assert (request.from_, request.to, request.exophone) == ("09812300001", "8030000000", None)


def test_both_names_spelled_differently() -> None:
    request = PassthruRequest.from_query("CallSid=x1&CallTo=8030000000&To=08030000000")
    assert (request.to, request.call_to) == ("08030000000", "8030000000")


def test_a_call_you_have_made() -> None:
    # The caller is then your number, and who is on the phone was called.
    written = "CallSid=x1&CallFrom=08030000000&CallTo=09812300001&From=09812300001&To=08030000000"
    request = PassthruRequest.from_query(f"{written}&Direction=outbound-dial")
    assert (request.from_, request.to) == ("09812300001", "08030000000")
    assert (request.call_from, request.call_to) == ("08030000000", "09812300001")
    assert request.to_call().from_ == "09812300001"
    # Its call details have another word.
    assert request.direction is Direction.OUTBOUND_DIAL
    assert request.to_call().direction is None


def test_the_call_a_request_tells_of() -> None:
    request = passthru(CallStatus="in-progress", CustomField="order-7")
    assert request.to_call() == Call(
        sid=SID,
        status=CallStatus.IN_PROGRESS,
        direction=Direction.INBOUND,
        from_="09812300001",
        to="08030000000",
        exophone="08030000000",
        created_at=at(11, 20, 5),
        started_at=at(11, 20, 4),
        recording_url="https://recordings.example/acme1/call.mp3",
        custom_field="order-7",
    )
    assert request.to_call().raw is request.raw


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"123"', "123"),
        ("123", "123"),
        ('"*#0"', "*#0"),
        ('""', None),
        ('"null"', None),
        ("null", None),
        ("", None),
        ('"', '"'),
        ('"12', '"12'),
    ],
)
def test_digits_come_in_quotes(written: str, read: str | None) -> None:
    assert passthru(digits=written).digits == read
    assert SmsRequest.from_query(query({"CallSid": "x1", "digits": written})).digits == read


def test_digits_as_they_are_on_the_wire() -> None:
    assert PassthruRequest.from_query("CallSid=x1&digits=%22123%22").digits == "123"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("incoming", Direction.INBOUND),
        ("Incoming", Direction.INBOUND),
        ("inbound", Direction.INBOUND),
        ("outbound-dial", Direction.OUTBOUND_DIAL),
        ("null", None),
    ],
)
def test_incoming_is_inbound(written: str, read: Direction | None) -> None:
    assert passthru(Direction=written).direction is read


@pytest.mark.parametrize(
    "created", ["Mon, 02 Mar 2026 11:20:05", "2026-03-02 11:20:05", "2026-03-02T11:20:05+05:30"]
)
def test_created_in_all_its_shapes(created: str) -> None:
    assert passthru(Created=created).created_at == at(11, 20, 5)


@pytest.mark.parametrize(
    "end", ["1970-01-01 05:30:00", "0000-00-00 00:00:00", "0001-01-01T00:00:00Z", "null", ""]
)
def test_the_constant_end_is_none(end: str) -> None:
    assert passthru(EndTime=end).ended_at is None


def test_the_clock_can_be_another_one() -> None:
    request = PassthruRequest.from_query(query(PASSTHRU), time_zone=UTC)
    assert request.current_time == datetime(2026, 3, 2, 11, 20, 31, tzinfo=UTC)


@pytest.mark.parametrize("word", list(FlowCallType))
def test_every_call_type(word: FlowCallType) -> None:
    assert passthru(CallType=word.value).call_type is word


def test_null_as_text_is_nothing() -> None:
    request = passthru()
    assert request.forwarded_from is None
    assert request.process_status is None
    assert request.raw["ForwardedFrom"] == "null"


def test_a_custom_field_comes_back() -> None:
    written = '{"order":7,"note":"नमस्ते & more"}'
    assert passthru(CustomField=written).custom_field == written


@pytest.mark.parametrize(
    ("cause_code", "cause", "read"),
    [
        ("NORMAL_CLEARING", "16", ("NORMAL_CLEARING", 16)),
        ("16", "NORMAL_CLEARING", ("NORMAL_CLEARING", 16)),
        ("NO_ANSWER", "19", ("NO_ANSWER", 19)),
        ("RING_TIMEOUT", "1003", ("RING_TIMEOUT", 1003)),
        ("null", "", (None, None)),
        ("16", "", (None, 16)),
        ("", "USER_BUSY", ("USER_BUSY", None)),
    ],
)
def test_causes_are_what_they_look_like(
    cause_code: str, cause: str, read: tuple[str | None, int | None]
) -> None:
    more = {"Legs[0][CauseCode]": cause_code, "Legs[0][Cause]": cause}
    (leg,) = passthru(**more).legs
    assert (leg.cause, leg.cause_code) == read


def test_several_legs() -> None:
    more = {"Legs[1][Number]": "09812300004", "Legs[1][Cause]": "19"}
    assert [(leg.id, leg.number) for leg in passthru(**more).legs] == [
        (1, "09812300003"),
        (2, "09812300004"),
    ]


def test_insights_of_a_leg_and_of_the_call() -> None:
    told = {"Status": "CALL_COMPLETED", "DetailedStatus": "ANSWERED", "RingingDuration": "4.39"}
    more = {f"Legs[0][Insights][{name}]": value for name, value in told.items()}
    more |= {f"Insights[{name}]": value for name, value in told.items()}
    request = passthru(**more)
    insights = Insights(
        status="CALL_COMPLETED",
        detailed_status="ANSWERED",
        ringing_duration=timedelta(seconds=4.39),
    )
    assert request.insights == insights
    assert request.legs[0].insights == insights


def test_a_stream() -> None:
    told = {
        "StreamSID": "stream-1",
        "Status": "completed",
        "Duration": "12",
        "StreamUrl": "wss://bot.example/media",
        "RecordingUrl": "https://recordings.example/stream.mp3",
        "DisconnectedBy": "user",
    }
    request = passthru(**{f"Stream[{name}]": value for name, value in told.items()})
    assert request.stream == StreamReport(
        sid="stream-1",
        status="completed",
        duration=timedelta(seconds=12),
        url="wss://bot.example/media",
        recording_url="https://recordings.example/stream.mp3",
        disconnected_by="user",
    )


@pytest.mark.parametrize("written", ["None", "NULL", "undefined", "N%2FA"])
def test_words_that_mean_nothing(written: str) -> None:
    names = "CallFrom CallTo CallStatus DialCallStatus DialWhomNumber digits RecordingUrl"
    query = "&".join(f"{name}={written}" for name in [*names.split(), "Stream[Status]"])
    request = PassthruRequest.from_query(f"CallSid=x1&CustomField={written}&{query}")
    assert request == PassthruRequest(
        sid="x1", custom_field=written.replace("%2F", "/"), stream=StreamReport()
    )


@pytest.mark.parametrize("name", ["Insights", "Stream", "Legs"])
def test_parts_that_are_plain_text_are_no_parts(name: str) -> None:
    request = PassthruRequest.from_query(f"CallSid=x1&{name}=null&Other[a]=b")
    assert (request.insights, request.stream, request.legs) == (None, None, ())
    assert request.raw == {"CallSid": "x1", name: "null", "Other": {"a": "b"}}


def test_the_status_may_be_there() -> None:
    assert passthru().status is None
    assert passthru(CallStatus="in-progress").status is CallStatus.IN_PROGRESS


def test_a_greeting() -> None:
    fields = {
        "CallSid": SID,
        "From": "09812300001",
        "To": "08030000000",
        "DialWhomNumber": "",
        "CustomField": "order-7",
    }
    assert GreetingRequest.from_query(query(fields)) == GreetingRequest(
        sid=SID, from_="09812300001", to="08030000000", custom_field="order-7"
    )


def test_a_whisper() -> None:
    fields = {"CallSid": SID, "From": "09812300001", "To": "08030000000", "DialWhomNumber": "7"}
    assert WhisperRequest.from_query(query(fields)) == WhisperRequest(
        sid=SID, from_="09812300001", to="08030000000", dialled_number="7"
    )


def test_an_sms() -> None:
    fields = {"CallSid": SID, "From": "09812300001", "To": "08030000000", "digits": '"1"'}
    assert SmsRequest.from_query(query(fields)) == SmsRequest(
        sid=SID, from_="09812300001", to="08030000000", digits="1"
    )


def test_a_voicebot() -> None:
    request = VoicebotRequest.from_query(query(PASSTHRU, digits='"1"', CustomField="order-7"))
    assert request == VoicebotRequest(
        sid=SID,
        from_="09812300001",
        to="08030000000",
        call_from="09812300001",
        call_to="08030000001",
        direction=Direction.INBOUND,
        current_time=at(11, 20, 31),
        digits="1",
        custom_field="order-7",
    )
    assert request.raw["flow_id"] == "228040"


@pytest.mark.parametrize("written", ["", "x=1", "CallSid=", "CallSid=null", "CallSid=a%2Fb", "%"])
def test_a_voicebot_may_come_without_anything(written: str) -> None:
    request = VoicebotRequest.from_query(written)
    assert request == VoicebotRequest()
    assert request.raw == ({"x": "1"} if written == "x=1" else request.raw)


def test_a_voicebot_is_held_to_the_limits_of_the_others() -> None:
    with pytest.raises(InvalidWebhook, match="more than"):
        VoicebotRequest.from_query("&".join(f"a{number}=1" for number in range(1001)))


@pytest.mark.parametrize("kind", [*LONG_LIST, *SHORT_LIST, DialEvent])
@pytest.mark.parametrize(
    "written", ["", "From=1", "CallSid=", "CallSid=null", "CallSid=a%2Fb", "%"]
)
def test_without_a_sid_it_is_none(kind: type[Any], written: str) -> None:
    with pytest.raises(InvalidWebhook, match="CallSid"):
        kind.from_query(written)


@pytest.mark.parametrize("kind", [*LONG_LIST, *SHORT_LIST, VoicebotRequest, DialEvent])
def test_they_compare_hash_copy_and_pickle(kind: type[Any]) -> None:
    request = kind.from_query(query(PASSTHRU))
    for again in (pickle.loads(pickle.dumps(request)), copy.deepcopy(request)):  # noqa: S301
        assert again == request
        assert hash(again) == hash(request)
        assert again.raw == request.raw


def dial(**more: str) -> DialEvent:
    return DialEvent.from_query(query(DIAL, **more))


def test_a_dial_event() -> None:
    assert dial() == DialEvent(
        sid=SID,
        event_type=DialEventType.DIAL,
        agent_state=AgentState.BUSY,
        dialled_number="09812300003",
        agent_email="agent@shop.example",
        from_="09812300001",
        to="08030000000",
        call_from="09812300001",
        call_to="08030000001",
        exophone="08030000000",
        direction=Direction.INBOUND,
        created_at=at(11, 20, 5),
        current_time=at(11, 20, 8),
    )


def test_the_status_of_a_dial_event_is_the_agents() -> None:
    event = dial(EventType="Terminal", Status="free")
    assert event.agent_state is AgentState.FREE
    assert not hasattr(event, "status")
    assert not hasattr(event, "is_final")


@pytest.mark.parametrize("word", list(DialEventType))
def test_every_step_in_any_case(word: DialEventType) -> None:
    assert dial(EventType=word.value).event_type is word
    assert dial(EventType=word.value.lower()).event_type is word


def test_keys_of_dial_events() -> None:
    events = [
        dial(),
        dial(EventType="Answered"),
        dial(EventType="Terminal", Status="free"),
        dial(DialWhomNumber="09812300004"),
        dial(CurrentTime="2026-03-02 11:21:08"),  # the same agent, rung once more
        dial(CallSid="other"),
    ]
    assert len({event.key for event in events}) == len(events)
    assert dial(AgentEmail="", Created="").key == dial().key
