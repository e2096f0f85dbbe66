"""What is typed, and what is written: moments, lengths, selections, columns, states."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import IST, Call, CallDetails, CallPage, CallStatus, Leg
from exotel_async.cli.export_columns import COLUMNS, NAMES, cells_of, raw_json, values_of
from exotel_async.cli.export_filters import Selection
from exotel_async.cli.export_progress import ListProgress
from exotel_async.cli.export_sink import State
from exotel_async.cli.export_text import as_csv, as_jsonl
from exotel_async.cli.time_arguments import Moment, read_length, shown_length


@pytest.mark.parametrize(
    ("typed", "at", "end"),
    [
        ("2026-11-01", "2026-11-01T00:00:00+05:30", "2026-11-01T23:59:59+05:30"),
        ("2026-11-01 10:00", "2026-11-01T10:00:00+05:30", "2026-11-01T10:00:00+05:30"),
        ("2026-11-01T10:00:07", "2026-11-01T10:00:07+05:30", "2026-11-01T10:00:07+05:30"),
        ("2026-11-01 10:00Z", "2026-11-01T10:00:00+00:00", "2026-11-01T10:00:00+00:00"),
        ("20261101", "2026-11-01T00:00:00+05:30", "2026-11-01T23:59:59+05:30"),
        ("2026-W45-1", "2026-11-02T00:00:00+05:30", "2026-11-02T23:59:59+05:30"),
        (" 2026W457", "2026-11-08T00:00:00+05:30", "2026-11-08T23:59:59+05:30"),
        ("2026-W45-1 10:00", "2026-11-02T10:00:00+05:30", "2026-11-02T10:00:00+05:30"),
        (" 2026-11-01 10:00-05:00", "2026-11-01T10:00:00-05:00", "2026-11-01T10:00:00-05:00"),
    ],
)
def test_a_moment_is_in_india_unless_it_says_so(typed: str, at: str, end: str) -> None:
    moment = Moment.read(typed)
    assert moment.at.isoformat() == at
    assert moment.end.isoformat() == end


def test_a_moment_may_be_so_long_ago() -> None:
    moment = Moment.read("1d12h")
    assert (
        timedelta(0) <= datetime.now(UTC) - moment.at - timedelta(hours=36) < timedelta(seconds=5)
    )
    assert moment.end == moment.at


@pytest.mark.parametrize(
    "typed",
    [
        *("", "yesterday", "10", "2026-13-01", "999999d", "0001-01-01", "7 d", "-7d"),
        *("2026-W45", "2026W45", "2026-W45-8"),
    ],
)
def test_what_is_no_moment(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a date like"):
        Moment.read(typed)


def test_moments_that_mean_the_same() -> None:
    assert Moment.read("2026-11-01 00:00").means(Moment.read("2026-10-31 18:30Z"))
    # The day before it is another day, but `7d` is what was typed.
    assert Moment("7d", datetime(2026, 1, 1, tzinfo=UTC)).means(Moment.read("7d"))
    assert not Moment.read("2026-11-01").means(Moment.read("2026-11-01 00:00"))


def test_lengths() -> None:
    assert read_length("90") == read_length("90s") == read_length("1m30s")
    assert read_length("1d2h3m4s") == timedelta(days=1, hours=2, minutes=3, seconds=4)
    for typed in ("", "m", "1.5m", "-1", "5 m"):
        with pytest.raises(ValueError, match="is neither a number of seconds"):
            read_length(typed)
    assert shown_length(timedelta(seconds=65)) == "1:05"
    assert shown_length(timedelta(hours=30, seconds=5)) == "30:00:05"


def test_a_selection_survives_being_noted_down() -> None:
    selection = Selection(
        since=Moment.read("7d"),
        until=Moment.read("2026-11-01"),
        to=("+919812300001", "080"),
        status=("no-answer", "busy"),
        min_duration=timedelta(seconds=10),
        max_price=Decimal("1.50"),
        details=True,
    )
    state = State(account="a", selection=selection, records=3, token="t", offset=9)
    again = State.loads(state.dumps())
    assert again == state
    assert again.selection.differences(selection) == []
    assert Selection().differences(selection) == []
    assert selection.differences(Selection()) == [
        *("--since", "--until", "--to", "--status"),
        *("--min-duration", "--max-price", "--details"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "account": "a", "selection": {"since": "7d"}}',
        '{"version": 1, "account": "a", "selection": {"unheard": 1}}',
        '{"version": 1, "account": "a", "selection": {"max_price": "x"}}',
        '{"version": 1, "account": "a", "selection": {}, "unheard": 1}',
    ],
)
def test_what_is_no_state(text: str) -> None:
    with pytest.raises(ValueError, match="no state of an export"):
        State.loads(text)


CALL = Call(
    sid="s1",
    status=CallStatus.COMPLETED,
    from_="+919812300001",
    to="sip:agent@example.com",
    created_at=datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    duration=timedelta(seconds=65),
    price=Decimal("1.500"),
    details=CallDetails(
        talk_time=timedelta(seconds=41),
        leg1_status=CallStatus.COMPLETED,
        legs=(Leg(id=1, duration=timedelta(seconds=60)),),
    ),
    raw={"Sid": "s1", "CallerName": "राम \ud800\u2028"},
)


def test_the_columns_of_a_call() -> None:
    row = dict(zip(NAMES, values_of(CALL), strict=True))
    assert len(row) == len(COLUMNS)
    told = {name: value for name, value in row.items() if value is not None}
    assert told == {
        "sid": "s1",
        "status": "completed",
        "from_number": "+919812300001",
        "to_number": "sip:agent@example.com",
        "created_at": "2026-11-01T10:00:00+05:30",
        "duration": 65,
        "price": "1.500",
        "talk_time": 41,
        "leg1_status": "completed",
        "leg1_duration": 60,
    }


def test_a_record_stays_in_one_line_whatever_is_in_it() -> None:
    text = raw_json(CALL)
    assert text.isascii()
    assert json.loads(text) == CALL.raw
    assert as_jsonl([CALL, CALL]).splitlines() == [text, text]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("+919812300001", "+919812300001"),
        ("-1.5", "-1.5"),
        ("=1+1", "'=1+1"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("order-7", "order-7"),
        ("half \ud800", "half ?"),
    ],
)
def test_a_spreadsheet_finds_no_formula(value: str, cell: str) -> None:
    call = Call(sid="s", custom_field=value, caller_name=value, from_=value)
    cells = dict(zip(NAMES, cells_of(call), strict=True))
    assert cells["custom_field"] == cells["caller_name"] == cells["from_number"] == cell


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))))
def test_csv_reads_back_as_it_was(values: list[str]) -> None:
    calls = [Call(sid=f"s{n}", custom_field=value) for n, value in enumerate(values)]
    rows = csv.DictReader(io.StringIO(as_csv(calls)), fieldnames=NAMES)
    for row, value in zip(rows, values, strict=True):
        assert row["custom_field"].removeprefix("'") == value.removeprefix("'")


def page(*minutes: int, total: int | None = None) -> CallPage:
    """A page with calls of some minutes of a day."""
    day = datetime(2026, 11, 1, tzinfo=IST)
    calls = [Call(sid=str(m), created_at=day + timedelta(minutes=m)) for m in minutes]
    return CallPage(calls=tuple(calls), total=total)


def test_the_course_goes_by_count_where_that_is_known() -> None:
    selection = Selection(since=Moment.read("2026-11-01"), until=Moment.read("2026-11-02"))
    course = ListProgress.of(selection, 10)
    assert (course.share, course.left) == (None, None)
    course.add_page(page(1, 2, total=20))
    assert str(course) == "12 of 30 calls"
    assert course.share == 12 / 30
    assert course.left is not None


def test_the_course_goes_by_date_where_there_are_more_than_the_service_counts() -> None:
    selection = Selection(since=Moment.read("2026-09-01"), until=Moment.read("2026-12-31"))
    course = ListProgress.of(selection, 0)
    course.end = datetime(2027, 1, 1, tzinfo=IST)  # else now
    course.add_page(page(1, 2, total=20))
    assert str(course) == "2 calls, up to 2026-11-01 00:02:00 IST"
    assert course.share == pytest.approx(0.5, abs=0.01)
    empty = ListProgress.of(selection, 0)
    empty.add_page(page(total=0))
    assert str(empty) == "0 calls"
