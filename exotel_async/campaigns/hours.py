"""Parses and normalises calling hours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from itertools import pairwise
from typing import Final, TypeAlias

from exotel_async.errors import InvalidRequest

Times: TypeAlias = tuple[time, time]
DayHours: TypeAlias = str | Times | Sequence[Times] | None
"""`"10:00-13:00, 14:00-18:00"`, the same as `time` pairs, or None: closed."""
Hours: TypeAlias = str | Times | Sequence[Times] | Mapping[str, DayHours]
"""The same hours for every day, or a mapping from weekdays."""
Range: TypeAlias = tuple[int, int]
"""Start and exclusive end, in minutes since midnight; an end past 1440 is on the next day."""

WHOLE_DAY: Final = 24 * 60
"""Minutes."""

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_RANGE: Final = r"([0-9]{1,2}):([0-9]{2}) *[-\u2013] *([0-9]{1,2}):([0-9]{2})"
_TEXT_RULE: Final = "must be ranges of hours and minutes, such as '10:00-13:00, 14:00-18:00'"


def written_hours(hours: Hours) -> dict[str, str | None]:
    """Return the hours of each weekday, from "mon" to "sun", normalised. None: closed.

    Raises:
        InvalidRequest: they are malformed, overlap, or leave no minute of the week open.
    """
    week: dict[str, str | None]
    if isinstance(hours, Mapping):
        week = dict.fromkeys((day[:3] for day in _DAYS), None)
        named: set[str] = set()
        for names, of_day in hours.items():
            days = _days(names)
            if twice := named.intersection(days):
                raise InvalidRequest("hours", names, f"names {min(twice)} a second time")
            named.update(days)
            week.update(dict.fromkeys(days, _written(f"hours[{names!r}]", of_day)))
    else:
        week = dict.fromkeys((day[:3] for day in _DAYS), _written("hours", hours))
    if not any(week.values()):
        raise InvalidRequest("hours", hours, "must leave some time of the week open")
    return week


def ranges_of(written: str | None) -> list[Range]:
    """Parse the hours of one day, as `written_hours` returns them, into ranges."""
    return [] if written is None else _read("hours", written)


def _days(names: object) -> list[str]:
    """Return the weekdays that a text such as `"mon"`, `"mon-fri"` or `"sat, sun"` names."""
    found: list[str] = []
    for part in str(names).casefold().split(","):
        first, dash, last = (word.strip() for word in part.replace("\u2013", "-").partition("-"))
        numbers = [
            number
            for word in ([first, last] if dash else [first])
            for number, day in enumerate(_DAYS)
            if len(word) >= 3 and day.startswith(word)
        ]
        if not isinstance(names, str) or len(numbers) != (2 if dash else 1):
            rule = "must name weekdays, such as 'mon', 'tuesday', 'mon-fri' or 'sat, sun'"
            raise InvalidRequest("hours", names, rule)
        length = (numbers[-1] - numbers[0]) % 7 + 1
        found += [_DAYS[(numbers[0] + i) % 7][:3] for i in range(length)]
    return found


def _written(argument: str, of_day: DayHours) -> str | None:
    if of_day is None:
        return None
    if isinstance(of_day, str):
        ranges = _read(argument, of_day)
    else:
        pair = isinstance(of_day, tuple) and any(isinstance(one, time) for one in of_day)
        ranges = [_range_of_times(argument, one) for one in ([of_day] if pair else _all(of_day))]
    ranges.sort()
    for (_, until), (start, _) in pairwise(ranges):
        if start < until:
            raise InvalidRequest(argument, of_day, "must be ranges that do not overlap")
    if not ranges:
        raise InvalidRequest(argument, of_day, f"{_TEXT_RULE}; None: closed")
    return ", ".join(f"{_clock(start)}-{_clock(until)}" for start, until in ranges)


def _clock(minutes: int) -> str:
    hour, minute = divmod(minutes if minutes <= WHOLE_DAY else minutes - WHOLE_DAY, 60)
    return f"{hour:02}:{minute:02}"


def _all(of_day: object) -> Iterable[object]:
    return of_day if isinstance(of_day, Iterable) else [of_day]


def _read(argument: str, text: str) -> list[Range]:
    return [_range_of_text(argument, part.strip()) for part in text.split(",")]


def _range_of_text(argument: str, text: str) -> Range:
    found = re.fullmatch(_RANGE, text)
    if found is None:
        raise InvalidRequest(argument, text, _TEXT_RULE)
    hour1, minute1, hour2, minute2 = map(int, found.groups())
    start, until = 60 * hour1 + minute1, 60 * hour2 + minute2
    if max(minute1, minute2) > 59 or start >= WHOLE_DAY or until > WHOLE_DAY:
        raise InvalidRequest(argument, text, "must be from 00:00 to 23:59, and until 24:00 at most")
    return _range(argument, text, start, until)


def _range_of_times(argument: str, times: object) -> Range:
    match times:
        case (time() as start, time() as until):
            pass
        case _:
            raise InvalidRequest(argument, times, "must be a text, or tuples of two times")
    for one in (start, until):
        if one.tzinfo is not None or one.second or one.microsecond:
            rule = "must be whole minutes, without a time zone of their own"
            raise InvalidRequest(argument, one.isoformat(), rule)
    minutes = [60 * one.hour + one.minute for one in (start, until)]
    return _range(argument, times, minutes[0], minutes[1])


def _range(argument: str, value: object, start: int, until: int) -> Range:
    if start == until:
        rule = "must not end when it begins; the whole day is '00:00-24:00'"
        raise InvalidRequest(argument, value, rule)
    return start, until if start < until else until + WHOLE_DAY
