"""One stretch of call records, read page by page along the service's cursors."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from attrs import evolve

from exotel_async.errors import DecodeError
from exotel_async.models import CallPage
from exotel_async.places import Place
from exotel_async.queries import CallQuery
from exotel_async.request import Request
from exotel_async.spans import Span

Fetch = Callable[[Request], Awaitable[CallPage]]
"""Asks for one page."""

_REMEMBERED: Final = 2  # pages
_PATIENCE: Final = 100  # pages in a row with nothing new on them


class Chain:
    """The calls of a span, each once.

    Calls that become listed while it is read may move others onto the next page: what the last two
    pages had is dropped. A cursor that comes back would lead round in circles: from there the rest
    of the span is asked for by date.
    """

    def __init__(
        self, fetch: Fetch, query: CallQuery, span: Span, known: Iterable[str] = ()
    ) -> None:
        """Describe it; nothing is asked for.

        Args:
            fetch: asks for a page.
            query: which calls.
            span: of which time, a month at most.
            known: SIDs on its first second that were given out already.
        """
        self._fetch = fetch
        self._query = query
        self._span = span
        self._cursor: str | None = None
        self._used: set[int] = set()  # hashes of cursors: a chain may have thousands
        self._recent: deque[set[str]] = deque(maxlen=_REMEMBERED)
        self._place = Place(query.newest_first, sids=set(known))
        self._fresh_since_anchor = False
        self._idle = 0
        self._ended = span.is_empty
        self.total: int | None = None
        """Calls in the span, as the first page has told."""

    async def next_page(self) -> CallPage | None:
        """Return the next page that has something new on it; None at the end.

        Raises:
            ExotelError: a page could not be had. The next call asks for it again.
        """
        while not self._ended:
            request = self._query.request(self._span, after=self._cursor)
            page = await self._fetch(request)
            if self.total is None:
                self.total = page.total or 0
            fresh = self._sift(page)
            self._follow(page.after)
            if fresh.calls:
                return fresh
        return None

    def rest(self) -> tuple[Span, frozenset[str]]:
        """Return the span from the place reached, and what of its first second is known."""
        span = self._span.from_here(self._place.second, newest_first=self._query.newest_first)
        return span, frozenset(self._place.sids)

    def _sift(self, page: CallPage) -> CallPage:
        known = self._place.sids.union(*self._recent)
        fresh = {call.sid: call for call in page.calls if call.sid not in known}
        self._recent.append({call.sid for call in page.calls})
        for call in fresh.values():
            self._place.passed(call)
        self._idle = 0 if fresh else self._idle + 1
        self._fresh_since_anchor = self._fresh_since_anchor or bool(fresh)
        return evolve(page, calls=tuple(fresh.values()))

    def _follow(self, cursor: str | None) -> None:
        if self._idle > _PATIENCE:
            raise DecodeError(
                f"{_PATIENCE} pages of call records in a row brought no new call",
                status=200,
                content_type=None,
                excerpt="",
            )
        if cursor is None:
            self._ended = True
        elif hash(cursor) in self._used:
            self._anchor()
        else:
            self._used.add(hash(cursor))
            self._cursor = cursor

    def _anchor(self) -> None:
        """Go on by date. If that has brought nothing new the last time, this is the end."""
        self._ended = not self._fresh_since_anchor
        self._fresh_since_anchor = False
        self._span, _ = self.rest()
        self._cursor = None
        self._used.clear()
