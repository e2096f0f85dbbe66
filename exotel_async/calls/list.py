"""Call records: a list of calls that is read page by page, and can be gone on with elsewhere.

A range of time is cut into windows that Exotel takes. Its end is fixed once, so that calls made
while it is read do not move what is still to come.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import evolve, frozen

from exotel_async.calls.list_cursor import CursorReader
from exotel_async.calls.list_parallel import ParallelReader
from exotel_async.calls.list_resume import Position, read_token, write_token
from exotel_async.errors import InvalidRequest
from exotel_async.models import Call, CallPage
from exotel_async.wire.time_range import TimeRange, check_range, oldest, whole_second

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.calls.list_pages import PageFetcher
    from exotel_async.config import SendOptions
    from exotel_async.wire.call_query import CallQuery
    from exotel_async.wire.request import Request

MOST_CONCURRENT: Final = 16
"""Slices read side by side at most: more do not fit into the budget at any round trip."""


@frozen(kw_only=True)
class Listing:
    """What is listed: a checked query, a range, and where in it to begin."""

    query: CallQuery
    digest: str
    since: datetime | None
    until: datetime | None
    begin: tuple[TimeRange, Position] | None
    limit: int | None
    concurrency: int


def listing(
    query: CallQuery,
    account_sid: str,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    resume: str | None,
    concurrency: int,
) -> Listing:
    """Check the arguments of a list that are not part of a query.

    Raises:
        InvalidRequest: an argument that makes no sense, or that Exotel would refuse.
    """
    now = datetime.now(query.time_zone)
    # With a token they do not count, and may have become too old since it was written.
    first, last = (
        check_range(since, until, now=now)
        if resume is None
        else (whole_second("since", since), whole_second("until", until))
    )
    for argument, value, most in (
        ("limit", limit, None),
        ("concurrency", concurrency, MOST_CONCURRENT),
    ):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1 or (most is not None and value > most)):
            rule = "must be a whole number, 1 or more" + (f", {most} at most" if most else "")
            raise InvalidRequest(argument, value, rule)
    digest = query.digest(account_sid)
    begin = None
    if resume is not None:
        begin = read_token(resume, digest, newest_first=query.newest_first)
        position = begin[1].second
        ahead = begin[0].from_here(position, newest_first=query.newest_first)
        if ahead.until < oldest(now):
            raise InvalidRequest("resume", "...", "what it has not read is older than 6 months")
    if limit is not None:
        # What is known of its second comes again, on the first page.
        known = 0 if begin is None else len(begin[1].sids)
        query = evolve(query, page_size=min(limit + known, query.page_size))
    return Listing(
        query=query,
        digest=digest,
        since=first,
        until=last,
        begin=begin,
        limit=limit,
        concurrency=concurrency,
    )


class CallRecords:
    """A list of calls: `exotel.calls.list(...)`. Nothing is asked for until it is read.

    ``async for call in records`` reads it to its end, `pages` does so page by page, and ``await
    records`` reads the first page alone. Each of them begins at the beginning; the end of the range
    is fixed by the first. To stop, leave the loop. A list with `concurrency` reads ahead; put it in
    ``async with contextlib.aclosing(records)`` where it must have stopped when the block is left.
    """

    def __init__(self, source: PageFetcher, listed: Listing, options: SendOptions) -> None:
        self._source = source
        self._options = options
        self._listed = listed
        self._time_range: TimeRange | None = None
        self._position: Position | None = None
        self._fans: set[ParallelReader] = set()

    def __aiter__(self) -> AsyncIterator[Call]:
        return self._calls()

    def __await__(self) -> Generator[Any, None, CallPage]:
        return self._first_page().__await__()

    def pages(self) -> AsyncGenerator[CallPage, None]:
        """Read the list page by page. A page's `total` is that of its window of 30 days at most.

        Raises:
            ExotelError: a page could not be had; `resume_token` tells where to go on.
        """
        return self._pages(self._listed.concurrency)

    @property
    def resume_token(self) -> str | None:
        """Where to go on behind what was given out last, for `calls.list(resume=...)`.

        A short opaque string that another process may use, too, with the same account, filters and
        order; the range is in it. None before anything was read.
        """
        if self._time_range is None or self._position is None:
            return None
        return write_token(self._listed.digest, self._time_range, self._position)

    async def aclose(self) -> None:
        """End all reading ahead. Whoever reads on nevertheless is told by a ConfigurationError."""
        for parallel in list(self._fans):
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

    async def _calls(self) -> AsyncGenerator[Call, None]:
        position = self._begin()
        async with aclosing(self._limited(self._listed.concurrency)) as pages:
            async for page in pages:
                for call in page.calls:
                    position.passed(call)
                    yield call

    async def _first_page(self) -> CallPage:
        # One after the other: what is read ahead would be thrown away.
        async with aclosing(self._pages(concurrency=1)) as pages:
            async for page in pages:
                return page
        return CallPage(calls=(), total=0)

    async def _pages(self, concurrency: int) -> AsyncGenerator[CallPage, None]:
        position = self._begin()
        async with aclosing(self._limited(concurrency)) as pages:
            async for page in pages:
                for call in page.calls:
                    position.passed(call)
                yield page

    def _begin(self) -> Position:
        """Start a place of its own for a reader; the last one to start is what is resumed."""
        begin = self._listed.begin
        if begin is None:
            self._position = Position(self._listed.query.newest_first)
        else:
            self._position = evolve(begin[1], sids=set(begin[1].sids))
        return self._position

    async def _limited(self, concurrency: int) -> AsyncGenerator[CallPage, None]:
        left = self._listed.limit
        if left is not None:
            concurrency = min(concurrency, math.ceil(left / self._listed.query.page_size))
        async with aclosing(self._read(concurrency)) as pages:
            async for page in pages:
                if left is None:
                    yield page
                    continue
                yield evolve(page, calls=page.calls[:left])
                left -= len(page.calls)
                if left <= 0:
                    return

    async def _read(self, concurrency: int) -> AsyncGenerator[CallPage, None]:
        listed = self._listed
        newest_first = listed.query.newest_first
        time_range = await self._fixed()
        second = None if listed.begin is None else listed.begin[1].second
        known = () if listed.begin is None else listed.begin[1].sids
        ranges = time_range.from_here(second, newest_first=newest_first).windows(
            newest_first=newest_first
        )
        if concurrency == 1:
            for window in ranges:
                reader = self._reader(window, known)
                while (page := await reader.next_page()) is not None:
                    yield page
                known = ()
            return
        parallel = ParallelReader(
            self._reader,
            ranges,
            known,
            width=concurrency,
            page_size=listed.query.page_size,
            newest_first=newest_first,
        )
        self._fans.add(parallel)
        try:
            async with aclosing(parallel.pages()) as pages:
                async for page in pages:
                    yield page
        finally:
            self._fans.discard(parallel)

    async def _fixed(self) -> TimeRange:
        """Return the whole range, the same for all readers."""
        if self._time_range is None:
            listed = self._listed
            if listed.begin is None:
                time_range = await self._source.fix(listed.since, listed.until, self._options)
            else:
                time_range = listed.begin[0]
                await self._source.prepare(time_range, self._options)
            # Another reader may have been the first.
            self._time_range = self._time_range or time_range
        return self._time_range

    def _reader(self, time_range: TimeRange, known: Iterable[str]) -> CursorReader:
        return CursorReader(
            self._fetch, self._listed.query, time_range, known, askable=self._source.askable
        )

    async def _fetch(self, request: Request) -> CallPage:
        return await self._source.fetch(request, self._options)
