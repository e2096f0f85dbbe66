"""Spans of time: windows that cover, months that end, ranges that are refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exotel_async.config import IST
from exotel_async.errors import InvalidRequest
from exotel_async.wire.time_range import SECOND, TimeRange, check_range, oldest, whole_second

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
LENGTHS = st.integers(0, 400 * 86_400).map(lambda seconds: SECOND * seconds)
SPANS = st.builds(lambda since, length: TimeRange(since, since + length), MOMENTS, LENGTHS)
ORDERS = st.booleans()


def at(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc,arg-type]


def assert_covered(time_range: TimeRange, pieces: list[TimeRange], *, newest_first: bool) -> None:
    """Check that pieces lie side by side, in order, and are the span together."""
    ordered = pieces[::-1] if newest_first else pieces
    assert (ordered[0].since, ordered[-1].until) == (time_range.since, time_range.until)
    for piece in ordered:
        assert piece.since <= piece.until
    for piece, following in pairwise(ordered):
        assert following.since == piece.until + SECOND


@given(time_range=SPANS, newest_first=ORDERS)
@example(time_range=TimeRange(at(2026, 1, 1), at(2026, 1, 30, 23, 59, 59)), newest_first=True)
@example(time_range=TimeRange(at(2026, 1, 1), at(2026, 1, 31)), newest_first=True)
@example(time_range=TimeRange(at(2026, 1, 1), at(2026, 1, 31)), newest_first=False)
def test_windows_cover_a_span_exactly(time_range: TimeRange, newest_first: bool) -> None:
    windows = list(time_range.windows(newest_first=newest_first))
    assert_covered(time_range, windows, newest_first=newest_first)
    lengths = [window.until - window.since + SECOND for window in windows]
    assert max(lengths) <= timedelta(days=30)
    assert lengths[:-1] == [timedelta(days=30)] * (len(windows) - 1)


@given(time_range=SPANS, number=st.integers(-1, 40), newest_first=ORDERS)
def test_parts_cover_a_span_exactly(time_range: TimeRange, number: int, newest_first: bool) -> None:
    parts = time_range.parts(number, newest_first=newest_first)
    assert_covered(time_range, parts, newest_first=newest_first)
    lengths = [(part.until - part.since) // SECOND + 1 for part in parts]
    assert len(parts) == max(1, min(number, sum(lengths)))
    assert max(lengths) - min(lengths) <= 1


def test_windows_of_half_a_year() -> None:
    time_range = TimeRange(at(2026, 1, 1), at(2026, 3, 2, 12))
    assert list(time_range.windows(newest_first=False)) == [
        TimeRange(at(2026, 1, 1), at(2026, 1, 30, 23, 59, 59)),
        TimeRange(at(2026, 1, 31), at(2026, 3, 1, 23, 59, 59)),
        TimeRange(at(2026, 3, 2), at(2026, 3, 2, 12)),
    ]
    newest, *_ = time_range.windows(newest_first=True)
    assert newest == TimeRange(at(2026, 1, 31, 12, 0, 1), at(2026, 3, 2, 12))


def test_an_empty_span_has_no_windows() -> None:
    empty = TimeRange(at(2026, 1, 1, 0, 0, 1), at(2026, 1, 1))
    assert empty.is_empty
    assert list(empty.windows(newest_first=True)) == []
    second = TimeRange(at(2026, 1, 1), at(2026, 1, 1))
    assert not second.is_empty
    assert list(second.windows(newest_first=False)) == [second]
    assert second.parts(5, newest_first=True) == [second]


@given(time_range=SPANS, seconds=st.integers(-10, 400 * 86_400), newest_first=ORDERS)
def test_what_is_ahead_of_a_reader(time_range: TimeRange, seconds: int, newest_first: bool) -> None:
    place = time_range.since + SECOND * seconds
    ahead = time_range.from_here(place, newest_first=newest_first)
    if newest_first:
        assert ahead == TimeRange(time_range.since, min(place, time_range.until))
    else:
        assert ahead == TimeRange(max(place, time_range.since), time_range.until)
    assert ahead.is_empty or (time_range.since <= ahead.since and ahead.until <= time_range.until)
    assert time_range.from_here(None, newest_first=newest_first) is time_range


# Six months


@pytest.mark.parametrize(
    ("today", "limit"),
    [
        (date(2026, 9, 1), date(2026, 3, 1)),
        (date(2026, 8, 31), date(2026, 2, 28)),
        (date(2028, 8, 31), date(2028, 2, 29)),
        (date(2028, 8, 29), date(2028, 2, 29)),
        (date(2026, 12, 31), date(2026, 6, 30)),
        (date(2026, 5, 31), date(2025, 11, 30)),
        (date(2026, 6, 30), date(2025, 12, 30)),
        (date(2026, 1, 1), date(2025, 7, 1)),
    ],
)
def test_six_months_back(today: date, limit: date) -> None:
    now = datetime(today.year, today.month, today.day, 11, 20, 5, tzinfo=UTC)
    then = oldest(now)
    assert then.date() == limit
    assert then.timetz() == now.timetz()


@given(MOMENTS)
def test_six_months_are_never_fewer_days_than_any_six_have(now: datetime) -> None:
    assert timedelta(days=181) <= now - oldest(now) <= timedelta(days=184)


# Ranges


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 2, 5, 50, 5, 999_999, tzinfo=UTC),
        datetime(2026, 3, 2, 11, 20, 5, 1, tzinfo=IST),
        datetime(2026, 3, 2, 0, 50, 5, tzinfo=ZoneInfo("America/New_York")),
    ],
)
def test_a_time_is_the_second_it_lies_in(moment: datetime) -> None:
    second = whole_second("since", moment)
    assert second == at(2026, 3, 2, 5, 50, 5)
    assert second is not None
    assert second.tzinfo is UTC
    assert whole_second("since", None) is None


def test_a_range_is_read() -> None:
    since, until = at(2026, 8, 1), NOW + timedelta(days=1)
    assert check_range(since.astimezone(IST), until, now=NOW) == (since, until)
    assert check_range(None, None, now=NOW) == (None, None)
    assert check_range(since, None, now=NOW.astimezone(IST)) == (since, None)
    assert check_range(since, since, now=NOW) == (since, since)
    assert check_range(oldest(NOW), None, now=NOW + SECOND / 2) == (oldest(NOW), None)


@pytest.mark.parametrize("argument", ["since", "until"])
@pytest.mark.parametrize(
    ("value", "rule", "shown"),
    [
        (datetime(2026, 8, 1, 9, 30, 0, 123_456), "time zone", "'2026-08-01 09:30:00'"),  # noqa: DTZ001
        (date(2026, 8, 1), "must be a datetime", "datetime.date(2026, 8, 1)"),
        ("2026-08-01", "must be a datetime", "'2026-08-01'"),
        (1_772_430_605, "must be a datetime", "******0605"),
        (True, "must be a datetime", "True"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))), "calendar", "9999"),
        (datetime.min.replace(tzinfo=IST), "calendar", "datetime.datetime(1, 1, 1"),
        (at(2026, 2, 1), "older than 6 months", "'2026-02-01 00:00:00+00:00'"),
        (oldest(NOW) - SECOND, "records from 2026-03-01 12:00+00:00 on", "2026-03-01 11:59:59"),
    ],
)
def test_a_range_that_is_refused(argument: str, value: object, rule: str, shown: str) -> None:
    bounds = {"since": None, "until": None, argument: value}
    with pytest.raises(InvalidRequest) as caught:
        check_range(**bounds, now=NOW)
    error = caught.value
    assert error.argument == argument
    assert rule in error.rule
    assert shown in error.shown
    assert str(error) == f"{argument}={error.shown}: {error.rule}"


@pytest.mark.parametrize(
    "now",
    [
        at(2026, 9, 1, 12, 0, 0),
        at(2026, 9, 1, 12, 0, 1),
        datetime(2026, 9, 1, 0, 59, 59, 999_999, tzinfo=IST),
        datetime(2026, 8, 31, 23, 59, 1, tzinfo=IST),
    ],
)
def test_the_limit_that_is_named_is_accepted(now: datetime) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_range(oldest(now) - SECOND, None, now=now)
    assert caught.value.rule in str(caught.value)  # nothing of it is masked
    found = re.search(r"has records from (.+) on$", caught.value.rule)
    assert found
    named = datetime.fromisoformat(found[1])
    assert named.utcoffset() == now.utcoffset()
    assert check_range(named, None, now=now)[0] == named
    assert named - oldest(now) < timedelta(minutes=1)


def test_a_range_the_wrong_way_round() -> None:
    since = datetime(2026, 8, 2, 9, 30, tzinfo=IST)
    with pytest.raises(InvalidRequest) as caught:
        check_range(since, since - SECOND, now=NOW)
    assert str(caught.value) == (
        "since='2026-08-02 09:30:00+05:30': must not be after until, 2026-08-02 09:29:59+05:30"
    )


@pytest.mark.slow
@given(
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(IST) | st.timezones()),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(IST) | st.timezones()),
)
def test_any_range_is_read_or_refused(since: datetime, until: datetime) -> None:
    try:
        first, last = check_range(since, until, now=NOW)
    except InvalidRequest:
        return
    assert first is not None
    assert last is not None
    assert oldest(NOW) <= first <= last
    assert first.microsecond == last.microsecond == 0
    assert first.tzinfo is last.tzinfo is UTC
