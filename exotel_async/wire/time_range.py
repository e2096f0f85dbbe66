"""Time ranges for queries of call records: pure arithmetic on whole seconds.

Exotel accepts windows of at most a month, nothing older than six months, and no end in the future.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from attrs import frozen

from exotel_async.errors import InvalidRequest

SECOND = timedelta(seconds=1)
_WINDOW = timedelta(days=30)  # "a month" is documented; all but the shortest have 30 days or more
_MONTHS_BACK = 6


@frozen
class TimeRange:
    """A range from one second to another, including both. Aware, UTC."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        """Whether it does not contain even one second."""
        return self.until < self.since

    def windows(self, *, newest_first: bool) -> Iterator[TimeRange]:
        """Split it into windows that Exotel accepts, adjacent and without overlap."""
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
        """Split it into that many parts of about equal length, but at most one per second."""
        seconds = (self.until - self.since) // SECOND + 1
        number = max(1, min(number, seconds))
        edges = [self.since + SECOND * (seconds * n // number) for n in range(number + 1)]
        parts = [TimeRange(a, b - SECOND) for a, b in pairwise(edges)]
        return parts[::-1] if newest_first else parts

    def from_here(self, moment: datetime | None, *, newest_first: bool) -> TimeRange:
        """Return the rest of it for a reader that has got to `moment`, including that second."""
        if moment is None:
            return self
        if newest_first:
            return TimeRange(self.since, min(self.until, moment))
        return TimeRange(max(self.since, moment), self.until)


def whole_second(argument: str, moment: object) -> datetime | None:
    """Return a time in UTC, rounded down to the second. None stays None.

    Raises:
        InvalidRequest: it is not a datetime, or has no time zone.
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
    """Return the earliest time that can still be requested: six calendar months back.

    It depends on the calendar of the zone: where it is already 1 March, August is too old.
    """
    year, month = divmod(now.year * 12 + now.month - 1 - _MONTHS_BACK, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def check_range(since: object, until: object, *, now: datetime) -> tuple[datetime | None, ...]:
    """Return both bounds as whole seconds in UTC.

    Args:
        since: the start of the range; None: not given.
        until: the end of the range; None: not given.
        now: the current time, in the zone whose calendar months are counted.

    Raises:
        InvalidRequest: one has no time zone, they are in the wrong order, or they reach further
            back than six months.
    """
    first, last = whole_second("since", since), whole_second("until", until)
    limit = oldest(now).replace(microsecond=0)
    for argument, given, bound in (("since", since, first), ("until", until, last)):
        if bound is not None and bound < limit:
            # Rounded up to the minute, so that it is accepted when copied from the message.
            named = (limit + timedelta(seconds=59)).isoformat(" ", "minutes")
            rule = f"must not be older than 6 months: Exotel has records from {named} on"
            raise InvalidRequest(argument, given, rule, shown=_shown(given))
    if first is not None and last is not None and first > last:
        rule = f"must not be after until, {_shown(until)}"
        raise InvalidRequest("since", since, rule, shown=_shown(since))
    return first, last


def _shown(moment: object) -> str:
    # Without fractions of a second, which would be taken for a phone number and masked.
    return moment.isoformat(" ", "seconds") if isinstance(moment, datetime) else repr(moment)
