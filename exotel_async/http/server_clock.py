"""What the service's clock shows: an end in the future is refused, and our clock may be wrong."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from exotel_async.wire.responses import http_date

# Seconds since the epoch: 2000 to 2100. What lies outside is no clock's, and times near the last
# that Python knows cannot be reckoned with.
_FIRST: Final = 946_684_800.0
_LAST: Final = 4_102_444_800.0
_SOON: Final = 1.0
"""Seconds, as exact as the header is: it may be so much behind."""


class ServerClock:
    """The service's clock, read from the `Date` of its answers."""

    def __init__(self) -> None:
        self._date = ""
        self._shown: float | None = None  # the same, as soon as it is asked for
        self.read_at: float = -math.inf
        """When it was read last, by `time.monotonic`."""

    def saw(self, date: str | None, *, took: float = 0.0) -> None:
        """Take note of an answer's `Date`; `took` is the seconds since its request was sent."""
        # Read when it is asked for: most answers are never asked.
        if date is not None and (took <= _SOON or not self._has_waited(date, took)):
            self._date, self._shown, self.read_at = date, None, time.monotonic()

    def _has_waited(self, date: str, took: float) -> bool:
        """Whether an answer is only as old as its clock is behind: this process was stopped."""
        known, shown = self.now(), http_date(date)
        if known is None or shown is None:
            return False
        return 0 < known.timestamp() - shown <= took + _SOON

    def now(self) -> datetime | None:
        """Return a time, UTC, that the service's clock has reached for certain, if barely.

        None before the first answer that has a `Date`.
        """
        if self._shown is None:
            self._shown = http_date(self._date)
        shown = self._shown
        if shown is None or not _FIRST <= shown < _LAST:
            return None
        return datetime.fromtimestamp(shown + time.monotonic() - self.read_at, UTC)

    def offset(self) -> timedelta | None:
        """Return how much it is ahead of ours, within a second or so; None if nothing is known."""
        now = self.now()
        return None if now is None else now - datetime.now(UTC)
