"""Schedules, with what the model needs, and moments at which clocks and calendars are odd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from exotel_async.campaigns import Schedule
from tests.campaigns.schedule_model import NAMES, Model, text_of

ZONES = ("Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Dubai")

# Clocks are put forward and back.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
]
# Months and years end, a leap day; and a day like others.
DATES = [
    datetime(2027, 2, 28, 18, 30, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2026, 12, 31, 18, 30, tzinfo=UTC),
    datetime(2026, 6, 10, 15, 30, tzinfo=UTC),
]

odd = st.sampled_from(CHANGES) | st.tuples(st.sampled_from(ZONES), st.sampled_from(DATES))
soon = st.integers(-24, 24).map(lambda quarter: quarter * 900)
around = soon | st.integers(-2 * 86_400, 2 * 86_400)


@st.composite
def days(draw: st.DrawFn) -> list[tuple[int, int]]:
    """The ranges of a day, in quarters; the last may go over midnight."""
    last = draw(st.sampled_from([16, 96]))  # clocks are changed at night
    marks = sorted(draw(st.sets(st.integers(0, last), max_size=4)))
    ranges = list(zip(marks[::2], marks[1::2], strict=False))
    if len(marks) % 2 and 0 < marks[-1] < 96:
        ranges.append((marks[-1], 96 + draw(st.integers(1, marks[-1] - 1 or 1))))
    return [(first, last) for first, last in ranges if last != first + 96]


weeks = st.dictionaries(st.integers(0, 6), days(), min_size=1).filter(
    lambda week: any(week.values())
)
usual = st.just({day: [(36, 84)] for day in range(7)})
nights = st.just({day: [(86, 102)] for day in range(7)})
always = st.just({day: [(0, 96)] for day in range(7)})


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, Model, datetime]:
    """A schedule, the same as a model, and a moment near its holidays, its start and its end."""
    zone, moment = draw(odd)
    moment += timedelta(seconds=draw(around))
    ranges = draw(weeks | usual | nights | always)
    holidays = draw(st.sets(st.integers(-1, 12), max_size=4))
    dates = frozenset(moment.date() + timedelta(days=days) for days in holidays)
    near = st.none() | st.integers(-400, 1200).map(lambda quarter: quarter * timedelta(minutes=15))
    start, end = draw(near), draw(near)
    if start is not None and end is not None and end <= start:
        end = None
    limits = [
        None if one is None else moment.replace(second=0, minute=0) + one for one in (start, end)
    ]
    schedule = Schedule(
        *limits,
        hours={NAMES[day]: text_of(of_day) for day, of_day in ranges.items()},
        holidays=dates,
        time_zone=zone,
    )
    return schedule, Model(ranges, dates, ZoneInfo(zone), *limits), moment
