"""Waiting for calls to end: for one, for several, and for many as a stream."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, overload

from exotel_async.calls.intervals import FIRST_POLL
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ExotelError, InvalidRequest
from exotel_async.models import Call
from exotel_async.wire.validation import flag, positive_seconds, segment

if TYPE_CHECKING:
    from exotel_async.calls.as_completed import EndedCalls
    from exotel_async.calls.get_many import CallResult
    from exotel_async.calls.parts import CallParts
    from exotel_async.calls.wait_state import Waiter, WaitOptions
    from exotel_async.http.pipeline import Pipeline


class WaitReader:
    """The methods of `exotel.calls` that wait."""

    _pipeline: Pipeline
    _defaults: SendOptions
    _parts: CallParts

    @overload
    async def wait(  # type: ignore[overload-overlap]  # a str is meant as one SID
        self,
        sid: str,
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Call: ...

    @overload
    async def wait(
        self,
        sid: Iterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Sequence[CallResult]: ...

    async def wait(
        self,
        sid: str | Iterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Call | Sequence[CallResult]:
        """Wait until a call, or each of several, is over.

        All waits of a session share one poll: a hundred calls cost one request per round, and none
        if `notify` reports their ends first.

        Args:
            sid: the call's SID; or several, which gives a `CallResult` for each, in their order.
            timeout: seconds to wait at most; None: as long as it takes.
            settled: wait for the record's duration, price and end time as well, which takes about
                two minutes from the end; after fifteen minutes they are no longer waited for.
            details: wait for legs and talk time as well, and read them. They come with the end
                time, unless the first party was not reached.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows up
                to twelve times as long.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an invalid argument; nothing was sent.
            NotFound: there is no such call, or no longer.
            RequestTimeout: the call was not over within `timeout`.
            ExotelError: any other error except `CallOutcomeUnknown`, if it persists.
        """
        from exotel_async.calls.get_many import result_of  # noqa: PLC0415
        from exotel_async.calls.wait_state import not_over  # noqa: PLC0415

        one = isinstance(sid, str)
        sids = _sids(sid)
        for each in sids:
            segment("sid", each)
        limit = math.inf if timeout is None else positive_seconds("timeout", timeout)
        terms = self._wait_options(settled, details, interval, priority, limit)
        with self._pipeline.reports.operation("calls.wait") as operation:
            ends = await self._ends(sids, terms, limit)
            late = not_over(limit)
            results = [result_of(each, ends.get(each, late)) for each in sids]
            return operation.returns(results[0].unwrap()) if one else results

    def as_completed(
        self,
        sids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> EndedCalls:
        """Stream many calls, each when it is over.

        Use it as ``async with exotel.calls.as_completed(sids) as results`` and ``async for result
        in results``: one `CallResult` for each SID, in the order the calls end. It is `wait` as a
        stream, with the same poll: calls that this session did not dial are first read a hundred
        at a time.

        Args:
            sids: any iterable or async iterable. It is read as fast as it yields, but paused while
                10,000 SIDs are waited for or not yet taken from the stream. An async generator is
                closed when the block is left.
            timeout: seconds to wait for each call, counted from when its SID was read; then its
                result has a `RequestTimeout`. None: as long as it takes.
            settled: as for `wait`.
            details: as for `wait`.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows up
                to twelve times as long.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an invalid argument. A problem with one SID is in its result.
        """
        from exotel_async.calls.as_completed import EndedCalls  # noqa: PLC0415

        limit = math.inf if timeout is None else positive_seconds("timeout", timeout)
        terms = self._wait_options(settled, details, interval, priority, limit)
        return EndedCalls(self._pipeline, self._parts.watcher, sids, terms, limit)

    def _wait_options(
        self,
        settled: bool,
        details: bool,
        interval: float,
        priority: Priority | None,
        limit: float,
    ) -> WaitOptions:
        from exotel_async.calls.wait_state import WaitOptions  # noqa: PLC0415

        return WaitOptions(
            settled=flag("settled", settled) == "true",
            details=flag("details", details) == "true",
            # Poll at least once before a timeout is reported.
            interval=min(positive_seconds("interval", interval), limit / 2),
            priority=self._defaults.with_changes(priority=priority).priority,
        )

    async def _ends(
        self, sids: Iterable[str], terms: WaitOptions, limit: float
    ) -> dict[str, Call | ExotelError]:
        """Watch calls until all have ended, or time is up; return the ends that are known."""
        ends: dict[str, Call | ExotelError] = {}
        all_ended = asyncio.get_running_loop().create_future()
        different = dict.fromkeys(sids)

        def on_end(sid: str, end: Call | ExotelError) -> None:
            ends[sid] = end
            if len(ends) == len(different) and not all_ended.done():
                all_ended.set_result(None)

        waiters: list[Waiter | None] = []
        try:
            waiters.extend(
                self._parts.watcher.add(sid, terms, partial(on_end, sid)) for sid in different
            )
            if different:
                await asyncio.wait([all_ended], timeout=None if limit == math.inf else limit)
        finally:
            for one in waiters:
                self._parts.watcher.drop(one)
        return ends


def _sids(sid: object) -> list[str]:
    """Return one or several SIDs as a list. Raises InvalidRequest if it is neither."""
    if isinstance(sid, str):
        return [sid]
    if isinstance(sid, Iterable) and not isinstance(sid, bytes):
        return list(sid)
    rule = "must be a call's SID, such as call.sid, or several"
    raise InvalidRequest("sid", sid, rule, shown=type(sid).__name__)
