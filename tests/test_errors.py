"""The tree of errors: its shape, its pickles, and what it keeps to itself."""

from __future__ import annotations

import copy
import inspect
import io
import json
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from exotel_async import errors
from exotel_async.errors import (
    CallOutcomeUnknown,
    ClaimsUnavailable,
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
    RequestOutcomeUnknown,
    RequestTimeout,
    api_error,
)

NUMBER = "+919812345678"


class Unreadable:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


ALL: list[ExotelError] = [
    ConfigurationError("x"),
    InvalidRequest("to", NUMBER, "must be shorter"),
    RateLimitTimeout(wait=3.0, max_wait=1.0),
    LimiterUnavailable("x"),
    ClaimsUnavailable("x"),
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
        clock_offset=timedelta(seconds=-90, milliseconds=3),
        account_sid="acme1",
        message=f"no, {NUMBER}",
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        lost_at=datetime(2026, 1, 2, tzinfo=UTC),
        sid="a1b2",
        status=502,
    ),
    RequestOutcomeUnknown(
        "lost",
        method="DELETE",
        path=f"Numbers/{NUMBER}",
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        lost_at=datetime(2026, 1, 2, tzinfo=UTC),
        status=502,
        message=f"no, {NUMBER}",
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
                           r"|Unknown|Dialled|Required|Denied|Found|Conflict|Limited|Ready|Recording))\b",
                           (errors.__doc__ or "")))  # fmt: skip
    there = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ExotelError)
    }
    assert there == (drawn | {"Conflict"}) - {"ValueError"}


def named(error: ExotelError) -> ExotelError:
    """Have an error know what it was about, as a request does."""
    error.sid = error.sid or "a1b2c3d4e5f60718293a"
    error.method, error.path, error.tag = "GET", f"Numbers/{NUMBER}.json", {"row": 7, "to": NUMBER}
    return error


for each in ALL:
    named(each)

every = pytest.mark.parametrize("error", ALL, ids=lambda e: type(e).__name__)


def assert_same(copied: object, error: ExotelError) -> None:
    assert type(copied) is type(error)
    assert (str(copied), repr(copied)) == (str(error), repr(error))
    assert vars(copied) == vars(error)


@every
def test_travels_whole(error: ExotelError) -> None:
    assert_same(pickle.loads(pickle.dumps(error)), error)  # noqa: S301
    assert_same(copy.copy(error), error)
    assert_same(copy.deepcopy(error), error)
    assert_same(type(error)(*json.loads(json.dumps(error.args))), error)


@every
def test_travels_by_taskiq(error: ExotelError) -> None:
    taskiq = pytest.importorskip("taskiq")
    serializers = pytest.importorskip("taskiq.serializers")
    result = taskiq.TaskiqResult(is_err=True, return_value=None, execution_time=0.1, error=error)
    # As its result back-ends store it, in JSON or pickled, and as its own pickle does.
    for serializer in (serializers.JSONSerializer(), serializers.PickleSerializer()):
        stored = serializer.loadb(serializer.dumpb(result.model_dump(mode="json")))
        assert_same(taskiq.TaskiqResult.model_validate(stored).error, error)
    assert_same(pickle.loads(pickle.dumps(result)).error, error)  # noqa: S301


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_travels_by_celery(serializer: str) -> None:
    celery = pytest.importorskip("celery")
    app = celery.Celery(set_as_current=False)
    app.conf.update(result_backend="cache+memory://", result_serializer=serializer)
    app.conf.update(accept_content=[serializer])
    for number, error in enumerate(ALL):
        task = f"{serializer}-{number}"  # its cache is one for all apps
        app.backend.mark_as_failure(task, error, traceback="...")
        assert_same(app.AsyncResult(task).result, error)
        with pytest.raises(type(error)) as caught:
            app.AsyncResult(task).get(timeout=0)
        assert_same(caught.value, error)


def test_what_is_not_plain_travels_as_it_is_shown() -> None:
    error = InvalidRequest("to", [object(), NUMBER], "must be text")
    error.tag = threading.Lock()
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(copied), copied.shown) == (str(error), error.shown)
    assert copied.value == error.shown
    assert copied.tag.startswith("<unlocked _thread.lock")
    twin = copy.copy(error)
    assert twin.value is error.value
    assert twin.tag is error.tag


@pytest.mark.parametrize(
    "huge",
    ["9" * 10**7, b"9" * 10**7, [NUMBER] * 10**5, 10**5000],
    ids=["text", "bytes", "list", "integer"],
)
def test_a_huge_value_is_kept_but_neither_shown_nor_sent_on(huge: object) -> None:
    error = InvalidRequest("to", huge, "must be shorter")
    assert error.value is huge
    assert len(str(error)) < 150
    assert len(pickle.dumps(error)) < 1000
    assert NUMBER not in str(error)


def test_a_note_travels_as_well() -> None:
    error = ConfigurationError("x")
    error.add_note("in row 7")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["in row 7"]  # noqa: S301


def test_a_text_is_no_packed_error() -> None:
    assert str(ConfigurationError("exotel_async:1:AAAA")) == "exotel_async:1:AAAA"
    for packed in ("", "AAAA", "!", "bnVsbA==", "WzFd", "eyJ4Ijp7InkiOjF9fQ=="):
        with pytest.raises(ValueError, match="not the packed values"):
            ConfigurationError("x", f"exotel_async:1:{packed}")


@every
def test_shows_no_number(error: ExotelError) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logger = logging.Logger("aside")  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    group = ExceptionGroup("several", [error])
    logger.error("%s %r %s", error, error, error.args, exc_info=group)
    logged = log.getvalue() + "".join(traceback.format_exception(group))
    assert str(error) in logged
    for shown in (str(error), repr(error), str(pickle.dumps(error)), repr(error.args), logged):
        assert "9812345678" not in shown


@every
def test_knows_numbers_in_whole(error: ExotelError) -> None:
    kept = str(pickle.loads(pickle.dumps(vars(error))))  # noqa: S301
    assert NUMBER in kept
    assert "*" not in kept.replace(str(error), "").replace(getattr(error, "shown", "**"), "")


@every
def test_is_about_nothing_until_it_is_said(error: ExotelError) -> None:
    plain = type(error).__new__(type(error), "x")
    assert (plain.sid, plain.method, plain.path, plain.tag) == (None,) * 4


def test_names_the_call_it_was_about() -> None:
    error = api_error(404)("no such call", status=404)
    assert str(error) == "HTTP 404: no such call"
    error.sid = "0123456789abcdef0123456789abcdef"
    assert str(error) == f"HTTP 404: no such call (call SID {error.sid})"
    error.sid = NUMBER  # passed for a SID
    assert str(error) == "HTTP 404: no such call (call SID +********5678)"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    assert str(NoRecording(sid="a1b2")) == "call a1b2 has no recording"


def test_a_dial_whose_call_is_known_was_placed() -> None:
    error = next(copy.copy(error) for error in ALL if isinstance(error, CallOutcomeUnknown))
    assert str(error) == (
        "the call +********5678 -> +********5678 was placed, but without a usable answer: lost. It "
        "was not dialled again: read the call by its SID before you dial the number again (call "
        "SID a1b2)"
    )
    error.sid, error.to = None, None
    assert str(error) == (
        "it is not known whether the call +********5678 was placed: lost. It was not dialled again:"
        " look for it in the call records before you dial the number again"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NUMBER, "'+********5678'"),
        ([NUMBER, "x"], "['+********5678', 'x']"),
        ("x" * 100, "'" + "x" * 79 + "..."),
        (10**5000, "int"),
        (Unreadable(), "Unreadable"),
        (None, "None"),
        ("api.exotel.com/+919812345678", "'api.exotel.com/+********5678'"),
    ],
    ids=["number", "list", "long", "integer", "object", "nothing", "path"],
)
def test_a_refused_value_is_shown_masked_and_cut(value: object, shown: str) -> None:
    error = InvalidRequest("to", value, "must be right")
    assert error.value is value
    assert (error.shown, str(error)) == (shown, f"to={shown}: must be right")
    secret = InvalidRequest("url", value, "must be right", shown="<7 characters>")
    assert str(secret) == "url='<7 characters>': must be right"


@pytest.mark.parametrize("wrap", [str, lambda url: [url], lambda url: {"url": url}])
def test_a_refused_value_with_a_password_is_not_kept(wrap: Callable[[str], object]) -> None:
    error = InvalidRequest("sid", wrap("https://key:token@api.exotel.com/"), "must be right")
    assert error.value == error.shown
    assert "token" not in str(vars(error))


def test_invalid_requests_are_value_errors() -> None:
    assert issubclass(InvalidRequest, ValueError)
    error = InvalidRequest("time_limit", 99999, "must be 1 to 14400")
    assert str(error) == "time_limit=99999: must be 1 to 14400"


class OrderError(ExotelError):
    """Somebody's own, whose SID is no text."""

    def __init__(self, sid: object) -> None:
        super().__init__("no such order")
        self.sid = sid  # type: ignore[assignment]


def test_a_sid_of_somebodys_own_need_not_be_text() -> None:
    error = OrderError(4711)
    assert str(error) == "no such order (call SID 4711)"
    assert pickle.loads(pickle.dumps(error)).sid == 4711  # noqa: S301
    assert NUMBER not in str(OrderError(int(NUMBER)))


@every
def test_a_text_may_be_put_before_its_own(error: ExotelError) -> None:
    own = copy.copy(error)
    own.args = (f"row 7: {own.args[0]}", *own.args[1:])
    assert "exotel_async:" not in str(own)
    assert str(own) in {f"row 7: {error}", str(error)}, "or one that it makes of what it knows"
    assert vars(own) == vars(error)


def test_a_deep_copy_has_a_copy_of_the_tag() -> None:
    class Row:
        def __init__(self) -> None:
            self.cells = [1]

    error = ExotelError("x")
    error.tag = Row()
    twin = copy.deepcopy(error)
    assert isinstance(twin.tag, Row)
    assert twin.tag is not error.tag
    assert twin.tag.cells == [1]
    assert str(twin) == "x"
