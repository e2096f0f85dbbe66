"""Call records that are new, or have changed, since they were read the last time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import evolve

from exotel_async.calls.changes_token import RULE, Given, Reading, read_token, write_token
from exotel_async.calls.list_cursor import CursorReader
from exotel_async.errors import InvalidRequest
from exotel_async.models import Call, CallPage
from exotel_async.steps import Steps
from exotel_async.wire.time_range import SECOND, TimeRange, check_range, whole_second

if TYPE_CHECKING:
    from exotel_async.calls.list_pages import PageFetcher
    from exotel_async.config import SendOptions
    from exotel_async.wire.call_query import CallQuery


class CallChanges:
    """What is new or has changed: `exotel.calls.changes(...)`. Nothing is sent until it is read.

    ``async for call in changes`` reads all there is, in the order of creation, and ends; `pages`
    does so page by page. Read again, it gives what is new since. `token` says to another process
    what was given out.
    """

    def __init__(
        self,
        source: PageFetcher,
        query: CallQuery,
        account_sid: str,
        options: SendOptions,
        *,
        since: datetime | str | None,
        allow_gap: bool,
    ) -> None:
        details = ("details", "true") in query.shape
        self._digest = f"{query.digest(account_sid)}{'+details' if details else ''}"
        if isinstance(since, str):
            self._given = read_token(since, self._digest)
        elif since is not None and not isinstance(since, datetime):
            raise InvalidRequest("since", since, RULE)
        elif allow_gap:
            self._given = Given(whole_second("since", since))
        else:
            begin, _ = check_range(since, None, now=datetime.now(query.time_zone))
            self._given = Given(begin)
        self._source = source
        self._query = query
        self._options = options
        self._allow_gap = allow_gap
        self._reading: Reading | None = None
        self._gap: tuple[datetime, datetime] | None = None

    def __aiter__(self) -> AsyncIterator[Call]:
        return Steps(self._calls)

    def pages(self) -> AsyncGenerator[CallPage, None]:
        """Read the same, page by page. `CallPage.total` is None: Exotel counts other calls, too.

        Raises:
            InvalidRequest: Exotel does not have all of it any more: see `gap`.
            ExotelError: a page could not be had; the next step or reading again continues, and so
                does `token`.
        """
        return Steps(self._pages)

    @property
    def token(self) -> str | None:
        """What was given out until now, for `calls.changes(since=...)`.

        It is right at any time, in the middle of reading as well: what was given out last counts as
        dealt with.

        An opaque string that another process may use, too, with the same account, filters and
        `details`. Its length is about 11 letters for each call that was created in the last four
        and a quarter hours: some kilobytes as a rule, half a megabyte where 200 calls a minute are
        made; and for a moment, in the middle of reading, twice as much. None if no `since` was
        given, and nothing was read yet.
        """
        given = self._now_given()
        return None if given.since is None else write_token(self._digest, given)

    @property
    def gap(self) -> tuple[datetime, datetime] | None:
        """The first and the last second of what Exotel has no more, for it is six months old.

        Known when reading begins: calls that were created then may be missing. None: none is.
        """
        return self._gap

    async def _calls(self) -> AsyncGenerator[Call, None]:
        async with aclosing(self._read()) as pages:
            async for reading, page in pages:
                for call in page.calls:
                    if reading.passed(call):
                        yield call

    async def _pages(self) -> AsyncGenerator[CallPage, None]:
        async with aclosing(self._read()) as pages:
            async for reading, page in pages:
                calls = tuple(call for call in page.calls if reading.passed(call))
                if calls:
                    yield evolve(page, calls=calls, total=None)

    def _now_given(self) -> Given:
        return self._given if self._reading is None else self._reading.given()

    async def _read(self) -> AsyncGenerator[tuple[Reading, CallPage], None]:
        before = self._now_given()
        time_range = await self._source.fix(before.begin, None, self._options)
        since = before.since or time_range.since
        time_range = self._without_gap(time_range, before)
        # The last one to start is what the token tells of.
        reading = self._reading = Reading(before, since)
        for window in time_range.windows(newest_first=False):
            reader = CursorReader(self._source, self._options, self._query, window)
            while (page := await reader.next_page()) is not None:
                yield reading, self._query.chosen(page)
        reading.end(time_range.until)

    def _without_gap(self, time_range: TimeRange, before: Given) -> TimeRange:
        askable = self._source.askable(time_range)
        self._gap = None
        if askable != time_range:
            self._gap = time_range.since, min(askable.since, time_range.until) - SECOND
            if before.until is not None and not self._allow_gap:
                first, last = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in self._gap)
                rule = (
                    f"was not read on in time: Exotel has no more of the calls created from {first}"
                    f" to {last} UTC, six months ago; allow_gap=True reads on without them"
                )
                raise InvalidRequest("since", "...", rule)
        return askable
