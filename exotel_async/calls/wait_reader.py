"""What `exotel.calls` can do to wait: for one call, for several, and for many as a stream."""

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
    """What `exotel.calls` can do to wait."""

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

        All that wait in a session share one poll: a hundred waiting calls cost one request in each
        round, and none if `notify` gets their ends first.

        Args:
            sid: the call's SID; or several, which gives a `CallResult` for each, in their order.
            timeout: seconds to wait at most; None: as long as it takes.
            settled: wait until length, price and end have come as well, which takes about two
                minutes from the end; what has not come within fifteen is not waited for.
            details: wait for legs and talk time as well, and read them. They come with the end,
                unless the first party was not reached.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows to
                twelve times as much.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an argument that makes no sense; nothing was sent.
            NotFound: no such call (any more).
            RequestTimeout: it was not over within `timeout`.
            ExotelError: any other of the tree but `CallOutcomeUnknown`, if it persists.
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
        """Wait until each of many calls is over, and give each when it is.

        Use it as ``async with exotel.calls.as_completed(sids) as results`` and ``async for result
        in results``: one `CallResult` for each SID, in the order the calls end. It is `wait` as a
        stream, over the same poll: the calls of others are looked up a hundred at a time.

        Args:
            sids: any iterable or async iterable. It is read as it comes, and no further while
                10,000 are waited for or were not taken out of the stream yet. An async generator
                is closed when the block is left.
            timeout: seconds to wait for each, from when its SID was read; then its result has a
                `RequestTimeout`. None: as long as it takes.
            settled: as for `wait`; as are `interval` and `priority`.
            details: as for `wait`.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows to
                twelve times as much.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an argument that makes no sense. What is wrong with one SID is in its
                result.
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
            # That a call was not over in time is not said without a look at it.
            interval=min(positive_seconds("interval", interval), limit / 2),
            priority=self._defaults.with_changes(priority=priority).priority,
        )

    async def _ends(
        self, sids: Iterable[str], terms: WaitOptions, limit: float
    ) -> dict[str, Call | ExotelError]:
        """Watch calls until they end, or the time has come."""
        ends: dict[str, Call | ExotelError] = {}
        all_told = asyncio.get_running_loop().create_future()
        different = dict.fromkeys(sids)

        def told(sid: str, end: Call | ExotelError) -> None:
            ends[sid] = end
            if len(ends) == len(different) and not all_told.done():
                all_told.set_result(None)

        waiters: list[Waiter | None] = []
        try:
            waiters.extend(
                self._parts.watcher.add(sid, terms, partial(told, sid)) for sid in different
            )
            if different:
                await asyncio.wait([all_told], timeout=None if limit == math.inf else limit)
        finally:
            for one in waiters:
                self._parts.watcher.drop(one)
        return ends


def _sids(sid: object) -> list[str]:
    """Return one SID, or several, as a list. Raises InvalidRequest: it is neither."""
    if isinstance(sid, str):
        return [sid]
    if isinstance(sid, Iterable) and not isinstance(sid, bytes):
        return list(sid)
    rule = "must be a call's SID, such as call.sid, or several"
    raise InvalidRequest("sid", sid, rule, shown=type(sid).__name__)
