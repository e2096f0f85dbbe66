"""Queries for call records: every filter as it is written, every documented limit."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.config import IST
from exotel_async.errors import InvalidRequest
from exotel_async.models import Call, CallPage, CallStatus, Direction
from exotel_async.wire import call_query
from exotel_async.wire.call_query import Between, CallQuery, is_listable, probe
from exotel_async.wire.request import Request
from exotel_async.wire.time_range import TimeRange

SID = "0a1b2c3d4e5f60718293a4b5c6d71a3j"
ONE, OTHER = "+919812300001", "+919812300002"
NOON = TimeRange(datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, 59, 59, tzinfo=UTC))


class Colour(str, enum.Enum):  # noqa: UP042 - the old kind, whose str() is its name
    """Words of somebody's own."""

    RED = "a1"


def query_of(**options: Any) -> CallQuery:
    return call_query.build_query(time_zone=IST, **options)


def asked(**options: Any) -> dict[str, str]:
    """Return what of a query does not stand in every one."""
    request = query_of(**options).request(None)
    fields = dict(request.params)
    assert len(fields) == len(request.params)
    assert (fields.pop("SortBy"), fields.pop("PageSize")) == ("DateCreated:desc", "100")
    return fields


def refused(argument: str, **options: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        query_of(**options)
    error = caught.value
    assert error.argument == argument
    assert error.rule
    assert str(error) == f"{argument}={error.shown}: {error.rule}"
    assert "98123" not in f"{error!r} {error.shown} {error.args}"
    return error


# What is asked


def test_a_query_at_its_least() -> None:
    assert query_of().request(None) == Request(
        "GET", "Calls.json", params=(("SortBy", "DateCreated:desc"), ("PageSize", "100"))
    )


def test_a_query_with_everything() -> None:
    query = query_of(
        sids=[SID, "b2"],
        to=[ONE, OTHER],
        from_="0981 230-0003",
        exophone="080-3000 0000",
        status=CallStatus.COMPLETED,
        direction=Direction.OUTBOUND_API,
        duration=Between(timedelta(seconds=10), timedelta(seconds=45)),
        price=Between(Decimal("0.10"), Decimal("1.0")),
        newest_first=False,
        page_size=50,
        details=True,
        recording_url_validity=timedelta(minutes=10),
        extra={"CallType": "completed"},
    )
    request = query.request(NOON, after="c3Vy+/=")
    assert (request.method, request.path, request.body) == ("GET", "Calls.json", None)
    assert dict(request.params) == {
        "Sid": f"{SID},b2",
        "To": f"{ONE},{OTHER}",
        "From": "09812300003",
        "PhoneNumber": "08030000000",
        "Status": "completed",
        "Direction": "outbound-api",
        "Duration": "gte:10s;lte:45s",
        "Price": "gte:0.10;lte:1.0",
        "CallType": "completed",
        "details": "true",
        "RecordingUrlValidity": "10",
        "DateCreated": "gte:2026-03-02 17:30:00;lte:2026-03-02 18:29:59",
        "SortBy": "DateCreated:asc",
        "PageSize": "50",
        "After": "c3Vy+/=",
    }
    assert dict(query.request(None, page_size=1).params)["PageSize"] == "1"


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"sids": SID}, {"Sid": SID}),
        ({"sids": iter(["a1", "b2", "a1"])}, {"Sid": "a1,b2"}),
        ({"sids": [Colour.RED]}, {"Sid": "a1"}),
        ({"sids": [f"s{n}" for n in range(100)]}, {"Sid": ",".join(f"s{n}" for n in range(100))}),
        ({"to": "+91 98123-00001"}, {"To": ONE}),
        ({"to": (n for n in (ONE, OTHER, ONE))}, {"To": f"{ONE},{OTHER}"}),
        ({"from_": "sip:asha@example.com"}, {"From": "sip:asha@example.com"}),
        ({"from_": ["sip:agent7f3a", ONE]}, {"From": f"sip:agent7f3a,{ONE}"}),
        ({"to": "sip:agent7f3a"}, {"To": "sip:agent7f3a"}),
        ({"to": "01400000001", "exophone": ["1909", "+911600123456"]},
         {"To": "01400000001", "PhoneNumber": "1909,+911600123456"}),
        ({"from_": [f"0981230000{n}" for n in range(5)]},
         {"From": "09812300000,09812300001,09812300002,09812300003,09812300004"}),
        ({"exophone": {"08030000000"}}, {"PhoneNumber": "08030000000"}),
        ({"status": "No-Answer"}, {"Status": "no-answer"}),
        ({"status": iter(["busy", "BUSY"])}, {"Status": "busy"}),
        ({"status": ["busy", "failed"]}, {}),
        *(({"status": status}, {"Status": status.value}) for status in CallStatus),
        *(({"direction": way}, {"Direction": way.value}) for way in Direction),
        ({"duration": timedelta(seconds=30)}, {"Duration": "eq:30s"}),
        ({"duration": timedelta(0)}, {"Duration": "eq:0s"}),
        ({"duration": Between(min=timedelta(minutes=2))}, {"Duration": "gte:120s"}),
        ({"duration": Between(max=timedelta(days=1))}, {"Duration": "lte:86400s"}),
        ({"duration": Between(timedelta(0), timedelta(0))}, {"Duration": "gte:0s;lte:0s"}),
        ({"price": Between(min=Decimal("0.10"))}, {"Price": "gte:0.10"}),
        ({"price": Between(max=Decimal("1E+2"))}, {"Price": "lte:100"}),
        ({"price": Decimal("1.50")}, {"Price": "gte:1.50;lte:1.50"}),
        ({"price": 3}, {"Price": "gte:3;lte:3"}),
        ({"details": True}, {"details": "true"}),
        ({"details": False}, {}),
        ({"recording_url_validity": timedelta(minutes=5)}, {"RecordingUrlValidity": "5"}),
        ({"recording_url_validity": timedelta(hours=1)}, {"RecordingUrlValidity": "60"}),
        ({"extra": {"Something": "new", "To[0]": ONE}}, {"Something": "new", "To[0]": ONE}),
        ({"extra": {"details": "yes"}}, {"details": "yes"}),
        ({"extra": {"RecordingUrlValidity": "7"}}, {"RecordingUrlValidity": "7"}),
    ],
)  # fmt: skip
def test_filters(options: dict[str, Any], fields: dict[str, str]) -> None:
    assert asked(**options) == fields


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 2, 12, tzinfo=UTC),
        datetime(2026, 3, 2, 17, 30, tzinfo=IST),
        datetime(2026, 3, 2, 7, tzinfo=ZoneInfo("America/New_York")),
        datetime(2026, 3, 3, 2, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_dates_are_written_by_the_clock_of_the_service(moment: datetime) -> None:
    time_range = TimeRange(moment, moment)
    written = dict(query_of().request(time_range).params)["DateCreated"]
    assert written == "gte:2026-03-02 17:30:00;lte:2026-03-02 17:30:00"
    in_utc = call_query.build_query(time_zone=UTC).request(time_range)
    assert "gte:2026-03-02 12:00:00;" in dict(in_utc.params)["DateCreated"]


def test_the_smallest_query() -> None:
    assert probe() == Request("GET", "Calls.json", params=(("PageSize", "1"),))


def test_of_several_statuses_the_calls_are_chosen_here() -> None:
    calls = tuple(Call(sid=status, status=status) for status in CallStatus)
    page = CallPage(calls=calls, total=900, after="c3Vy")
    assert query_of(status="busy").filtered(page) is page
    chosen = query_of(status=["No-Answer", CallStatus.BUSY]).filtered(page)
    assert {call.sid for call in chosen.calls} == {"busy", "no-answer"}
    # Exotel counts the others, too.
    assert (chosen.total, chosen.after) == (None, "c3Vy")


# What two queries share


def test_a_digest_tells_lists_apart_and_not_how_they_are_given_out() -> None:
    query = query_of(to=ONE, status="busy")
    assert query.digest("acme1") == query_of(status="BUSY", to="+91-98123-00001").digest("acme1")
    assert query.digest("acme1") == query_of(
        to=ONE,
        status="busy",
        page_size=7,
        details=True,
        recording_url_validity=timedelta(minutes=5),
    ).digest("acme1")
    others = [
        query.digest("acme2"),
        query_of(to=OTHER, status="busy").digest("acme1"),
        query_of(to=ONE).digest("acme1"),
        query_of(to=ONE, status="busy", newest_first=False).digest("acme1"),
        query_of(to=ONE, status="busy", extra={"X": "y"}).digest("acme1"),
    ]
    several = [
        query_of(to=ONE, status=words).digest("acme1")
        for words in (["busy", "failed"], ("FAILED", "busy", "busy"), ["busy", "completed"])
    ]
    assert several[0] == several[1]
    assert len({query.digest("acme1"), *others, *several}) == 8
    assert "98123" not in query.digest("acme1")


# What is refused


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("sids", [[], "", [""], [None], 5, b"a1", ["a,b"], ["a b"], ["a\n"], ["../x"], [["a1"]]]),
        ("sids", [[{}], ["x" * 129], ["\u0663"], [f"s{n}" for n in range(101)], [ONE]]),
        ("to", [[], "", [""], [None], 9812300001, b"98", ["x"], [ONE, 7], [[ONE]]]),
        ("to", [f"{ONE},{OTHER}", f"{ONE};{OTHER}"]),
        ("to", [[f"0981230000{n}" for n in range(6)], "sip:", f"{ONE} ext. 4"]),
        ("from_", [[], "x", ["sip:a,b@example.com"], [f"0981230000{n}" for n in range(6)]]),
        ("exophone", [[], "EXOTEL", "sip:a@b", [f"0803000000{n}" for n in range(6)]]),
        ("status", ["", "done", "completed,busy", 3, CallStatus("on-hold"), "eq:busy"]),
        ("status", [[], ["busy", "x"], [["busy"]], [None]]),
        ("direction", ["", "outbound", ["inbound"], 1, Direction("sideways")]),
        ("duration", [10, "10s", -timedelta(seconds=1), timedelta(milliseconds=1500), Between()]),
        ("duration", [Between(10, 20), Between(min="10s"), Between(min=-timedelta(1))]),
        ("duration", [Between(timedelta(seconds=2), timedelta(seconds=1)), True]),
        ("price", [1.5, "1.5", True, Decimal(-1), -1, Between(), Between("0", "1")]),
        ("price", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-0")]),
        ("price", [Decimal("1E-999999"), Decimal("1E+999999"), 10**400, 10**5000]),
        ("price", [Between(Decimal(2), Decimal("1.9")), Between(max=float("inf"))]),
        ("page_size", [0, 101, -1, True, 50.0, "50", None, 10**5000]),
        ("newest_first", [None, 1, 0, "asc"]),
        ("details", [1, 0, "true"]),
        ("recording_url_validity", [timedelta(minutes=4), timedelta(minutes=61), 10, "10"]),
        ("recording_url_validity", [timedelta(minutes=5, seconds=1), timedelta(0)]),
        ("extra", [["To"], "To=1", {"": "x"}, {1: "x"}, {"A\n": "x"}, {"A": 1}, {"A": None}]),
        ("extra", [{"A": "\x00"}, {"A": "\ud800"}]),
    ],
)  # fmt: skip
def test_values_out_of_range(argument: str, values: list[Any]) -> None:
    for value in values:
        refused(argument, **{argument: value})


def test_an_error_says_which_value_and_which_rule() -> None:
    error = refused("sids", sids=[f"s{n}" for n in range(101)])
    assert str(error) == "sids='<101 SIDs>': must be 1 to 100 SIDs"
    error = refused("to", to=[f"0981230000{n}" for n in range(6)])
    assert str(error) == "to='<6 numbers>': must be 1 to 5 numbers"
    assert refused("page_size", page_size=101).rule == "must be a whole number from 1 to 100"
    assert "5 to 60" in refused("recording_url_validity", recording_url_validity=10).rule
    between = Between(timedelta(2), timedelta(1))
    assert "above its max" in refused("duration", duration=between).rule
    assert "'no-answer'" in refused("status", status="noanswer").rule


def test_the_limits_count_what_differs() -> None:
    assert asked(to=[ONE] * 6) == {"To": ONE}
    assert asked(sids=["a1"] * 101) == {"Sid": "a1"}


@pytest.mark.parametrize(
    "name",
    ["DateCreated", "SortBy", "PageSize", "After", "Before", "Sid", "Status", "To[0]", "details"],
)
def test_extra_that_collides(name: str) -> None:
    error = refused(
        "extra", sids="a1", status="busy", to=ONE, details=True, extra={"X": "y", name: "x"}
    )
    assert (error.shown, error.rule) == (repr(name), "is sent already, from its own argument")


@pytest.mark.parametrize("sid", ["", "a,b", "a b", "a;b", "é", None, 7, b"a", "a\n", "x" * 129])
def test_what_cannot_stand_in_a_list_of_sids(sid: object) -> None:
    assert not is_listable(sid)
    assert is_listable(SID)


@given(st.lists(st.text(max_size=8), max_size=4), st.text(max_size=20))
def test_any_text_is_sent_or_refused(several: list[str], one: str) -> None:
    for options in (
        {"sids": several},
        {"sids": one},
        {"to": several},
        {"from_": [f"sip:{one}@x"]},
        {"status": one},
        {"direction": one},
        {"extra": {one: one}},
    ):
        try:
            fields = asked(**options)
        except InvalidRequest:
            continue
        for name, value in fields.items():
            assert (name + value).encode()
            # A comma would make two of one.
            assert name == one or value.count(",") < max(1, len(several))


@given(
    st.decimals(min_value=0, max_value=10**9, places=4) | st.integers(0, 10**9),
    st.timedeltas(min_value=timedelta(0)),
)
def test_every_amount_and_length_is_exact(price: Decimal | int, length: timedelta) -> None:
    least, most = asked(price=price)["Price"].split(";")
    assert Decimal(least.removeprefix("gte:")) == Decimal(most.removeprefix("lte:")) == price
    whole = timedelta(length.days, length.seconds)
    written = asked(duration=whole)["Duration"]
    assert timedelta(seconds=int(written.removeprefix("eq:").removesuffix("s"))) == whole
