"""Call records read side by side and given out in order.

One cursor reader asks for a page only when it has the one before: at long round trips that
cannot use up the budget. So the range is cut into slices, as many at a time as are wanted, each of
a few pages and read whole.
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
"""Pages of a slice, at most: what waits for its turn must fit into memory."""
AHEAD: Final = 2
"""Slices waiting or being read, for each that is read at a time: a short one is not waited for."""

_USUAL_SLICE: Final = 7  # pages: calls are not spread evenly, and a slice too long is cut again
# Parts of a slice. One without calls costs a request all the same: nights and holidays are to be
# met before they are cut up.
_MOST_PARTS: Final = 4


@define(eq=False)
class _Slice:
    """A part of the range: its pages come into the line in order."""

    time_range: TimeRange
    known: frozenset[str] = frozenset()
    begun: bool = False
    ended: bool = False
    pages: deque[CallPage] = field(factory=deque)
    error: Exception | None = None


class ParallelReader:
    """Reads slices side by side.

    For `width` slices that are read at a time, the pages of `AHEAD` times as many may be in memory.
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
        """Describe it; nothing is asked for. `known` are SIDs as for a CursorReader."""
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
        """Give out the pages in order.

        Raises:
            ExotelError: a page could not be had, and all before it were given out.
            ConfigurationError: it was closed meanwhile.
        """
        self._workers.start(self._work, self._width)
        try:
            while (page := await self._next_page()) is not None:
                yield page
        finally:
            await self._workers.aclose()

    async def aclose(self) -> None:
        """End all reading; what was read is given out no more."""
        self.closed = True
        await self._workers.aclose()
        async with self._changed:
            self._changed.notify_all()

    async def _next_page(self) -> CallPage | None:
        async with self._changed:
            while self._line:
                if self.closed:
                    # Not the end of the list: a reader must not take it for that.
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
            except Exception as error:  # noqa: BLE001 - it is handed to the consumer, in its turn
                found.error = error
            async with self._changed:
                found.ended = True
                self._changed.notify_all()

    def _next(self) -> _Slice | None:
        """Find the slice to be read next, if there is one and room for it."""
        found, room = None, self._room
        for part in self._line:
            if part.error is not None and found is None:
                return None
            if part.begun:
                room -= len(part.pages) if part.ended else LONGEST_SLICE
            elif found is None:
                found = part
        # The first of the line always fits in: what was before it has left as much.
        return found if room >= LONGEST_SLICE else None

    def _is_done(self) -> bool:
        # A slice that is being read may be cut into more.
        return all(part.ended for part in self._line)

    async def _read(self, part: _Slice) -> None:
        reader = self._reader_of(part.time_range, part.known)
        first = True
        while not reader.ended:
            async with self._changed:
                # It may have more pages than was to be thought: they wait for its turn.
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
        """Leave all but the first page of a slice that is too long to others."""
        total = reader.total or 0
        if total <= LONGEST_SLICE * self._page_size:
            return False
        rest, known = reader.rest()
        number = math.ceil((total - self._page_size) / (_USUAL_SLICE * self._page_size))
        parts = rest.parts(min(number, _MOST_PARTS), newest_first=self._newest_first)
        if len(parts) == 1:  # all in one second
            return False
        here = self._line.index(part) + 1
        self._line[here:here] = [_Slice(time_range) for time_range in parts]
        self._line[here].known = known
        return True
