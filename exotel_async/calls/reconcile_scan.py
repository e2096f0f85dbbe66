"""Reading time ranges of the call records, once for all searches whose ranges are close together.

After an outage, there may be hundreds of dials whose calls are searched for.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from datetime import datetime, timedelta
from typing import Final

from attrs import define, frozen

from exotel_async.calls.list_cursor import CursorReader
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ConfigurationError, ExotelError
from exotel_async.models import Call
from exotel_async.wire import call_query
from exotel_async.wire.time_range import TimeRange, check_range

_NEAR: Final = timedelta(seconds=60)
"""The greatest distance between time ranges that are read as one."""

logger: Final = logging.getLogger("exotel_async")


@frozen
class DialWindow:
    """When the call of a dial was created, if there is one, by Exotel's clock."""

    ranges: tuple[TimeRange, ...]
    certain_at: datetime
    """From when on the call must be among the records."""
    is_exact: bool
    """Whether Exotel's clock was known."""

    def may_contain(self, call: Call) -> bool:
        """Return whether a call was created then, or may have been."""
        return any(_was_created_in(call, time_range) for time_range in self.ranges)

    def __or__(self, other: DialWindow) -> DialWindow:
        # Either of the two may be right.
        ranges: list[TimeRange] = []
        for time_range in sorted(
            self.ranges + other.ranges, key=lambda time_range: time_range.since
        ):
            if ranges and time_range.since <= ranges[-1].until:
                ranges[-1] = TimeRange(ranges[-1].since, max(ranges[-1].until, time_range.until))
            else:
                ranges.append(time_range)
        certain_at = max(self.certain_at, other.certain_at)
        return DialWindow(tuple(ranges), certain_at, is_exact=self.is_exact and other.is_exact)

    def cover(self, other: DialWindow, off: timedelta) -> bool:
        """Return whether these ranges, extended by `off` at both ends, contain all of another's."""
        return all(
            any(
                mine.since - off <= time_range.since and time_range.until <= mine.until + off
                for mine in self.ranges
            )
            for time_range in other.ranges
        )


@define(eq=False)
class _Look:
    """One look at a time range: `note` is called with its calls, and `ended` is its result."""

    time_range: TimeRange
    note: Callable[[Call], object]
    ended: asyncio.Future[bool]


class RecordScanner:
    """Reads call records for all searches of one priority."""

    def __init__(self, pages: PageFetcher, priority: Priority) -> None:
        self._pages = pages
        self._options = SendOptions(priority=priority)
        self._query = call_query.build_query(time_zone=pages.time_zone, newest_first=False)
        self._waiting: list[_Look] = []
        self._looks: set[_Look] = set()
        self._reading: asyncio.Task[None] | None = None

    @contextmanager
    def look(
        self, time_range: TimeRange, note: Callable[[Call], object]
    ) -> Iterator[asyncio.Future[bool]]:
        """Call `note` with each call that was created in a range.

        The future's result is whether all calls came that the service counts; its exception is an
        `ExotelError` if they could not be read. Leaving the block ends the look.
        """
        loop = asyncio.get_running_loop()
        look = _Look(time_range, note, loop.create_future())
        self._looks.add(look)
        self._waiting.append(look)
        if self._reading is None:
            self._reading = loop.create_task(self._read_on(), context=Context())
        try:
            yield look.ended
        finally:
            if not look.ended.cancel() and not look.ended.cancelled():
                look.ended.exception()  # retrieve it, or asyncio logs it
            self._looks.discard(look)
            if not self._looks and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    async def _read_on(self) -> None:
        """Read for all waiting looks, then for those that have come meanwhile."""
        taken: list[_Look] = []
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                for near in _together(taken):
                    await self._read(near)
        finally:
            if self._reading is asyncio.current_task():
                # The reading has ended, or all tasks were cancelled.
                self._reading = None
                taken, self._waiting = taken + self._waiting, []
            for look in taken:
                _end(look, ConfigurationError("the reading of call records was cancelled"))

    async def _read(self, near: Sequence[_Look]) -> None:
        """Read all records for looks that are close together.

        No filter by number is used: how the service compares numbers with it is not known.
        """
        looks = [look for look in near if not look.ended.done()]
        if not looks:
            return
        first, last = (
            min(one.time_range.since for one in looks),
            max(one.time_range.until for one in looks),
        )
        failure: ExotelError | None = None
        are_all = True
        try:
            check_range(first, last, now=self._pages.now().astimezone(self._pages.time_zone))
            time_range = await self._pages.fix(first, last, self._options)
            for window in time_range.windows(newest_first=False):
                reader = CursorReader(
                    self._pages, self._options, self._query, window, asks_again=False
                )
                while (page := await reader.next_page()) is not None:
                    for call, look in itertools.product(page.calls, looks):
                        if _was_created_in(call, look.time_range):
                            look.note(call)
                are_all = are_all and not reader.is_short
        except ExotelError as error:
            failure = error
        except Exception as error:
            logger.exception("Looking for calls has failed")
            failure = ExotelError(f"looking for calls has failed: {type(error).__name__}")
        for look in looks:
            _end(look, failure or are_all)


def _was_created_in(call: Call, time_range: TimeRange) -> bool:
    """Return whether a call was created in a range, or may have been."""
    created = call.created_at
    return (
        created is None or created.tzinfo is None or time_range.since <= created <= time_range.until
    )


def _together(looks: Sequence[_Look]) -> Iterator[Sequence[_Look]]:
    """Group looks whose time ranges are read as one."""
    near: list[_Look] = []
    for look in sorted(looks, key=lambda one: one.time_range.since):
        if near and look.time_range.since > max(one.time_range.until for one in near) + _NEAR:
            yield near
            near = []
        near.append(look)
    yield near


def _end(look: _Look, how: bool | ExotelError) -> None:
    if look.ended.done():
        return
    if isinstance(how, ExotelError):
        # A copy for each look: raising an error adds a traceback to it.
        look.ended.set_exception(copy.copy(how))
    else:
        look.ended.set_result(how)
