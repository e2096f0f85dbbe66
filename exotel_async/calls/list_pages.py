"""Requesting pages of call records, and the time range that may be requested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Final

from exotel_async.config import SendOptions
from exotel_async.errors import DecodeError
from exotel_async.http.pipeline import Pipeline
from exotel_async.limiter.protocol import Permit
from exotel_async.models import CallPage
from exotel_async.wire import call_query, responses
from exotel_async.wire.request import Request
from exotel_async.wire.time_range import SECOND, TimeRange, oldest

USUAL: Final = timedelta(days=30)
"""The length of a range without a given beginning."""

_TRIES: Final = 3
"""Requests for a page whose responses cannot be decoded."""
# No clock is off by a day unnoticed: a time further than that from a limit is certainly within it.
_CERTAIN: Final = timedelta(days=1)
# The oldest second that may be requested moves on while a request waits for the budget.
_MARGIN: Final = timedelta(minutes=1)


class PageFetcher:
    """Reads pages of call records for a session."""

    def __init__(self, pipeline: Pipeline, time_zone: tzinfo) -> None:
        self._pipeline = pipeline
        self._read = partial(responses.read_page, time_zone=time_zone)
        self.time_zone: Final = time_zone
        self._probed = False

    async def fetch(
        self,
        request: Request,
        options: SendOptions,
        *,
        permit: Permit | None = None,
    ) -> CallPage:
        """Request a page, and again if the response cannot be decoded.

        Raises:
            ExotelError: the page could not be read.
        """
        for _ in range(_TRIES - 1):
            try:
                return await self._pipeline.send(request, self._read, options, permit=permit)
            except DecodeError:
                permit = None
        return await self._pipeline.send(request, self._read, options)

    async def fix(
        self, since: datetime | None, until: datetime | None, options: SendOptions
    ) -> TimeRange:
        """Return a time range with fixed ends: Exotel would refuse one that ends in its future.

        If the service's clock is not known yet, a minimal query is sent to learn it.
        """
        if until is None or until > self.now() - _CERTAIN:
            await self.learn_clock(options)
            past = self.now() - SECOND
            until = past if until is None else min(until, past)
        time_range = TimeRange(until - USUAL + SECOND if since is None else since, until)
        await self.prepare(time_range, options)
        return time_range

    async def prepare(self, time_range: TimeRange, options: SendOptions) -> None:
        """Learn the service's clock if the range is so old that `askable` needs it."""
        if time_range.since < self._oldest() + _CERTAIN:
            await self.learn_clock(options)

    async def learn_clock(self, options: SendOptions) -> None:
        """Learn the service's clock from a minimal query, if it is not known yet."""
        # Only once: if the response has no `Date`, the next one will not have it either.
        if self._pipeline.server_clock.now() is None and not self._probed:
            await self.fetch(call_query.probe(), options)
            self._probed = True

    def now(self) -> datetime:
        """Return the service's time in whole seconds, UTC; this machine's if it is not known."""
        now = self._pipeline.server_clock.now() or datetime.now(UTC)
        return now.replace(microsecond=0)

    def askable(self, time_range: TimeRange) -> TimeRange:
        """Return the part of a range that is recent enough to be requested in the next minute.

        A range cut here is not cut again within another minute.
        """
        limit = self._oldest() + _MARGIN
        return (
            time_range
            if time_range.since >= limit
            else TimeRange(limit + _MARGIN, time_range.until)
        )

    def _oldest(self) -> datetime:
        # By the account's calendar, whose month differs from UTC's for some hours.
        return oldest(self.now().astimezone(self.time_zone)).astimezone(UTC)
