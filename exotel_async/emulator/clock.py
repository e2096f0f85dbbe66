"""The emulator's clock: real time that may run faster, and the Indian wall clock it shows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""The zone of every date on the wire (VOICE_V1 1.4)."""

WIRE_FORMAT = "%Y-%m-%d %H:%M:%S"


class Clock:
    """Emulator seconds since the start, `speed` of them in each real second.

    Durations and deadlines come from the monotonic clock only. The wall clock is for showing dates:
    `now` at the start plus the seconds since.
    """

    def __init__(self, speed: float, now: datetime | None) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above zero, not {speed}")
        if now is not None and now.tzinfo is None:
            raise ValueError("now must carry a time zone")
        self.speed = speed
        self._started_at = (now or datetime.now(UTC)).astimezone(IST)
        self._shown_at_start = self._started_at.replace(tzinfo=None)
        self._epoch_at_start = self._started_at.timestamp()
        self._zero = time.monotonic()
        self._http_date = (-1, b"")

    def elapsed(self) -> float:
        """Return the emulator seconds since the start."""
        return (time.monotonic() - self._zero) * self.speed

    def real(self, seconds: float) -> float:
        """Convert emulator seconds to real seconds."""
        return seconds / self.speed

    def wall(self, elapsed: float) -> datetime:
        """Return the date in IST at that many emulator seconds since the start."""
        return self._started_at + timedelta(seconds=elapsed)

    def now(self) -> datetime:
        """Return the current date in IST."""
        return self.wall(self.elapsed())

    def since_start(self, moment: datetime) -> float:
        """Return the emulator seconds from the start to a date; negative if it lies before."""
        return (moment - self._started_at).total_seconds()

    def text(self, elapsed: float) -> str:
        """Format the date at that moment as on the wire: IST, whole seconds, no offset."""
        # Much faster than strftime, and each row of a listing has several of these.
        return (self._shown_at_start + timedelta(seconds=elapsed)).isoformat(" ", "seconds")

    def http_date(self) -> bytes:
        """Return the `Date` header by this clock, built once for each second that it shows."""
        second = int(self._epoch_at_start + self.elapsed())
        if self._http_date[0] != second:
            date = format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)
            self._http_date = (second, date.encode())
        return self._http_date[1]


def parse_wire_date(text: str) -> datetime:
    """Parse a date from the wire. Raises ValueError for another format (VOICE_V1 1.4)."""
    return datetime.strptime(text, WIRE_FORMAT).replace(tzinfo=IST)
