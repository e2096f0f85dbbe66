"""Dials laid over calling hours: which contacts are dialled when, at a steady pace."""

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
        first: which contact of its zone is the first, counted from 1, in the order of the file.
        last: which is the last.
        zone: the contacts' time zone; None: the schedule's own.
    """

    begin: datetime
    end: datetime
    first: int
    last: int
    zone: str | None = None


@frozen(kw_only=True)
class Laid:
    """Dials that were laid over calling hours.

    Attributes:
        windows: those in which contacts are dialled, in the order of time.
        end: when the last of them is over; None: nobody is dialled.
        left: how many dials of each zone are not made, where there are any.
    """

    windows: Sequence[Window]
    end: datetime | None
    left: Amounts

    @property
    def not_made(self) -> Fraction:
        """How many dials are not made, in all zones."""
        return sum(self.left.values(), Fraction(0))


@define
class _Zone:
    name: str | None
    dials: Fraction
    made: Fraction = Fraction(0)

    @property
    def left(self) -> Fraction:
        return self.dials - self.made


@define
class _Clock:
    """Moments as microseconds since the beginning, exact: a faster pace is never later by them."""

    begin: datetime

    def at(self, since: Fraction) -> datetime:
        # Hours begin and end at whole minutes: what is open at a moment is so at this one.
        return self.begin + floor(since) * _MICROSECOND

    def since(self, moment: datetime) -> Fraction:
        return Fraction((moment - self.begin) // _MICROSECOND)


def lay(dials: Amounts, per_minute: Fraction, schedule: Schedule, begin: datetime) -> Laid:
    """Lay dials over the hours of a schedule, from a moment on.

    At each moment the first zone with contacts left whose hours are open has all of the pace.

    Args:
        dials: how many there are; zones in the order of the file.
        per_minute: how many are made in a minute; above 0.
        schedule: when they may be made.
        begin: an aware time.
    """
    clock, pace = _Clock(begin.astimezone(UTC)), per_minute / _MINUTE
    horizon = clock.since(begin + HORIZON)
    zones = [_Zone(name, number) for name, number in dials.items()]
    windows: list[Window] = []
    now, end = Fraction(0), None
    while now < horizon:
        opens = _openings(zones, schedule, clock, now)
        if not opens:
            break
        zone, opened = min(opens, key=lambda one: one[1])  # the first of equals
        if opened > now:
            now = opened
            continue
        closes = schedule.closes_at(clock.at(now), zone.name)
        stops = [horizon, now + zone.left / pace]
        stops += [] if closes is None else [clock.since(closes)]
        # One that stands before it takes over as soon as it opens.
        stops += [at for other, at in opens[: opens.index((zone, opened))]]
        until = min(stops)
        before, zone.made = zone.made, min(zone.dials, zone.made + pace * (until - now))
        first, last = ceil(before) + 1, ceil(zone.made)
        if first <= last:
            begun, over = clock.at(now), clock.at(until)
            windows.append(Window(begin=begun, end=over, first=first, last=last, zone=zone.name))
        now = until
        end = clock.at(now)
    return Laid(
        windows=tuple(windows),
        end=end,
        left={zone.name: zone.left for zone in zones if zone.left > 0},
    )


def _openings(
    zones: Sequence[_Zone], schedule: Schedule, clock: _Clock, now: Fraction
) -> list[tuple[_Zone, Fraction]]:
    """Return the zones that have contacts left, and when the hours of each are open next."""
    found = []
    for zone in zones:
        if zone.left > 0:
            opens = schedule.next_open(clock.at(now), zone.name)
            if opens is not None:
                found.append((zone, max(now, clock.since(opens))))
    return found
