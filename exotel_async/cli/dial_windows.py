"""Distributes dials over calling hours: which contacts are dialled when, at a steady pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Final

from attrs import define, frozen

from exotel_async.campaigns.schedule import Schedule

HORIZON: Final = timedelta(days=366)
"""Nothing is forecast beyond it."""

_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1) // _MICROSECOND

Amounts = Mapping[str | None, Fraction]
"""Dials by the contacts' time zone; None: the schedule's own."""


@frozen(kw_only=True)
class Window:
    """A stretch of calling hours in which contacts of one time zone are dialled.

    Attributes:
        begin: when the first of them is dialled, aware, UTC.
        end: when the last of them has been dialled, aware, UTC.
        first: the number of its first contact in the zone, from 1, in the order of the file.
        last: the number of its last contact.
        zone: the contacts' time zone; None: the schedule's own.
    """

    begin: datetime
    end: datetime
    first: int
    last: int
    zone: str | None = None


@frozen(kw_only=True)
class DialTimes:
    """When dials are placed within calling hours.

    Attributes:
        windows: the windows in which contacts are dialled, in the order of time.
        end: when the last dial is placed; None: nobody is dialled.
        left: how many dials are not made, by zone; zones without any are left out.
    """

    windows: Sequence[Window]
    end: datetime | None
    left: Amounts

    @property
    def not_made(self) -> Fraction:
        """How many dials are not made, in all zones."""
        return sum(self.left.values(), Fraction(0))


@frozen
class _Clock:
    """Converts times to and from microseconds since the beginning."""

    begin: datetime
    horizon: int = HORIZON // _MICROSECOND

    def at(self, since: int) -> datetime:
        return self.begin + since * _MICROSECOND

    def since(self, moment: datetime) -> int:
        return (moment - self.begin) // _MICROSECOND


@define(eq=False)
class _Zone:
    """The contacts of one time zone, and the calling hours that are open for them, or next."""

    name: str | None
    dials: Fraction
    made: Fraction = Fraction(0)
    opens: int = 0
    closes: int = 0

    def find_hours(self, schedule: Schedule, clock: _Clock, now: int) -> bool:
        """Find the hours that are open at a moment, or next. Return whether there are any."""
        if now < self.closes:
            return True
        opens = schedule.next_open(clock.at(now), self.name)
        if opens is None:
            return False
        closes = schedule.closes_at(opens, self.name)
        self.opens = clock.since(opens)
        self.closes = clock.horizon if closes is None else clock.since(closes)
        return True


def dial_times(
    dials: Amounts, per_minute: Fraction, schedule: Schedule, begin: datetime
) -> DialTimes:
    """Return when dials are placed within the hours of a schedule, from a moment on.

    At each moment, all dials go to the first zone that is open and has contacts left.

    Args:
        dials: how many there are by zone, zones in the order of the file.
        per_minute: how many are made in a minute; above 0.
        schedule: when they may be made.
        begin: when dialling begins, an aware time.
    """
    clock, pace = _Clock(begin.astimezone(UTC)), per_minute / _MINUTE
    zones = [_Zone(name, number) for name, number in dials.items()]
    waiting = [zone for zone in zones if zone.dials > 0]
    windows: list[Window] = []
    # Fractions are exact, so that a faster pace never makes anything later. Hours begin and end at
    # whole minutes: what is open at a moment is open at the whole microsecond before it.
    moment, end = Fraction(0), None
    while (now := floor(moment)) < clock.horizon:
        waiting = [zone for zone in waiting if zone.find_hours(schedule, clock, now)]
        if not waiting:
            break
        zone = min(waiting, key=lambda one: max(now, one.opens))  # the first of equals
        if zone.opens > now:
            moment = Fraction(zone.opens)
            continue
        # A zone that comes before it takes over as soon as it opens.
        before_it = (other.opens for other in waiting[: waiting.index(zone)])
        stops = min(zone.closes, clock.horizon, *before_it)
        over = moment + (zone.dials - zone.made) / pace
        until = min(over, Fraction(stops))
        before, zone.made = zone.made, zone.made + pace * (until - moment)
        if until == over:
            waiting.remove(zone)
        moment, end = until, clock.at(floor(until))
        first, last = ceil(before) + 1, ceil(zone.made)
        if first <= last:
            begun = clock.at(now)
            windows.append(Window(begin=begun, end=end, first=first, last=last, zone=zone.name))
    return DialTimes(
        windows=tuple(windows),
        end=end,
        left={zone.name: zone.dials - zone.made for zone in zones if zone.made < zone.dials},
    )
