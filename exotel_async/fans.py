"""Call records read side by side and given out in order.

One chain of cursors asks for a page only when it has the one before: at long round trips that
cannot use up the budget. So the range is cut into slices, as many at a time as are wanted, each of
a few pages and read whole.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import Final

from attrs import define, field

from exotel_async.chains import Chain
from exotel_async.crew import Crew
from exotel_async.models import CallPage
from exotel_async.spans import Span

LONGEST_SLICE: Final = 8
"""Pages of a slice, at most: what waits for its turn must fit into memory."""
_USUAL_SLICE: Final = 6  # pages: calls are not spread evenly, and a slice too long is cut again
_AHEAD: Final = 2  # slices begun for each that is read, so that a short one is not waited for


@define(eq=False)
class _Slice:
    """A part of the range: its pages come into the line in order."""

    span: Span
    known: frozenset[str] = frozenset()
    begun: bool = False
    ended: bool = False
    pages: deque[CallPage] = field(factory=deque)
    error: Exception | None = None


class Fan:
    """Reads slices side by side."""

    def __init__(
        self,
        make_chain: Callable[[Span, Iterable[str]], Chain],
        spans: Iterable[Span],
        known: Iterable[str],
        *,
        width: int,
        page_size: int,
        newest_first: bool,
    ) -> None:
        """Describe it; nothing is asked for.

        Args:
            make_chain: makes the reader of one slice.
            spans: the range in windows, in order.
            known: SIDs on its first second that were given out already.
            width: slices read at a time.
            page_size: calls on a page.
            newest_first: the order.
        """
        self._make_chain = make_chain
        self._line = [_Slice(span) for span in spans]
        if self._line:
            self._line[0].known = frozenset(known)
        self._width = width
        self._page_size = page_size
        self._newest_first = newest_first
        self._crew = Crew()
        self._changed = asyncio.Condition()

    async def pages(self) -> AsyncGenerator[CallPage, None]:
        """Give out the pages in order.

        Raises:
            ExotelError: a page could not be had, and all before it were given out.
        """
        self._crew.start(self._work, self._width)
        try:
            while self._line:
                head = self._line[0]
                async with self._changed:
                    await self._changed.wait_for(partial(self._has_news, head))
                while head.pages:
                    yield head.pages.popleft()
                if head.error is not None:
                    raise head.error
                if head.ended and self._line:
                    async with self._changed:
                        self._line.pop(0)
                        self._changed.notify_all()
        finally:
            await self._crew.aclose()

    async def aclose(self) -> None:
        """End all reading; what was read is given out no more."""
        self._line.clear()
        await self._crew.aclose()
        async with self._changed:
            self._changed.notify_all()

    def _has_news(self, head: _Slice) -> bool:
        return bool(head.pages) or head.ended or not self._line

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
        for waiting in self._line[: self._width * _AHEAD]:
            if waiting.error is not None:
                return None
            if not waiting.begun:
                return waiting
        return None

    def _is_done(self) -> bool:
        # A slice that is being read may be cut into more.
        return all(part.ended for part in self._line)

    async def _read(self, part: _Slice) -> None:
        chain = self._make_chain(part.span, part.known)
        first = True
        while (page := await chain.next_page()) is not None:
            async with self._changed:
                part.pages.append(page)
                if first and self._cut(part, chain):
                    return
                self._changed.notify_all()
            first = False

    def _cut(self, part: _Slice, chain: Chain) -> bool:
        """Leave all but the first page of a slice that is too long to others."""
        total = chain.total or 0
        if total <= LONGEST_SLICE * self._page_size:
            return False
        rest, known = chain.rest()
        number = math.ceil((total - self._page_size) / (_USUAL_SLICE * self._page_size))
        parts = rest.parts(number, newest_first=self._newest_first)
        if len(parts) == 1:  # all in one second
            return False
        here = self._line.index(part) + 1
        self._line[here:here] = [_Slice(span) for span in parts]
        self._line[here].known = known
        return True
