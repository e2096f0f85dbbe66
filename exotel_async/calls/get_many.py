"""Reading many calls by SID in the fewest requests: `exotel.calls.get_many`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.get_many_batches import BatchPlanner
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.streams import LINGER, LazyInput, ResultStream, pace
from exotel_async.errors import ConfigurationError, ExotelError, InvalidRequest, NotFound
from exotel_async.listeners import check_progress_listener
from exotel_async.masking import redact
from exotel_async.models import Call
from exotel_async.models.value import Value
from exotel_async.wire import call_query
from exotel_async.wire.time_range import TimeRange, check_range
from exotel_async.wire.validation import segment, whole_number

if TYPE_CHECKING:
    from exotel_async.config import SendOptions

MAX_CONCURRENT: Final = 64


@frozen
class CallResult(Value):
    """The result for one SID: the call, or why it could not be read.

    Attributes:
        sid: the SID, as it was passed.
        call: the call; None if there is an error.
        error: `NotFound` if there is no such call, else what went wrong; its `sid` is this one.
            None if there is a call.
    """

    sid: str
    call: Call | None = None
    error: ExotelError | None = None

    def unwrap(self) -> Call:
        """Return the call.

        Raises:
            ExotelError: the error, if there is one.
        """
        if self.call is not None:
            return self.call
        # A copy: several results may share one error, and raising it adds a traceback to it.
        error = copy(self.error) if self.error else NotFound("no such call", status=404)
        error.sid = self.sid
        raise error


def result_of(sid: str, end: Call | ExotelError) -> CallResult:
    """Return the result for a SID, with a copy of an error: several may share one."""
    if isinstance(end, Call):
        return CallResult(sid, end)
    own = copy(end)
    own.sid = sid
    return CallResult(sid, error=own)


def refusal_of(sid: str) -> CallResult | None:
    """Return the result for a value that cannot be a SID; None if it may be one."""
    try:
        segment("sid", sid)
    except InvalidRequest as error:
        return CallResult(sid if isinstance(sid, str) else redact(repr(sid)), error=error)
    return None


@frozen(kw_only=True)
class FetchStatistics(Value):
    """The progress of a `get_many`.

    Attributes:
        done: SIDs answered so far: `found`, `missing` and `failed` together.
        found: calls found.
        missing: SIDs the service does not know.
        failed: SIDs that could not be looked up; each has its error.
        requests: requests sent so far.
        rate: SIDs answered per second so far.
        total: the number of SIDs; None if the input has no length.
        time_left: how long the rest takes at that rate; None if unknown.
    """

    done: int
    found: int
    missing: int
    failed: int
    requests: int
    rate: float
    total: int | None
    time_left: timedelta | None


class _RequestCount:
    """Counts requests, without a reference to the stream, which is to be freed when unused."""

    def __init__(self) -> None:
        self.number = 0

    def add(self) -> None:
        self.number += 1


class CallResults(ResultStream[CallResult]):
    """A stream of `CallResult`, one for each SID, in the order the responses arrive.

    Use it as ``async with exotel.calls.get_many(sids) as results: async for result in results``:
    leaving the block ends what is in progress.
    """

    def __init__(
        self,
        fetcher: CallFetcher,
        pages: PageFetcher,
        sids: Iterable[str] | AsyncIterable[str],
        wanted: FetchOptions,
        options: SendOptions,
        *,
        concurrency: int,
        batch_size: int,
        since: datetime | None,
        until: datetime | None,
        on_progress: Callable[[FetchStatistics], object] | None,
    ) -> None:
        check_progress_listener(on_progress)
        self._concurrency = whole_number("concurrency", concurrency, 1, MAX_CONCURRENT)
        self._batch_size = whole_number("batch_size", batch_size, 1, call_query.MAX_SIDS)
        self._since, self._until = check_range(since, until, now=datetime.now(pages.time_zone))
        super().__init__(LazyInput("sids", sids, ahead=batch_size), places=concurrency)
        self._fetcher = fetcher
        self._pages = pages
        self._wanted = wanted
        self._on_progress = on_progress
        self._found = self._missing = self._failed = 0
        self._started = time.monotonic()
        self._requests = _RequestCount()
        self._options = evolve(options, on_send=self._requests.add)
        # Those of the list queries, one after the other; newest first.
        self._ranges: Sequence[TimeRange | None] = (None,)
        self._planner = BatchPlanner(0, batch_size)
        self._input_needed = asyncio.Event()
        self._changed = asyncio.Event()
        self._input_ended = False
        self._dry = False
        self._stopped = False

    def _begin(self) -> None:
        self._started = time.monotonic()
        self._start(self._run)

    def _taken(self, results: Sequence[CallResult]) -> None:
        for result in results:
            is_missing = isinstance(result.error, NotFound)
            self._found += result.call is not None
            self._missing += is_missing
            self._failed += result.call is None and not is_missing
        if self._on_progress is not None:
            self._on_progress(self.statistics())

    def statistics(self) -> FetchStatistics:
        """Return the progress so far; results count when they are taken from the stream."""
        done = self._found + self._missing + self._failed
        rate, time_left = pace(done, self._input.total, self._started)
        return FetchStatistics(
            done=done,
            found=self._found,
            missing=self._missing,
            failed=self._failed,
            requests=self._requests.number,
            rate=rate,
            total=self._input.total,
            time_left=time_left,
        )

    async def _run(self) -> None:
        """Work until all SIDs have a result."""
        await self._prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read())
                workers = [tasks.create_task(self._work()) for _ in range(self._concurrency)]
                await asyncio.wait(workers)
                if self._stopped:
                    reader.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _prepare(self) -> None:
        """Fix the time ranges of the list queries, and plan the stages."""
        if self._since is not None or self._until is not None:
            time_range = await self._pages.fix(self._since, self._until, self._options)
            self._ranges = list(time_range.windows(newest_first=True))
        if not self._fetcher.can_batch(self._wanted):
            self._ranges = ()
        self._planner = BatchPlanner(len(self._ranges), self._batch_size)

    async def _read(self) -> None:
        """Read some of the input whenever a worker has nothing to do."""
        loop = asyncio.get_running_loop()
        most = self._batch_size
        while not self._input_ended:
            await self._input_needed.wait()
            self._input_needed.clear()
            # The input may wait for results of SIDs that are still waiting for a full batch.
            timer = loop.call_later(LINGER, self._run_dry)
            try:
                sids = await self._fetcher.pipeline.wait(self._input.take(most))
            except ConfigurationError as error:  # the session is closed
                self._error, self._stopped = error, True
                self._changed.set()
                return
            except Exception as error:  # noqa: BLE001 - the input's own, raised to the consumer
                sids, self._error = [], error
            finally:
                timer.cancel()
            self._input_ended = self._input.ended
            self._dry = len(sids) < most
            refused = self._enter(sids)
            self._changed.set()
            if refused:
                await self._give(*refused)

    def _run_dry(self) -> None:
        self._dry = True
        self._changed.set()

    def _enter(self, sids: Iterable[str]) -> list[CallResult]:
        """Enter the SIDs into the planner; return the results of those that cannot be SIDs."""
        refused: list[CallResult] = []
        for sid in sids:
            refusal = refusal_of(sid)
            if refusal is not None:
                refused.append(refusal)
            else:
                self._planner.enter([sid], singly=not call_query.is_listable(sid))
        return refused

    async def _work(self) -> None:
        while (job := await self._next_job()) is not None:
            stage, sids = job
            answered: list[CallResult] = []
            left: list[str] = []
            try:
                answered, left = await self._fetch(stage, sids)
            except ConfigurationError as error:
                # The session is closed. Results that other workers still get are yielded.
                self._error, self._stopped = error, True
            self._planner.done(stage, left)
            self._changed.set()
            if answered:
                await self._give(*answered)

    async def _next_job(self) -> tuple[int, list[str]] | None:
        """Wait for SIDs to read; return None at the end."""
        while not self._stopped:
            job = self._planner.take(ended=self._input_ended, dry=self._dry)
            if job is not None:
                return job
            if self._input_ended and self._planner.is_empty:
                return None
            self._input_needed.set()
            self._changed.clear()
            await self._changed.wait()
        return None

    async def _fetch(self, stage: int, sids: list[str]) -> tuple[list[CallResult], list[str]]:
        """Read the SIDs; return the results, and the SIDs that are left to the next stage.

        Raises:
            ConfigurationError: the session is closed.
        """
        wanted, options = self._wanted, self._options
        if stage == self._planner.last:
            sid = sids[0]  # the others are copies of it
            end: Call | ExotelError
            try:
                end = await self._fetcher.single(sid, wanted, options)
            except ConfigurationError:
                raise
            except ExotelError as error:
                end = error
            return [result_of(sid, end) for _ in sids], []
        time_range = self._ranges[stage]
        if time_range is not None:
            time_range = self._pages.askable(time_range)
        different = list(dict.fromkeys(sids))
        gone = time_range is not None and time_range.is_empty
        # Single requests, in the last stage, decide about every SID that is left.
        if len(different) == 1 or gone or not self._fetcher.can_batch(wanted):
            return [], sids
        answers = await self._fetcher.batch(different, wanted, options, time_range=time_range)
        answered = [result_of(sid, answers[sid]) for sid in sids if sid in answers]
        return answered, [sid for sid in sids if sid not in answers]
