"""Reading one time range of call records page by page, following the service's cursors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from attrs import evolve

from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.list_resume import Position
from exotel_async.config import SendOptions
from exotel_async.errors import DecodeError
from exotel_async.models import CallPage
from exotel_async.wire.call_query import LARGEST_PAGE, CallQuery
from exotel_async.wire.time_range import TimeRange

_REMEMBERED: Final = 2 * LARGEST_PAGE  # rows
_PATIENCE: Final = 100  # pages in a row without a new call


class CursorReader:
    """Reads the calls of a range, each once.

    Calls that become listed during reading may shift others onto the next page: calls that were on
    the last pages are dropped. A repeated cursor would lead in circles: the rest of the range is
    then queried by date.
    """

    def __init__(
        self,
        source: PageFetcher,
        options: SendOptions,
        query: CallQuery,
        time_range: TimeRange,
        known: Iterable[str] = (),
        *,
        asks_again: bool = True,
    ) -> None:
        """Prepare to read a range of a month at most; nothing is sent.

        `known` are the SIDs of its first second that were yielded already; `asks_again` is whether
        to query again if fewer calls came than the service counts.
        """
        self._source = source
        self._options = options
        self._query = query
        self._asks_again = asks_again
        first = time_range.until if query.newest_first else time_range.since
        self._position = Position(query.newest_first, first, set(known))
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._idle = 0
        self._begin(time_range)

    def _begin(self, time_range: TimeRange) -> None:
        """Start a query by date for a range, without a cursor."""
        self._time_range = time_range
        self.ended: bool = time_range.is_empty
        """Whether the range was read to its end."""
        self._cursor: str | None = None
        self._used: set[int] = set()  # hashes of cursors: a list may have thousands
        # Known calls that this query must return again, and how many calls it has returned.
        self._expected = set(self._position.sids)
        self._received = 0
        self._fresh = self._asked_again = False
        self.total: int | None = None
        """Calls in the range, as the first page states it; None before, or if it does not."""

    async def next_page(self) -> CallPage | None:
        """Return the next page with a new call; None at the end.

        Raises:
            ExotelError: a page could not be read. The next call tries again.
        """
        while True:
            # Before each page: reading a long list may take an hour, while its range gets too old.
            askable = self._source.askable(self._time_range)
            if askable != self._time_range and not self.ended:
                self._begin(self._ahead(askable))
            if self.ended:
                return None
            request = self._query.request(self._time_range, after=self._cursor)
            page = await self._source.fetch(request, self._options)
            if self.total is None:
                self.total = page.total
            fresh = self._drop_known(page)
            self._advance(page)
            if fresh.calls:
                return fresh

    @property
    def is_short(self) -> bool:
        """Whether fewer calls came than the service counts."""
        return not self._is_complete(if_unknown=True)

    def rest(self) -> tuple[TimeRange, frozenset[str]]:
        """Return the unread range, and the SIDs of its first second that were yielded already."""
        return self._ahead(self._time_range), frozenset(self._position.sids)

    def _ahead(self, time_range: TimeRange) -> TimeRange:
        return time_range.from_here(self._position.second, newest_first=self._query.newest_first)

    def _drop_known(self, page: CallPage) -> CallPage:
        known = self._position.sids.union(self._recent)
        fresh = {call.sid: call for call in page.calls if call.sid not in known}
        again = self._expected.intersection(call.sid for call in page.calls)
        self._expected -= again
        self._recent.extend(call.sid for call in page.calls)
        for call in fresh.values():
            self._position.advance(call)
        self._received += len(fresh) + len(again)
        self._fresh = self._fresh or bool(fresh)
        # An expected call, though known, shows that the cursors make progress.
        self._idle = 0 if fresh or again else self._idle + 1
        return evolve(page, calls=tuple(fresh.values()))

    def _advance(self, page: CallPage) -> None:
        seems_last = page.after is None or not page.calls
        may_lack = self._asks_again and seems_last and self.is_short
        if may_lack and (self._fresh or not self._asked_again):
            # A single response may lack its cursor or its calls; but the service may also list
            # fewer calls than it counts. So query again from here until nothing new comes.
            self._begin(self._ahead(self._time_range))
            self._asked_again = True
        elif page.after is None or (not page.calls and self._is_complete(if_unknown=False)):
            self.ended = True
        elif self._idle > _PATIENCE:
            raise _bad_cursors(f"{_PATIENCE} pages of call records in a row had no new call")
        elif hash(page.after) not in self._used:
            self._used.add(hash(page.after))
            self._cursor = page.after
        elif self._fresh:
            self._begin(self._ahead(self._time_range))
        elif self._is_complete(if_unknown=True):
            self.ended = True
        else:
            raise _bad_cursors("the cursors of the call records repeat and never reach the end")

    def _is_complete(self, *, if_unknown: bool) -> bool:
        """Return whether all calls came that the service counts; `if_unknown` without a count."""
        return if_unknown if self.total is None else self._received >= self.total


def _bad_cursors(message: str) -> DecodeError:
    return DecodeError(message, status=200, content_type=None, excerpt="")
