"""Asking for pages of call records, and for the range of time they may be asked for."""

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
"""How far back a range goes whose beginning was not said."""

_TRIES: Final = 3
"""Times a page is asked for that comes, but cannot be read."""
# A clock is not a day off without anybody noticing: what is further from a limit keeps to it.
_CERTAIN: Final = timedelta(days=1)
# The oldest second that may be asked for moves on while a request waits for the budget.
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
        """Ask for a page, and again where what came could not be read.

        Raises:
            ExotelError: there is none.
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
        """Fix a range of time: an end in the service's future would be refused.

        Where nothing is known of the service's clock, the smallest of queries shows it.
        """
        if until is None or until > self.now() - _CERTAIN:
            await self.learn_clock(options)
            past = self.now() - SECOND
            until = past if until is None else min(until, past)
        time_range = TimeRange(until - USUAL + SECOND if since is None else since, until)
        await self.prepare(time_range, options)
        return time_range

    async def prepare(self, time_range: TimeRange, options: SendOptions) -> None:
        """Make sure that `askable` can be relied on."""
        if time_range.since < self._oldest() + _CERTAIN:
            await self.learn_clock(options)

    async def learn_clock(self, options: SendOptions) -> None:
        """Make sure that something is known of the service's clock."""
        # Once: an answer without a `Date` is not going to have one the next time.
        if self._pipeline.server_clock.now() is None and not self._probed:
            await self.fetch(call_query.probe(), options)
            self._probed = True

    def now(self) -> datetime:
        """Return the second the service's clock has reached, UTC; by ours if it is not known."""
        now = self._pipeline.server_clock.now() or datetime.now(UTC)
        return now.replace(microsecond=0)

    def askable(self, time_range: TimeRange) -> TimeRange:
        """Return what of a range is not too old to be asked for in the next minute.

        What has been cut once stays as it is for another minute.
        """
        limit = self._oldest() + _MARGIN
        return (
            time_range
            if time_range.since >= limit
            else TimeRange(limit + _MARGIN, time_range.until)
        )

    def _oldest(self) -> datetime:
        # By the account's calendar, which is in another month for some hours.
        return oldest(self.now().astimezone(self.time_zone)).astimezone(UTC)
