"""One stretch of call records, read page by page along the service's cursors."""

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
_PATIENCE: Final = 100  # pages in a row with nothing new on them


class CursorReader:
    """The calls of a range, each once.

    Calls that become listed while it is read may move others onto the next page: what was on the
    last pages is dropped. A cursor that comes back would lead round in circles: from there the rest
    of the range is asked for by date.
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
        """Describe it; nothing is asked for. The range is a month at most.

        `known` are the SIDs on its first second that were given out already; `asks_again` is
        whether to ask again where fewer have come than the service counts.
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
        """Ask by date from here on."""
        self._time_range = time_range
        self.ended: bool = time_range.is_empty
        """Whether there is nothing more to ask for."""
        self._cursor: str | None = None
        self._used: set[int] = set()  # hashes of cursors: a list may have thousands
        self._unmet = set(self._position.sids)
        self._met = 0
        self._fresh = self._asked_again = False
        self.total: int | None = None
        """Calls in the range as the first page states; None before, or if it does not."""

    async def next_page(self) -> CallPage | None:
        """Return the next page that has something new on it; None at the end.

        Raises:
            ExotelError: a page could not be had. The next call asks for it again.
        """
        while True:
            # Before each page: a long list is read for an hour, and its range becomes too old.
            askable = self._source.askable(self._time_range)
            if askable != self._time_range and not self.ended:
                self._begin(self._ahead(askable))
            if self.ended:
                return None
            request = self._query.request(self._time_range, after=self._cursor)
            page = await self._source.fetch(request, self._options)
            if self.total is None:
                self.total = page.total
            fresh = self._sift(page)
            self._follow(page)
            if fresh.calls:
                return fresh

    @property
    def is_short(self) -> bool:
        """Whether fewer calls have come than the service counts."""
        return not self._is_complete(unless_told=True)

    def rest(self) -> tuple[TimeRange, frozenset[str]]:
        """Return the range from the position reached, and what of its first second is known."""
        return self._ahead(self._time_range), frozenset(self._position.sids)

    def _ahead(self, time_range: TimeRange) -> TimeRange:
        return time_range.from_here(self._position.second, newest_first=self._query.newest_first)

    def _sift(self, page: CallPage) -> CallPage:
        known = self._position.sids.union(self._recent)
        fresh = {call.sid: call for call in page.calls if call.sid not in known}
        again = self._unmet.intersection(call.sid for call in page.calls)
        self._unmet -= again
        self._recent.extend(call.sid for call in page.calls)
        for call in fresh.values():
            self._position.passed(call)
        self._met += len(fresh) + len(again)
        self._fresh = self._fresh or bool(fresh)
        # What is known and comes again for the first time shows that the cursors lead on.
        self._idle = 0 if fresh or again else self._idle + 1
        return evolve(page, calls=tuple(fresh.values()))

    def _follow(self, page: CallPage) -> None:
        seems_last = page.after is None or not page.calls
        may_lack = self._asks_again and seems_last and self.is_short
        if may_lack and (self._fresh or not self._asked_again):
            # One answer may lack its cursor, or its calls; and that fewer are listed than counted
            # need not be wrong. It is asked again from here until nothing new comes.
            self._begin(self._ahead(self._time_range))
            self._asked_again = True
        elif page.after is None or (not page.calls and self._is_complete(unless_told=False)):
            self.ended = True
        elif self._idle > _PATIENCE:
            raise _lost(f"{_PATIENCE} pages of call records in a row had no new call")
        elif hash(page.after) not in self._used:
            self._used.add(hash(page.after))
            self._cursor = page.after
        elif self._fresh:
            self._begin(self._ahead(self._time_range))
        elif self._is_complete(unless_told=True):
            self.ended = True
        else:
            raise _lost("the cursors of the call records repeat and never reach the end")

    def _is_complete(self, *, unless_told: bool) -> bool:
        """Whether as many calls have come as there are; or that, if the service does not say."""
        return unless_told if self.total is None else self._met >= self.total


def _lost(message: str) -> DecodeError:
    return DecodeError(message, status=200, content_type=None, excerpt="")
