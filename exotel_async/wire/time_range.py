"""Spans of time as call records are asked for: pure arithmetic on whole seconds.

Exotel takes windows of a month at most, nothing older than six months, and no end in the future.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from attrs import frozen

from exotel_async.errors import InvalidRequest

SECOND = timedelta(seconds=1)
_WINDOW = timedelta(days=30)  # "a month" is documented, and the shortest but one has 30 days
_MONTHS_BACK = 6


@frozen
class TimeRange:
    """From one second to another, both of them wholly in it. Aware, UTC."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        """Whether not even a second is in it."""
        return self.until < self.since

    def windows(self, *, newest_first: bool) -> Iterator[TimeRange]:
        """Cut it into windows that Exotel takes: side by side, none overlapping another."""
        since, until = self.since, self.until
        while since <= until:
            if newest_first:
                edge = max(since, until - _WINDOW + SECOND)
                yield TimeRange(edge, until)
                until = edge - SECOND
            else:
                edge = min(until, since + _WINDOW - SECOND)
                yield TimeRange(since, edge)
                since = edge + SECOND

    def parts(self, number: int, *, newest_first: bool) -> list[TimeRange]:
        """Cut it into that many parts of about the same length, or as many as it has seconds."""
        seconds = (self.until - self.since) // SECOND + 1
        number = max(1, min(number, seconds))
        edges = [self.since + SECOND * (seconds * n // number) for n in range(number + 1)]
        parts = [TimeRange(a, b - SECOND) for a, b in pairwise(edges)]
        return parts[::-1] if newest_first else parts

    def from_here(self, moment: datetime | None, *, newest_first: bool) -> TimeRange:
        """Return what of it is still ahead of a reader who has come to that second, inclusive."""
        if moment is None:
            return self
        if newest_first:
            return TimeRange(self.since, min(self.until, moment))
        return TimeRange(max(self.since, moment), self.until)


def whole_second(argument: str, moment: object) -> datetime | None:
    """Return the second a time lies in, in UTC. None stays None.

    Raises:
        InvalidRequest: it is no datetime, or has no time zone.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise InvalidRequest(argument, moment, "must be a datetime")
    if moment.utcoffset() is None:
        rule = "must have a time zone, like datetime.now(UTC) or with tzinfo=IST"
        raise InvalidRequest(argument, moment, rule, shown=_shown(moment))
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise InvalidRequest(argument, moment, "is beyond the calendar") from None


def oldest(now: datetime) -> datetime:
    """Return the first moment that can still be asked for: six calendar months back.

    By the calendar of its zone: where it is the 1st of March already, August is too old.
    """
    year, month = divmod(now.year * 12 + now.month - 1 - _MONTHS_BACK, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def check_range(since: object, until: object, *, now: datetime) -> tuple[datetime | None, ...]:
    """Return both bounds as whole seconds in UTC.

    Args:
        since: the first moment asked for; None: not said.
        until: the last; None: not said.
        now: this moment, in the zone whose calendar the months are counted by.

    Raises:
        InvalidRequest: one has no time zone, they are in the wrong order, or they reach further
            back than six months.
    """
    first, last = whole_second("since", since), whole_second("until", until)
    limit = oldest(now).replace(microsecond=0)
    for argument, given, bound in (("since", since, first), ("until", until, last)):
        if bound is not None and bound < limit:
            # The next full minute, which is accepted when it is copied from here.
            named = (limit + timedelta(seconds=59)).isoformat(" ", "minutes")
            rule = f"must not be older than 6 months: Exotel has records from {named} on"
            raise InvalidRequest(argument, given, rule, shown=_shown(given))
    if first is not None and last is not None and first > last:
        rule = f"must not be after until, {_shown(until)}"
        raise InvalidRequest("since", since, rule, shown=_shown(since))
    return first, last


def _shown(moment: object) -> str:
    # Fractions of a second would be taken for a phone number, and masked.
    return moment.isoformat(" ", "seconds") if isinstance(moment, datetime) else repr(moment)
