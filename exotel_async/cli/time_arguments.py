"""Moments and durations as they are typed on the command line, and as they are shown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from attrs import frozen

from exotel_async import IST

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_WEEK: Final = r"\d{4}-?W\d\d"
_LENGTH: Final = r"(?:\d{1,6}[dhms])+"


@frozen
class Moment:
    """A moment as typed by the user: a day, a time of a day, or how long ago.

    Attributes:
        text: the text as typed.
        at: the moment, aware. A day begins at midnight in India.
        day: whether only a day was typed.
    """

    text: str
    at: datetime
    day: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a typed moment.

        Raises:
            ValueError: it is not a moment.
        """
        typed = text.strip()
        problem = f"{text!r} is not a date like 2026-11-01, '2026-11-01 10:00' or 7d"
        if re.fullmatch(_WEEK, typed):  # Python would read a week as its Monday
            raise ValueError(problem)
        try:
            if re.fullmatch(_LENGTH, typed):
                ago = datetime.now(UTC) - read_length(typed)
                return cls(typed, ago.replace(microsecond=0))
            at = datetime.fromisoformat(typed)
            at = at.replace(tzinfo=IST) if at.tzinfo is None else at
            at.astimezone(UTC)  # raises if it is outside the calendar in some time zone
        except (ValueError, OverflowError):
            raise ValueError(problem) from None
        return cls(typed, at, day=_is_day(typed))

    @property
    def end(self) -> datetime:
        """The last second of the day if only a day was typed, else the moment."""
        return self.at + timedelta(days=1, seconds=-1) if self.day else self.at

    def means(self, other: Moment) -> bool:
        """Return whether both mean the same moment or day."""
        return self.text == other.text or (self.at == other.at and self.day == other.day)


def _is_day(typed: str) -> bool:
    """Return whether it is a day without a time, in any ISO 8601 form."""
    try:
        date.fromisoformat(typed)
    except ValueError:
        return False
    return True


def read_length(text: str) -> timedelta:
    """Parse a duration, like 7d, 1h30m, or a number of seconds.

    Raises:
        ValueError: it is not a duration.
    """
    typed = text.strip()
    if re.fullmatch(r"\d{1,8}", typed):
        return timedelta(seconds=int(typed))
    if not re.fullmatch(_LENGTH, typed):
        raise ValueError(
            f"{text!r} is neither a number of seconds nor a length like 90s, 5m or 1h30m"
        )
    lengths = re.findall(r"(\d+)([dhms])", typed)
    return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in lengths), timedelta())


def iso_in_ist(moment: datetime) -> str:
    """Return a moment for JSON and tables: ISO 8601 in Indian time, to the second."""
    return moment.astimezone(IST).isoformat(timespec="seconds")


def shown_moment(moment: datetime) -> str:
    """Return a moment for display: in Indian time, to the second, marked as IST."""
    return f"{moment.astimezone(IST):%Y-%m-%d %H:%M:%S} IST"


def shown_length(length: timedelta) -> str:
    """Return a duration for display, as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
