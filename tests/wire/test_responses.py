"""Answers in: the documented samples, every shape of an error, and ten thousand broken bodies."""

from __future__ import annotations

import json
import pickle
import random
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exotel_async import errors
from exotel_async.config import IST
from exotel_async.errors import APIError, DecodeError, ExotelError
from exotel_async.models import (
    Balance,
    Call,
    CallPage,
    CallStatus,
    Dnd,
    NumberMetadata,
    NumberType,
    WhitelistEntry,
    WhitelistStatus,
    WhitelistType,
)
from exotel_async.wire.responses import (
    Response,
    read_balance,
    read_call,
    read_done,
    read_error,
    read_number,
    read_page,
    read_whitelist,
    retry_after,
    sid_of,
)

SID = "0a1b2c3d4e5f60718293a4b5c6d71a3j"
CANARY = "9876501234"

CALL = {
    "Call": {
        "Sid": SID,
        "ParentCallSid": None,
        "DateCreated": "2026-03-02 11:20:05",
        "DateUpdated": "2026-03-02 11:20:05",
        "AccountSid": "acme1",
        "To": "09812300001",
        "From": "09812300002",
        "PhoneNumberSid": "08030000000",
        "Status": "completed",
        "StartTime": "2026-03-02 11:20:05",
        "EndTime": "2026-03-02 11:21:10",
        "Duration": "65",
        "Price": "1.500",
        "Direction": "outbound-api",
        "Details": {"ConversationDuration": 41, "Legs": [{"Leg": {"Id": 1, "OnCallDuration": 60}}]},
    }
}
NUMBER = {
    "Numbers": {
        "PhoneNumber": "09812300001",
        "Circle": "KA",
        "CircleName": "Karnataka Telecom Circle",
        "Type": "Mobile",
        "Operator": "A",
        "OperatorName": "Airtel",
        "DND": "No",
    }
}
BALANCE = {
    "Account": {
        "AccountSid": "acme1",
        "BalanceData": {
            "Balance": "1250.7500",
            "Currency": "INR",
            "PricingPlan": "Believer",
            "DateUpdated": "2026-03-02 11:20:05",
        },
    }
}
NEXT = "/v1/Accounts/acme1/Calls.json?SortBy=DateCreated%3Adesc&PageSize=2&After=c3VyeQ%3D%3D"
PAGE: dict[str, Any] = {
    "Metadata": {
        "Total": 5,
        "PageSize": 2,
        "FirstPageUri": "/v1/Accounts/acme1/Calls.json?PageSize=2",
        "PrevPageUri": None,
        "NextPageUri": NEXT,
    },
    "Calls": [CALL["Call"], {**CALL["Call"], "Sid": SID[::-1]}],
}
ERROR = {"RestException": {"Status": 403, "Message": "not KYC compliant", "Code": 340030}}
XML_CALL = f"""<?xml version="1.0" encoding="UTF-8"?>
<TwilioResponse>
 <Call>
  <Sid>{SID}</Sid>
  <ParentCallSid/>
  <AccountSid>acme1acme1acme1acme1</AccountSid>
  <SubResourceUris><Stream>/x</Stream></SubResourceUris>
 </Call>
</TwilioResponse>"""
XML_ERROR = """<?xml version="1.0"?>
<TwilioResponse><RestException><Status>400</Status>
 <Message>DateCreated is out of bounds &amp; wrong</Message></RestException></TwilioResponse>"""
HTML_ERROR = """<html>\r\n<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center></body></html>"""

Reader = Callable[[Response], object]
READERS: list[Reader] = [read_call, read_number, read_balance]
ALL_READERS: list[Reader] = [*READERS, read_page, read_whitelist]


def answer(body: object, status: int = 200, **headers: str) -> Response:
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Response(status, {"content-type": "application/json", **headers}, body)


def not_decoded(read: Reader, body: object) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(answer(body))
    assert caught.value.__context__ is None  # the parser's error holds the whole body
    return caught.value


# What was asked for


def test_read_call() -> None:
    call = read_call(answer(CALL))
    assert isinstance(call, Call)
    assert call.sid == SID
    assert call.status is CallStatus.COMPLETED
    assert call.duration == timedelta(seconds=65)
    assert call.created_at == datetime(2026, 3, 2, 11, 20, 5, tzinfo=IST)
    assert call.raw == CALL["Call"]
    in_utc = read_call(answer(CALL), time_zone=UTC)
    assert in_utc.created_at == datetime(2026, 3, 2, 11, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind", "expiry", "entry"),
    [
        ("Whitelist", "API", 60, WhitelistEntry(
            status=WhitelistStatus.WHITELIST, type=WhitelistType.API,
            expires_in=timedelta(minutes=1))),
        ("whitelist", "Customer", "-1", WhitelistEntry(
            status=WhitelistStatus.WHITELIST, type=WhitelistType.CUSTOMER)),
        ("Blacklist", "", -1, WhitelistEntry(status=WhitelistStatus.BLACKLIST)),
        ("Neutral", None, None, WhitelistEntry(status=WhitelistStatus.NEUTRAL)),
        ("Pending", "Campaign", "soon", WhitelistEntry(
            status=WhitelistStatus("Pending"), type=WhitelistType("Campaign"))),
    ],
)  # fmt: skip
def test_read_whitelist(status: str, kind: str | None, expiry: object, entry: object) -> None:
    result = {"Status": status, "Type": kind, "Expiry": expiry}
    read = read_whitelist(answer({"Result": result}))
    assert read == entry
    assert read.raw == result
    fields = "".join(f"\n <{name}>{value or ''}</{name}>" for name, value in result.items())
    for xml in (f"<Result>{fields}</Result>", f"<TwilioResponse><Result>{fields}\n</Result></Twi"):
        assert read_whitelist(answer(f'<?xml version="1.0"?>\n{xml}')) == entry
    assert read_whitelist(answer(f"<Result><Status>{status}</Status><Type/></Result>")).type is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        {"Result": []},
        {"Result": {}},
        {"Result": {"Status": ""}},
        {"Status": "Whitelist"},
        "<Result></Result>",
        "<Result><Type>API</Type></Result>",
        "<TwilioResponse><Status>200</Status></TwilioResponse>",
        XML_ERROR,
        HTML_ERROR,
    ],
)
def test_no_whitelist_entry(body: object) -> None:
    assert "no WhitelistEntry in the answer" in str(not_decoded(read_whitelist, body))


def test_what_confirms_that_something_was_done() -> None:
    for body in ("", "OK", "{}", "[1", {"Result": {"Message": "Success"}}, b"\xff"):
        assert read_done(answer(body)) is None  # type: ignore[func-returns-value]
    assert "HTML" in str(not_decoded(read_done, HTML_ERROR))
    assert "an error" in str(not_decoded(read_done, XML_ERROR))
    with pytest.raises(APIError, match="out of bounds"):
        read_done(answer(XML_ERROR, 400))


def test_read_number() -> None:
    assert read_number(answer(NUMBER)) == NumberMetadata(
        phone_number="09812300001",
        circle="KA",
        circle_name="Karnataka Telecom Circle",
        type=NumberType.MOBILE,
        operator="A",
        operator_name="Airtel",
        dnd=Dnd.NO,
    )


def test_read_balance() -> None:
    assert read_balance(answer(BALANCE)) == Balance(
        account_sid="acme1",
        amount=Decimal("1250.7500"),
        currency="INR",
        pricing_plan="Believer",
        updated_at=datetime(2026, 3, 2, 11, 20, 5, tzinfo=IST),
    )
    updated = read_balance(answer(BALANCE), time_zone=UTC).updated_at
    assert updated == datetime(2026, 3, 2, 11, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_is_a_success(status: int) -> None:
    assert read_call(answer(CALL, status)).sid == SID


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_call(answer(b"\xef\xbb\xbf" + json.dumps(CALL).encode())).sid == SID


def test_nan_is_read_as_null() -> None:
    body = f'{{"Call": {{"Sid": "{SID}", "Price": NaN, "Duration": -Infinity, "X": 1e999}}}}'
    call = read_call(answer(body))
    assert (call.price, call.duration, call.raw["Price"]) == (None, None, None)


# Pages


def page(**metadata: object) -> CallPage:
    return read_page(answer({**PAGE, "Metadata": PAGE["Metadata"] | metadata}))


def test_read_page() -> None:
    found = read_page(answer(PAGE))
    assert [call.sid for call in found.calls] == [SID, SID[::-1]]
    assert found.calls[0] == read_call(answer(CALL))
    assert (found.total, found.after) == (5, "c3VyeQ==")
    assert found.raw == PAGE
    in_utc = read_page(answer(PAGE), time_zone=UTC).calls[1]
    assert in_utc.created_at == datetime(2026, 3, 2, 11, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("uri", "cursor"),
    [
        (NEXT, "c3VyeQ=="),
        (NEXT.replace(".json", ""), "c3VyeQ=="),
        (f"https://api.exotel.com{NEXT}", "c3VyeQ=="),
        ("?After=c3VyeQ==", "c3VyeQ=="),
        ("/v1/Calls?After=a%2Bb%3D%2F%26%25%20c", "a+b=/&% c"),
        ("/v1/Calls?After=a+b", "a b"),  # as a server that reads forms would
        ("/v1/Calls?Before=x&After=y&To=%2B919812300001", "y"),
        ("/v1/Calls?After=x&After=y", "y"),
        ("/v1/Calls?After=null", "null"),
        ("/v1/Calls?After=%E0%A4%A8%ff", "\u0928\ufffd"),
        (None, None),
        ("", None),
        ("null", None),
        (False, None),
        ([], None),
    ],
)
def test_the_cursor_is_taken_out_of_the_uri_of_the_next_page(
    uri: object, cursor: str | None
) -> None:
    assert page(NextPageUri=uri).after == cursor


def test_the_last_page_may_lack_the_uri() -> None:
    metadata = {"Total": "1", "PageSize": 50}
    found = read_page(answer({"Metadata": metadata, "Calls": []}))
    assert found == CallPage(calls=(), total=1, after=None)
    assert read_page(answer({"Metadata": {}, "Calls": []})) == CallPage(calls=())


@pytest.mark.parametrize(
    "uri",
    [
        "/v1/Accounts/acme1/Calls.json?PageSize=50",
        "/v1/Accounts/acme1/Calls.json?After=",
        "/v1/Accounts/acme1/Calls.json?after=x",
        "/v1/Accounts/acme1/Calls.json#After=x",
        "c3VyeQ==",
        "https://[?After=x",
        7,
    ],
)
def test_a_uri_without_a_cursor_is_no_last_page(uri: object) -> None:
    not_decoded(read_page, {**PAGE, "Metadata": {"NextPageUri": uri}})


def test_calls_of_a_page_may_be_wrapped() -> None:
    wrapped = {**PAGE, "Calls": [CALL, CALL["Call"]]}
    assert read_page(answer(wrapped)).calls == (read_call(answer(CALL)),) * 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (XML_CALL, "XML instead of JSON: a path without .json?"),
        (HTML_ERROR, "HTML instead of JSON"),
        ("", "an empty body"),
        (json.dumps(PAGE)[:-20], "Unterminated string"),
        ("[]", "not a JSON object"),
        ("{}", "not a JSON object"),
        (ERROR, "not a JSON object"),
        (CALL, "not a JSON object"),
        ({"Calls": []}, "not a JSON object"),
        ({"Metadata": None, "Calls": []}, "not a JSON object"),
        ({"Metadata": [], "Calls": []}, "not a JSON object"),
        ({"Metadata": {}}, "no list of calls"),
        ({"Metadata": {}, "Calls": None}, "no list of calls"),
        ({"Metadata": {}, "Calls": CALL}, "no list of calls"),
        ({"Metadata": {}, "Calls": "[]"}, "no list of calls"),
        ({"Metadata": {}, "Calls": [CALL, {"Status": "busy"}]}, "a call without a Sid"),
        ({"Metadata": {}, "Calls": [CALL, {"Call": {}}]}, "a call without a Sid"),
        ({"Metadata": {}, "Calls": [CALL, {"Call": None}]}, "not a JSON object"),
        ({"Metadata": {}, "Calls": [CALL, None]}, "not a JSON object"),
        ({"Metadata": {}, "Calls": [[CALL]]}, "not a JSON object"),
    ],
)
def test_no_page(body: object, says: str) -> None:
    error = not_decoded(read_page, body)
    assert f"no CallPage in the answer: {says}" in str(error)


def test_no_repr_of_a_page_shows_its_cursor_or_a_number() -> None:
    shown = repr(page(NextPageUri="/v1/Calls?After=canary&To=%2B919812300001"))
    assert "canary" not in shown
    assert "98123" not in shown


@pytest.mark.slow
@given(cursor=st.text(min_size=1, max_size=20), plus=st.booleans())
def test_any_cursor_comes_through(cursor: str, *, plus: bool) -> None:
    written = quote(cursor, safe=" ").replace(" ", "+") if plus else quote(cursor, safe="")
    assert page(NextPageUri=f"/v1/Calls?PageSize=2&After={written}&X=y").after == cursor


# What was not


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (XML_CALL, "XML instead of JSON: a path without .json?"),
        ("  <TwilioResponse/>", "XML instead of JSON: a path without .json?"),
        ("<!DOCTYPE HTML><html>", "HTML instead of JSON"),
        (HTML_ERROR, "HTML instead of JSON"),
        ("", "an empty body"),
        (" \r\n", "an empty body"),
        ("{", "Expecting property name"),
        ('{"Call": {"Sid": "0a1b', "Unterminated string"),
        ("[" * 100_000, "recursion"),
        ('{"Call":' * 100_000, "recursion"),
        ('{"Call": {"Sid": ' + "1" * 5000 + "}}", "4300 digits"),
        (b'{"Call": "\xff"}', "utf-8"),
        (b"\xff\xfe", "utf-8"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("true", "not a JSON object"),
        ('"Call"', "not a JSON object"),
        ("{}", "is missing"),
        (ERROR, "is missing"),
        ({"Call": [], "Numbers": "x", "Account": None}, "not a JSON object"),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_not_what_was_asked_for(read: Reader, body: object, says: str) -> None:
    error = not_decoded(read, body)
    assert says in str(error)
    assert (error.status, error.content_type) == (200, "application/json")


def test_an_answer_without_a_content_type() -> None:
    with pytest.raises(DecodeError, match="no content type"):
        read_call(Response(200))


def test_a_call_without_a_sid() -> None:
    assert "a call without a Sid" in str(not_decoded(read_call, {"Call": {"Status": "busy"}}))


def test_a_balance_without_an_amount() -> None:
    without: dict[str, Any] = {"Account": {"BalanceData": {"Balance": None}}}
    assert "a balance without an amount" in str(not_decoded(read_balance, without))


@pytest.mark.parametrize("read", ALL_READERS)
@pytest.mark.parametrize(("status", "body"), [(403, ERROR), (500, CALL), (302, ""), (199, NUMBER)])
def test_a_refusal_is_raised(read: Reader, status: int, body: object) -> None:
    with pytest.raises(APIError) as caught:
        read(answer(body, status))
    assert caught.value.status == status


# Errors


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (ERROR, "not KYC compliant", 340030),
        ({"RestException": {"Status": "403", "Message": "no", "Code": "340030"}}, "no", 340030),
        ({"RestException": {"Status": 403, "Message": "no"}}, "no", None),
        ({"RestException": {"Message": " a\n b\x1b[31m "}}, "a b?[31m", None),
        ({"RestException": {"Message": "no", "Code": "RATE_LIMIT"}}, "no", "RATE_LIMIT"),
        ({"RestException": {"Message": "no", "Code": True}}, "no", None),
        ({"RestException": {"Message": "no", "Code": []}}, "no", None),
        ({"RestException": {"Message": "no", "Code": -7}}, "no", "-7"),
        ({"RestException": {"Message": None, "Code": 7}}, "Forbidden (no message)", 7),
        ({"RestException": []}, "Forbidden (no message)", None),
        ({"response": "other"}, "Forbidden (no message)", None),
        ({"RestException": {"Message": "\ud800"}}, "?", None),
        (XML_ERROR, "DateCreated is out of bounds & wrong", None),
        (
            "<TwilioResponse><RestException><Message><![CDATA[no]]></Message><Code>7</Code>",
            "no",
            7,
        ),
        (HTML_ERROR, "502 Bad Gateway", None),
        ("<html>no title", "Forbidden (HTML instead of JSON)", None),
        ("", "Forbidden (an empty body)", None),
        ("upstream timed out", "Forbidden (no message)", None),
        (b"\xff\xfe\x00", "Forbidden (no message)", None),
        ("[" * 100_000, "Forbidden (no message)", None),
        ("<Message>" * 100_000, "Forbidden (XML instead of JSON: a path without .json?)", None),
    ],
)
def test_read_error(body: object, message: str, code: object) -> None:
    error = read_error(answer(body, 403))
    assert type(error) is errors.PermissionDenied
    assert (error.message, error.code, error.status) == (message, code, 403)
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.AuthenticationError),
        (402, errors.PaymentRequired),
        (403, errors.PermissionDenied),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (429, errors.RateLimited),
        (500, errors.ServerError),
        (503, errors.ServerError),
        (302, APIError),
        (418, APIError),
        (999, errors.ServerError),
        (0, APIError),
    ],
)
def test_the_class_goes_by_the_http_status(status: int, kind: type[APIError]) -> None:
    # The status in the body is what the server meant; the one on the wire is what it did.
    error = read_error(answer(ERROR, status))
    assert type(error) is kind
    assert error.status == status
    assert read_error(answer("", status)).message


@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize("body", ["", ERROR, HTML_ERROR])
def test_the_other_region_is_hinted_at_until_it_is_known_to_be_right(
    status: int, body: object
) -> None:
    error = read_error(answer(body, status))
    for shown in (error.hint or "", str(error)):
        assert "Singapore is api.exotel.com, Mumbai is api.in.exotel.com" in shown
    assert "region" not in str(read_error(answer(body, 403)))
    known = read_error(evolve(answer(body, status), accepted=True))
    assert (known.hint, known.message) == (None, error.message)
    assert "region" not in str(known)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (402, "plan"),
        (403, "KYC-compliant"),
        (403, "NDNC"),
        (403, "trial account"),
        (409, "another request is changing"),
        (413, "too large"),
        (414, "too long"),
        (429, "budget"),
    ],
)
def test_known_reasons_are_given(status: int, reason: str) -> None:
    error = read_error(answer("", status))
    assert error.hint is not None
    assert error.hint.startswith("known reason")
    assert reason in error.hint
    assert str(error) == f"HTTP {status}: {error.message} ({error.hint})"


@pytest.mark.parametrize(
    "said", ["not KYC compliant", "in TRAI NDNC", "Trial accounts may not", "IP not allowed"]
)
def test_reasons_are_not_guessed_at_where_one_is_given(said: str) -> None:
    assert read_error(answer({"RestException": {"Message": said}}, 403)).hint is None


@pytest.mark.parametrize("status", [400, 418, 500, 503, 301, 0])
def test_where_no_reason_is_known_none_is_given(status: int) -> None:
    assert read_error(answer("", status)).hint is None


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://user:word@other.example:8443/a?token=x#b", "https://other.example:8443/a"),
        ("//other.example/a", "//other.example/a"),
        ("/v1/Numbers/+919812345678?x", "/v1/Numbers/+********5678"),
        ("https://other.example/sekret-token/\x07", "https://other.example/***/?"),
        ("?x", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_a_redirect_says_where_it_leads(location: str, shown: str | None) -> None:
    given_answer = Response(302, {"location": location}, b"", secrets=("sekret-token",))
    error = read_error(given_answer)
    assert (error.hint is None) == (shown is None)
    if shown is not None:
        assert str(error) == (
            f"HTTP 302: Found (an empty body) (it leads to {shown}, which is not followed)"
        )


def test_what_exotel_said_is_kept_whole_and_shown_masked() -> None:
    said = {"RestException": {"Message": "+919812345678 is in NDNC"}}
    error = read_error(Response(403, {"x-echo": "9812345678"}, json.dumps(said).encode()))
    assert error.message == "+919812345678 is in NDNC"
    assert error.headers == {"x-echo": "9812345678"}
    assert str(error) == "HTTP 403: +********5678 is in NDNC"


def test_an_error_keeps_headers_and_attempts() -> None:
    error = read_error(Response(429, {"retry-after": "30"}, b"", attempts=3))
    assert (error.headers, error.attempts) == ({"retry-after": "30"}, 3)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again)) == (type(error), str(error))


def test_a_long_message_is_cut() -> None:
    error = read_error(answer({"RestException": {"Message": "no " * 10_000}}, 400))
    assert len(error.message) <= 400


# The SID of an accepted dial


@pytest.mark.parametrize(
    ("body", "sid"),
    [
        (CALL, SID),
        (XML_CALL, SID),
        (f"<Call>\n<Sid>\n{SID}\n</Sid>", SID),
        (json.dumps(CALL)[:80], SID),
        (json.dumps(CALL).encode()[:60] + b"\xff\x00\xff", SID),
        (f'{{"Call": {{ "Sid" :\n "{SID}"', SID),
        (f"junk before {json.dumps(CALL)}", SID),
        (f'{{"Call":{{"Sid":"{SID[:20]}', None),
        (f"<Call><Sid>{SID}", None),
        ({"Call": {"AccountSid": SID, "ParentCallSid": SID, "PhoneNumberSid": SID}}, None),
        (f"<Call><AccountSid>{SID}</AccountSid><ParentCallSid>{SID}</ParentCallSid>", None),
        ({"Call": {"CallerName": f'"Sid":"{SID}"'}}, None),
        ({"Call": {"Sid": "short"}}, None),
        ({"Call": {"Sid": "../../../../../../Balance"}}, None),
        ({"Call": {"Sid": "x" * 65}}, None),
        ({"Call": {"Sid": None}}, None),
        ("", None),
        (HTML_ERROR, None),
    ],
)
def test_sid_of(body: object, sid: str | None) -> None:
    assert sid_of(answer(body)) == sid


@pytest.mark.parametrize("status", [302, 400, 500])
def test_a_dial_refused_has_no_sid(status: int) -> None:
    assert sid_of(answer(CALL, status)) is None


# Retry-After

NOW = 1_772_430_605.0  # Mon, 02 Mar 2026 05:50:05 GMT


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("86400", 86400.0),
        ("86401", 86400.0),
        ("999999999999", 86400.0),
        ("9" * 5000, 86400.0),
        ("-" + "9" * 5000, 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("3_0", None),
        ("\u0663\u0660", None),
        ("Mon, 02 Mar 2026 05:50:35 GMT", 30.0),
        ("Monday, 02-Mar-26 05:50:35 GMT", 30.0),
        ("Mon Mar  2 05:50:35 2026", 30.0),
        ("Mon, 02 Mar 2026 05:49:05 GMT", 0.0),
        ("Mon, 02 Mar 2037 05:50:35 GMT", 86400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("-inf", None),
        ("Mon, 99 Mar 2026 05:50:35 GMT", None),
        ("Mon, 02 Mar 2026 05:50:35 +9999", None),
    ],
)
def test_retry_after(value: str, wait: float | None) -> None:
    assert retry_after({"retry-after": value}, now=NOW) == wait


def test_retry_after_by_the_clock_of_the_server() -> None:
    headers = {"retry-after": "Mon, 02 Mar 2026 05:50:35 GMT"}
    assert retry_after({}, now=NOW) is None
    dated = headers | {"date": "Mon, 02 Mar 2026 05:50:25 GMT"}
    assert retry_after(dated, now=NOW - 86400) == 10.0
    assert retry_after(headers | {"date": "yesterday"}, now=NOW) == 30.0


@given(
    st.text(max_size=40)
    | st.from_regex(r"\w{3}, \d\d \w{3} \d{1,9} \d\d:\d\d:\d\d ([A-Z]{3}|[+-]\d{4,9})")
    | st.from_regex(r"-?\d{1,30}(\.\d{0,30})?"),
    st.text(max_size=40),
)
def test_retry_after_never_raises(value: str, date: str) -> None:
    wait = retry_after({"retry-after": value, "date": date}, now=NOW)
    assert wait is None or 0 <= wait <= 86_400


# Nothing shows


@pytest.mark.parametrize(
    "body",
    [
        f'{{"Call": {{"From": "0{CANARY}", "To": "+91{CANARY}"}}}}',
        f"<Call><From>0{CANARY}</From></Call>",
        f"{' ' * 395}0{CANARY}",
        f"{'x' * 194}{CANARY}{'x' * 300}",
        f'{{"RestException": {{"Message": "{CANARY} is on NDNC", "Code": "+91{CANARY}"}}}}',
        f"<RestException><Message>98765 01234, +91-98765-01234</Message><Code>{CANARY}</Code>",
        f"<title>{CANARY}</title>",
    ],
)
@pytest.mark.parametrize("status", [200, 404])
def test_no_error_shows_a_number(body: str, status: int) -> None:
    for read in ALL_READERS:
        with pytest.raises(ExotelError) as caught:
            read(Response(status, {"x-number": CANARY, "content-type": "text/html"}, body.encode()))
        error = caught.value
        for shown in (
            repr(error),
            "".join(traceback.format_exception(error)),
            repr(error.args),
            repr(pickle.dumps(error)),
        ):
            for canary in ("98765", "98765 01234", "98765-01234"):
                assert canary not in shown


def test_no_repr_of_an_answer_shows_what_is_in_it() -> None:
    shown = repr(answer(CALL, 202, **{"set-cookie": "canary"}))
    assert shown == "Response(status=202, attempts=1)"


# Whatever comes

GOOD = [
    json.dumps(body).encode() for body in (CALL, NUMBER, BALANCE, PAGE, ERROR, {**CALL, **NUMBER})
] + [XML_CALL.encode(), XML_ERROR.encode(), HTML_ERROR.encode()]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, 1e308, float("nan"), float("inf"), "", "null", "x"),
    *([], {}, [[]], [None], {"": None}, {"Leg": []}, "0000-00-00 00:00:00", "1e999", "\ud800"),
    *("9" * 5000, "9999-12-31T23:59:59-12:00", {"Legs": [{"Leg": {"Id": "9" * 99}}]}, CALL, ERROR),
]


def with_changes(body: Any, chance: random.Random) -> Any:
    """Put wrong values in random places of a good body."""
    if chance.random() < 0.15:
        return chance.choice(VALUES)
    if isinstance(body, dict):
        kept = [key for key in body if chance.random() < 0.95]
        return {key: with_changes(body[key], chance) for key in kept}
    if isinstance(body, list):
        return [with_changes(item, chance) for item in body] * chance.choice([1, 1, 2])
    return body


def changed(seed: int) -> bytes:
    chance = random.Random(seed)
    body = chance.choice([CALL, NUMBER, BALANCE, PAGE, ERROR])
    return json.dumps(with_changes(body, chance)).encode()


def damaged(body: bytes, place: int, junk: bytes, cut: int) -> bytes:
    return body[: place % len(body)] + junk + body[place % len(body) + cut :]


BODIES = st.one_of(
    st.integers(min_value=0).map(changed),
    st.builds(
        damaged,
        st.sampled_from(GOOD),
        st.integers(min_value=0, max_value=2000),
        st.binary(max_size=8),
        st.integers(min_value=0, max_value=2000),
    ),
    st.binary(max_size=60),
    st.text(alphabet='{}[]":,0123456789eE.-+ntfasul<>/&;\\u', max_size=60).map(str.encode),
    st.builds(
        lambda key, depth, opening: (f'{{"{key}":' + opening * depth).encode(),
        st.sampled_from(["Call", "Numbers", "Account", "Calls", "Metadata", "RestException"]),
        st.integers(min_value=1, max_value=5000),
        st.sampled_from(["[", '{"Leg":', '{"Legs":[', "<Message>", "1", '"', "-"]),
    ),
    st.builds(
        lambda value: (
            f'{{"Call":{{"Sid":"{SID}","Status":{value},"Details":{{"Legs":[{{"Id":{value}}}]}}}}}}'
        ).encode(),
        st.integers(min_value=1, max_value=1200).map(lambda depth: "[" * depth + "]" * depth),
    ),
)


@pytest.mark.slow
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
@example(b"", 200)
@given(BODIES, st.sampled_from([200, 200, 200, 202, 204]) | st.integers(-1, 1000))
def test_only_our_errors_come_out_of_any_body(body: bytes, status: int) -> None:
    assert_read_or_refused(body, status)


@pytest.mark.slow(5)
def test_only_our_errors_come_out_of_thousands_of_changed_bodies() -> None:
    """The same at a tenth of what the examples above cost."""
    first = random.randrange(2**32)
    for seed in range(first, first + 9_000):
        chance = random.Random(seed)
        body = changed(seed)
        if chance.random() < 0.5:
            junk = chance.randbytes(chance.randrange(9))
            body = damaged(
                chance.choice(GOOD), chance.randrange(2001), junk, chance.randrange(2001)
            )
        try:
            assert_read_or_refused(
                body, chance.choice([200, 200, 202, 204, chance.randrange(1000)])
            )
        except BaseException as error:
            error.add_note(f"{seed=}")
            raise


def assert_read_or_refused(body: bytes, status: int) -> None:
    given_answer = Response(status, {"content-type": "application/json", "retry-after": "x"}, body)
    for read in ALL_READERS:
        try:
            value = read(given_answer)
        except ExotelError as error:
            assert isinstance(error, DecodeError if 200 <= status < 300 else APIError)  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert 200 <= status < 300
            hash(value)
            repr(value)
    refusal = read_error(given_answer)
    assert refusal.message
    assert refusal.status == status
    sid = sid_of(given_answer)
    assert sid is None or (sid.isascii() and sid.isalnum() and 16 <= len(sid) <= 64)
