"""JSON into models: every shape VOICE_V1.md knows of, and whatever else may come."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.config import IST
from exotel_async.models import (
    AnsweredBy,
    Balance,
    Call,
    CallDetails,
    CallPage,
    CallStatus,
    Direction,
    Dnd,
    ExoPhone,
    Leg,
    NumberMetadata,
    NumberType,
)
from exotel_async.wire.converter import converter
from exotel_async.wire.values import (
    amount,
    count,
    enum_reader,
    free_text,
    parse_time,
    seconds,
    text,
)

SID = "0a1b2c3d4e5f60718293a4b5c6d71a3j"
ACCEPTED: dict[str, Any] = {
    "Sid": SID,
    "ParentCallSid": None,
    "DateCreated": "2026-03-02 11:20:05",
    "DateUpdated": "2026-03-02 11:20:06",
    "AccountSid": "acme1",
    "To": "09812300001",
    "From": "09812300002",
    "PhoneNumberSid": "08030000000",
    "Status": "in-progress",
    "StartTime": "2026-03-02 11:20:07",
    "EndTime": None,
    "Duration": None,
    "Price": None,
    "Direction": "outbound-api",
    "AnsweredBy": None,
    "ForwardedFrom": None,
    "CallerName": None,
    "Uri": f"/v1/Accounts/acme1/Calls.json/{SID}",
    "RecordingUrl": None,
}
COMPLETED: dict[str, Any] = ACCEPTED | {
    "Status": "completed",
    "EndTime": "2026-03-02 11:21:10",
    "Duration": "65",
    "Price": "1.500",
    "AnsweredBy": "human",
    "RecordingUrl": f"https://recordings.example/acme1/{SID}.mp3",
    "PreSignedRecordingUrl": "https://s3.example/?X-Amz-Signature=x",
    "CustomField": "order-7",
    "Details": {
        "ConversationDuration": 41,
        "Leg1Status": "completed",
        "Leg2Status": "no-answer",
        "Legs": [
            {"Leg": {"Id": 1, "OnCallDuration": 60}},
            {"Leg": {"Id": 2, "OnCallDuration": 41}},
        ],
    },
}

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
SCALARS = st.one_of(
    JUNK,
    st.integers(min_value=10**4300, max_value=10**4301),
    st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-]\d\d:\d\d)?"),
    st.from_regex(r"\w{3}, [0-9]{1,2} \w{3} [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2}( [+-]\d{4})?"),
    st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,7})?"),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "sNaN", "null", "", "0", "-0.0", "1_0", "٣"]),
)


def call(**fields: Any) -> Call:
    made: Call = converter().structure({"Sid": SID, **fields}, Call)
    return made


def at(hour: int, minute: int, second: int) -> datetime:
    return datetime(2026, 3, 2, hour, minute, second, tzinfo=IST)


def test_a_call_just_accepted() -> None:
    assert call(**ACCEPTED) == Call(
        sid=SID,
        status=CallStatus.IN_PROGRESS,
        direction=Direction.OUTBOUND_API,
        from_="09812300002",
        to="09812300001",
        exophone="08030000000",
        created_at=at(11, 20, 5),
        updated_at=at(11, 20, 6),
        started_at=at(11, 20, 7),
        account_sid="acme1",
        uri=f"/v1/Accounts/acme1/Calls.json/{SID}",
    )


def test_a_completed_call_with_details() -> None:
    done = call(**COMPLETED)
    assert done.is_final
    assert done.ended_at == at(11, 21, 10)
    assert done.duration == timedelta(seconds=65)
    assert done.price == Decimal("1.500")
    assert str(done.price) == "1.500"
    assert done.answered_by is AnsweredBy.HUMAN
    assert done.recording_url == COMPLETED["RecordingUrl"]
    assert done.presigned_recording_url == COMPLETED["PreSignedRecordingUrl"]
    assert done.custom_field == "order-7"
    assert done.talk_time == timedelta(seconds=41)
    assert done.details == CallDetails(
        talk_time=timedelta(seconds=41),
        leg1_status=CallStatus.COMPLETED,
        leg2_status=CallStatus.NO_ANSWER,
        legs=(
            Leg(id=1, duration=timedelta(seconds=60), status=CallStatus.COMPLETED),
            Leg(id=2, duration=timedelta(seconds=41), status=CallStatus.NO_ANSWER),
        ),
    )


def test_raw_is_the_whole_original() -> None:
    original = COMPLETED | {"SubResourceUris": {"Stream": "/x"}, "raw": 1}
    kept = copy.deepcopy(original)
    assert call(**original).raw == kept


NOTHING = ["None", "NULL", "null", "undefined", "N/A", "none", "n/a", ""]


@pytest.mark.parametrize("written", NOTHING)
def test_words_that_mean_nothing(written: str) -> None:
    sent = {name: written for name in COMPLETED if name not in {"Sid", "Details", "CustomField"}}
    read = call(**sent, CustomField="order-7", Details={"Leg1Status": written})
    assert read == Call(
        sid=SID,
        caller_name=free_text(written),  # somebody may be called Null
        custom_field="order-7",
        details=CallDetails(),
    )
    with pytest.raises(ValueError, match="a call without a Sid"):
        call(Sid=written)


@pytest.mark.parametrize("written", ["None", "NULL", "undefined"])
def test_what_the_user_wrote_is_kept(written: str) -> None:
    assert call(CustomField=written, CallerName=written).custom_field == written
    data = {"sid": "x", "friendly_name": written, "region": written}
    exophone = converter().structure(data, ExoPhone)
    assert (exophone.friendly_name, exophone.region) == (written, None)


@pytest.mark.parametrize("word", ["cancelled", "no_answer", "no answer"])
def test_a_status_in_another_spelling_ends_a_call(word: str) -> None:
    read = call(Status=word, Details={"Leg2Status": word})
    assert read.is_final
    assert read.details is not None
    assert read.details.leg2_status is read.status in {CallStatus.CANCELED, CallStatus.NO_ANSWER}


def test_fields_no_sample_fills() -> None:
    rest = call(ParentCallSid="parent", ForwardedFrom="null", CallerName="Asha")
    assert (rest.parent_sid, rest.forwarded_from, rest.caller_name) == ("parent", None, "Asha")


@pytest.mark.parametrize("unset", ["N/A", "", "null", None])
def test_custom_field_not_set(unset: str | None) -> None:
    assert call(CustomField=unset).custom_field is None


def test_legs_without_wrapper_and_with_a_status_of_their_own() -> None:
    legs = [
        {"Id": "1", "OnCallDuration": "60", "Status": "completed", "AnsweredBy": "NA"},
        {"Id": 2, "OnCallDuration": 0, "Status": None, "AnsweredBy": "HUMAN"},
    ]
    details = call(Details={"Leg1Status": "busy", "Legs": legs}).details
    assert details is not None
    assert details.legs == (
        Leg(
            id=1,
            duration=timedelta(seconds=60),
            status=CallStatus.COMPLETED,
            answered_by=AnsweredBy.NOT_APPLICABLE,
        ),
        Leg(id=2, duration=timedelta(0), answered_by=AnsweredBy.HUMAN),
    )


@pytest.mark.parametrize("details", [None, {}, [], "", "null", 7, [{"Legs": []}]])
def test_no_details(details: object) -> None:
    assert call(Details=details).details is None


@pytest.mark.parametrize("legs", [None, {}, "", "ab", 7, [None, 1, "x", [], {"Leg": 3}]])
def test_legs_that_are_none(legs: object) -> None:
    details = call(Details={"ConversationDuration": "", "Legs": legs}).details
    assert details == CallDetails()


@pytest.mark.parametrize("sid", [None, "", "null", [], {}, True, math.nan])
def test_a_call_needs_a_sid(sid: object) -> None:
    with pytest.raises(ValueError, match="a call without a Sid"):
        call(Sid=sid)


@pytest.mark.parametrize("kind", [Call, CallDetails, CallPage, Leg, NumberMetadata, Balance])
@pytest.mark.parametrize("data", [None, [], "{}", 3, True])
def test_a_model_needs_an_object(kind: type, data: object) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        converter().structure(data, kind)


def test_models_of_their_own() -> None:
    details = {"ConversationDuration": 3, "Legs": [{"Leg": {"Id": 1}}]}
    assert converter().structure(details, CallDetails) == CallDetails(
        talk_time=timedelta(seconds=3), legs=(Leg(id=1),)
    )
    assert converter().structure({"Id": 2, "Status": "busy"}, Leg) == Leg(
        id=2, status=CallStatus.BUSY
    )


def test_a_page() -> None:
    data = {
        "Metadata": {"Total": "3", "NextPageUri": "/v1/Accounts/acme1/Calls?After=a%2Bb"},
        "Calls": [COMPLETED, {"Call": ACCEPTED}],
    }
    made = converter().structure(data, CallPage)
    assert made == CallPage(calls=(call(**COMPLETED), call(**ACCEPTED)), total=3, after="a+b")
    assert made.raw is data
    assert made.calls[1].raw is ACCEPTED
    in_utc = converter(UTC).structure(data, CallPage).calls[0]
    assert in_utc.created_at == datetime(2026, 3, 2, 11, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize("total", [None, "", "many", -1, 1.5, True, [], 10**10])
def test_a_total_that_is_none(total: object) -> None:
    data = {"Metadata": {"Total": total}, "Calls": []}
    assert converter().structure(data, CallPage) == CallPage(calls=())


def test_no_call_is_left_out_of_a_page() -> None:
    data = {"Metadata": {}, "Calls": [COMPLETED, ACCEPTED | {"Sid": None}]}
    with pytest.raises(ValueError, match="a call without a Sid"):
        converter().structure(data, CallPage)


@pytest.mark.slow
@given(JUNK, JUNK, st.lists(JUNK | st.just(COMPLETED) | st.just({"Call": ACCEPTED}), max_size=3))
def test_any_page_is_whole_or_refused(metadata: Any, uri: Any, rows: Any) -> None:
    for data in (
        {"Metadata": metadata, "Calls": rows},
        {"Metadata": {"NextPageUri": uri, "Total": uri}, "Calls": rows},
        {"Metadata": {"NextPageUri": f"?After={uri}"}, "Calls": uri},
    ):
        try:
            made = converter().structure(data, CallPage)
        except ValueError:
            continue
        assert len(made.calls) == len(data["Calls"])
        hash(made)
        repr(made)


def test_number_metadata() -> None:
    sample = {
        "PhoneNumber": "09812300001",
        "Circle": "KA",
        "CircleName": "Karnataka Telecom Circle",
        "Type": "Mobile",
        "Operator": "A",
        "OperatorName": "Airtel",
        "DND": "No",
    }
    number = converter().structure(sample, NumberMetadata)
    assert number == NumberMetadata(
        phone_number="09812300001",
        circle="KA",
        circle_name="Karnataka Telecom Circle",
        type=NumberType.MOBILE,
        operator="A",
        operator_name="Airtel",
        dnd=Dnd.NO,
    )
    assert number.raw == sample


def test_balance() -> None:
    sample = {
        "AccountSid": "acme1",
        "BalanceData": {
            "Balance": "1250.7500",
            "Currency": "INR",
            "PricingPlan": "Believer",
            "DateUpdated": "2026-03-02 11:20:05",
        },
    }
    balance = converter().structure(sample, Balance)
    assert balance == Balance(
        account_sid="acme1",
        amount=Decimal("1250.7500"),
        currency="INR",
        pricing_plan="Believer",
        updated_at=at(11, 20, 5),
    )
    assert balance.raw == sample


@pytest.mark.parametrize("left", [None, "", "plenty", "NaN", "1e99", [], True])
def test_a_balance_needs_an_amount(left: object) -> None:
    with pytest.raises(ValueError, match="a balance without an amount"):
        converter().structure({"BalanceData": {"Balance": left}}, Balance)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("plain", "plain"),
        (" kept as it is ", " kept as it is "),
        ("Nonesuch", "Nonesuch"),
        ("None", None),
        ("", None),
        ("null", None),
        (None, None),
        (9812300001, "9812300001"),
        (9812300001.0, "9812300001"),
        (1.5, "1.5"),
        (0, "0"),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        pytest.param(10**5000, None, id="huge"),
        (["x"], None),
        ({"x": 1}, None),
    ],
)
def test_text(value: object, read: str | None) -> None:
    assert text(value) == read
    assert free_text(value) == ("None" if value == "None" else read)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (65, 65.0),
        ("65", 65.0),
        (" 65 ", 65.0),
        (65.5, 65.5),
        ("65.5", 65.5),
        (0, 0.0),
        ("0", 0.0),
        (-1, None),
        ("-1", None),
        ("", None),
        ("null", None),
        (None, None),
        (False, None),
        ("NaN", None),
        (math.inf, None),
        (10**400, None),
        ("1e400", None),
        (10**10, None),
        ([65], None),
    ],
)
def test_seconds(value: object, read: float | None) -> None:
    assert seconds(value) == (None if read is None else timedelta(seconds=read))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, 1),
        ("2", 2),
        (0, 0),
        (True, None),
        (-1, None),
        (1.0, None),
        ("x", None),
        ("9" * 5000, None),
        (10**10, None),
        (None, None),
    ],
)
def test_count(value: object, read: int | None) -> None:
    assert count(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1.500", "1.500"),
        (1.5, "1.5"),
        (0.1, "0.1"),
        (3, "3"),
        ("-2.25", "-2.25"),
        ("0", "0"),
        ("", None),
        ("null", None),
        (None, None),
        (True, None),
        ("1,5", None),
        ("NaN", None),
        ("sNaN", None),
        ("-Infinity", None),
        (math.nan, None),
        (math.inf, None),
        ("1E+999999", None),
        ("0E-999999", None),
        ("0." + "0" * 100, None),
        pytest.param(10**5000, None, id="huge"),
        (["1"], None),
    ],
)
def test_amount(value: object, read: str | None) -> None:
    # `==` alone would take 1.5 for 1.500.
    assert str(amount(value)) == str(read)


def test_amount_does_not_depend_on_the_decimal_context() -> None:
    with localcontext() as context:
        context.prec = 2
        context.clear_traps()
        assert amount("1234.5678") == Decimal("1234.5678")
        assert amount("junk") is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-03-02 11:20:05", at(11, 20, 5)),
        ("2026-03-02T11:20:05", at(11, 20, 5)),
        ("2026-03-02T05:50:05Z", at(11, 20, 5)),
        ("2026-03-02 11:20:05+05:30", at(11, 20, 5)),
        ("2026-03-02T11:20:05.250+05:30", at(11, 20, 5).replace(microsecond=250000)),
        ("Mon, 02 Mar 2026 11:20:05", at(11, 20, 5)),
        ("Mon, 02 Mar 2026 05:50:05 GMT", at(11, 20, 5)),
        ("Mon, 02 Mar 2026 11:20:05 +0530", at(11, 20, 5)),
        ("0000-00-00 00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01 05:30:00", None),
        ("1970-12-31 23:59:59", None),
        ("9999-12-31 23:59:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2026-02-30 11:20:05", None),
        ("2026-03-02", None),
        ("11:20:05", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Mon, 02 Foo 2026 11:20:05", None),
        ("x" * 19, None),
        ("2026-03-02 11:20:05" + "0" * 9999, None),
        ("", None),
        ("null", None),
        (None, None),
        (1772430605, None),
        ([], None),
    ],
)
def test_moment(value: object, read: datetime | None) -> None:
    assert parse_time(value, IST) == read


def test_times_are_in_the_zone_asked_for() -> None:
    made = converter(UTC).structure(ACCEPTED | {"EndTime": "2026-03-02 11:21:10+05:30"}, Call)
    assert made.created_at == datetime(2026, 3, 2, 11, 20, 5, tzinfo=UTC)
    assert made.ended_at == datetime(2026, 3, 2, 5, 51, 10, tzinfo=UTC)
    assert made.ended_at.tzinfo is UTC
    assert call(**ACCEPTED).created_at == at(11, 20, 5)


def test_one_converter_per_zone() -> None:
    assert converter() is converter()
    assert converter(UTC) is converter(UTC)
    assert converter(UTC) is not converter()


@pytest.mark.parametrize("said", ["Human", "HUMAN", "human"])
def test_words_are_folded(said: str) -> None:
    assert call(AnsweredBy=said).answered_by is AnsweredBy.HUMAN


def test_words_not_known_stay() -> None:
    odd = call(Status="on-hold", Direction=3, AnsweredBy=[])
    assert odd.status == "on-hold"
    assert odd.direction == "3"
    assert odd.answered_by is None
    assert enum_reader(Dnd)("Perhaps") == "Perhaps"


@pytest.mark.slow
@given(SCALARS)
def test_no_value_of_any_field_raises(value: object) -> None:
    for kind, key in [(Call, key) for key in COMPLETED if key != "Sid"]:
        made = converter().structure(COMPLETED | {key: value}, kind)
        hash(made)
        repr(made)
    time = parse_time(value, timezone(timedelta(hours=-12)))
    assert time is None or (time.tzinfo is not None and time.astimezone(UTC).year > 1969)
    money = amount(value)
    assert money is None or (money.is_finite() and len(f"{money:f}") < 99)
    length = seconds(value)
    assert length is None or length >= timedelta(0)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*COMPLETED, "Legs", "Leg", "Id"]), JUNK))
def test_no_object_raises_anything_but_a_value_error(data: dict[str, Any]) -> None:
    for made in (data, {"Sid": SID, **data, "Details": {"Legs": [data, {"Leg": data}], **data}}):
        for kind in (Call, CallDetails, CallPage, Leg, NumberMetadata, Balance):
            with contextlib.suppress(ValueError):
                converter().structure(made, kind)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 12, 31)))  # noqa: DTZ001
def test_every_documented_time_is_read(time: datetime) -> None:
    whole = time.replace(microsecond=0)
    assert parse_time(f"{whole:%Y-%m-%d %H:%M:%S}".zfill(19), IST) == whole.replace(tzinfo=IST)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=0, max_value=10**9))
def test_every_price_is_exact(price: Decimal) -> None:
    assert str(amount(str(price))) == str(price)
    assert amount(json.loads(json.dumps(float(price)))) == Decimal(str(float(price)))
