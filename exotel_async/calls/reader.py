"""Reading calls: one, many, all of a time range, and those whose end is awaited."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Unpack

from exotel_async.calls.fetch import FetchOptions
from exotel_async.calls.parts import CallParts
from exotel_async.calls.recording_reader import RecordingReader
from exotel_async.calls.wait_reader import WaitReader
from exotel_async.config import Priority, RequestOptions, SendOptions
from exotel_async.errors import ExotelError
from exotel_async.keywords import check_options
from exotel_async.models import Call
from exotel_async.wire import call_query
from exotel_async.wire.call_query import MAX_SIDS, CallFilters, RecordFilters
from exotel_async.wire.validation import flag, minutes, segment

if TYPE_CHECKING:
    from exotel_async.calls.changes import CallChanges
    from exotel_async.calls.get_many import CallResults, FetchStatistics
    from exotel_async.calls.list import CallRecords
    from exotel_async.http.pipeline import Pipeline


class CallReader(RecordingReader, WaitReader):
    """The methods of `exotel.calls` that read."""

    def __init__(
        self, pipeline: Pipeline, account_sid: str, time_zone: tzinfo, *, coalesce: bool
    ) -> None:
        self._pipeline = pipeline
        self._account_sid = account_sid
        self._time_zone = time_zone
        self._coalesce = coalesce
        self._defaults = SendOptions()
        self._parts = CallParts(pipeline, account_sid, time_zone)

    async def _read(self, sid: str) -> Call:
        return await self.get(sid)

    async def get(
        self,
        sid: str,
        *,
        details: bool = False,
        recording_url_validity: timedelta | None = None,
        coalesce: bool | None = None,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Call:
        """Read one call.

        Exotel fills in `ended_at`, `duration` and `price` about two minutes after the call is over,
        and with them the second party and the talk time in `details`.

        Gets that are made at the same time, or have to wait for the budget, share requests of up to
        a hundred calls each; the result is the same as that of single requests. No get is answered
        by a request that was sent before it was made.

        Args:
            sid: the call's SID.
            details: whether to read its legs and talk time as well.
            recording_url_validity: how long the pre-signed recording link stays valid: 5 to 60
                whole minutes.
            coalesce: whether it may share a request; None: the session's setting.
            extra: parameters this SDK does not know; with them, no request is shared.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: no such call, or the account is in the other region.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("calls.get", self.get, options, RequestOptions)
        wanted = _wanted(details, recording_url_validity)
        segment("sid", sid)
        chosen = self._defaults.with_changes(**options)
        alone = extra or not (self._coalesce if coalesce is None else coalesce)
        with self._pipeline.reports.operation("calls.get") as operation:
            try:
                if alone:
                    call = await self._parts.fetcher.single(sid, wanted, chosen, extra=extra)
                else:
                    self._pipeline.check_loop()
                    call = await self._parts.coalescer.get(sid, wanted, chosen)
            except ExotelError as error:
                error.sid = sid
                raise
            return operation.returns(call)

    def list(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        resume: str | None = None,
        concurrency: int = 1,
        priority: Priority = Priority.BULK,
        max_wait: float | None = None,
        timeout: float | None = None,
        **filters: Unpack[CallFilters],
    ) -> CallRecords:
        """List the calls of a time range. Calls in progress are not included.

        Uses `GET Calls`. Read the result with ``async for``; see `CallRecords`. Nothing is sent
        before that.

        Args:
            since: calls created in this second or later. Aware, any zone; not older than six
                months. None: 30 days before `until`.
            until: calls created in this second or before. None, or a time in the future: all until
                now, which is fixed when reading begins.
            limit: calls at most.
            resume: the `resume_token` of a list with the same filters and order: continue after
                it. The time range is the token's, whatever `since` and `until` are: only `changes`
                gives calls that are newer than that list. For that reason, the token of a list
                until now that was read to its end is refused.
            concurrency: slices of the range read in parallel, 1 to 16, still in order. Useful if
                round trips are so long that reading page after page does not use up the budget; it
                costs about a tenth more requests.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take in all.
            **filters: which calls, and in which order and form: see `CallFilters`.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        from exotel_async.calls.list import CallRecords  # noqa: PLC0415

        check_options("calls.list", self.list, filters, CallFilters)
        return CallRecords(
            self._parts.pages,
            call_query.build_query(time_zone=self._time_zone, **filters),
            self._account_sid,
            self._defaults.with_changes(priority=priority, max_wait=max_wait, timeout=timeout),
            since=since,
            until=until,
            limit=limit,
            resume=resume,
            concurrency=concurrency,
        )

    def changes(
        self,
        *,
        since: datetime | str | None = None,
        allow_gap: bool = False,
        priority: Priority = Priority.BULK,
        max_wait: float | None = None,
        timeout: float | None = None,
        **filters: Unpack[RecordFilters],
    ) -> CallChanges:
        """Read the calls that are new or have changed since the last reading.

        Use it as ``async for call in changes``, and save `changes.token` for the next reading, a
        minute or several days later. Each call is yielded when it is new, and again each time its
        record has changed: its end, duration, price and recording come late. Calls in
        progress are not included.

        Uses `GET Calls`, whose only time filter is the time of creation: each reading
        also re-reads the calls created in the 4 hours and 15 minutes before the previous one, which
        is the longest that a call may last and its price may take. Later changes are not noticed.

        Args:
            since: the `token` of the last reading; or, the first time, a datetime: calls created in
                this second or later. Aware, any zone; not older than six months. None: 30 days ago.
            allow_gap: whether to continue if the last reading was so long ago that Exotel, which
                keeps calls for six months, no longer has some of them; `changes.gap` says which.
                Otherwise that is an error: nothing is skipped silently.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take in all.
            **filters: which calls: see `RecordFilters`.

        Raises:
            InvalidRequest: an argument Exotel would refuse, or a token for other calls.
        """
        from exotel_async.calls.changes import CallChanges  # noqa: PLC0415

        check_options("calls.changes", self.changes, filters, RecordFilters)
        return CallChanges(
            self._parts.pages,
            call_query.build_query(time_zone=self._time_zone, newest_first=False, **filters),
            self._account_sid,
            self._defaults.with_changes(priority=priority, max_wait=max_wait, timeout=timeout),
            since=since,
            allow_gap=flag("allow_gap", allow_gap) == "true",
        )

    def get_many(
        self,
        sids: Iterable[str] | AsyncIterable[str],
        *,
        details: bool = False,
        recording_url_validity: timedelta | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        concurrency: int = 8,
        batch_size: int = MAX_SIDS,
        on_progress: Callable[[FetchStatistics], object] | None = None,
        **options: Unpack[RequestOptions],
    ) -> CallResults:
        """Read many calls by their SIDs, up to a hundred with each request.

        Use it as ``async with exotel.calls.get_many(sids) as results`` and ``async for result in
        results``: one `CallResult` for each SID, in the order the responses arrive. A SID that
        cannot be read does not affect the others.

        Uses the `Sid` filter of `GET Calls`. What that leaves out (calls in progress, calls
        older than 31 days, SIDs that do not exist) is read singly.

        Args:
            sids: any iterable or async iterable, read lazily. An async generator is closed when the
                block is left.
            details: whether to read legs and talk time as well.
            recording_url_validity: how long recording links stay valid: 5 to 60 whole minutes.
            since: when the oldest of the calls was created, if they are older than 31 days: they
                are then searched for month by month. Aware; not older than six months.
            until: when the newest of them was created.
            concurrency: requests in flight at a time, 1 to 64.
            batch_size: SIDs in one request, 1 to 100.
            on_progress: called with `statistics()` each time results are taken from the stream.
            **options: see `RequestOptions`; the default priority is `Priority.BULK`.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        from exotel_async.calls.get_many import CallResults  # noqa: PLC0415

        check_options("calls.get_many", self.get_many, options, RequestOptions)
        options.setdefault("priority", Priority.BULK)
        return CallResults(
            self._parts.fetcher,
            self._parts.pages,
            sids,
            _wanted(details, recording_url_validity),
            self._defaults.with_changes(**options),
            concurrency=concurrency,
            batch_size=batch_size,
            since=since,
            until=until,
            on_progress=on_progress,
        )


def _wanted(details: bool, recording_url_validity: timedelta | None) -> FetchOptions:
    minutes("recording_url_validity", recording_url_validity)
    return FetchOptions(flag("details", details) == "true", recording_url_validity)
