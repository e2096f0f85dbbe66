"""Finding out what became of a dial whose answer was lost."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from typing import Final

from attrs import define, frozen

from exotel_async import queries
from exotel_async.bulk import Bulk, Wanted
from exotel_async.config import SendOptions
from exotel_async.errors import CallOutcomeUnknown, NotFound
from exotel_async.known import KnownCalls
from exotel_async.models import Call, Direction
from exotel_async.pages import Pages
from exotel_async.phone import same_number
from exotel_async.pipeline import Pipeline
from exotel_async.records import CallRecords, listing
from exotel_async.spans import Span

FIRST_LOOK: Final = 30.0
"""Seconds between the first look and the second."""

_GROWTH: Final = 1.5
_LONGEST: Final = 20  # times the first interval
_LONGEST_CALL: Final = timedelta(hours=4)
"""Exotel's own limit, where the dial has set none."""
_SHOWN_AFTER: Final = timedelta(minutes=15)
"""From a call's end until it is certain to be among the records."""
# Clocks are compared by whole seconds, and a request that was given up may still arrive.
_BEFORE: Final = timedelta(seconds=5)
_AFTER: Final = timedelta(seconds=90)
_REMEMBERED: Final = 1_000


@frozen
class CallFound:
    """The dial did happen.

    Attributes:
        call: the call it made.
    """

    call: Call


@frozen
class CallNotFound:
    """No call of that dial was found.

    Attributes:
        certain: whether that means there is none. A call is among the records only when it is over:
            before `certain_at` it may still go on.
        certain_at: from when on it would be certain; aware, UTC, by Exotel's clock.
    """

    certain: bool
    certain_at: datetime


@frozen
class CallAmbiguous:
    """Several calls may be the one.

    Attributes:
        candidates: the calls, oldest first.
    """

    candidates: tuple[Call, ...]


Reconciliation = CallFound | CallNotFound | CallAmbiguous


@define(eq=False)
class _Open:
    """A dial whose outcome is being looked for."""

    error: CallOutcomeUnknown
    settled: asyncio.Future[Call]


class Reconciler:
    """Looks for the calls of dials whose outcome is not known."""

    def __init__(
        self, pipeline: Pipeline, pages: Pages, bulk: Bulk, known: KnownCalls, account_sid: str
    ) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._bulk = bulk
        self._known = known
        self._account_sid = account_sid
        self._open: list[_Open] = []
        self._heard: dict[str, Call] = {}

    async def reconcile(
        self,
        error: CallOutcomeUnknown,
        options: SendOptions,
        *,
        timeout: float | None,
        interval: float,
    ) -> Reconciliation:
        """Look until the call is found, or it is certain that there is none, or time is up.

        Raises:
            ExotelError: the call records could not be read.
        """
        if error.sid is not None:
            return CallFound(await self._answered(error, error.sid, options))
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        watched = _Open(error, loop.create_future())
        heard = self._heard.get(error.custom_field or "")
        if heard is not None and self._is_told(heard, error):
            return CallFound(heard)
        self._open.append(watched)
        try:
            await self._pages.learn_clock(options)
            clock = self._pipeline.server_clock
            first, last = clock.shift(error.sent_at), clock.shift(error.lost_at)
            span = Span((first - _BEFORE).replace(microsecond=0), last + _AFTER)
            limit = error.time_limit or _LONGEST_CALL
            certain_at = last + limit + _SHOWN_AFTER
            longest = interval * _LONGEST
            while True:
                certain = self._pages.now() >= certain_at
                found = await self._look(error, span, options)
                if len(found) == 1:
                    return CallFound(found[0])
                if found:
                    return CallAmbiguous(tuple(found))
                left = (certain_at - self._pages.now()).total_seconds()
                wait = min(interval, max(left, 0.0) + 1, deadline - loop.time())
                if certain or wait <= 0:
                    return CallNotFound(certain, certain_at)
                with self._pipeline.parking:
                    await asyncio.wait([watched.settled], timeout=wait)
                if watched.settled.done():
                    return CallFound(watched.settled.result())
                interval = min(longest, interval * _GROWTH)
        finally:
            self._open.remove(watched)

    def settle(self, call: Call) -> None:
        """Take a call from a status callback: it may be one that is looked for, or will be."""
        if call.custom_field is None or self._known.was_dialled(call.sid):
            return
        if len(self._heard) >= _REMEMBERED:
            del self._heard[next(iter(self._heard))]
        self._heard[call.custom_field] = call
        for watched in self._open:
            if self._is_told(call, watched.error) and not watched.settled.done():
                watched.settled.set_result(call)

    def _is_told(self, call: Call, error: CallOutcomeUnknown) -> bool:
        """Whether a callback with the same custom field tells of the dial."""
        return (
            call.custom_field == error.custom_field
            and not self._known.was_dialled(call.sid)
            # A custom field need not be one call's own, and a callback need not show numbers.
            and (call.from_ is None or _same(error.from_, call.from_))
            and (call.to is None or error.to is None or _same(error.to, call.to))
        )

    async def _answered(self, error: CallOutcomeUnknown, sid: str, options: SendOptions) -> Call:
        """Read the call whose SID was in a damaged answer: it was made."""
        try:
            return await self._bulk.single(sid, Wanted(), options)
        except NotFound:
            return Call(sid=sid, from_=error.from_, to=error.to, custom_field=error.custom_field)

    async def _look(
        self, error: CallOutcomeUnknown, span: Span, options: SendOptions
    ) -> list[Call]:
        """Find the calls that may be the one among the records of those minutes.

        All of them are read: how the service compares a number with a filter is not known, and a
        call that is overlooked here is dialled twice.
        """
        fixed = await self._pages.fix(span.since, span.until, options)
        if fixed.is_empty:
            return []
        query = queries.call_query(time_zone=self._pages.time_zone, newest_first=False)
        records = CallRecords(
            self._pages,
            listing(
                query,
                self._account_sid,
                since=fixed.since,
                until=fixed.until,
                limit=None,
                resume=None,
                windows=1,
            ),
            options,
        )
        found = [call async for call in records if self._may_be(call, error)]
        marked = [
            call
            for call in found
            if error.custom_field is not None and call.custom_field == error.custom_field
        ]
        return marked or found

    def _may_be(self, call: Call, error: CallOutcomeUnknown) -> bool:
        return (
            not self._known.was_dialled(call.sid)
            and call.direction in {Direction.OUTBOUND_API, None}
            and _same(error.from_, call.from_)
            and (error.to is None or _same(error.to, call.to))
            and (call.exophone is None or _same(error.caller_id, call.exophone))
            # Most records do not show it.
            and call.custom_field in {error.custom_field, None}
        )


def _same(given: str, shown: str | None) -> bool:
    if "*" not in given:
        return same_number(given, shown)
    # The error was pickled, and what is left of its numbers are the last digits.
    return shown is not None and given.rpartition("*")[2] == shown[-len(given.rpartition("*")[2]) :]
