"""Every public value and statistics as plain types, and back."""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exotel_async
import exotel_async.campaigns
import exotel_async.events
import exotel_async.redis
import exotel_async.webhooks
from exotel_async import (
    IST,
    Balance,
    Call,
    CallAmbiguous,
    CallDetails,
    CallFound,
    CallOutcomeUnknown,
    CallPage,
    CallResult,
    CallRow,
    CallStatus,
    DialOutcome,
    DialTarget,
    ExotelError,
    InvalidRequest,
    Leg,
    LimiterStatistics,
    NotFound,
    RecordingNotReady,
)
from exotel_async.models import OpenEnum
from exotel_async.models.value import Value
from exotel_async.webhooks import StatusCallback

# What came, byte by byte: JSON has no bytes.
BYTES = {"RawResponse"}
# What a program writes, not what it gets: settings and filters, and the answers to applets, which
# have a form of their own.
SETTINGS = {"Between", "Fallback", "RateLimit", "RetryPolicy", "Timeouts"}
SETTINGS |= {"Campaign", "Reached", "Retries", "Retry", "Schedule"}  # tests/campaigns tries them
ANSWERS = {"ConnectPlan", "DialWhom", "GatherPlan", "Passthru", "Play", "Playback", "Response"}
ANSWERS |= {"SmsText", "Speak", "VoicebotStream"}

SOON_OVER = settings(max_examples=10, deadline=None)


PACKAGES = (
    exotel_async,
    exotel_async.campaigns,
    exotel_async.events,
    exotel_async.redis,
    exotel_async.webhooks,
)


def public_values() -> list[type[Value]]:
    """The classes of all public values, and of nothing else."""
    public = {
        name: getattr(package, name)
        for package in PACKAGES
        for name in package.__all__
        if name not in SETTINGS | ANSWERS | BYTES
    }
    named: list[Any] = [kind for _, kind in sorted(public.items())]
    return [kind for kind in named if isinstance(kind, type) and attrs.has(kind)]  # type: ignore[misc]


VALUES = public_values()
PLAIN = {str, int, float, bool, type(None), list, dict}

texts = st.text(max_size=8)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
times = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, IST, timezone(-timedelta(hours=4, minutes=15))]),
)
BASIC: Mapping[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(-10, 10**9),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: times,
    timedelta: st.timedeltas(timedelta(0), timedelta(seconds=10**9)),
    Decimal: st.decimals(-(10**9), 10**9, places=3),
    Any: plain,
    type(None): st.none(),
    ExotelError: st.none(),  # errors equal nothing but themselves; they have tests of their own
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for an attribute, or a value, of this type."""
    if kind in BASIC:
        return BASIC[kind]
    if isinstance(kind, type) and issubclass(kind, OpenEnum):
        return st.sampled_from(kind) | texts.map(kind)
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and attrs.has(kind):
        attrs.resolve_types(kind)
        return st.builds(kind, **{one.alias: anything(one.type) for one in attrs.fields(kind)})
    return composed(kind)


def composed(kind: Any) -> st.SearchStrategy[Any]:
    arguments = get_args(kind)
    if get_origin(kind) in {Union, types.UnionType}:
        return st.one_of([anything(one) for one in arguments])
    if get_origin(kind) is tuple:
        return st.lists(anything(arguments[0]), max_size=2).map(tuple)
    assert get_origin(kind) is Mapping or is_typeddict(kind), kind
    return st.dictionaries(texts, texts, max_size=2)


def through_json(data: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
    assert read == data  # it was plain already: no tuples, no keys that are no text
    return read


def test_all_public_values_are_values() -> None:
    assert len(VALUES) > 25
    assert [kind.__name__ for kind in VALUES if not issubclass(kind, Value)] == []


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_comes_back_from_json(kind: type[Value]) -> None:
    @SOON_OVER
    @given(anything(kind))
    def comes_back(value: Value) -> None:
        assert {type(one) for one in value.to_dict().values()} <= PLAIN
        data = through_json(value.to_dict())
        assert kind.from_dict(data) == value
        whole = kind.from_dict(through_json(value.to_dict(raw=True)))
        assert whole == value
        assert getattr(whole, "raw", None) == getattr(value, "raw", None)

    comes_back()


CALL = Call(
    sid="s1",
    status=CallStatus.COMPLETED,
    from_="+919812300001",
    created_at=datetime(2026, 3, 2, 11, 20, 5, tzinfo=IST),
    duration=timedelta(seconds=65),
    price=Decimal("1.500"),
    details=CallDetails(talk_time=timedelta(seconds=41, milliseconds=500), legs=(Leg(id=1),)),
    raw={"Sid": "s1"},
)


def test_how_a_call_is_written() -> None:
    told = {name: value for name, value in CALL.to_dict().items() if value is not None}
    assert told == {
        "sid": "s1",
        "status": "completed",
        "from": "+919812300001",
        "created_at": "2026-03-02T11:20:05+05:30",
        "duration": 65,
        "price": "1.500",
        "details": {
            "talk_time": 41.5,
            "leg1_status": None,
            "leg2_status": None,
            "legs": [{"id": 1, "duration": None, "status": None, "answered_by": None}],
        },
    }
    assert type(told["status"]) is str
    assert type(told["duration"]) is int
    assert Call.from_dict(told).status is CallStatus.COMPLETED
    assert isinstance(Call.from_dict({"sid": "s", "status": "new"}).status, CallStatus)
    assert CALL.to_dict().keys() == {
        one.name.rstrip("_") for one in attrs.fields(Call) if one.name != "raw"
    }


def test_the_originals_are_there_when_asked_for() -> None:
    page = CallPage(calls=(CALL,), raw={"Calls": []})
    assert "raw" not in page.to_dict()
    assert "raw" not in page.to_dict()["calls"][0]
    whole = page.to_dict(raw=True)
    assert whole["raw"] == {"Calls": []}
    assert whole["calls"][0]["raw"] == {"Sid": "s1"}


def test_what_is_given_out_is_not_what_the_value_holds() -> None:
    call = Call(sid="s1", raw={"Legs": [1]})
    call.to_dict(raw=True)["raw"]["Legs"].append(2)
    assert call.raw == {"Legs": [1]}


def test_keys_without_meaning_are_ignored_and_the_name_in_python_is_known() -> None:
    assert Call.from_dict({"sid": "s1", "from_": "1", "new": [1]}) == Call(sid="s1", from_="1")


def test_statistics_of_a_shared_limiter_are_those_of_a_limiter_too() -> None:
    numbers = {
        "granted": 1,
        "waiting_interactive": 0,
        "waiting_bulk": 0,
        "in_flight": 0,
        "window_used": 1,
        "window_size": 200,
        "paused_for": 0.0,
        "refused": 0,
        "strict": False,
        "pace": 3.3,
        "longest_wait": 0.5,
        "reported": {"x-ratelimit-limit": "200"},
    }
    shared = {**numbers, "in_contact": True, "valid_for": 1.5, "round_trips": 2, "account": None}
    statistics = exotel_async.redis.SharedStatistics.from_dict(shared)
    assert statistics.to_dict() == {**shared, "learned_limit": None}
    assert LimiterStatistics.from_dict(shared).to_dict() == {**numbers, "learned_limit": None}


TAG = {"row": [7], "due": "2026-03-02T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ((1, "a"), [1, "a"]),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"row": {7}, "due": datetime(2026, 3, 2, tzinfo=UTC)}, TAG),
        (float("nan"), "nan"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (b"x", "b'x'"),
        pytest.param(10**5000, "int", id="huge"),
    ],
)
def test_a_tag_becomes_json_as_far_as_it_can(tag: object, written: object) -> None:
    target = DialTarget(from_="+919812300001", tag=tag)
    assert through_json(target.to_dict())["tag"] == written


def test_options_of_a_dial_come_back_as_what_a_dial_takes() -> None:
    target = DialTarget(
        from_="+919812300001",
        options={"time_limit": timedelta(minutes=1), "record": True, "ring_timeout": 30},
    )
    again = DialTarget.from_dict(through_json(target.to_dict()))
    assert again.options == {"time_limit": 60, "record": True, "ring_timeout": 30}


def test_a_circle_in_a_tag_breaks_nothing() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert DialTarget(from_="1", tag=circle).to_dict()["tag"] == "[[...]]"


def lost() -> CallOutcomeUnknown:
    sent = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)
    return CallOutcomeUnknown(
        "the connection broke",
        from_="+919812300001",
        to=None,
        caller_id="08030000000",
        sent_at=sent,
        lost_at=sent + timedelta(seconds=60),
        time_limit=timedelta(minutes=5),
    )


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no such call", status=404, code=1, headers={"date": "today"}),
        lost(),
        InvalidRequest("to", "+919812300002", "must not be that"),
        RecordingNotReady("not yet", sid="s1", available_by=datetime(2026, 3, 2, tzinfo=UTC)),
        exotel_async.RateLimitTimeout(wait=3.5, max_wait=1),
        exotel_async.DecodeError("no JSON", status=200, content_type=None, excerpt="<html>"),
        exotel_async.ConfigurationError("the session is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_as_one_of_its_class(error: ExotelError) -> None:
    result = CallResult("s1", error=error)
    data = through_json(result.to_dict())
    assert data["error"]["type"] == type(error).__name__
    assert data["error"]["text"] == str(error)
    again = CallResult.from_dict(data).error
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert CallResult("s1", error=again).to_dict() == data


def test_a_lost_dial_has_its_whole_numbers_and_its_times() -> None:
    data = DialOutcome("+919812300001", error=lost()).to_dict()["error"]
    assert data["from"] == "+919812300001"
    assert data["sent_at"] == "2026-03-02T05:50:00+00:00"
    assert data["time_limit"] == 300


def test_an_error_of_another_version_is_an_error() -> None:
    data = {"sid": "s1", "error": {"type": "TooLoud", "text": "too loud", "decibel": 90}}
    error = CallResult.from_dict(data).error
    assert type(error) is ExotelError
    assert str(error) == "too loud"


CALL_READ = Call.from_dict


@pytest.mark.parametrize(
    ("read", "data", "message"),
    [
        (CALL_READ, None, "Call=None: must be a mapping, as Call.to_dict() gives it"),
        (CALL_READ, {}, "sid=None: is required"),
        (CALL_READ, {"sid": 7}, "sid=7: must be text"),
        (CALL_READ, {"sid": None}, "sid=None: must be text"),
        (CALL_READ, {"sid": "s", "from": 919812300001}, "from=********0001: must be text"),
        (CALL_READ, {"sid": "s", "status": 1}, "status=1: must be a word, such as 'queued'"),
        (CALL_READ, {"sid": "s", "duration": "65"}, "duration='65': must be a duration"),
        (CALL_READ, {"sid": "s", "duration": True}, "duration=True: must be a duration"),
        (CALL_READ, {"sid": "s", "duration": 1e300}, "duration=1e+300: must be a duration"),
        (CALL_READ, {"sid": "s", "price": 1.5}, "price=1.5: must be an amount as text"),
        (CALL_READ, {"sid": "s", "price": "1E+999999"}, "price='1E+999999': must be an amount"),
        (CALL_READ, {"sid": "s", "price": "a"}, "price='a': must be an amount as text"),
        (
            CALL_READ,
            {"sid": "s", "created_at": "2026-03-02T11:20:05"},
            "created_at='2026-03-02T11:20:05': must be a time with its UTC offset",
        ),
        (CALL_READ, {"sid": "s", "details": "x"}, "details='x': must be a mapping"),
        (CALL_READ, {"sid": "s", "details": {"legs": {}}}, "details.legs={}: must be a list"),
        (
            CALL_READ,
            {"sid": "s", "details": {"legs": [{}, {"id": "2"}]}},
            "details.legs[1].id='2': must be a whole number",
        ),
        (CALL_READ, {"sid": "s", "raw": [1]}, "raw=[1]: must be a mapping"),
        (Balance.from_dict, {}, "amount=None: is required"),
        (CallFound.from_dict, {"call": {}}, "call.sid=None: is required"),
        (CallAmbiguous.from_dict, {"candidates": "s1"}, "candidates='s1': must be a list"),
        (CallResult.from_dict, {"sid": "s", "error": "x"}, "error='x': must be a mapping"),
        (CallResult.from_dict, {"sid": "s", "error": {}}, "error={}: must have the type and"),
        (
            CallResult.from_dict,
            {"sid": "s", "error": {"type": "NotFound", "text": "x", "status": "404"}},
            "error.status='404': must be a whole number",
        ),
        (
            CallResult.from_dict,
            {"sid": "s", "error": {"type": "CallOutcomeUnknown", "text": "x"}},
            "error.from=None: is required",
        ),
        (
            DialTarget.from_dict,
            {"from": "1", "flow": []},
            "flow=[]: must be text or a whole number",
        ),
        (DialOutcome.from_dict, {"target": 7}, "target=7: must be a mapping"),
        (StatusCallback.from_dict, {"sid": "s", "legs": [None]}, "legs[0]=None: must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(read: Callable[[Any], Value], data: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(data)
    assert message in str(caught.value)


WRITTEN = [
    CALL,
    StatusCallback(sid="s1", legs=(Leg(id=1),)),
    DialOutcome(DialTarget(from_="1"), error=lost()),
    CallResult("s1", error=NotFound("no such call", status=404)),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WRITTEN), st.data())
def test_whatever_is_wrong_is_an_invalid_request(value: Value, data: st.DataObject) -> None:
    spoilt = inner = value.to_dict(raw=True)
    name = data.draw(st.sampled_from(sorted(inner)))
    while isinstance(inner[name], dict) and inner[name] and data.draw(st.booleans()):
        inner = inner[name]
        name = data.draw(st.sampled_from(sorted(inner)))
    inner[name] = data.draw(plain)
    with suppress(InvalidRequest):
        assert isinstance(type(value).from_dict(spoilt), type(value))


def test_the_original_value_passes() -> None:
    assert Call.from_dict(CALL) is CALL  # type: ignore[arg-type]


def test_the_row_of_a_call_is_flat_and_has_one_type_for_each_column() -> None:
    row = CALL.row()
    told = {name: value for name, value in row.items() if value is not None}
    assert told == {
        "sid": "s1",
        "created_at": CALL.created_at,
        "status": "completed",
        "from_number": "+919812300001",
        "duration": 65.0,
        "price": Decimal("1.500"),
        "talk_time": 41.5,
    }
    assert type(told["status"]) is str
    assert type(told["duration"]) is float
    assert [*row] == [*get_type_hints(CallRow)]


@SOON_OVER
@given(anything(Call))
def test_a_row_has_the_types_that_it_is_said_to_have(call: Call) -> None:
    hints = get_type_hints(CallRow)
    for name, value in call.row().items():
        assert value is None or type(value) in {hints[name], *get_args(hints[name])}


def test_the_row_has_the_first_leg_of_each_number() -> None:
    legs = [Leg(id=number, duration=timedelta(seconds=n)) for n, number in enumerate([2, 1, 2])]
    row = Call(sid="s", details=CallDetails(legs=tuple(legs))).row()
    assert (row["leg1_duration"], row["leg2_duration"]) == (1.0, 0.0)
