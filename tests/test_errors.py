"""The tree of errors: its shape, its pickles, and what it keeps to itself."""

from __future__ import annotations

import inspect
import pickle
import re
from datetime import UTC, datetime, timedelta

import pytest

from exotel_async import errors
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    InvalidRequest,
    InvalidWebhook,
    LimiterUnavailable,
    NoRecording,
    RateLimitTimeout,
    RecordingNotReady,
    RecordingUnavailable,
    RequestTimeout,
    api_error,
)

NUMBER = "+919812345678"

ALL: list[ExotelError] = [
    ConfigurationError("x"),
    InvalidRequest("to", NUMBER, "must be shorter"),
    RateLimitTimeout(wait=3.0, max_wait=1.0),
    LimiterUnavailable("x"),
    InvalidWebhook("x"),
    ConnectionFailed("x", attempts=3),
    RequestTimeout("x", attempts=3),
    CallOutcomeUnknown(
        "lost",
        from_=NUMBER,
        to=NUMBER,
        caller_id=NUMBER,
        custom_field="order-7",
        time_limit=timedelta(minutes=5),
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        lost_at=datetime(2026, 1, 2, tzinfo=UTC),
        sid="a1b2",
        status=502,
    ),
    DecodeError("x", status=200, content_type="text/html", excerpt=f"<b>{NUMBER}"),
    RecordingUnavailable("x", sid="a1b2"),
    RecordingNotReady("x", sid="a1b2", available_by=datetime(2026, 1, 1, tzinfo=UTC)),
    NoRecording(sid="a1b2"),
    *(
        api_error(status)(f"no, {NUMBER}", status=status, code=7, headers={"x-echo": NUMBER})
        for status in (400, 401, 402, 403, 404, 409, 418, 429, 500, 503)
    ),
]


def test_the_tree_is_as_drawn() -> None:
    drawn = set(re.findall(r"\b([A-Z]\w+(?:Error|Request|Timeout|Unavailable|Webhook|Failed"
                           r"|Unknown|Required|Denied|Found|Conflict|Limited|Ready|Recording))\b",
                           (errors.__doc__ or "")))  # fmt: skip
    there = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ExotelError)
    }
    assert there == (drawn | {"Conflict"}) - {"ValueError"}


@pytest.mark.parametrize("error", ALL, ids=lambda e: type(e).__name__)
def test_pickles(error: ExotelError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    shown = {k: v for k, v in vars(error).items() if k not in {"from_", "to", "caller_id"}}
    assert {k: vars(copy)[k] for k in shown} == shown


@pytest.mark.parametrize("error", ALL, ids=lambda e: type(e).__name__)
def test_shows_no_number(error: ExotelError) -> None:
    for shown in (str(error), repr(error), str(pickle.dumps(error)), repr(error.args)):
        assert "9812345678" not in shown


def test_an_unknown_outcome_keeps_its_numbers_for_the_program_that_dialled() -> None:
    error = next(error for error in ALL if isinstance(error, CallOutcomeUnknown))
    assert (error.from_, error.to) == (NUMBER, NUMBER)
    copy: CallOutcomeUnknown = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.from_, copy.to, copy.caller_id) == ("+********5678",) * 3


def test_invalid_requests_are_value_errors() -> None:
    assert issubclass(InvalidRequest, ValueError)
    error = InvalidRequest("time_limit", 99999, "must be 1 to 14400")
    assert str(error) == "time_limit=99999: must be 1 to 14400"
