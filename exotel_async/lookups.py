"""Many calls by their SIDs, in the fewest requests: `exotel.calls.get_many`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import define, evolve, field, frozen

from exotel_async import queries
from exotel_async.bulk import Bulk, Wanted
from exotel_async.checks import segment
from exotel_async.crew import Crew
from exotel_async.errors import ExotelError, InvalidRequest, NotFound
from exotel_async.feeds import Feed
from exotel_async.masking import redact
from exotel_async.models import Call
from exotel_async.pages import Pages
from exotel_async.spans import Span, check_range

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.config import SendOptions

MOST_CONCURRENT: Final = 64


@frozen
class Lookup:
    """What came of one SID: the call, or why it could not be had.

    Attributes:
        sid: the SID, as it was passed.
        call: the call; None where there is an error.
        error: `NotFound` where there is no such call; else what went wrong. None with a call.
    """

    sid: str
    call: Call | None = None
    error: ExotelError | None = None

    def unwrap(self) -> Call:
        """Return the call.

        Raises:
            ExotelError: the error, where there is one.
        """
        if self.call is None:
            raise self.error or NotFound("no such call", status=404)
        return self.call


@frozen(kw_only=True)
class LookupStatistics:
    """How a lookup of many calls stands.

    Attributes:
        done: SIDs answered so far: `found`, `missing` and `failed` together.
        found: calls found.
        missing: SIDs the service does not know.
        failed: SIDs that could not be looked up; each has its error.
        requests: requests sent so far.
        rate: SIDs answered per second so far.
        total: SIDs there are; None where the input does not say.
        time_left: how long the rest takes at that rate; None where that is not known.
    """

    done: int
    found: int
    missing: int
    failed: int
    requests: int
    rate: float
    total: int | None
    time_left: timedelta | None


@define
class _Counts:
    found: int = 0
    missing: int = 0
    failed: int = 0
    requests: int = 0
    started: float = field(factory=time.monotonic)

    def sent(self) -> None:
        self.requests += 1

    def add(self, lookup: Lookup) -> None:
        if lookup.call is not None:
            self.found += 1
        elif isinstance(lookup.error, NotFound):
            self.missing += 1
        else:
            self.failed += 1


@frozen(kw_only=True)
class LookupPlan:
    """How many calls are to be looked up, checked.

    Attributes:
        wanted: what to know of each.
        concurrency: requests under way at a time.
        batch_size: SIDs in one query.
        since, until: when they were created; None: not said.
        on_progress: told how it stands, each time some have been answered.
    """

    wanted: Wanted
    concurrency: int
    batch_size: int
    since: datetime | None
    until: datetime | None
    on_progress: Callable[[LookupStatistics], object] | None


def lookup_plan(
    wanted: Wanted,
    *,
    concurrency: int,
    batch_size: int,
    since: datetime | None,
    until: datetime | None,
    on_progress: Callable[[LookupStatistics], object] | None,
) -> LookupPlan:
    """Check the arguments of a lookup of many calls.

    Raises:
        InvalidRequest: one of them makes no sense, or is what Exotel would refuse.
    """
    for argument, value, most in (
        ("concurrency", concurrency, MOST_CONCURRENT),
        ("batch_size", batch_size, queries.MOST_SIDS),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidRequest(argument, value, f"must be a whole number from 1 to {most}")
    if on_progress is not None and not callable(on_progress):
        raise InvalidRequest("on_progress", on_progress, "must be callable")
    # So that what is wrong with the rest is said before anything is sent.
    queries.call_query(
        time_zone=UTC,
        details=wanted.details,
        recording_url_validity=wanted.recording_url_validity,
    )
    first, last = check_range(since, until, now=datetime.now(UTC))
    return LookupPlan(
        wanted=wanted,
        concurrency=concurrency,
        batch_size=batch_size,
        since=first,
        until=last,
        on_progress=on_progress,
    )


class Lookups:
    """A stream of `Lookup`, one for each SID, in the order the answers come.

    Use it as ``async with exotel.calls.get_many(sids) as lookups: async for lookup in lookups``:
    leaving the block ends what goes on.
    """

    def __init__(
        self,
        bulk: Bulk,
        pages: Pages,
        sids: Iterable[str] | AsyncIterable[str],
        plan: LookupPlan,
        options: SendOptions,
    ) -> None:
        self._bulk = bulk
        self._pages = pages
        self._plan = plan
        self._counts = _Counts()
        self._options = evolve(options, on_send=self._counts.sent)
        self._feed = Feed("sids", sids, ahead=plan.batch_size)
        # One after the other: queries by window, newest first, and then requests for one.
        self._spans: Sequence[Span | None] = (None,)
        self._lines: list[deque[str]] = []
        self._busy: list[int] = []
        self._reading = False
        self._exhausted = False
        self._dry = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()
        self._out: asyncio.Queue[list[Lookup] | None] = asyncio.Queue(plan.concurrency)
        self._ready: deque[Lookup] = deque()
        self._crew = Crew()
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a lookup can be run once: call get_many again")
        self._entered = True
        self._counts.started = time.monotonic()
        self._crew.start(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._crew.aclose()
        await self._feed.aclose()

    def __aiter__(self) -> AsyncIterator[Lookup]:
        return self

    async def __anext__(self) -> Lookup:
        """Return the next answer.

        Raises:
            ExotelError: the session is closed, or the range of time could not be fixed. What
                goes wrong with single SIDs is in their `Lookup`.
            Exception: what the input, or `on_progress`, has raised.
        """
        if not self._entered:
            raise RuntimeError("use it in `async with`")
        if not self._ready:
            chunk = await self._out.get()
            if chunk is None:
                self._out.put_nowait(None)
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            self._ready.extend(chunk)
            for lookup in chunk:
                self._counts.add(lookup)
            if self._plan.on_progress is not None:
                self._plan.on_progress(self.statistics())
        return self._ready.popleft()

    def statistics(self) -> LookupStatistics:
        """Return how it stands. What was answered but not taken out of the stream is not in it."""
        counts = self._counts
        done = counts.found + counts.missing + counts.failed
        elapsed = time.monotonic() - counts.started
        rate = done / elapsed if elapsed > 0 else 0.0
        total = self._feed.total
        left = None
        if total is not None and rate > 0:
            left = timedelta(seconds=max(0, total - done) / rate)
        return LookupStatistics(
            done=done,
            found=counts.found,
            missing=counts.missing,
            failed=counts.failed,
            requests=counts.requests,
            rate=rate,
            total=total,
            time_left=left,
        )

    async def _run(self) -> None:
        """Work until all is answered, and say so."""
        plan = self._plan
        try:
            if plan.since is not None or plan.until is not None:
                span = await self._pages.fix(plan.since, plan.until, self._options)
                self._spans = list(span.windows(newest_first=True))
            if not self._bulk.serves(plan.wanted):
                self._spans = ()
            self._lines = [deque() for _ in (*self._spans, None)]
            self._busy = [0 for _ in self._lines]
            async with asyncio.TaskGroup() as workers:
                for _ in range(plan.concurrency):
                    workers.create_task(self._work())
        except ExotelError as error:  # of fixing the range: workers report theirs by SID
            self._error = error
        except ExceptionGroup as several:
            self._error = several.exceptions[0]
        await self._out.put(None)

    async def _work(self) -> None:
        while (job := await self._next_job()) is not None:
            stage, sids = job
            answered, left = await self._do(stage, sids)
            async with self._changed:
                self._busy[stage] -= 1
                if left:
                    self._lines[stage + 1].extend(left)
                self._changed.notify_all()
            if answered:
                await self._out.put(answered)

    async def _next_job(self) -> tuple[int, list[str]] | None:
        """Wait for something to do; None when all is done."""
        last = len(self._lines) - 1
        while True:
            async with self._changed:
                stage = self._pick()
                if stage is not None:
                    most = 1 if stage == last else self._plan.batch_size
                    line = self._lines[stage]
                    sids = [line.popleft() for _ in range(min(most, len(line)))]
                    self._busy[stage] += 1
                    return stage, sids
                if self._exhausted and not any(self._busy) and not self._reading:
                    return None
                if self._reading or self._exhausted:
                    await self._changed.wait()
                    continue
                self._reading = True
            await self._read()

    def _pick(self) -> int | None:
        """Choose what to do next: what is furthest along, so that little waits in memory."""
        last = len(self._lines) - 1
        for stage in range(last, -1, -1):
            if len(self._lines[stage]) >= (1 if stage == last else self._plan.batch_size):
                return stage
        if self._exhausted or self._dry:
            # Nothing more comes, for now: what there is goes, once nothing before can add to it.
            for stage, line in enumerate(self._lines):
                if line:
                    return stage
                if self._busy[stage]:
                    return None
        return None

    async def _read(self) -> None:
        """Read some of the input into the first line."""
        good: list[str] = []
        bad: list[Lookup] = []
        try:
            sids = await self._feed.take(self._plan.batch_size)
            self._exhausted = not sids
            self._dry = len(sids) < self._plan.batch_size
        except Exception as error:  # noqa: BLE001 - the input's own, raised to the consumer
            sids, self._exhausted, self._error = [], True, error
        for sid in sids:
            refused = _refusal(sid)
            if refused is None:
                good.append(sid)
            else:
                bad.append(refused)
        async with self._changed:
            self._reading = False
            if len(self._lines) > 1 and all(map(queries.is_listable, good)):
                self._lines[0].extend(good)
            else:
                for sid in good:
                    first = 0 if queries.is_listable(sid) else len(self._lines) - 1
                    self._lines[first].append(sid)
            self._changed.notify_all()
        if bad:
            await self._out.put(bad)

    async def _do(self, stage: int, sids: list[str]) -> tuple[list[Lookup], list[str]]:
        """Ask; return what was answered, and what goes on to the next stage."""
        wanted, options = self._plan.wanted, self._options
        if stage == len(self._lines) - 1:
            (sid,) = sids
            try:
                call = await self._bulk.single(sid, wanted, options)
            except ExotelError as error:
                return [Lookup(sid, error=error)], []
            return [Lookup(sid, call)], []
        span = self._spans[stage]
        if span is not None:
            span = self._pages.askable(span)
        if not self._bulk.serves(wanted) or (span is not None and span.is_empty):
            return [], sids
        different = list(dict.fromkeys(sids))
        answers = await self._bulk.batch(different, wanted, options, span=span)
        answered: list[Lookup] = []
        left: list[str] = []
        for sid in sids:
            answer = answers.get(sid)
            if answer is None:
                left.append(sid)
            elif isinstance(answer, Call):
                answered.append(Lookup(sid, answer))
            else:
                answered.append(Lookup(sid, error=answer))
        return answered, left


def _refusal(sid: Any) -> Lookup | None:
    try:
        segment("sid", sid)
    except InvalidRequest as error:
        return Lookup(sid if isinstance(sid, str) else redact(repr(sid)), error=error)
    return None
