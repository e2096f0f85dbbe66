"""How long a campaign takes, and who is dialled when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import IST
from exotel_async.campaigns import (
    Campaign,
    CampaignState,
    CampaignStatistics,
    Retries,
    Retry,
    Schedule,
)
from exotel_async.cli.dial_assumed import Assumed
from exotel_async.cli.dial_forecast import Forecast, Limit, forecast, pace_of, time_left
from exotel_async.cli.dial_windows import HORIZON

MONDAY = datetime(2026, 11, 30, 10, tzinfo=IST)
MINUTE = timedelta(minutes=1)
ALWAYS = Schedule(hours="00:00-24:00")
SURE = Assumed(busy=0, no_answer=0, failed=0, ringing=timedelta(), talk=MINUTE)
"""Each call is answered, and holds its channels for a minute."""


def campaign(schedule: Schedule = ALWAYS, **settings: Any) -> Campaign:
    """A campaign that connects to a flow, or to an agent."""
    flow = None if "agent" in settings else 926
    return Campaign("leads", flow=flow, caller_ids="08030000000", schedule=schedule, **settings)


def made(
    contacts: Mapping[str | None, int], of: Campaign | None = None, **settings: Any
) -> Forecast:
    """A forecast for a Monday at ten, of calls that are all answered."""
    given: dict[str, Any] = {"budget": 110, "now": MONDAY, "assumed": SURE, **settings}
    return forecast(contacts, of or campaign(), **given)


def test_the_budget_is_for_dials_and_a_tenth_more_for_the_polls() -> None:
    told = made({None: 1_000})
    assert (told.pace.per_minute, told.limit) == (Fraction(100), Limit.BUDGET)
    (window,) = told.windows
    assert (window.begin, window.end) == (MONDAY, MONDAY + 10 * MINUTE)
    assert (window.first, window.last, window.zone) == (1, 1_000, None)
    assert told.first_end == told.end == MONDAY + 11 * MINUTE
    assert (told.calls, told.attempts, told.total, told.left) == (1_000, 1, 1_000, {})


def test_each_number_that_is_looked_up_takes_one_request_more() -> None:
    assert pace_of(campaign(check_dnd=True), budget=210, channels=None).per_minute == 100


@pytest.mark.parametrize(
    ("settings", "channels", "per_minute", "limit"),
    [
        ({}, 30, 30, Limit.CHANNELS),
        ({"agent": "08030000001"}, 30, 15, Limit.CHANNELS),
        ({"channels": 10}, 30, 10, Limit.CHANNELS),
        ({"channels": 40}, 30, 30, Limit.CHANNELS),
        ({"throttle": 7}, 30, 7, Limit.THROTTLE),
        ({"throttle": 700}, None, 100, Limit.BUDGET),
    ],
)
def test_what_limits(
    settings: Mapping[str, Any], channels: int | None, per_minute: int, limit: Limit
) -> None:
    pace = pace_of(campaign(**settings), budget=110, channels=channels, assumed=SURE)
    assert (pace.per_minute, pace.limit) == (Fraction(per_minute), limit)


def test_no_call_is_longer_than_the_time_limit() -> None:
    short = campaign(time_limit=30)
    assert pace_of(short, budget=110, channels=10, assumed=SURE).per_minute == 20
    assert made({None: 10}, short).talk == timedelta(minutes=5)


def test_over_several_days_with_a_holiday() -> None:
    schedule = Schedule(hours="10:00-11:00", holidays=[date(2026, 12, 1)])
    told = made({None: 130}, campaign(schedule, throttle=1))
    days = [(one.begin.astimezone(IST), one.first, one.last) for one in told.windows]
    assert days == [
        (MONDAY, 1, 60),
        (MONDAY + timedelta(days=2), 61, 120),
        (MONDAY + timedelta(days=3), 121, 130),
    ]
    assert told.end == MONDAY + timedelta(days=3, minutes=11)
    assert (told.limit, told.pace.limit) == (Limit.HOURS, Limit.THROTTLE)


def test_zones_have_their_own_hours_and_the_first_in_the_file_goes_first() -> None:
    schedule = Schedule(hours="10:00-11:00")
    told = made({None: 70, "Asia/Dubai": 70, "Asia/Dhaka": 40}, campaign(schedule, throttle=1))
    day = 24 * 60
    assert [
        ((one.begin - MONDAY) // MINUTE, one.zone, one.first, one.last) for one in told.windows
    ] == [
        (0, None, 1, 60),
        (90, "Asia/Dubai", 1, 60),
        (day - 30, "Asia/Dhaka", 1, 30),
        (day, None, 61, 70),
        (day + 10, "Asia/Dhaka", 31, 40),
        (day + 90, "Asia/Dubai", 61, 70),
    ]


def test_nobody_is_dialled_before_the_start() -> None:
    start = MONDAY + timedelta(days=1)
    (window,) = made({None: 10}, campaign(Schedule(start=start), throttle=1)).windows
    assert (window.begin, window.end) == (start, start + 10 * MINUTE)


def test_who_is_left_when_the_schedule_ends() -> None:
    schedule = Schedule(end=MONDAY + 30 * MINUTE)
    told = made({None: 100, "Asia/Dhaka": 5}, campaign(schedule, throttle=1))
    assert (told.left, sum(told.left.values())) == ({None: 70, "Asia/Dhaka": 5}, 75)
    assert [(one.first, one.last) for one in told.windows] == [(1, 30)]
    assert (told.calls, told.end) == (30, MONDAY + 31 * MINUTE)
    assert not told.is_beyond


def test_a_schedule_that_is_over() -> None:
    told = made({None: 100}, campaign(Schedule(end=MONDAY - MINUTE)), price=Decimal(1))
    assert (told.windows, told.first_end, told.end) == ((), None, None)
    assert (told.left, told.calls) == ({None: 100}, 0)
    assert (told.talk, told.cost) == (timedelta(), Decimal(0))


def test_nobody_to_dial() -> None:
    told = made({})
    assert (told.windows, told.end, told.left, told.calls, told.total) == ((), None, {}, 0, 0)


def test_it_looks_a_year_ahead() -> None:
    told = made({None: 10_000_000}, campaign(throttle=1))
    assert told.is_beyond
    assert sum(told.left.values()) == 10_000_000 - HORIZON // MINUTE


def test_minutes_are_rounded_up_for_each_leg_and_cost_what_they_cost() -> None:
    assumed = evolve(SURE, no_answer=0.5, talk=timedelta(seconds=61))
    of = campaign(agent="08030000001")
    told = made({None: 100}, of, assumed=assumed, price=Decimal("0.40"))
    assert (told.calls, told.talk) == (100, timedelta(seconds=50 * 61))
    assert (told.billed, told.cost) == (50 * 2 * 2, Decimal("80.00"))
    assert made({None: 100}).cost is None


RETRIES = Retries(
    busy=Retry(2, timedelta(minutes=10)),
    no_answer=Retry(1, timedelta(hours=3)),
    not_reached=Retry(1, timedelta(hours=1)),
)


def test_the_attempts_that_are_expected_are_those_of_all_ways_they_can_go() -> None:
    shares = {"busy": 0.3, "no-answer": 0.25, "failed": 0.1, "not-reached": 0.05, "reached": 0.3}
    times = {"busy": 2, "no-answer": 1, "not-reached": 1}

    def expected(tries: Mapping[str, int]) -> float:
        again = 0.0
        for word, share in shares.items():
            tried = {**tries, word: tries.get(word, 0) + 1}
            if tried[word] <= times.get(word, 0):
                again += share * expected(tried)
        return 1 + again

    assumed = Assumed(busy=0.3, no_answer=0.25, failed=0.1, not_reached=0.05)
    told = made({None: 1_000}, campaign(retries=RETRIES), assumed=assumed)
    assert told.attempts == pytest.approx(expected({}))
    assert told.calls == round(1_000 * told.attempts)


def test_retries_without_end_are_counted_as_well() -> None:
    most = Retry(100, timedelta(days=366), exponential=True)
    every = Retries(busy=most, no_answer=most, failed=most, not_reached=most)
    assumed = Assumed(busy=0.25, no_answer=0.25, failed=0.25, not_reached=0.2)
    told = made({None: 1}, campaign(retries=every), assumed=assumed)
    assert told.attempts == pytest.approx(20, rel=1e-6)
    assert told.is_beyond


def test_the_last_retries_come_after_the_longest_gaps() -> None:
    assumed = Assumed(busy=0.5, no_answer=0.5, failed=0, ringing=MINUTE)
    told = made({None: 100}, campaign(retries=RETRIES), assumed=assumed)
    assert told.first_end is not None
    assert told.first_end == MONDAY + 2 * MINUTE
    # 3 h, 10 and 10 minutes; each call rings for a minute.
    assert told.end == told.first_end + timedelta(hours=3, minutes=20 + 3)
    seldom = evolve(assumed, busy=0, no_answer=0.4)
    few = made({None: 1}, campaign(retries=RETRIES), assumed=seldom)
    assert few.end is not None
    assert few.first_end is not None
    assert few.end - few.first_end < MINUTE  # nobody is expected to be dialled again


def test_retries_end_with_the_schedule() -> None:
    schedule = Schedule(end=MONDAY + timedelta(hours=2))
    assumed = Assumed(busy=0, no_answer=1, failed=0, ringing=MINUTE)
    told = made({None: 100}, campaign(schedule, retries=RETRIES), assumed=assumed)
    assert told.end == MONDAY + timedelta(hours=2, minutes=1)


def test_what_calls_have_shown_is_assumed_of_the_rest() -> None:
    so_far = CampaignStatistics(
        name="leads",
        state=CampaignState.IN_PROGRESS,
        reached=5,
        statuses={"completed": 10, "busy": 4, "no-answer": 2, "failed": 3, "canceled": 1},
        talk_time=timedelta(seconds=250),
    )
    assumed = Assumed.learned(so_far)
    assert (assumed.busy, assumed.no_answer, assumed.failed) == (0.2, 0.1, 0.2)
    assert assumed.answered == pytest.approx(0.5)
    assert assumed.not_reached == 0.25
    assert (assumed.talk, assumed.calls) == (timedelta(seconds=25), 20)
    few = evolve(so_far, statuses={"completed": 19})
    assert Assumed.learned(few) == Assumed()


def standing(**counts: Any) -> CampaignStatistics:
    """Statistics of a campaign of which nothing has been learned yet."""
    return CampaignStatistics(name="leads", state=CampaignState.IN_PROGRESS, **counts)


def left(statistics: CampaignStatistics, **settings: Any) -> timedelta | None:
    """The time left on a Monday at ten."""
    of = campaign(settings.pop("schedule", ALWAYS))
    return time_left(statistics, of, budget=110, now=MONDAY, **settings)


def test_the_time_left() -> None:
    held = Assumed().held
    assert left(standing(created=1_000, pending=1_000)) == 10 * MINUTE + held
    half = standing(created=1_000, pending=500, attempts=500, reached=500)
    assert left(half) == 5 * MINUTE + held
    assert left(half, next_retry_at=MONDAY + 9 * MINUTE) == 9 * MINUTE + held
    assert left(standing(created=9, in_progress=1, reached=8)) == held
    assert left(standing(created=9, reached=9)) == timedelta()
    overnight = Schedule(hours="09:00-10:05")
    assert left(half, schedule=overnight) == 5 * MINUTE + held
    all_day = standing(created=1_000, pending=1_000)
    assert left(all_day, schedule=overnight) == timedelta(hours=23, minutes=5) + held
    assert left(half, schedule=Schedule(end=MONDAY + MINUTE)) is None
    assert left(half, schedule=Schedule(end=MONDAY)) is None


HOURS = st.sampled_from(
    [
        "09:00-21:00",
        "00:00-24:00",
        "22:00-02:00",
        "10:00-10:07, 10:20-11:00",
        {"sat": "10:00-12:00", "sun": "23:00-00:30"},
    ]
)
ZONES = st.sampled_from([None, "Asia/Dubai", "Europe/London", "America/New_York", "+14:00"])
NOW = st.timedeltas(timedelta(), timedelta(days=270)).map(datetime(2026, 3, 1, tzinfo=UTC).__add__)
CASES = st.fixed_dictionaries(
    {
        "hours": HOURS,
        "holidays": st.lists(st.dates(date(2026, 3, 1), date(2026, 12, 9)), max_size=4),
        "contacts": st.dictionaries(ZONES, st.integers(1, 3_000), max_size=3),
        "now": NOW,
        "length": st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=9)),
        "throttle": st.none() | st.integers(1, 100),
        "retries": st.sampled_from([Retries(), RETRIES]),
        "agent": st.booleans(),
    }
)


def of_case(case: Mapping[str, Any]) -> Campaign:
    """The campaign of a case."""
    length = case["length"]
    return campaign(
        Schedule(
            hours=case["hours"],
            holidays=case["holidays"],
            end=None if length is None else case["now"] + length,
        ),
        throttle=case["throttle"],
        retries=case["retries"],
        **({"agent": "08030000001"} if case["agent"] else {}),
    )


@given(CASES, st.integers(1, 500), st.none() | st.integers(2, 60))
@settings(max_examples=60)
def test_windows_hold_all_contacts_once_in_open_hours(
    case: Mapping[str, Any], budget: int, channels: int | None
) -> None:
    of, contacts = of_case(case), case["contacts"]
    told = forecast(contacts, of, budget=budget, channels=channels, now=case["now"])
    by_zone = defaultdict(list)
    for window in told.windows:
        by_zone[window.zone].append(window)
        assert case["now"] <= window.begin < window.end
        assert of.schedule.is_open(window.begin, window.zone)
        closes = of.schedule.closes_at(window.begin, window.zone)
        assert closes is None or window.end <= closes
    for zone, number in contacts.items():
        windows = by_zone[zone]
        for before, after in pairwise(windows):
            assert before.end <= after.begin
            assert after.first == before.last + 1
        numbers = [one.last - one.first + 1 for one in windows]
        assert all(one > 0 for one in numbers)
        assert sum(numbers) + told.left.get(zone, 0) == number
        assert not windows or windows[0].first == 1
    assert told.calls >= 0
    assert told.end is None or (told.first_end is not None and told.first_end <= told.end)
    if told.left and not told.is_beyond:
        assert of.schedule.end is not None


@given(CASES, st.integers(1, 300), st.integers(2, 60))
@settings(max_examples=60)
def test_more_budget_or_channels_never_takes_longer(
    case: Mapping[str, Any], budget: int, channels: int
) -> None:
    of, contacts, now = of_case(case), case["contacts"], case["now"]
    less = forecast(contacts, of, budget=budget, channels=channels, now=now)
    for more, many in product((budget, budget + 1, 2 * budget), (channels, channels + 7, None)):
        told = forecast(contacts, of, budget=more, channels=many, now=now)
        assert sum(told.left.values()) <= sum(less.left.values())
        assert told.calls >= less.calls
        if less.first_end is None or less.end is None or less.left:
            continue
        assert told.first_end is not None
        assert told.end is not None
        assert told.first_end <= less.first_end
        assert told.end <= less.end


@given(st.integers(1, 10**6), st.fractions(Fraction(1, 100), 10**4))
@settings(max_examples=50)
def test_the_pace_is_kept_exactly(contacts: int, minutes: Fraction) -> None:
    assumed = evolve(SURE, talk=timedelta(minutes=float(minutes)))
    told = made({None: contacts}, assumed=assumed, channels=1)
    assert told.pace.limit is Limit.CHANNELS or told.pace.per_minute == 100
    assert told.is_beyond or told.windows[-1].last == contacts
