"""The service's clock: it refuses time ranges that end in the future, and ours may be wrong."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from exotel_async.wire.responses import http_date

# Seconds since the epoch: 2000 to 2100. A time outside is not that of a clock, and calculations
# near the last time that Python supports would overflow.
_FIRST: Final = 946_684_800.0
_LAST: Final = 4_102_444_800.0
_SOON: Final = 1.0
"""Seconds: the resolution of the header, which may be behind by that much."""


class ServerClock:
    """The service's clock, read from the `Date` of its responses."""

    def __init__(self) -> None:
        self._date = ""
        self._shown: float | None = None  # the same, parsed on demand
        self.read_at: float = -math.inf
        """When it was read last, by `time.monotonic`."""

    def saw(self, date: str | None, *, took: float = 0.0) -> None:
        """Record the `Date` of a response; `took` is the seconds since its request was sent."""
        # Parsed on demand: most dates are never needed.
        if date is not None and (took <= _SOON or not self._has_waited(date, took)):
            self._date, self._shown, self.read_at = date, None, time.monotonic()

    def _has_waited(self, date: str, took: float) -> bool:
        """Return whether a date is old, but by no more than it took: the process was suspended."""
        known, shown = self.now(), http_date(date)
        if known is None or shown is None:
            return False
        return 0 < known.timestamp() - shown <= took + _SOON

    def now(self) -> datetime | None:
        """Return the latest time, UTC, that the service's clock has certainly reached.

        None before the first response with a `Date`.
        """
        if self._shown is None:
            self._shown = http_date(self._date)
        shown = self._shown
        if shown is None or not _FIRST <= shown < _LAST:
            return None
        return datetime.fromtimestamp(shown + time.monotonic() - self.read_at, UTC)

    def offset(self) -> timedelta | None:
        """Return how far it is ahead of ours, to about a second; None if unknown."""
        now = self.now()
        return None if now is None else now - datetime.now(UTC)
