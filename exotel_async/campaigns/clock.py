"""The dialer's clock: Exotel's. That of the machine may be wrong, and may be set at any time.

Exotel's is read from its answers and counted on by a clock that nobody sets. A machine that sleeps
may stop that one as well: what was read long ago, or before a sleep, is read anew.
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
"""Seconds by which a machine that has slept differs."""


class Clock:
    """Tells the time by the clock of the machine."""

    def now(self) -> datetime:
        """Return the time; aware, UTC."""
        return datetime.now(UTC)

    def now_ms(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return to_ms(self.now())


class ExotelClock(Clock):
    """Tells the time by Exotel's clock."""

    def __init__(self, parts: CallParts) -> None:
        self._pages = parts.pages
        self._server = parts.pipeline.server_clock
        # Where Exotel's answers have no date: our own clock, read once.
        self._ours = datetime.now(UTC).timestamp() - time.monotonic()
        self._learnt = -_OLD
        self._slept = _slept()

    @property
    def is_fresh(self) -> bool:
        """Whether it is good enough to dial by."""
        return self.age < _OLD and _slept() - self._slept < _ASLEEP

    @property
    def age(self) -> float:
        """Seconds since it was read last."""
        return time.monotonic() - max(self._learnt, self._server.read_at)

    async def refresh(self) -> None:
        """Read Exotel's clock, by the smallest of queries.

        Raises:
            ExotelError: there was no answer.
        """
        slept = _slept()
        await self._pages.fetch(call_query.probe(), SendOptions(priority=Priority.BULK))
        self._slept = slept
        self._learnt = time.monotonic()

    def now(self) -> datetime:
        """Return the time; aware, UTC."""
        shown = self._server.now()
        return shown or datetime.fromtimestamp(self._ours + time.monotonic(), UTC)


def to_ms(moment: datetime) -> int:
    """Return an aware time in milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def from_ms(moment: int) -> datetime:
    """Return a time in milliseconds since the epoch as an aware one, UTC."""
    return _EPOCH + timedelta(milliseconds=moment)


def seconds_since_boot() -> float:
    """Return seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _slept() -> float:
    """Return for how many seconds the machine has slept since it was started, where it tells."""
    return seconds_since_boot() - time.monotonic()
