"""When a campaign may dial, slowly: by looking at the clock on the wall, quarter by quarter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@frozen
class Model:
    """Ranges by weekday in quarters of an hour; one that ends past the 96th goes over midnight."""

    ranges: Mapping[int, list[tuple[int, int]]]
    holidays: frozenset[date]
    zone: ZoneInfo
    start: datetime | None = None
    end: datetime | None = None

    def is_open(self, moment: datetime) -> bool:
        if self.start is not None and moment < self.start:
            return False
        if self.end is not None and not moment < self.end:
            return False
        wall = moment.astimezone(self.zone).replace(tzinfo=None)
        if wall.date() in self.holidays:
            return False
        for day in (wall.date(), wall.date() - DAY):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - on the wall
            for first, last in self.ranges.get(day.weekday(), []):
                if midnight + first * QUARTER <= wall < midnight + last * QUARTER:
                    return day not in self.holidays
        return False

    def next_open(self, moment: datetime) -> datetime | None:
        return self._first(moment, self.is_open)

    def closes_at(self, moment: datetime) -> datetime | None:
        if not self.is_open(moment):
            return None
        return self._first(moment, lambda at: not self.is_open(at))

    def _first(self, moment: datetime, holds: Callable[[datetime], bool]) -> datetime | None:
        """Look for five weeks: the holidays of a test are over then."""
        at = moment
        until = moment + 35 * DAY
        while at < until:
            if holds(at):
                return at
            at = datetime.fromtimestamp((at.timestamp() // 900 + 1) * 900, UTC)
        return None


def text_of(ranges: list[tuple[int, int]]) -> str | None:
    """Return the ranges of a day as a user writes them; None: there are none."""
    return ", ".join(f"{_clock(first)}-{_clock(last)}" for first, last in ranges) or None


def _clock(quarters: int) -> str:
    minutes = 15 * (quarters if quarters <= 96 else quarters - 96)
    return f"{minutes // 60:02}:{minutes % 60:02}"
