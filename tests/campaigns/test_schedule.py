"""When a campaign may dial, against a model that looks at the clock quarter by quarter."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import IST, InvalidRequest
from exotel_async.campaigns import Schedule
from exotel_async.campaigns.schedule import check_zone
from tests.campaigns.schedule_model import Model
from tests.campaigns.strategies import ZONES, schedules

Case = tuple[Schedule, Model, datetime]

EVERY_DAY = {"mon": "09:00-21:00", "tue": "09:00-21:00", "wed": "09:00-21:00"}
EVERY_DAY |= {"thu": "09:00-21:00", "fri": "09:00-21:00", "sat": "09:00-21:00"}
EVERY_DAY |= {"sun": "09:00-21:00"}


def ist(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


@settings(max_examples=100, deadline=None)
@given(schedules(), st.none() | st.sampled_from(ZONES))
def test_it_is_open_when_the_model_is(case: Case, zone: str | None) -> None:
    schedule, model, moment = case
    model = model if zone is None else attrs.evolve(model, zone=ZoneInfo(zone))
    assert schedule.is_open(moment, zone) == model.is_open(moment)
    assert schedule.next_open(moment, zone) == model.next_open(moment)
    assert schedule.closes_at(moment, zone) == model.closes_at(moment)


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_a_schedule_comes_back_from_json(case: Case) -> None:
    schedule, _, moment = case
    again = Schedule.from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert again == schedule
    assert again.next_open(moment) == schedule.next_open(moment)


def test_the_hours_are_those_that_the_rule_allows_unless_told_otherwise() -> None:
    schedule = Schedule()
    assert schedule.hours == EVERY_DAY
    assert schedule.time_zone == "+05:30"
    assert not schedule.is_open(ist("2026-11-27 08:59:59.999999"))
    assert schedule.is_open(ist("2026-11-27 09:00"))
    assert schedule.is_open(ist("2026-11-27 20:59:59.999999"))
    assert not schedule.is_open(ist("2026-11-27 21:00"))
    assert schedule.closes_at(ist("2026-11-27 20:59:59")) == ist("2026-11-27 21:00")
    assert schedule.next_open(ist("2026-11-30 21:00")) == ist("2026-12-01 09:00")


def test_a_queue_that_crosses_the_end_of_the_hours_goes_on_in_the_morning() -> None:
    schedule = Schedule()
    at: datetime | None = ist("2026-12-31 20:59:30")
    dialled: list[datetime] = []
    while at is not None and len(dialled) < 120:
        dialled.append(at)
        at = schedule.next_open(at + timedelta(milliseconds=300))
    assert [one for one in dialled if not schedule.is_open(one)] == []
    evening = [one for one in dialled if one < ist("2026-12-31 21:00")]
    assert len(evening) == 100
    assert dialled[100] == ist("2027-01-01 09:00")


def test_a_contact_is_dialled_by_its_own_clock() -> None:
    schedule = Schedule(ist("2026-11-01 00:00"), holidays=["2026-11-02"])
    late = ist("2026-11-01 22:00")  # 20:30 in Dubai
    assert not schedule.is_open(late)
    assert schedule.is_open(late, "Asia/Dubai")
    assert schedule.is_open(late, "+04:00")
    # It is a holiday where the contact lives, as long as it is that day there.
    assert not schedule.is_open(ist("2026-11-03 09:30"), "America/New_York")
    assert schedule.next_open(late, "America/New_York") == late
    assert not schedule.is_open(ist("2026-10-31 22:00"), "Asia/Dubai")  # not begun anywhere


def test_a_range_over_midnight_is_not_dialled_on_a_holiday_nor_opened_on_it() -> None:
    schedule = Schedule(hours="22:00-02:00", holidays=["2026-11-08"])
    assert schedule.is_open(ist("2026-11-07 01:59"))
    assert schedule.closes_at(ist("2026-11-07 23:00")) == ist("2026-11-08 00:00")
    assert schedule.next_open(ist("2026-11-08 00:00")) == ist("2026-11-09 22:00")


def test_what_goes_over_midnight_every_day_closes_never() -> None:
    end = ist("2026-11-30 18:00")
    assert Schedule(hours="00:00-24:00").closes_at(ist("2026-11-07 12:00")) is None
    assert Schedule(hours="09:00-18:00, 18:00-08:00").closes_at(ist("2026-11-07 12:00")) == ist(
        "2026-11-08 08:00"
    )
    assert Schedule(end=end, hours="00:00-24:00").closes_at(ist("2026-11-07 12:00")) == end
    holiday = Schedule(hours="00:00-24:00", holidays=["2027-11-08"])
    assert holiday.closes_at(ist("2026-11-07 12:00")) == ist("2027-11-08 00:00")


def test_an_hour_that_summer_time_leaves_out_does_not_come_and_one_it_repeats_comes_twice() -> None:
    night = Schedule(hours="02:15-02:45", time_zone="Europe/Berlin")
    assert night.next_open(datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(
        2026, 3, 30, 0, 15, tzinfo=UTC
    )
    first, second = (datetime(2026, 10, 25, hour, 15, tzinfo=UTC) for hour in (0, 1))
    half = timedelta(minutes=30)
    assert night.next_open(first - half) == first
    assert night.closes_at(first) == first + half
    assert night.next_open(first + half) == second
    assert night.closes_at(second) == second + half
    weekly = Schedule(hours={"sun": "02:00-03:00"}, time_zone="Europe/Berlin")
    assert weekly.next_open(datetime(2026, 3, 23, 12, tzinfo=UTC)) == datetime(
        2026, 4, 5, tzinfo=UTC
    )


def test_a_day_that_a_zone_left_out_does_not_come() -> None:
    friday = Schedule(hours={"fri": "10:00-11:00"}, time_zone="Pacific/Apia")
    found = friday.next_open(datetime(2011, 12, 28, tzinfo=UTC))
    assert found == datetime(2012, 1, 6, 10, tzinfo=ZoneInfo("Pacific/Apia"))


def test_before_the_start_and_after_the_end_nobody_is_dialled() -> None:
    start, end = ist("2026-11-27 20:00"), ist("2026-11-28 10:00")
    schedule = Schedule(start, end)
    assert schedule.next_open(ist("2026-11-27 10:00")) == start
    assert schedule.closes_at(start) == ist("2026-11-27 21:00")
    assert schedule.closes_at(ist("2026-11-28 09:30")) == end
    assert schedule.next_open(end) is None
    assert Schedule(end=ist("2026-11-28 09:00")).next_open(ist("2026-11-27 21:00")) is None


@pytest.mark.parametrize(
    ("hours", "meant"),
    [
        ("9:00 - 21:00", EVERY_DAY),
        ("09:00\u201321:00", EVERY_DAY),
        ((time(9), time(21)), EVERY_DAY),
        ([(time(9), time(21))], EVERY_DAY),
        ({"mon-sun": "09:00-21:00"}, EVERY_DAY),
        ({"Thursday - Wed": "09:00-21:00"}, EVERY_DAY),
        ({"mon, tues": "09:00-21:00", "wed-sun": (time(9), time(21))}, EVERY_DAY),
        ({"mon": "14:00-18:30, 10:00-13:00", "sun": None}, {"mon": "10:00-13:00, 14:00-18:30"}),
        ({"mon": [(time(18), time(0))]}, {"mon": "18:00-24:00"}),
        ({"mon": "18:00-00:00"}, {"mon": "18:00-24:00"}),
        ({"mon": (time(22), time(2))}, {"mon": "22:00-02:00"}),
        ({"mon": "00:00-24:00"}, {"mon": "00:00-24:00"}),
    ],
)
def test_hours_may_be_written_in_many_ways(hours: Any, meant: dict[str, str]) -> None:
    assert Schedule(hours=hours).hours == {**dict.fromkeys(EVERY_DAY), **meant}


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (ZoneInfo("Asia/Kolkata"), "Asia/Kolkata"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        (IST, "+05:30"),
        (UTC, "+00:00"),
        ("UTC", "UTC"),
        (timezone(-timedelta(hours=4, minutes=15)), "-04:15"),
    ],
)
def test_a_zone_is_kept_as_its_name(zone: Any, name: str) -> None:
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    schedule = Schedule(time_zone=zone)
    assert schedule.time_zone == name
    known = check_zone(zone) if isinstance(zone, str) else zone
    assert check_zone(name).utcoffset(noon) == known.utcoffset(noon)
    assert Schedule.from_dict(schedule.to_dict()) == schedule


TEXT = "must be ranges of hours and minutes, such as '10:00-13:00, 14:00-18:00'"
BAD: list[tuple[dict[str, Any], str]] = [
    ({"hours": "9 to 5"}, f"hours='9 to 5': {TEXT}"),
    ({"hours": "9am-5pm"}, f"hours='9am-5pm': {TEXT}"),
    ({"hours": ""}, f"hours='': {TEXT}"),
    ({"hours": "10:00-13:00,"}, f"hours='': {TEXT}"),
    ({"hours": "10:00-25:00"}, "hours='10:00-25:00': must be from 00:00 to 23:59, and until 24:00"),
    ({"hours": "24:00-10:00"}, "hours='24:00-10:00': must be from 00:00 to 23:59, and until 24:00"),
    ({"hours": "10:60-12:00"}, "hours='10:60-12:00': must be from 00:00 to 23:59, and until 24:00"),
    ({"hours": "10:00-10:00"}, "hours='10:00-10:00': must not end when it begins; the whole day"),
    ({"hours": "10:00-14:00, 13:00-18:00"}, "must be ranges that do not overlap"),
    ({"hours": "22:00-02:00, 23:00-24:00"}, "must be ranges that do not overlap"),
    ({"hours": None}, "hours=None: must leave some time of the week open"),
    ({"hours": {}}, "hours={}: must leave some time of the week open"),
    ({"hours": {"mon": None}}, "hours={'mon': None}: must leave some time of the week open"),
    ({"hours": {"mon": []}}, f"hours['mon']=[]: {TEXT}; None: closed"),
    ({"hours": {"mon": 9}}, "hours['mon']=9: must be a text, or tuples of two times"),
    ({"hours": [time(9), time(21)]}, "must be a text, or tuples of two times"),
    ({"hours": (time(9, 0, 30), time(21))}, "hours='09:00:30': must be whole minutes, without a"),
    ({"hours": (time(9, tzinfo=UTC), time(21))}, "must be whole minutes, without a time zone"),
    ({"hours": {"m": "10:00-13:00"}}, "hours='m': must name weekdays, such as 'mon', 'tuesday',"),
    ({"hours": {"mon-": "10:00-13:00"}}, "hours='mon-': must name weekdays"),
    ({"hours": {"mon-feb": "10:00-13:00"}}, "hours='mon-feb': must name weekdays"),
    ({"hours": {0: "10:00-13:00"}}, "hours=0: must name weekdays"),
    ({"hours": {"mon-wed": None, "Tuesday": None}}, "hours='Tuesday': names tue a second time"),
    ({"holidays": "2026-11-08"}, "holidays='2026-11-08': must be several dates"),
    ({"holidays": date(2026, 11, 8)}, "must be several dates"),
    ({"holidays": ["8.11."]}, "holidays='8.11.': must be dates, such as date(2026, 11, 8)"),
    ({"holidays": ["2026-02-30"]}, "holidays='2026-02-30': must be dates"),
    ({"holidays": [datetime(2026, 11, 8, tzinfo=UTC)]}, "must be dates"),
    ({"time_zone": "Asia/Bombay"}, "time_zone='Asia/Bombay': must be a time zone of the IANA"),
    ({"time_zone": ""}, "time_zone='': must be a time zone of the IANA database"),
    ({"time_zone": "../../etc/passwd"}, "must be a time zone of the IANA database"),
    ({"time_zone": "Asia"}, "time_zone='Asia': must be a time zone of the IANA database"),
    ({"time_zone": "+5:30"}, "time_zone='+5:30': must be a time zone of the IANA database"),
    ({"time_zone": "+24:00"}, "time_zone='+24:00': must be a time zone of the IANA database"),
    ({"time_zone": 5.5}, "time_zone=5.5: must be a time zone of the IANA database"),
    ({"time_zone": timezone(timedelta(seconds=90))}, "must be whole minutes from UTC"),
    ({"start": datetime(2026, 11, 8)}, "must be an aware datetime"),  # noqa: DTZ001
    ({"end": "2026-11-08"}, "end='2026-11-08': must be an aware datetime"),
    ({"end": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, "must be an aware"),
    (
        {"start": datetime(2026, 11, 8, tzinfo=UTC), "end": datetime(2026, 11, 8, tzinfo=UTC)},
        "end='2026-11-08T00:00:00+00:00': must be after start",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_nonsense_is_refused_in_words(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Schedule(**arguments)
    assert message in str(caught.value)


def test_what_json_has_wrong_is_refused_in_the_same_words() -> None:
    data = Schedule().to_dict()
    for name, value in {"hours": {"mon": "9-5"}, "holidays": ["1"], "time_zone": "x"}.items():
        with pytest.raises(InvalidRequest, match=f"^{name}"):
            Schedule.from_dict({**data, name: value})


def test_a_moment_must_be_aware_and_a_zone_be_known() -> None:
    schedule = Schedule()
    for ask in (schedule.is_open, schedule.next_open, schedule.closes_at):
        with pytest.raises(InvalidRequest, match=r"moment=.*: must be an aware datetime"):
            ask(datetime(2026, 11, 8))  # noqa: DTZ001
        with pytest.raises(InvalidRequest, match="zone='Mars': must be"):
            ask(datetime(2026, 11, 8, tzinfo=UTC), "Mars")
