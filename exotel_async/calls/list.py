"""Call records: a list of calls that is read page by page, and can be resumed elsewhere.

A time range is split into windows that Exotel accepts. Its end is fixed once, so that calls made
during reading do not shift the pages still to come.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import aclosing
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import define, evolve

from exotel_async.calls.list_cursor import CursorReader
from exotel_async.calls.list_parallel import CLOSED, ParallelReader
from exotel_async.calls.list_resume import Position, read_token, write_token
from exotel_async.errors import ConfigurationError, InvalidRequest
from exotel_async.models import Call, CallPage
from exotel_async.steps import Steps
from exotel_async.wire.time_range import TimeRange, check_range, oldest, whole_second
from exotel_async.wire.validation import whole, whole_number

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.calls.list_pages import PageFetcher
    from exotel_async.config import SendOptions
    from exotel_async.wire.call_query import CallQuery

logger: Final = logging.getLogger("exotel_async")

MAX_CONCURRENT: Final = 16
"""Slices read in parallel at most: more exceed the budget at any round-trip time."""


@define
class _Reading:
    """The progress of one reader.

    Attributes:
        position: where it is in the list.
        left: how many calls it may still yield; None: no limit.
        any_yielded: whether it has yielded any.
        closed: whether its read-ahead was closed, so that it cannot continue.
    """

    position: Position
    left: int | None
    any_yielded: bool = False
    closed: bool = False


class CallRecords:
    """A list of calls: `exotel.calls.list(...)`. Nothing is sent until it is read.

    ``async for call in records`` reads it to its end, `pages` does so page by page, and ``await
    records`` reads only the first page. Each of them starts from the beginning; the first one fixes
    the end of the range. To stop, leave the loop. If a step of an iterator fails or is cancelled,
    the next step tries again. A list with `concurrency` reads ahead; use ``async with
    contextlib.aclosing(records)`` to make sure that this has stopped when the block is left.
    """

    def __init__(
        self,
        source: PageFetcher,
        query: CallQuery,
        account_sid: str,
        options: SendOptions,
        *,
        since: datetime | None,
        until: datetime | None,
        limit: int | None = None,
        resume: str | None = None,
        concurrency: int = 1,
    ) -> None:
        now = datetime.now(query.time_zone)
        # With a token they are ignored, and may have become too old since it was written.
        self._since, self._until = (
            check_range(since, until, now=now)
            if resume is None
            else (whole_second("since", since), whole_second("until", until))
        )
        self._limit = whole("limit", limit, 1)
        self._concurrency = whole_number("concurrency", concurrency, 1, MAX_CONCURRENT)
        self._digest = query.digest(account_sid)
        self._resumed: tuple[TimeRange, Position] | None = None
        self._until_now = False
        if resume is not None:
            time_range, position, self._until_now = read_token(
                resume, self._digest, newest_first=query.newest_first
            )
            ahead = time_range.from_here(position.second, newest_first=query.newest_first)
            if ahead.until < oldest(now):
                raise InvalidRequest(
                    "resume", "...", "the part it has not read is older than 6 months"
                )
            self._resumed = time_range, position
        if limit is not None and not query.statuses:
            # The first page repeats the calls already yielded of the token's second.
            known = 0 if self._resumed is None else len(self._resumed[1].sids)
            query = evolve(query, page_size=min(limit + known, query.page_size))
        self._source = source
        self._query = query
        self._options = options
        self._time_range: TimeRange | None = None
        self._position: Position | None = None
        self._parallel: set[ParallelReader] = set()

    def __aiter__(self) -> AsyncIterator[Call]:
        begin = cache(self._begin)
        return Steps(lambda: self._calls(begin()))

    def __await__(self) -> Generator[Any, None, CallPage]:
        return self._first_page().__await__()

    def pages(self) -> AsyncGenerator[CallPage, None]:
        """Read the list page by page. A page's `total` is that of its window of at most 30 days.

        Raises:
            ExotelError: a page could not be read; `resume_token` says where to continue.
        """
        begin = cache(self._begin)
        return Steps(lambda: self._pages(self._concurrency, begin()))

    @property
    def resume_token(self) -> str | None:
        """A token to continue after the last call that was yielded, for `calls.list(resume=...)`.

        A short opaque string that another process may use, too, with the same account, filters and
        order. It contains the time range, so it never yields calls that are newer than this list:
        use `calls.changes` for those. None before anything was read.
        """
        if self._time_range is None or self._position is None:
            return None
        return write_token(
            self._digest, self._time_range, self._position, until_now=self._until_now
        )

    async def aclose(self) -> None:
        """Stop all reading ahead. Reading on after this raises a ConfigurationError."""
        for parallel in list(self._parallel):
            await parallel.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _calls(self, reading: _Reading) -> AsyncGenerator[Call, None]:
        async with aclosing(self._limited(self._concurrency, reading)) as pages:
            async for page in pages:
                for call in page.calls:
                    reading.position.advance(call)
                    yield call

    async def _first_page(self) -> CallPage:
        # Without concurrency: pages read ahead would be thrown away.
        async with aclosing(self._pages(1, self._begin())) as pages:
            async for page in pages:
                return page
        return CallPage(calls=(), total=0)

    async def _pages(self, concurrency: int, reading: _Reading) -> AsyncGenerator[CallPage, None]:
        async with aclosing(self._limited(concurrency, reading)) as pages:
            async for page in pages:
                for call in page.calls:
                    reading.position.advance(call)
                yield page

    def _begin(self) -> _Reading:
        """Start a reader at a position of its own; `resume_token` is that of the last to start."""
        if self._resumed is None:
            position = Position(self._query.newest_first)
        else:
            position = evolve(self._resumed[1], sids=set(self._resumed[1].sids))
        self._position = position
        return _Reading(position, self._limit)

    async def _limited(self, concurrency: int, reading: _Reading) -> AsyncGenerator[CallPage, None]:
        if reading.left is not None:
            concurrency = min(concurrency, math.ceil(reading.left / self._query.page_size))
        async with aclosing(self._read(concurrency, reading)) as pages:
            async for found in pages:
                page = self._query.filtered(found)
                if not page.calls:
                    continue
                reading.any_yielded = True
                if reading.left is None:
                    yield page
                    continue
                yield evolve(page, calls=page.calls[: reading.left])
                reading.left -= len(page.calls)
                if reading.left <= 0:
                    return
        # With a limit the end is not recorded: a program that reads a limited number at a time may
        # resume once more, and find none.
        reading.position.ended = reading.left is None
        if self._resumed is not None and self._until_now and not reading.any_yielded:
            logger.warning(
                "There was nothing left to read for calls.list(resume=...), whose range ends at "
                "%s: calls.changes yields what is new since a time",
                self._resumed[0].until,
            )

    async def _read(self, concurrency: int, reading: _Reading) -> AsyncGenerator[CallPage, None]:
        if reading.closed:
            raise ConfigurationError(CLOSED)
        newest_first = self._query.newest_first
        time_range = await self._fixed()
        here = reading.position
        known: Iterable[str] = here.sids.copy()
        ranges = time_range.from_here(here.second, newest_first=newest_first).windows(
            newest_first=newest_first
        )
        reader_of = partial(CursorReader, self._source, self._options, self._query)
        if concurrency == 1:
            for window in ranges:
                reader = reader_of(window, known)
                while (page := await reader.next_page()) is not None:
                    yield page
                known = ()
            return
        parallel = ParallelReader(
            reader_of,
            ranges,
            known,
            width=concurrency,
            page_size=self._query.page_size,
            newest_first=newest_first,
        )
        self._parallel.add(parallel)
        try:
            async with aclosing(parallel.pages()) as pages:
                async for page in pages:
                    yield page
        finally:
            self._parallel.discard(parallel)
            reading.closed = parallel.closed

    async def _fixed(self) -> TimeRange:
        """Return the whole time range, which the first reader fixes for all."""
        if self._time_range is None:
            if self._resumed is None:
                time_range = await self._source.fix(self._since, self._until, self._options)
                self._until_now = self._until is None or time_range.until < self._until
            else:
                time_range = self._resumed[0]
                await self._source.prepare(time_range, self._options)
            # Another reader may have been the first.
            self._time_range = self._time_range or time_range
        return self._time_range
