"""Requests out: every documented parameter under its wire name, every rule before a request."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.errors import InvalidRequest
from exotel_async.models import (
    CallbackContentType,
    CallbackEvent,
    CallType,
    PlaybackTo,
    RecordingChannels,
    RecordingFormat,
    StreamBegin,
)
from exotel_async.wire import requests
from exotel_async.wire.request import Request

TWO: dict[str, Any] = {"from_": "+919812300001", "to": "09812300002", "caller_id": "080-3000 0000"}
FLOW: dict[str, Any] = {
    "account_sid": "acme1",
    "flow": 926,
    "from_": "9812300001",
    "caller_id": "08030000000",
}
FLOW_URL = "http://my.exotel.com/acme1/exoml/start_voice/926"
STREAM: dict[str, Any] = {
    "from_": "9812300001",
    "caller_id": "08030000000",
    "stream_url": "wss://bot.example/media",
}


def connect(**options: Any) -> Request:
    return requests.connect(**(TWO | options))


def connect_to_flow(**options: Any) -> Request:
    return requests.connect_to_flow(**(FLOW | options))


def connect_to_stream(**options: Any) -> Request:
    return requests.connect_to_stream(**(STREAM | options))


DIALS = pytest.mark.parametrize("dial", [connect, connect_to_flow])
ALL_DIALS = pytest.mark.parametrize("dial", [connect, connect_to_flow, connect_to_stream])
Dial = Callable[..., Request]


def form(request: Request) -> dict[str, str]:
    assert request.form is not None
    fields = dict(request.form)
    assert len(fields) == len(request.form)
    return fields


def refused(dial: Dial, argument: str, **options: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        dial(**options)
    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"{argument}=")
    return caught.value


def test_connect_two_numbers_at_its_least() -> None:
    request = connect()
    assert (request.method, request.path, request.params) == ("POST", "Calls/connect.json", ())
    assert form(request) == {
        "From": "+919812300001",
        "To": "09812300002",
        "CallerId": "08030000000",
    }


def test_connect_two_numbers_with_everything() -> None:
    assert form(
        connect(
            call_type="trans",
            time_limit=timedelta(hours=4),
            ring_timeout=30,
            wait_url="https://audio.example/wait.wav",
            record=True,
            recording_channels=RecordingChannels.DUAL,
            recording_format="mp3-hq",
            custom_field='{"order": 7}',
            start_playback_to=PlaybackTo.BOTH,
            start_playback_url="https://audio.example/hello.wav",
            status_callback="https://app.example/exotel?secret=1",
            status_callback_events=[CallbackEvent.TERMINAL, "answered"],
            status_callback_content_type=CallbackContentType.JSON,
            stream_url="wss://app.example/stream",
            stream_begin=StreamBegin.LEG2_CONNECT,
            stream_type="bidirectional",
            max_retries=2,
            extra={"SomethingNew": "yes"},
        )
    ) == {
        "From": "+919812300001",
        "To": "09812300002",
        "CallerId": "08030000000",
        "CallType": "trans",
        "TimeLimit": "14400",
        "TimeOut": "30",
        "WaitUrl": "https://audio.example/wait.wav",
        "Record": "true",
        "RecordingChannels": "dual",
        "RecordingFormat": "mp3-hq",
        "CustomField": '{"order": 7}',
        "StartPlaybackToNew": "Both",
        "StartPlaybackValueNew": "https://audio.example/hello.wav",
        "StatusCallback": "https://app.example/exotel?secret=1",
        "StatusCallbackEvents[0]": "terminal",
        "StatusCallbackEvents[1]": "answered",
        "StatusCallbackContentType": "application/json",
        "StreamUrl": "wss://app.example/stream",
        "StreamBegin": "at Leg2Connect",
        "StreamType": "bidirectional",
        "MaxRetries": "2",
        "SomethingNew": "yes",
    }


def test_connect_to_a_flow() -> None:
    request = connect_to_flow(custom_field="order-7", status_callback_events=None)
    assert (request.method, request.path, request.params) == ("POST", "Calls/connect.json", ())
    assert form(request) == {
        "From": "9812300001",
        "CallerId": "08030000000",
        "Url": FLOW_URL,
        "CustomField": "order-7",
    }


@pytest.mark.parametrize(
    ("flow", "url"),
    [
        (926, FLOW_URL),
        ("926", FLOW_URL),
        ("http://my.exotel.in/exoml/start/926", "http://my.exotel.in/exoml/start/926"),
        ("https://my.exotel.com/x/1?a=b", "https://my.exotel.com/x/1?a=b"),
    ],
)
def test_flow(flow: int | str, url: str) -> None:
    assert form(connect_to_flow(flow=flow))["Url"] == url


@pytest.mark.parametrize(
    "flow",
    ["", "92/6", "../926", "9 26", "926?x", "926#", "926%2F", "-5", "0", -5, 0, True, None, 9.0],
)
def test_a_flow_id_that_is_none(flow: object) -> None:
    refused(connect_to_flow, "flow", flow=flow)


@pytest.mark.parametrize(
    "url", ["ftp://my.exotel.com/1", "http://", "http:// my.exotel.com/", "http://[::1/926"]
)
def test_a_flow_url_that_is_none(url: str) -> None:
    refused(connect_to_flow, "flow", flow=url)


@pytest.mark.parametrize("sid", ["", ".", "a/b", "..", "a..b", "a?b", "a#b", "a%2Fb", "a b", None])
def test_a_segment_of_a_path_stays_one(sid: str) -> None:
    refused(connect_to_flow, "account_sid", account_sid=sid)
    refused(requests.get_call, "sid", sid=sid)


def test_a_segment_is_percent_encoded() -> None:
    assert requests.get_call("sid&ü").path == "Calls/sid%26%C3%BC.json"


@pytest.mark.parametrize(
    "only_two_numbers", ["wait_url", "start_playback_to", "start_playback_url", "to"]
)
def test_parameters_of_the_other_mode(only_two_numbers: str) -> None:
    with pytest.raises(TypeError, match=only_two_numbers):
        connect_to_flow(**{only_two_numbers: "https://audio.example/x.wav"})
    with pytest.raises(TypeError, match="flow"):
        connect(flow=926)


@DIALS
@pytest.mark.parametrize("record", [True, False])
def test_record_is_text(dial: Dial, *, record: bool) -> None:
    assert form(dial(record=record))["Record"] == ("true" if record else "false")


@DIALS
@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"call_type": CallType.TRANSACTIONAL}, "CallType", "trans"),
        ({"time_limit": 1}, "TimeLimit", "1"),
        ({"time_limit": 60.0}, "TimeLimit", "60"),
        ({"time_limit": timedelta(minutes=2)}, "TimeLimit", "120"),
        ({"ring_timeout": timedelta(seconds=45)}, "TimeOut", "45"),
        ({"custom_field": ""}, "CustomField", ""),
        ({"custom_field": "x" * 128}, "CustomField", "x" * 128),
        ({"custom_field": "zwei\nZeilen \u0928"}, "CustomField", "zwei\nZeilen \u0928"),
        ({"record": True, "recording_channels": "SINGLE"}, "RecordingChannels", "single"),
        ({"record": True, "recording_format": RecordingFormat.MP3}, "RecordingFormat", "mp3"),
        (
            {"status_callback": "http://10.0.0.1:8000/cb"},
            "StatusCallback",
            "http://10.0.0.1:8000/cb",
        ),
    ],
)
def test_options_of_both_modes(dial: Dial, options: dict[str, Any], name: str, value: str) -> None:
    assert form(dial(**options))[name] == value


@DIALS
@pytest.mark.parametrize(
    ("events", "sent"),
    [
        (["terminal"], ["terminal"]),
        ("terminal", ["terminal"]),
        (CallbackEvent.ANSWERED, ["answered"]),
        (["answered", "terminal", "answered"], ["answered", "terminal"]),
        ({"ANSWERED": 1}.keys(), ["answered"]),
        ([], []),
    ],
)
def test_events_are_numbered_in_brackets(dial: Dial, events: Any, sent: list[str]) -> None:
    fields = form(dial(status_callback="https://x.example/cb", status_callback_events=events))
    found = {name: value for name, value in fields.items() if "Events" in name}
    assert found == {f"StatusCallbackEvents[{n}]": value for n, value in enumerate(sent)}


@DIALS
@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("call_type", ["promo", "", 1]),
        ("time_limit", [0, -1, 14401, 1.5, math.nan, math.inf, True, "60", timedelta(0)]),
        ("time_limit", [timedelta(hours=4, seconds=1), timedelta(milliseconds=1500)]),
        ("ring_timeout", [0, -5, 14401, 0.5, math.nan, False, "30", timedelta(days=-1)]),
        ("record", ["true", 1, 0]),
        ("custom_field", ["x" * 129, "a\x00b", "a\x1bb", "\ud800", 7, b"x", {"order": 7}]),
        ("status_callback", ["", "x", "app.example/cb", "ftp://x.example", "https://", 5]),
        ("status_callback", ["https://x.example/a b", "https://x.example/\n", "//x.example"]),
        ("status_callback", ["https://x.example:99999/", "https://[x/", "javascript:alert(1)"]),
        ("from_", ["", "x", "12", None, 9812300009, "9812300009 ext 4"]),
        ("caller_id", ["", "EXOTEL", None, "sip:asha@example.com"]),
    ],
)
def test_values_out_of_range(dial: Dial, argument: str, values: list[object]) -> None:
    for value in values:
        refused(dial, argument, **{argument: value})


@pytest.mark.parametrize("to", ["", "x", None, "sip:", "sip:a b"])
def test_the_second_party_is_a_number_or_a_sip_uri(to: str) -> None:
    refused(connect, "to", to=to)


@DIALS
def test_the_first_party_may_be_a_sip_uri(dial: Dial) -> None:
    assert form(dial(from_="sip:asha@example.com"))["From"] == "sip:asha@example.com"
    assert form(dial(from_="sip:agent7f3a"))["From"] == "sip:agent7f3a"


def test_both_parties_may_be_agents_but_not_the_same_one() -> None:
    fields = form(connect(from_="sip:agent7f3a", to="sip:agent8b2c"))
    assert (fields["From"], fields["To"]) == ("sip:agent7f3a", "sip:agent8b2c")
    refused(connect, "to", from_="sip:agent7f3a", to="SIP:agent7f3a")


@pytest.mark.parametrize("to", ["00919812300001", "98123\u00a000001", "+91 (98123) 00001"])
def test_the_two_parties_differ_however_they_are_written(to: str) -> None:
    error = refused(connect, "to", to=to)
    assert not re.search(r"0000|98", error.shown), "only its last four digits show"


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"recording_channels": "dual"}, "recording_channels"),
        ({"recording_format": "mp3", "record": False}, "recording_format"),
        ({"record": True, "recording_channels": "stereo"}, "recording_channels"),
        ({"record": True, "recording_format": "wav"}, "recording_format"),
        ({"status_callback_events": ["terminal"]}, "status_callback_events"),
        ({"status_callback_content_type": "application/json"}, "status_callback_content_type"),
    ],
)
@DIALS
def test_options_that_need_another(dial: Dial, options: dict[str, Any], argument: str) -> None:
    refused(dial, argument, **options)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"stream_begin": "at Leg1Connect"}, "stream_begin"),
        ({"stream_type": "bidirectional"}, "stream_type"),
        ({"stream_url": "wss://x.example", "stream_begin": "soon"}, "stream_begin"),
        ({"stream_url": "wss://x.example", "stream_type": "x" * 65}, "stream_type"),
        ({"stream_url": "https://x.example"}, "stream_url"),
        ({"stream_url": "ws://x.example"}, "stream_url"),
        ({"stream_url": "wss://"}, "stream_url"),
        ({"stream_url": ""}, "stream_url"),
    ],
)
def test_the_stream_of_two_numbers(options: dict[str, Any], argument: str) -> None:
    refused(connect, argument, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"stream_url": "wss://x.example"},
        {"stream_url": ""},
        {"stream_begin": "at Leg1Connect"},
        {"stream_type": "bidirectional"},
    ],
)
def test_a_flow_streams_by_its_own_applet(options: dict[str, Any]) -> None:
    error = refused(connect_to_flow, *options, **options)
    assert "applet" in error.rule
    assert "connect_to_stream" in error.rule


def test_connect_to_a_stream_at_its_least() -> None:
    request = connect_to_stream()
    assert (request.method, request.path, request.params) == ("POST", "Calls/connect.json", ())
    assert request.dials
    assert form(request) == {
        "From": "9812300001",
        "CallerId": "08030000000",
        "StreamUrl": "wss://bot.example/media",
        "StreamType": "bidirectional",
    }


def test_connect_to_a_stream_with_everything() -> None:
    assert form(
        connect_to_stream(
            from_="sip:agent7f3a",
            stream_url="ws://10.0.0.1:8000/media?bot=7",
            stream_name="greeter",
            sample_rate=16000,
            time_limit=timedelta(minutes=5),
            record=True,
            recording_channels="dual",
            custom_field="order-7",
            status_callback="https://app.example/exotel",
            status_callback_events=[CallbackEvent.RINGING, "answered", "terminal"],
            max_retries=0,
            extra={"TimeOut": "30"},
        )
    ) == {
        "From": "sip:agent7f3a",
        "CallerId": "08030000000",
        "StreamUrl": "ws://10.0.0.1:8000/media?bot=7&sample-rate=16000",
        "StreamType": "bidirectional",
        "StreamName": "greeter",
        "TimeLimit": "300",
        "Record": "true",
        "RecordingChannels": "dual",
        "CustomField": "order-7",
        "StatusCallback": "https://app.example/exotel",
        "StatusCallbackEvents[0]": "ringing",
        "StatusCallbackEvents[1]": "answered",
        "StatusCallbackEvents[2]": "terminal",
        "MaxRetries": "0",
        "TimeOut": "30",
    }


@pytest.mark.parametrize(
    ("url", "rate", "sent"),
    [
        ("wss://b.example", 8000, "wss://b.example?sample-rate=8000"),
        ("wss://b.example/m?", 24000, "wss://b.example/m?sample-rate=24000"),
        ("wss://b.example/m?a=%20b&c", 8000, "wss://b.example/m?a=%20b&c&sample-rate=8000"),
        ("wss://b.example/m?sample-rate=8000", None, "wss://b.example/m?sample-rate=8000"),
        ("wss://b.example/?sample-rate=16000&a=b", 16000, "wss://b.example/?sample-rate=16000&a=b"),
        ("wss://b.example/?sample%2Drate=8000", 8000, "wss://b.example/?sample%2Drate=8000"),
        ("WSS://B.example/m?x", None, "WSS://B.example/m?x"),
    ],
)
def test_the_sample_rate_goes_into_the_url(url: str, rate: int | None, sent: str) -> None:
    assert form(connect_to_stream(stream_url=url, sample_rate=rate))["StreamUrl"] == sent


@pytest.mark.parametrize(
    ("options", "argument", "rule"),
    [
        ({"sample_rate": 44100}, "sample_rate", "8000, 16000 or 24000"),
        ({"sample_rate": "8000"}, "sample_rate", "8000, 16000 or 24000"),
        ({"sample_rate": True}, "sample_rate", "8000, 16000 or 24000"),
        ({"sample_rate": 8000.0}, "sample_rate", "8000, 16000 or 24000"),
        (
            {"sample_rate": 8000, "stream_url": "wss://b.example/?sample-rate=16000"},
            "sample_rate",
            "stream_url",
        ),
        ({"stream_url": "wss://b.example/?sample-rate=44100"}, "stream_url", "8000, 16000 or"),
        ({"stream_url": "wss://b.example/?sample-rate="}, "stream_url", "8000, 16000 or"),
        (
            {"stream_url": "wss://b.example/?sample-rate=8000&sample-rate=16000"},
            "stream_url",
            "once",
        ),
        ({"stream_url": "https://b.example"}, "stream_url", "ws:// or wss://"),
        ({"stream_url": None}, "stream_url", "ws:// or wss://"),
        ({"stream_url": "bot.example"}, "stream_url", "ws:// or wss://"),
        ({"stream_url": "wss://b.example/#top"}, "stream_url", "fragment"),
        ({"stream_name": "x" * 33}, "stream_name", "32"),
        ({"status_callback_events": ["ringing"]}, "status_callback_events", "status_callback"),
        ({"recording_channels": "dual"}, "recording_channels", "record"),
        ({"from_": "08030000000"}, "from_", "caller_id"),
    ],
)
def test_a_stream_that_would_not_be_understood(
    options: dict[str, Any], argument: str, rule: str
) -> None:
    assert rule in refused(connect_to_stream, argument, **options).rule


def test_a_stream_url_has_600_characters_with_its_sample_rate() -> None:
    url = "wss://bot.example/?key=canary".ljust(600, "x")
    assert form(connect_to_stream(stream_url=url))["StreamUrl"] == url
    for options in ({"stream_url": url + "x"}, {"stream_url": url, "sample_rate": 8000}):
        error = refused(connect_to_stream, "stream_url", **options)
        assert "600" in error.rule
        assert "canary" not in str(error), "a bot's URL may hold its key"
    assert form(connect_to_stream(stream_name="x" * 32))["StreamName"] == "x" * 32


@pytest.mark.parametrize(
    "option",
    ["to", "flow", "ring_timeout", "call_type", "recording_format", "wait_url", "stream_begin"],
)
def test_what_a_call_to_a_stream_does_not_take(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        connect_to_stream(**{option: "x"})


@DIALS
def test_ringing_is_reported_of_calls_to_a_stream_alone(dial: Dial) -> None:
    options = {"status_callback": "https://x.example", "status_callback_events": ["RINGING"]}
    error = refused(dial, "status_callback_events", **options)
    assert "connect_to_stream" in error.rule


@ALL_DIALS
def test_retries_by_exotel_are_asked_for_by_nobody_else(dial: Dial) -> None:
    assert "MaxRetries" not in form(dial())
    assert "MaxRetries" not in form(dial(max_retries=None))
    assert form(dial(max_retries=0))["MaxRetries"] == "0"
    assert form(dial(max_retries=3))["MaxRetries"] == "3"
    for wrong in (-1, 1.0, "3", True):
        refused(dial, "max_retries", max_retries=wrong)


@pytest.mark.parametrize(
    "events", [["hung-up"], ["terminal,answered"], [None], [1], b"terminal", 5]
)
def test_events_not_known(events: Any) -> None:
    url = "https://x.example/cb"
    options = {"status_callback": url, "status_callback_events": events}
    refused(connect, "status_callback_events", **options)
    content_type = {"status_callback": url, "status_callback_content_type": "text/xml"}
    refused(connect, "status_callback_content_type", **content_type)


def test_playback() -> None:
    refused(connect, "start_playback_to", start_playback_to="Both")
    url = "https://audio.example/x.wav"
    refused(connect, "start_playback_to", start_playback_url=url, start_playback_to="Caller")
    assert form(connect(start_playback_url=url))["StartPlaybackValueNew"] == url
    refused(connect, "wait_url", wait_url="wait.wav")


def test_parties_that_are_one() -> None:
    refused(connect, "to", to="9812300001")
    refused(connect, "to", to="+91 80 3000 0000")
    for dial in (connect, connect_to_flow):
        error = refused(dial, "from_", from_="+918030000000")
        assert "caller_id" in error.rule


def test_unknown_keywords() -> None:
    with pytest.raises(TypeError, match="IfMachine"):
        connect(IfMachine="x")


@DIALS
def test_extra_goes_last_and_as_it_is(dial: Dial) -> None:
    request = dial(record=True, extra={"aB[0]": " x=&y ", "Empty": ""})
    assert request.form is not None
    assert request.form[-2:] == (("aB[0]", " x=&y "), ("Empty", ""))


@pytest.mark.parametrize(
    "extra",
    [
        {"From": "1"},
        {"Record": "false"},
        {"StatusCallbackEvents[]": "terminal"},
        {"": "x"},
        {"A\n": "x"},
        {1: "x"},
        {"A": 1},
        {"A": None},
        {"A": True},
        {"A": "\x00"},
        {"A": "\ud800"},
    ],
)
def test_extra_that_is_wrong(extra: dict[str, str]) -> None:
    options: dict[str, Any] = {
        "record": True,
        "status_callback": "https://x.example",
        "status_callback_events": "terminal",
    }
    refused(connect, "extra", extra=extra, **options)


def test_get_call() -> None:
    assert requests.get_call("abc") == Request("GET", "Calls/abc.json")
    request = requests.get_call(
        "0a1b2c3d4e5f60718293a4b5c6d71a3j",
        details=True,
        recording_url_validity=timedelta(minutes=5),
        extra={"X": "y"},
    )
    assert request.path == "Calls/0a1b2c3d4e5f60718293a4b5c6d71a3j.json"
    assert request.params == (("details", "true"), ("RecordingUrlValidity", "5"), ("X", "y"))
    assert request.body is None
    with pytest.raises(InvalidRequest, match="extra='details'"):
        requests.get_call("abc", details=True, extra={"details": "false"})


@pytest.mark.parametrize("minutes", [5, 17, 60])
def test_recording_url_validity(minutes: int) -> None:
    request = requests.get_call("abc", recording_url_validity=timedelta(minutes=minutes))
    assert request.params == (("RecordingUrlValidity", str(minutes)),)


@pytest.mark.parametrize(
    "validity",
    [
        timedelta(minutes=4),
        timedelta(minutes=61),
        timedelta(minutes=5, seconds=1),
        timedelta(minutes=5, microseconds=1),
        timedelta(days=1, minutes=5),
        -timedelta(minutes=10),
        10,
    ],
)
def test_recording_url_validity_out_of_range(validity: Any) -> None:
    refused(requests.get_call, "recording_url_validity", sid="a", recording_url_validity=validity)


def test_whitelist() -> None:
    request = requests.whitelist("098123 00001", exophone="080-30000000")
    assert (request.method, request.path) == ("POST", "CustomerWhitelist/")
    assert dict(request.form) == {"VirtualNumber": "08030000000", "Number": "09812300001"}
    assert request.must_not_repeat, "an SMS goes out"
    assert not request.dials
    several = iter(["098123 00001", "+91 98123-00002", "09812300001"])
    request = requests.whitelist(several, exophone="08030000000", extra={"Language": "en"})
    assert request.form == (
        ("VirtualNumber", "08030000000"),
        ("Number", "09812300001,+919812300002"),
        ("Language", "en"),
    )
    for numbers in ([], "", "nobody", ["09812300001", "12"], ["09812300001", None], None, 7):
        refused(requests.whitelist, "numbers", numbers=numbers, exophone="08030000000")
    for exophone in ("", None, "sip:agent", "9812300001.0"):
        refused(requests.whitelist, "exophone", numbers="09812300001", exophone=exophone)
    two = {"numbers": "09812300001", "exophone": "08030000000"}
    refused(requests.whitelist, "extra", **two, extra={"Number": "09812300002"})


def test_whitelist_status() -> None:
    expected = Request("GET", "CustomerWhitelist/09812300001.json")
    assert requests.whitelist_status("098123-00001") == expected
    path = requests.whitelist_status("+919812300001").path
    assert path == "CustomerWhitelist/%2B919812300001.json"
    refused(requests.whitelist_status, "number", number="../Balance")


def test_lookup_number_and_balance() -> None:
    assert requests.lookup_number("098123-00001") == Request("GET", "Numbers/09812300001.json")
    assert requests.lookup_number("+919812300001").path == "Numbers/%2B919812300001.json"
    assert requests.balance(extra={"A": "b"}) == Request(
        "GET", "Balance.json", params=(("A", "b"),)
    )
    refused(requests.lookup_number, "number", number="../Balance")


def test_no_repr_shows_a_number_or_a_text() -> None:
    for request in (
        connect(custom_field="canary", extra={"Secret": "canary"}),
        connect_to_flow(custom_field="canary"),
        requests.lookup_number("+919812300001", extra={"Secret": "canary"}),
    ):
        assert "canary" not in repr(request)
        assert "98123" not in repr(request)
    assert "Calls/connect.json" in repr(connect())


@pytest.mark.parametrize(
    "options",
    [
        {"from_": "9876501234x"},
        {"to": "98765-01234 / 2"},
        {"caller_id": "call 98765 01234"},
        {"custom_field": "canary-secret" * 20},
        {"status_callback": "htps://user:canary-secret@app.example/canary-secret?canary-secret"},
        {"status_callback": "user:canary-secret@app.example"},
        {"wait_url": "/canary-secret"},
        {"extra": {"Token": "canary-secret\x00"}},
    ],
)
def test_no_error_shows_a_number_or_a_secret(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        connect(**options)
    shown = f"{caught.value!r} {caught.value.shown} {caught.value.args}"
    for canary in ("canary-secret", "9876501234", "98765-01234", "98765 01234", "98765"):
        assert canary not in shown


@pytest.mark.parametrize("option", ["status_callback", "wait_url", "stream_url"])
def test_a_url_that_is_refused_is_not_even_kept(option: str) -> None:
    options: dict[str, Any] = {option: "user:canary-secret@app.example/canary-secret"}
    with pytest.raises(InvalidRequest) as caught:
        connect(**options)
    assert "canary-secret" not in str(vars(caught.value))


def test_a_number_that_is_refused_is_kept_as_it_was_passed() -> None:
    assert refused(connect, "to", to="+91 98123 00001 x").value == "+91 98123 00001 x"
    assert refused(connect, "to", from_="+919812300001", to="09812300001").value == "09812300001"
    assert refused(connect, "custom_field", custom_field="x" * 999).value == "x" * 999


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_sent_or_refused(one: str, other: str) -> None:
    for options in (
        {"custom_field": one, "extra": {other: one}},
        {"status_callback": f"https://{one}/{other}"},
        {"from_": f"sip:{one}@{other}"},
        {"call_type": one},
    ):
        try:
            fields = form(connect(**options))
        except InvalidRequest:
            continue
        for name, value in fields.items():
            assert (name + value).encode()  # a lone surrogate cannot be sent


@given(
    st.sampled_from(["ws", "wss", "https"]),
    st.text("abc/?&=#%2d-", max_size=30),
    st.sampled_from([None, 8000, 16000, 24000]),
)
def test_a_stream_url_has_one_sample_rate_at_most_and_keeps_all_else(
    scheme: str, rest: str, rate: int | None
) -> None:
    url = f"{scheme}://bot.example/{rest}"
    try:
        sent = form(connect_to_stream(stream_url=url, sample_rate=rate))["StreamUrl"]
    except InvalidRequest:
        assert scheme == "https" or "#" in rest
        return
    assert scheme in {"ws", "wss"}
    before, after = urlsplit(url), urlsplit(sent)
    assert before[:3] == after[:3]
    added = [] if rate is None else [("sample-rate", str(rate))]
    assert parse_qsl(after.query, keep_blank_values=True) == (
        parse_qsl(before.query, keep_blank_values=True) + added
    )


@pytest.mark.slow(1)
@given(st.text(max_size=20))
def test_a_path_never_leaves_its_folder(sid: str) -> None:
    try:
        path = requests.get_call(sid).path
    except InvalidRequest:
        return
    assert path.isascii()
    assert path.count("/") == 1
    assert path.startswith("Calls/")
    assert path.endswith(".json")
    assert not set(path) & set("?# \\")
    assert ".." not in path.removesuffix(".json")
