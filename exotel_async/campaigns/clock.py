"""The dialer's clock, which follows Exotel's: the machine's may be wrong, or be set at any time.

Exotel's time is read from its responses, and advanced by the monotonic clock. That clock may stop
while the machine sleeps, so a reading that is old, or from before a sleep, is taken again.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exotel_async.config import Priority, SendOptions
from exotel_async.wire import call_query

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OLD: Final = 60.0
"""Seconds after which a reading is too old to dial by."""
_ASLEEP: Final = 1.0
"""Seconds of sleep from which on the machine counts as having slept."""


class Clock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def now_ms(self) -> int:
        """Return the current time in milliseconds since the epoch."""
        return to_ms(self.now())


class ExotelClock(Clock):
    """Exotel's clock."""

    def __init__(self, parts: CallParts) -> None:
        self._pages = parts.pages
        self._server = parts.pipeline.server_clock
        # A fallback for responses without a date: the machine's clock, read once.
        self._ours = datetime.now(UTC).timestamp() - time.monotonic()
        self._learnt = -_OLD
        self._slept = _slept()

    @property
    def is_fresh(self) -> bool:
        """Whether the last reading is recent enough to dial by."""
        return self.age < _OLD and _slept() - self._slept < _ASLEEP

    @property
    def age(self) -> float:
        """Seconds since the last reading."""
        return time.monotonic() - max(self._learnt, self._server.read_at)

    async def refresh(self) -> None:
        """Read Exotel's clock, with the smallest possible query.

        Raises:
            ExotelError: there was no response.
        """
        slept = _slept()
        await self._pages.fetch(call_query.probe(), SendOptions(priority=Priority.BULK))
        self._slept = slept
        self._learnt = time.monotonic()

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        shown = self._server.now()
        return shown or datetime.fromtimestamp(self._ours + time.monotonic(), UTC)


def to_ms(moment: datetime) -> int:
    """Convert a timezone-aware time to milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def from_ms(moment: int) -> datetime:
    """Convert milliseconds since the epoch to an aware time in UTC."""
    return _EPOCH + timedelta(milliseconds=moment)


def seconds_since_boot() -> float:
    """Return the seconds of a monotonic clock, which runs on in sleep if the system has one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _slept() -> float:
    """Return the seconds that the machine has slept since its start, as far as it shows them."""
    return seconds_since_boot() - time.monotonic()
