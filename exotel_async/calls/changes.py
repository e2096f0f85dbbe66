"""Call records that are new or have changed since the last reading."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import evolve

from exotel_async.calls.changes_token import RULE, Checkpoint, Reading, read_token, write_token
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
    """New and changed calls: `exotel.calls.changes(...)`. Nothing is sent until it is read.

    ``async for call in changes`` reads all that there are, in the order of creation, and ends;
    `pages` does so page by page. Read again, it yields what is new or has changed since. With
    `token` another process can continue.
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
            self._start = read_token(since, self._digest)
        elif since is not None and not isinstance(since, datetime):
            raise InvalidRequest("since", since, RULE)
        elif allow_gap:
            self._start = Checkpoint(whole_second("since", since))
        else:
            begin, _ = check_range(since, None, now=datetime.now(query.time_zone))
            self._start = Checkpoint(begin)
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
            InvalidRequest: Exotel no longer has all of the calls: see `gap`.
            ExotelError: a page could not be read; continue with the next step, by reading again, or
                with `token`.
        """
        return Steps(self._pages)

    @property
    def token(self) -> str | None:
        """A token of what was yielded until now, for `calls.changes(since=...)`.

        It is valid at any time, also in the middle of reading: the call that was yielded last
        counts as handled.

        An opaque string that another process may use, too, with the same account, filters and
        `details`. Its length is about 11 characters for each call created in the last four and a
        quarter hours: usually some kilobytes, half a megabyte at 200 calls a minute; and for a
        moment, in the middle of reading, twice as much. None if no `since` was given and nothing
        was read yet.
        """
        checkpoint = self._checkpoint()
        return None if checkpoint.since is None else write_token(self._digest, checkpoint)

    @property
    def gap(self) -> tuple[datetime, datetime] | None:
        """The first and last second of creation of calls that may be missing; None: none are.

        Exotel no longer has them, because they are over six months old. Known when reading begins.
        """
        return self._gap

    async def _calls(self) -> AsyncGenerator[Call, None]:
        async with aclosing(self._read()) as pages:
            async for reading, page in pages:
                for call in page.calls:
                    if reading.advance(call):
                        yield call

    async def _pages(self) -> AsyncGenerator[CallPage, None]:
        async with aclosing(self._read()) as pages:
            async for reading, page in pages:
                calls = tuple(call for call in page.calls if reading.advance(call))
                if calls:
                    yield evolve(page, calls=calls, total=None)

    def _checkpoint(self) -> Checkpoint:
        return self._start if self._reading is None else self._reading.checkpoint()

    async def _read(self) -> AsyncGenerator[tuple[Reading, CallPage], None]:
        before = self._checkpoint()
        time_range = await self._source.fix(before.begin, None, self._options)
        since = before.since or time_range.since
        time_range = self._without_gap(time_range, before)
        # The token is that of the last reading to start.
        reading = self._reading = Reading(before, since)
        for window in time_range.windows(newest_first=False):
            reader = CursorReader(self._source, self._options, self._query, window)
            while (page := await reader.next_page()) is not None:
                yield reading, self._query.filtered(page)
        reading.end(time_range.until)

    def _without_gap(self, time_range: TimeRange, before: Checkpoint) -> TimeRange:
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
