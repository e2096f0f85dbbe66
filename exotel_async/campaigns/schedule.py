"""When a campaign may dial."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cached_property, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from attrs import field, frozen

from exotel_async.campaigns.hours import WHOLE_DAY, Range, ranges_of, written_hours
from exotel_async.config import IST
from exotel_async.errors import InvalidRequest
from exotel_async.models.value import Value

DEFAULT_HOURS: Final = "09:00-21:00"
"""In India no commercial calls are allowed from 21:00 to 09:00 (TRAI)."""

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
# All hours recur within a week. One more week, as a range may fall into the hour that summer time
# skips, and one day for the difference between time zones.
_TWO_WEEKS: Final = timedelta(days=15)
_OFFSET: Final = r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])"
_ZONE_RULE: Final = (
    "must be a time zone of the IANA database, such as 'Asia/Kolkata', or an offset, such as"
    " '+05:30'; where the machine has no such database, install tzdata"
)


def check_zone(name: object, argument: str = "time_zone") -> tzinfo:
    """Return the time zone of a name, such as "Asia/Kolkata", or of an offset, such as "+05:30".

    Raises:
        InvalidRequest: there is no such zone, or this machine does not know it.
    """
    try:
        if isinstance(name, str):
            return _zone(name)
    except (LookupError, ValueError, OSError):
        pass
    raise InvalidRequest(argument, name, _ZONE_RULE)


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if offset := re.fullmatch(_OFFSET, name):
        length = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-length if offset[1] == "-" else length)
    return ZoneInfo(name)


def _zone_name(zone: str | tzinfo) -> str:
    name = getattr(zone, "key", zone)
    if isinstance(zone, timezone):
        ahead = zone.utcoffset(None)
        hours, rest = divmod(abs(ahead), timedelta(hours=1))
        if rest % _MINUTE:
            raise InvalidRequest("time_zone", str(zone), "must be whole minutes from UTC")
        name = f"{'-' if ahead < timedelta() else '+'}{hours:02}:{rest // _MINUTE:02}"
    check_zone(name)
    return str(name)


def _aware(argument: str, moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    try:
        if isinstance(moment, datetime) and moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except OverflowError:
        pass
    raise InvalidRequest(argument, moment, "must be an aware datetime, from the year 2 to 9998")


def _start(moment: datetime | None) -> datetime | None:
    return _aware("start", moment)


def _end(moment: datetime | None) -> datetime | None:
    return _aware("end", moment)


def _dates(holidays: Iterable[date | str]) -> tuple[date, ...]:
    if isinstance(holidays, str | date) or not isinstance(holidays, Iterable):
        raise InvalidRequest("holidays", holidays, "must be several dates")
    return tuple(sorted({_date(holiday) for holiday in holidays}))


def _date(holiday: object) -> date:
    found = holiday
    if isinstance(holiday, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", holiday):
        try:
            found = date.fromisoformat(holiday)
        except ValueError:
            found = None
    # A datetime is rejected: which date it falls on depends on the time zone.
    if isinstance(found, date) and not isinstance(found, datetime) and 1 < found.year < 9999:
        return found
    raise InvalidRequest("holidays", holiday, "must be dates, such as date(2026, 11, 8)")


@frozen
class Schedule(Value):
    """When a campaign may dial: from `start` to `end`, in calling hours, on no holiday.

    Without arguments: every day from 09:00 to 21:00 in India, for commercial calls are not allowed
    there from 21:00 to 09:00 (a rule of TRAI, India's regulator)::

        Schedule(
            hours={"mon-fri": "10:00-13:00, 14:00-18:00", "sat": "10:00-13:00"},
            holidays=["2026-10-02", "2026-11-08"],
            end=datetime(2026, 11, 30, 18, tzinfo=IST),
        )

    Hours are local clock times: a time that summer time skips does not occur, and one that it
    repeats occurs twice. A range such as "22:00-02:00" extends over midnight, and belongs to the
    day on which it begins. On a holiday there is no dialling from midnight to midnight, nor in a
    range that begins on it.

    Attributes:
        start: a timezone-aware time before which there is no dialling. It is kept in UTC.
        end: a timezone-aware time from which there is no dialling, nor any retry. It is kept in
            UTC.
        hours: a text, or tuples of times, for every day; or a mapping to these (or None) from
            weekdays such as "mon", "tuesday", "mon-fri" or "sat, sun". Days it does not name are
            closed. It is kept as a mapping from "mon" to "sun".
        holidays: dates, or texts such as "2026-11-08".
        time_zone: the time zone of hours and holidays, for contacts that have none of their own: a
            `ZoneInfo`, a fixed offset, or the name of one. It is kept as the name, "Asia/Kolkata",
            or the offset, "+05:30".

    Raises:
        InvalidRequest: one of them is not valid, or `end` is not after `start`.
    """

    start: datetime | None = field(default=None, converter=_start)
    end: datetime | None = field(default=None, converter=_end)
    hours: Mapping[str, str | None] = field(
        default=DEFAULT_HOURS, converter=written_hours, kw_only=True
    )
    holidays: tuple[date, ...] = field(default=(), converter=_dates, kw_only=True)
    time_zone: str = field(factory=lambda: _zone_name(IST), converter=_zone_name, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InvalidRequest("end", self.end.isoformat(), "must be after start")

    def is_open(self, moment: datetime, zone: str | None = None) -> bool:
        """Return whether the campaign may dial at this moment.

        Args:
            moment: a timezone-aware time.
            zone: the contact's own time zone, used for hours and holidays instead of the
                schedule's; such as "Asia/Dubai" or "+04:00".

        Raises:
            InvalidRequest: the time is not timezone-aware, or the zone is unknown.
        """
        if moment.tzinfo is None:
            raise InvalidRequest("moment", moment, "must be an aware datetime")
        if (self.start is not None and moment < self.start) or (
            self.end is not None and moment >= self.end
        ):
            return False
        local = moment.astimezone(self._zone_for(zone))
        minute = 60 * local.hour + local.minute
        for start, until in self._open_ranges(local):
            if minute < until:
                return start <= minute
        return False

    def next_open(self, moment: datetime, zone: str | None = None) -> datetime | None:
        """Return the earliest time from this moment on at which the campaign may dial, in UTC.

        It is the moment itself if the schedule is open then. None: never again before `end`.

        Args:
            moment, zone: as in `is_open`.

        Raises:
            InvalidRequest: as `is_open`.
        """
        if self.is_open(moment, zone):
            return moment.astimezone(UTC)
        at = moment.astimezone(UTC)
        at = at if self.start is None else max(at, self.start)
        found = self._first(at, self._zone_for(zone), is_open=True)
        is_late = found is not None and self.end is not None and found >= self.end
        return None if is_late else found

    def closes_at(self, moment: datetime, zone: str | None = None) -> datetime | None:
        """Return when the hours that are open at this moment end, in UTC.

        None: the schedule is closed then, or never closes again.

        Args:
            moment, zone: as in `is_open`.

        Raises:
            InvalidRequest: as `is_open`.
        """
        if not self.is_open(moment, zone):
            return None
        at = moment.astimezone(UTC)
        found = self._first(at, self._zone_for(zone), is_open=False)
        if found is None or self.end is None:
            return found or self.end
        return min(found, self.end)

    def _zone_for(self, zone: str | None) -> tzinfo:
        return self._zone if zone is None else check_zone(zone, "zone")

    @cached_property
    def _zone(self) -> tzinfo:
        return check_zone(self.time_zone)

    @cached_property
    def _closed(self) -> frozenset[date]:
        return frozenset(self.holidays)

    @cached_property
    def _begun(self) -> list[list[Range]]:
        """By weekday, the ranges that begin on that day, cut off at its end."""
        return [
            [(start, min(until, WHOLE_DAY)) for start, until in ranges_of(written)]
            for written in self.hours.values()
        ]

    @cached_property
    def _week(self) -> list[list[Range]]:
        """By weekday, all open ranges, including those that extend from the day before."""
        days = [ranges_of(written) for written in self.hours.values()]
        return [
            _merged(
                [(0, until - WHOLE_DAY) for _, until in days[day - 1] if until > WHOLE_DAY]
                + self._begun[day]
            )
            for day in range(7)
        ]

    def _open_ranges(self, local: datetime) -> list[Range]:
        """Return the open ranges of a day, in minutes since its midnight."""
        if self._closed:
            day = local.date()
            if day in self._closed:
                return []
            if day - _DAY in self._closed:
                return self._begun[day.weekday()]
        return self._week[local.weekday()]

    def _first(self, at: datetime, zone: tzinfo, *, is_open: bool) -> datetime | None:
        """Return the first moment from `at` on at which the hours are open, or closed.

        None: there is no such moment before `end`, or none at all.
        """
        last = datetime.combine(self.holidays[-1], datetime.min.time(), UTC) if self._closed else at
        limit = max(at, last) + _TWO_WEEKS
        if self.end is not None:
            limit = min(limit, self.end)
        while at < limit:
            local = at.astimezone(zone)
            time = local.replace(tzinfo=None) - datetime.combine(local, datetime.min.time())
            change = self._change(local, time, is_open=is_open)
            moment = at + (change - time)
            if moment.astimezone(zone).utcoffset() != local.utcoffset():
                at = _clock_change(at, moment, zone)
            elif change < _DAY:
                return moment
            else:
                at = moment
        return None

    def _change(self, local: datetime, time: timedelta, *, is_open: bool) -> timedelta:
        """Return the time of day, from `time` on, when it is open or closed; else the day's end."""
        for start, until in self._open_ranges(local):
            if time < until * _MINUTE:
                if is_open:
                    return max(time, start * _MINUTE)
                return time if time < start * _MINUTE else until * _MINUTE
        return _DAY if is_open else time


def _merged(ranges: list[Range]) -> list[Range]:
    """Merge ranges that overlap or touch."""
    merged: list[Range] = []
    for start, until in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(until, merged[-1][1])
        else:
            merged.append((start, until))
    return merged


def _clock_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return when the UTC offset of the zone changes between two moments."""
    offset = before.astimezone(zone).utcoffset()
    begin = before.replace(microsecond=0)
    changed = bisect_left(
        range((after - begin) // _SECOND + 1),
        True,
        key=lambda second: (begin + second * _SECOND).astimezone(zone).utcoffset() != offset,
    )
    return begin + changed * _SECOND
