"""Reading slices of call records in parallel, and yielding them in order.

A cursor reader requests a page only when it has the previous one, which cannot use up the budget at
long round trips. So the range is cut into slices of a few pages each, and several slices are read
at a time.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final

from attrs import define, field

from exotel_async.calls.list_cursor import CursorReader
from exotel_async.calls.streams import Workers
from exotel_async.errors import ConfigurationError
from exotel_async.models import CallPage
from exotel_async.wire.time_range import TimeRange

CLOSED: Final = "this list of calls was closed while it was read"
LONGEST_SLICE: Final = 8
"""Pages of a slice, at most: those that wait for their turn must fit into memory."""
AHEAD: Final = 2
"""Slices in memory for each one read at a time: after a short slice, a worker reads the next."""

_USUAL_SLICE: Final = 7  # pages: calls are not spread evenly, and a slice too long is cut again
# Parts that a slice is cut into at most. An empty part costs a request, too: this keeps nights and
# holidays from being cut into many.
_MAX_PARTS: Final = 4


@define(eq=False)
class _Slice:
    """A part of the range, with the pages that were read of it."""

    time_range: TimeRange
    known: frozenset[str] = frozenset()
    begun: bool = False
    ended: bool = False
    pages: deque[CallPage] = field(factory=deque)
    error: Exception | None = None


class ParallelReader:
    """Reads slices in parallel.

    With `width` slices read at a time, the pages of `AHEAD` times as many may be in memory.
    """

    def __init__(
        self,
        reader_of: Callable[[TimeRange, Iterable[str]], CursorReader],
        ranges: Iterable[TimeRange],
        known: Iterable[str],
        *,
        width: int,
        page_size: int,
        newest_first: bool,
    ) -> None:
        """Prepare to read; nothing is sent. `known` are SIDs as for a CursorReader."""
        self._reader_of = reader_of
        self._line = [_Slice(time_range) for time_range in ranges]
        if self._line:
            self._line[0].known = frozenset(known)
        self._width = width
        self._page_size = page_size
        self._newest_first = newest_first
        self._room = width * AHEAD * LONGEST_SLICE  # pages
        self.closed: bool = False
        self._workers = Workers()
        self._changed = asyncio.Condition()

    async def pages(self) -> AsyncGenerator[CallPage, None]:
        """Yield the pages in order.

        Raises:
            ExotelError: a page could not be read; all before it were yielded.
            ConfigurationError: the reader was closed meanwhile.
        """
        self._workers.start(self._work, self._width)
        try:
            while (page := await self._next_page()) is not None:
                yield page
        finally:
            await self._workers.aclose()

    async def aclose(self) -> None:
        """Stop all reading; pages in memory are not yielded any more."""
        self.closed = True
        await self._workers.aclose()
        async with self._changed:
            self._changed.notify_all()

    async def _next_page(self) -> CallPage | None:
        async with self._changed:
            while self._line:
                if self.closed:
                    # Raise, or the consumer would take this for the end of the list.
                    raise ConfigurationError(CLOSED)
                head = self._line[0]
                if head.pages:
                    self._changed.notify_all()
                    return head.pages.popleft()
                if head.error is not None:
                    raise head.error
                if head.ended:
                    self._line.pop(0)
                    self._changed.notify_all()
                else:
                    await self._changed.wait()
        return None

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._next() or self._is_done())
                found = self._next()
                if found is None:
                    return
                found.begun = True
            try:
                await self._read(found)
            except Exception as error:  # noqa: BLE001 - raised to the consumer, after prior pages
                found.error = error
            async with self._changed:
                found.ended = True
                self._changed.notify_all()

    def _next(self) -> _Slice | None:
        """Return the next slice to read, if there is one and room for it."""
        found, room = None, self._room
        for part in self._line:
            if part.error is not None and found is None:
                return None
            if part.begun:
                room -= len(part.pages) if part.ended else LONGEST_SLICE
            elif found is None:
                found = part
        # The first slice in line always fits: the pages before it have been yielded.
        return found if room >= LONGEST_SLICE else None

    def _is_done(self) -> bool:
        # A slice that is being read may be cut into more.
        return all(part.ended for part in self._line)

    async def _read(self, part: _Slice) -> None:
        reader = self._reader_of(part.time_range, part.known)
        first = True
        while not reader.ended:
            async with self._changed:
                # A slice with more pages than expected waits until its first ones are yielded.
                await self._changed.wait_for(lambda: len(part.pages) < LONGEST_SLICE)
            page = await reader.next_page()
            if page is None:
                return
            async with self._changed:
                part.pages.append(page)
                if first and self._cut(part, reader):
                    return
                self._changed.notify_all()
            first = False

    def _cut(self, part: _Slice, reader: CursorReader) -> bool:
        """Cut a slice that is too long: all but its first page becomes new slices."""
        total = reader.total or 0
        if total <= LONGEST_SLICE * self._page_size:
            return False
        rest, known = reader.rest()
        number = math.ceil((total - self._page_size) / (_USUAL_SLICE * self._page_size))
        parts = rest.parts(min(number, _MAX_PARTS), newest_first=self._newest_first)
        if len(parts) == 1:  # all in one second
            return False
        here = self._line.index(part) + 1
        self._line[here:here] = [_Slice(time_range) for time_range in parts]
        self._line[here].known = known
        return True
